//! Packages, services and methods.

use std::collections::BTreeSet;

use prost_reflect::{FileDescriptor, MethodDescriptor, ServiceDescriptor};

use super::{At, Breaks, Comparison, own_files};
use crate::model::{Idempotency, Schema};

/// Compares the packages and services of the old revision with the new one.
pub(super) fn compare(comparison: &mut Comparison<'_>) {
    let files: Vec<FileDescriptor> = own_files(comparison.old).collect();
    let packages: BTreeSet<String> = own_files(comparison.new)
        .map(|file| file.package_name().to_owned())
        .collect();
    let mut gone = BTreeSet::new();
    for file in &files {
        if !is_asked_for(comparison, file) {
            continue;
        }
        let package = file.package_name();
        if !packages.contains(package) && gone.insert(package.to_owned()) {
            let message = format!("package `{package}` is gone");
            let was = At::new(file.clone(), &PACKAGE);
            comparison.add(
                ("PACKAGE_NO_DELETE", Breaks::Wire),
                message,
                Some(&was),
                None,
            );
        }
    }
    for file in files {
        if gone.contains(file.package_name()) {
            continue;
        }
        for service in file.services() {
            compare_service(comparison, &service);
        }
    }
}

/// Whether a file of the old revision is more than an import of others.
///
/// A descriptor set does not say what it was made for, so there it is what nothing in it imports.
fn is_asked_for(comparison: &Comparison<'_>, file: &FileDescriptor) -> bool {
    let roots = &comparison.old.roots;
    let imported = || {
        let mut files = comparison.old.pool.files();
        files.any(|other| {
            other
                .dependencies()
                .any(|import| import.name() == file.name())
        })
    };
    roots.iter().any(|root| root == file.name()) && (file.services().len() > 0 || !imported())
}

fn compare_service(comparison: &mut Comparison<'_>, old: &ServiceDescriptor) {
    let was = At::new(old.parent_file(), old.path());
    let Some(new) = comparison.new.pool.get_service_by_name(old.full_name()) else {
        let message = format!("service `{}` is gone", old.full_name());
        // Where else the package goes on, if not in the file of this name.
        let mut files = own_files(comparison.new);
        let now = files.find(|file| file.package_name() == old.package_name());
        let now = now.map(|file| At::new(file, &PACKAGE));
        let rule = ("PACKAGE_SERVICE_NO_DELETE", Breaks::Wire);
        comparison.add(rule, message, Some(&was), now.as_ref());
        return;
    };
    for method in old.methods() {
        match new.methods().find(|kept| kept.name() == method.name()) {
            Some(kept) => compare_method(comparison, &method, &kept),
            None => {
                let message = format!("method `{}` is gone", method.full_name());
                let was = At::new(old.parent_file(), method.path());
                let now = At::new(new.parent_file(), new.path());
                let rule = ("RPC_NO_DELETE", Breaks::Wire);
                comparison.add(rule, message, Some(&was), Some(&now));
            }
        }
    }
}

fn compare_method(comparison: &mut Comparison<'_>, old: &MethodDescriptor, new: &MethodDescriptor) {
    let was = At::new(old.parent_service().parent_file(), old.path());
    let now = At::new(new.parent_service().parent_file(), new.path());
    let levels = (
        idempotency(comparison.old_schema, old),
        idempotency(comparison.new_schema, new),
    );
    let mut add = |rule, what: String| {
        let message = format!("method `{}` {what}", new.full_name());
        comparison.add((rule, Breaks::Wire), message, Some(&was), Some(&now));
    };
    for (rule, word, old, new) in [
        ("RPC_SAME_REQUEST_TYPE", "took", old.input(), new.input()),
        ("RPC_SAME_RESPONSE_TYPE", "gave", old.output(), new.output()),
    ] {
        if old.full_name() != new.full_name() {
            let (old, new) = (old.full_name(), new.full_name());
            add(rule, format!("{word} `{old}`, and now `{new}`"));
        }
    }
    for (rule, what, old, new) in [
        (
            "RPC_SAME_CLIENT_STREAMING",
            "took as requests",
            old.is_client_streaming(),
            new.is_client_streaming(),
        ),
        (
            "RPC_SAME_SERVER_STREAMING",
            "gave as responses",
            old.is_server_streaming(),
            new.is_server_streaming(),
        ),
    ] {
        if old != new {
            let many = |streams| {
                if streams { "a stream of them" } else { "one" }
            };
            let (old, new) = (many(old), many(new));
            add(rule, format!("{what} {old}, and now {new}"));
        }
    }
    let (old, new) = levels;
    if old != new {
        let what = format!("stated {}, and now states {}", level(old), level(new));
        add("RPC_SAME_IDEMPOTENCY_LEVEL", what);
    }
}

/// What a method states, by the standard option or by ours.
fn idempotency(schema: &Schema, method: &MethodDescriptor) -> Idempotency {
    let known = schema.method(method.parent_service().full_name(), method.name());
    known.map_or(Idempotency::Unknown, |known| known.options.idempotency)
}

const fn level(idempotency: Idempotency) -> &'static str {
    match idempotency {
        Idempotency::Unknown => "nothing of what its repetition does",
        Idempotency::NoSideEffects => "that it has no side effects",
        Idempotency::Idempotent => "that it is idempotent",
    }
}

/// `FileDescriptorProto.package`.
const PACKAGE: [i32; 1] = [2];
