//! What the descriptors of a server's files declare, and which file declares what.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use dreammesh_core::wire::{Limits, Message, Msg, WireError, protobuf};

use crate::descriptors::{EnumView, FieldView, File, Files, TypeView};

/// The files of a server's services and what they import.
#[derive(Debug, Default)]
pub(crate) struct Index {
    files: Vec<Indexed>,
    by_name: HashMap<String, usize>,
    /// By full name, of everything that has one.
    symbols: HashMap<String, usize>,
    /// By the full name of the message that is extended, then by the number of the field.
    extensions: HashMap<String, BTreeMap<i32, usize>>,
}

/// A file.
#[derive(Debug)]
struct Indexed {
    /// The serialised `FileDescriptorProto`, as it came: it may hold options that nobody here knows.
    bytes: Bytes,
    imports: Vec<String>,
}

impl Index {
    /// Takes in a serialised `FileDescriptorSet`; a file whose name is there already is passed over.
    ///
    /// # Errors
    /// Where the bytes are none.
    pub(crate) fn add_set(&mut self, set: &[u8]) -> Result<(), WireError> {
        for file in read::<Files>(set)?.view().file().iter() {
            self.add(file)?;
        }
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let file = read::<File>(bytes)?;
        let file = file.view();
        if self.by_name.contains_key(file.name()) {
            return Ok(());
        }
        let at = self.files.len();
        self.by_name.insert(file.name().to_owned(), at);
        self.files.push(Indexed {
            bytes: Bytes::copy_from_slice(bytes),
            imports: file.dependency().iter().map(String::from).collect(),
        });
        let scope = file.package();
        for message in file.message_type().iter() {
            self.add_message(at, scope, message);
        }
        for it in file.enum_type().iter() {
            self.add_enum(at, scope, it);
        }
        for service in file.service().iter() {
            let name = self.add_symbol(at, scope, service.name());
            for method in service.method().iter() {
                self.add_symbol(at, &name, method.name());
            }
        }
        for extension in file.extension().iter() {
            self.add_extension(at, scope, extension);
        }
        Ok(())
    }

    /// Its own depth is bounded by that of the message in which it came.
    fn add_message(&mut self, at: usize, scope: &str, message: TypeView<'_>) {
        let name = self.add_symbol(at, scope, message.name());
        for field in message.field().iter() {
            self.add_symbol(at, &name, field.name());
        }
        for oneof in message.oneof_decl().iter() {
            self.add_symbol(at, &name, oneof.name());
        }
        for nested in message.nested_type().iter() {
            self.add_message(at, &name, nested);
        }
        for it in message.enum_type().iter() {
            self.add_enum(at, &name, it);
        }
        for extension in message.extension().iter() {
            self.add_extension(at, &name, extension);
        }
    }

    /// The values of an enum are named as if they stood beside it.
    fn add_enum(&mut self, at: usize, scope: &str, it: EnumView<'_>) {
        self.add_symbol(at, scope, it.name());
        for value in it.value().iter() {
            self.add_symbol(at, scope, value.name());
        }
    }

    fn add_extension(&mut self, at: usize, scope: &str, extension: FieldView<'_>) {
        self.add_symbol(at, scope, extension.name());
        let extended = extension.extendee();
        let extended = extended.strip_prefix('.').unwrap_or(extended);
        let numbers = self.extensions.entry(extended.to_owned()).or_default();
        numbers.entry(extension.number()).or_insert(at);
    }

    fn add_symbol(&mut self, at: usize, scope: &str, name: &str) -> String {
        let full = match scope {
            "" => name.to_owned(),
            scope => format!("{scope}.{name}"),
        };
        self.symbols.entry(full.clone()).or_insert(at);
        full
    }

    /// The file of a name.
    pub(crate) fn file(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The file that declares what has that full name.
    pub(crate) fn declaring(&self, symbol: &str) -> Option<usize> {
        self.symbols.get(symbol).copied()
    }

    /// The file that declares an extension of a message.
    pub(crate) fn extending(&self, message: &str, number: i32) -> Option<usize> {
        self.extensions.get(message)?.get(&number).copied()
    }

    /// The numbers of a message's extensions, if there is such a message.
    pub(crate) fn extension_numbers(&self, message: &str) -> Option<Vec<i32>> {
        match self.extensions.get(message) {
            Some(numbers) => Some(numbers.keys().copied().collect()),
            None => self.declaring(message).map(|_| Vec::new()),
        }
    }

    /// A file, and what it imports, directly or not, as far as that is not among those sent; which
    /// it is then.
    pub(crate) fn with_imports(&self, file: usize, sent: &mut HashSet<usize>) -> Vec<Bytes> {
        // Who asks for a file again wants it again.
        sent.remove(&file);
        let mut found = Vec::new();
        let mut open = vec![file];
        while let Some(file) = open.pop() {
            if !sent.insert(file) {
                continue;
            }
            let Indexed { bytes, imports } = &self.files[file];
            found.push(bytes.clone());
            open.extend(imports.iter().rev().filter_map(|name| self.file(name)));
        }
        found
    }
}

/// Reads a message of any size: what is read here was compiled into the program.
fn read<M: Message>(bytes: &[u8]) -> Result<Msg<M>, WireError> {
    let limits = Limits::default().with_max_bytes(Limits::MAX_BYTES);
    let archive = protobuf::to_archive(M::LAYOUT, bytes, &limits)?;
    Msg::from_archive(archive.into(), &limits)
}
