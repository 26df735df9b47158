//! Field tables of messages that are known only now, made of a schema's plain data.
//!
//! The library wants its field tables to live for ever, as those of generated code do. Here they
//! are leaked: a command makes them once, for one method, and ends.
//!
//! Messages may contain each other, which statics can say and values made one after another cannot.
//! So there is a table for each message at each depth at which it can occur, and one without fields
//! below the deepest level that any reader accepts.

use std::collections::BTreeMap;
use std::time::Duration;

use dreammesh_codegen::{Catalogue, EntryShape, EntryType, FieldEntry, MethodEntry};
use dreammesh_core::call::{Idempotency, MethodInfo, MethodKind, WireOption};
use dreammesh_core::wire::{
    EnumInfo, Field, Kind, Layout, LayoutHash, Limits, MapKey, Oneof, Shape,
};

/// Makes the field tables of a schema.
pub(crate) struct Tables<'a> {
    catalogue: &'a Catalogue,
    layouts: BTreeMap<(&'a str, u32), &'static Layout>,
    enums: BTreeMap<&'a str, &'static EnumInfo>,
    /// The fields made so far, at most [`FIELDS_MAX`].
    fields: usize,
}

impl<'a> Tables<'a> {
    pub(crate) const fn new(catalogue: &'a Catalogue) -> Self {
        Self {
            catalogue,
            layouts: BTreeMap::new(),
            enums: BTreeMap::new(),
            fields: 0,
        }
    }

    /// What the compiler would have written for a method.
    pub(crate) fn method(
        &mut self,
        service: &str,
        method: &'a MethodEntry,
    ) -> Result<&'static MethodInfo, String> {
        let path = leak_text(&format!("/{service}/{}", method.name));
        let kind = match (method.client_streaming, method.server_streaming) {
            (false, false) => MethodKind::Unary,
            (false, true) => MethodKind::ServerStreaming,
            (true, false) => MethodKind::ClientStreaming,
            (true, true) => MethodKind::Bidi,
        };
        let (request, response) = (self.top(&method.request)?, self.top(&method.response)?);
        let info = MethodInfo::new(path, kind, request, response)
            .with_closures(
                LayoutHash(method.request_closure),
                LayoutHash(method.response_closure),
            )
            .with_idempotency(match method.idempotency {
                1 => Idempotency::NoSideEffects,
                2 => Idempotency::Idempotent,
                _ => Idempotency::Unknown,
            })
            .with_wire(WireOption::from_name(method.wire).unwrap_or_default());
        let info = match method.deadline_ms {
            Some(deadline) => info.with_deadline(Duration::from_millis(deadline)),
            None => info,
        };
        Ok(Box::leak(Box::new(info)))
    }

    /// Every message of the schema, for what may hold any of them.
    pub(crate) fn all(&mut self) -> Result<Vec<&'static Layout>, String> {
        let names = self.catalogue.messages.keys();
        names.map(|name| self.top(name)).collect()
    }

    /// Whether any message made so far may hold any other.
    pub(crate) fn has_any(&self) -> bool {
        let mut names = self.layouts.keys();
        names.any(|(name, _)| *name == "google.protobuf.Any")
    }

    /// The table of a message that is the root of an archive.
    pub(crate) fn top(&mut self, name: &'a str) -> Result<&'static Layout, String> {
        self.layout(name, Limits::DEFAULT_DEPTH)
    }

    /// The table of a message below which there are `levels` more at most; recursion ends there.
    fn layout(&mut self, name: &'a str, levels: u32) -> Result<&'static Layout, String> {
        if let Some(layout) = self.layouts.get(&(name, levels)) {
            return Ok(layout);
        }
        let Some(message) = self.catalogue.messages.get(name) else {
            return Err(format!("the schema has no message `{name}`"));
        };
        let chain: Vec<LayoutHash> = message.chain.iter().map(|link| LayoutHash(*link)).collect();
        let (chain, leaked) = (leak(chain), leak_text(name));
        let layout = if levels == 0 {
            Layout::new(leaked, &[], &[], 0, chain)
        } else {
            self.fields += message.fields.len() + 1;
            if self.fields > FIELDS_MAX {
                return Err(format!("the schema is too large to read `{name}` by it"));
            }
            let fields = message.fields.iter();
            let fields: Result<Vec<Field>, String> =
                fields.map(|field| self.field(field, levels - 1)).collect();
            let oneofs = message.oneofs.iter().map(|oneof| Oneof {
                name: leak_text(&oneof.name),
                offset: oneof.offset,
                arms: leak(oneof.arms.clone()),
            });
            let (fields, oneofs) = (leak(fields?), leak(oneofs.collect()));
            Layout::new(leaked, fields, oneofs, message.size, chain)
        };
        let layout: &'static Layout = Box::leak(Box::new(layout));
        self.layouts.insert((name, levels), layout);
        Ok(layout)
    }

    fn field(&mut self, field: &'a FieldEntry, levels: u32) -> Result<Field, String> {
        let kind = match &field.ty {
            EntryType::Scalar(name) => scalar(name)?,
            EntryType::Enum(name) => Kind::Enum(self.enumeration(name)?),
            EntryType::Message(name) => Kind::Message(self.layout(name, levels)?),
        };
        let shape = match field.shape {
            EntryShape::Plain => Shape::Plain,
            EntryShape::Optional { bit } => Shape::Optional { bit },
            EntryShape::Nullable => Shape::Nullable,
            EntryShape::List => Shape::List,
            EntryShape::Map(key) => Shape::Map(map_key(key)?),
            EntryShape::Arm(oneof) => Shape::Arm(oneof),
        };
        let (name, json_name) = (leak_text(&field.name), leak_text(&field.json_name));
        let (number, offset) = (field.number, field.offset);
        Ok(Field::new(number, name, json_name, kind, shape, offset))
    }

    fn enumeration(&mut self, name: &'a str) -> Result<&'static EnumInfo, String> {
        if let Some(info) = self.enums.get(name) {
            return Ok(info);
        }
        let Some(entry) = self.catalogue.enums.get(name) else {
            return Err(format!("the schema has no enum `{name}`"));
        };
        let values = entry.values.iter();
        let values = values.map(|(number, name)| (*number, leak_text(name)));
        let info: &'static EnumInfo = Box::leak(Box::new(EnumInfo {
            name: leak_text(name),
            values: leak(values.collect()),
        }));
        self.enums.insert(name, info);
        Ok(info)
    }
}

