//! What generated code may name, so that a user's crate needs nothing but the front door.

use super::repository::is_generated;
use super::{Finding, Repository};

/// First segments of absolute paths that generated code may use besides the runtime's.
const LANGUAGE: [&str; 3] = ["core", "std", "alloc"];

/// Roots under which the runtime is found; the next segment must be `codegen`.
const RUNTIMES: [&str; 3] = ["dreammesh", "dreammesh_core", "crate"];

/// Here lies what the compilers of other systems generated, which need those systems.
const OF_OTHERS: &str = "benches/gen/";

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, code) in repository
        .codes
        .iter()
        .filter(|(path, _)| is_generated(path) && !path.starts_with(OF_OTHERS))
    {
        for window in code.tokens.windows(5) {
            let [before, separator, root, then, next] = window else {
                continue;
            };
            // An absolute path begins with `::` that nothing stands before.
            let continues = before
                .text
                .ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '>'));
            let keyword = matches!(
                before.text.as_str(),
                "use" | "in" | "as" | "dyn" | "impl" | "mut" | "return"
            );
            if separator.text != "::"
                || (continues && !keyword)
                || LANGUAGE.contains(&root.text.as_str())
            {
                continue;
            }
            let runtime = RUNTIMES.contains(&root.text.as_str())
                && then.text == "::"
                && next.text == "codegen";
            if !runtime && root.text.starts_with(|c: char| c.is_alphabetic()) {
                let what = format!(
                    "generated code names `::{}`, and only the codegen module is promised",
                    root.text
                );
                findings.push(Finding::new(path, root.line, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        check(&Repository::sample(&[("a/src/gen/b.rs", text)])).len()
    }

    #[test]
    fn what_others_generated_is_theirs() {
        let foreign = ("benches/gen/b.rs", "use ::pilota::Bytes;");
        assert!(check(&Repository::sample(&[foreign])).is_empty());
        assert_eq!(findings(foreign.1), 1);
    }

    #[test]
    fn only_the_codegen_module_is_named() {
        assert_eq!(findings("fn f(a: ::dreammesh::codegen::Bytes) {}"), 0);
        assert_eq!(findings("fn f(a: ::core::option::Option<u8>) { }"), 0);
        assert_eq!(findings("fn f(a: ::bytes::Bytes) { g(a) }"), 1);
        assert_eq!(findings("fn f(a: ::dreammesh::Channel) { g(a) }"), 1);
        assert_eq!(findings("use ::tokio::spawn;"), 1);
        assert_eq!(findings("fn f(a: super::Item) { Item::<u8>::new() }"), 0);
    }
}
