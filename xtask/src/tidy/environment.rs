//! Every environment variable of ours is in one table, and the documents name no other.

use std::collections::BTreeMap;

use super::{Finding, Repository};

const TABLE: &str = "docs/ENVIRONMENT.md";

/// What all of our variables begin with.
const PREFIX: &str = concat!("DREAM", "MESH_");

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut used: BTreeMap<&str, Place<'_>> = BTreeMap::new();
    let mut documented: BTreeMap<&str, Place<'_>> = BTreeMap::new();
    let mut findings = Vec::new();
    for file in &repository.texts {
        let source = [".rs", ".py", ".sh"]
            .iter()
            .any(|end| file.path.ends_with(end))
            || file.path == ".ci/run";
        for (index, line) in file.text.lines().enumerate() {
            let place = (file.path.as_str(), index + 1);
            for name in variables(line) {
                if source {
                    used.entry(name).or_insert(place);
                } else if file.path == TABLE && line.starts_with('|') {
                    documented.entry(name).or_insert(place);
                }
            }
        }
    }
    for (name, place) in used
        .iter()
        .filter(|(name, _)| !documented.contains_key(*name))
    {
        findings.push(Finding::new(
            place.0,
            place.1,
            format!("{name} is not in the table of {TABLE}"),
        ));
    }
    for (name, place) in documented
        .iter()
        .filter(|(name, _)| !used.contains_key(*name))
    {
        findings.push(Finding::new(
            place.0,
            place.1,
            format!("nothing reads {name}"),
        ));
    }
    for file in repository
        .texts
        .iter()
        .filter(|file| file.path.ends_with(".md") && file.path != TABLE)
    {
        for (index, line) in file.text.lines().enumerate() {
            for name in variables(line)
                .into_iter()
                .filter(|name| !documented.contains_key(name))
            {
                findings.push(Finding::new(
                    &file.path,
                    index + 1,
                    format!("{name} is not in the table of {TABLE}"),
                ));
            }
        }
    }
    findings
}

type Place<'a> = (&'a str, usize);

/// The names of our variables in a line.
fn variables(line: &str) -> Vec<&str> {
    let part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    line.split(|c: char| !part(c))
        .filter(|word| word.len() > PREFIX.len() && word.starts_with(PREFIX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(source: &str, table: &str, readme: &str) -> usize {
        let full = |text: &str| text.replace('@', PREFIX);
        let (source, table, readme) = (full(source), full(table), full(readme));
        check(&Repository::sample(&[
            ("a/src/b.rs", &source),
            (TABLE, &table),
            ("README.md", &readme),
        ]))
        .len()
    }

    #[test]
    fn the_table_and_the_sources_agree() {
        assert_eq!(findings("var(\"@A\")", "| `@A` | x |", "set @A"), 0);
        assert_eq!(findings("var(\"@A\")", "", ""), 1);
        assert_eq!(findings("", "| `@A` | x |", ""), 1);
        assert_eq!(findings("", "", "set @B"), 1);
        assert_eq!(findings("var(\"@A\")", "prose about @A", ""), 1);
    }
}