fn leak<T>(list: Vec<T>) -> &'static [T] {
    Vec::leak(list)
}

fn leak_text(text: &str) -> &'static str {
    String::leak(text.to_owned())
}

fn scalar(name: &str) -> Result<Kind, String> {
    Ok(match name {
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        other => map_key(other)?.kind(),
    })
}

fn map_key(name: &str) -> Result<MapKey, String> {
    Ok(match name {
        "bool" => MapKey::Bool,
        "int32" => MapKey::Int32,
        "sint32" => MapKey::Sint32,
        "sfixed32" => MapKey::Sfixed32,
        "uint32" => MapKey::Uint32,
        "fixed32" => MapKey::Fixed32,
        "int64" => MapKey::Int64,
        "sint64" => MapKey::Sint64,
        "sfixed64" => MapKey::Sfixed64,
        "uint64" => MapKey::Uint64,
        "fixed64" => MapKey::Fixed64,
        "string" => MapKey::String,
        other => return Err(format!("`{other}` is no scalar type")),
    })
}

/// The fields in all tables: some 100 MiB, and far more than any schema in use comes to.
const FIELDS_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dreammesh_codegen::{Agreement, Builder};
    use dreammesh_core::codegen::Message;
    use dreammesh_core::negotiate::{ClosureHashes, MethodChains, judge};
    use dreammesh_core::wire::{DynTable, json};
    use dreammesh_golden::{everything, shop};

    use super::*;

    fn builder(body: &'static str) -> Builder {
        Builder::new()
            .include(".")
            .read_with("", move |path: &Path| {
                let text = format!("syntax = \"proto3\"; package p; {OPTIONS} {body} {SERVICE}");
                Ok((path == Path::new("./a.proto")).then_some(text))
            })
    }

    fn golden(name: &str) -> Catalogue {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rpc-codegen/tests/golden/proto");
        let builder = Builder::new().include(&root);
        builder.catalogue([root.join(name)]).unwrap()
    }

    fn same<M: Message>(tables: &mut Tables<'_>) {
        let made = tables.top(M::LAYOUT.name).unwrap();
        assert_eq!(format!("{made:?}"), format!("{:?}", M::LAYOUT));
    }

    #[test]
    fn tables_are_those_that_the_compiler_writes() {
        let (shops, everythings) = (golden("shop.proto"), golden("everything.proto"));
        let mut tables = Tables::new(&shops);
        same::<shop::v1::Item>(&mut tables);
        same::<shop::v1::item::Dims>(&mut tables);
        same::<shop::v1::Node>(&mut tables);
        same::<shop::v1::Empty>(&mut tables);
        same::<dreammesh_core::wkt::Timestamp>(&mut tables);
        for (entry, written) in shops.services[0]
            .methods
            .iter()
            .zip(&shop::v1::CATALOG_METHODS)
        {
            let made = tables.method("shop.v1.Catalog", entry).unwrap();
            assert_eq!((made.path(), made.kind()), (written.path(), written.kind()));
            assert_eq!(made.request_closure(), written.request_closure());
            assert_eq!(made.response_closure(), written.response_closure());
            assert_eq!(made.options().deadline, written.options().deadline);
            assert_eq!(made.options().idempotency, written.options().idempotency);
            assert_eq!(made.options().wire, written.options().wire);
        }
        let mut tables = Tables::new(&everythings);
        same::<everything::Everything>(&mut tables);
    }

    #[test]
    fn messages_nest_as_deeply_as_readers_accept_and_no_deeper() {
        let shops = golden("shop.proto");
        let node = Tables::new(&shops).top("shop.v1.Node").unwrap();
        let (options, limits) = (json::Options::new(), Limits::default());
        for (levels, fits) in [
            (Limits::DEFAULT_DEPTH, true),
            (Limits::DEFAULT_DEPTH + 1, false),
        ] {
            let below = levels as usize - 1;
            let (open, close) = ("{\"left\":".repeat(below), "}".repeat(below));
            let text = format!("{open}{{\"name\":\"x\"}}{close}");
            let Ok(archive) = json::to_archive(node, &text, &options, &limits) else {
                assert!(!fits, "{levels}");
                continue;
            };
            let table = DynTable::from_archive(node, &archive, &limits).unwrap();
            assert_eq!(json::to_string(table, &options).unwrap(), text);
            assert!(fits, "{levels}");
        }
    }

    #[test]
    fn what_breaking_says_of_archives_is_what_two_peers_find() {
        let mut seen = [0; 3];
        for old in REVISIONS {
            for new in REVISIONS {
                let report = builder(new).breaking(["a.proto"], &builder(old), ["a.proto"]);
                let report = report.unwrap_or_else(|error| panic!("{old} -> {new}: {error}"));
                let (was, is) = (
                    builder(old).catalogue(["a.proto"]).unwrap(),
                    builder(new).catalogue(["a.proto"]).unwrap(),
                );
                let (mut olds, mut news) = (Tables::new(&was), Tables::new(&is));
                let client = olds.method("p.S", &was.services[0].methods[0]).unwrap();
                let server = news.method("p.S", &is.services[0].methods[0]).unwrap();
                let hashes = (ClosureHashes::of(client), ClosureHashes::of(server));
                let judged = |ours: &MethodInfo, theirs: &MethodInfo| {
                    let chains = MethodChains::of(theirs);
                    judge(
                        ours,
                        ClosureHashes::of(theirs),
                        &chains.request,
                        &chains.response,
                    )
                };
                let verdict = judged(server, client);
                assert_eq!(verdict, judged(client, server), "{old} -> {new}");
                let found = |equal: bool, archives: bool| match (equal, archives) {
                    (true, _) => Agreement::Exact,
                    (false, true) => Agreement::Compatible,
                    (false, false) => Agreement::Protobuf,
                };
                let method = &report.methods()[0];
                let request = found(hashes.0.request == hashes.1.request, verdict.request);
                let response = found(hashes.0.response == hashes.1.response, verdict.response);
                let said = (method.request.agreement, method.response.agreement);
                assert_eq!(said, (request, response), "{old} -> {new}");
                let reasons = method.request.reason.is_some();
                assert_eq!(reasons, request == Agreement::Protobuf, "{old} -> {new}");
                seen[request as usize] += 1;
            }
        }
        assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
    }

    const OPTIONS: &str = "import \"dreammesh/options.proto\";";
    const SERVICE: &str = "service S { rpc A(M) returns (R); } message R { N n = 1; }";
    const REVISIONS: &[&str] = &[
        "message M { int32 a = 1; } message N {}",
        "message M { int32 a = 1; int32 b = 2; } message N {}",
        "message M { int32 a = 1; int32 b = 2; string c = 3; } message N { M m = 1; }",
        "message M { int32 a = 1; optional int32 b = 2; } message N {}",
        "message M { int32 a = 1; string c = 3; } message N {}",
        "message M { option (dreammesh.retired) = { number: 2 type: \"int32\" };
           int32 a = 1; string c = 3; } message N {}",
        "message M { int32 a = 1; N n = 2; } message N {}",
        "message M { int32 a = 1; N n = 2; } message N { bool x = 1; }",
        "message M { option (dreammesh.retired) = { number: 2 type: \"p.N\" };
           int32 a = 1; } message N { bytes x = 1; }",
        "message M { int32 a = 1; repeated M more = 2; } message N { oneof o { M m = 1; } }",
        "message M { int32 a = 1; repeated M more = 2; }
           message N { oneof o { M m = 1; int32 x = 3; } map<string, M> by = 4; }",
        "message M { int32 a = 1; enum E { Z = 0; } E b = 2; } message N {}",
    ];
}
