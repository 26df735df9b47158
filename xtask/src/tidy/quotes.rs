//! Code in the README is quoted from files that are built and run, and stays the same as they are.

use super::{Finding, Repository};

const README: &str = "README.md";

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let Some(readme) = repository.text(README) else {
        return vec![Finding::new(README, 0, "the file is not there")];
    };
    let mut findings = Vec::new();
    for block in blocks(readme)
        .into_iter()
        .filter(|block| is_source(block.language))
    {
        let what = match block.named.map(|path| (path, repository.text(path))) {
            None => "code stands below the name of the file it is quoted from".to_owned(),
            Some((path, None)) => format!("{path} is not there to be quoted"),
            Some((_, Some(file))) if file.trim_end() == block.text.trim_end() => continue,
            Some((path, Some(_))) => format!("this is no longer what {path} says"),
        };
        findings.push(Finding::new(README, block.line, what));
    }
    findings
}

/// Whether a block in this language is source code, and not a command or what one prints.
fn is_source(language: &str) -> bool {
    matches!(language.split(',').next(), Some("rust" | "proto" | "toml"))
}

#[derive(Debug)]
struct Block<'a> {
    line: usize,
    language: &'a str,
    text: String,
    /// The path between backticks in the last line of prose above the block.
    named: Option<&'a str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut open = false;
    let mut prose = "";
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(language), false) => {
                let named = prose.split('`').nth(1).filter(|path| path.contains('/'));
                blocks.push(Block {
                    line: index + 1,
                    language,
                    text: String::new(),
                    named,
                });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => {
                let block = blocks
                    .last_mut()
                    .expect("a block was pushed when it was opened");
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) if !line.trim().is_empty() => prose = line,
            (None, false) => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(readme: &str) -> usize {
        let file = ("examples/a.rs", "fn main() {}\n");
        check(&Repository::sample(&[("README.md", readme), file])).len()
    }

    #[test]
    fn a_quote_is_what_its_file_says() {
        assert_eq!(
            findings("The start, `examples/a.rs`:\n\n```rust\nfn main() {}\n```\n"),
            0
        );
        assert_eq!(
            findings("The start, `examples/a.rs`:\n\n```rust\nfn main() { }\n```\n"),
            1
        );
        assert_eq!(
            findings("The start, `examples/b.rs`:\n\n```rust\nfn main() {}\n```\n"),
            1
        );
        assert_eq!(findings("The start:\n\n```rust\nfn main() {}\n```\n"), 1);
        assert_eq!(findings("```console\n$ cargo run\n```\n"), 0);
        assert_eq!(check(&Repository::sample(&[])).len(), 1);
    }
}
