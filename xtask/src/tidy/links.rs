//! Links in the documents lead somewhere.

use super::{Finding, Repository};

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in repository
        .texts
        .iter()
        .filter(|file| file.path.ends_with(".md"))
    {
        for (line, target) in links(&file.text) {
            if let Some(what) = broken(repository, &file.path, target) {
                findings.push(Finding::new(&file.path, line, what));
            }
        }
    }
    findings
}

/// Why a link leads nowhere; links out of the repository are not followed.
fn broken(repository: &Repository, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() {
        from.to_owned()
    } else {
        resolve(from, path)
    };
    let prefix = format!("{}/", path.trim_end_matches('/'));
    let Some(text) = repository.text(&path) else {
        let directory = repository
            .texts
            .iter()
            .any(|file| file.path.starts_with(&prefix));
        return (!directory && !path.is_empty())
            .then(|| format!("the link leads to {path}, which is not there"));
    };
    let known =
        anchor.is_empty() || !path.ends_with(".md") || headings(text).any(|slug| slug == anchor);
    (!known).then(|| format!("{path} has no heading `#{anchor}`"))
}

/// The path that a relative link means.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The targets of `[text](target)`, with their lines, outside of fenced and inline code.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let in_code = line[..at].matches('`').count() % 2 == 1 && line[at..].contains('`');
            if let Some((target, _)) = line[at + 2..].split_once(')')
                && !in_code
            {
                links.push((index + 1, target));
            }
        }
    }
    links
}

/// The anchors of a document's headings, made as the usual renderers make them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        let other = ("docs/OTHER.md", "# The title: of it\n");
        check(&Repository::sample(&[
            ("docs/A.md", text),
            other,
            ("README.md", "# Hello\n"),
            ("a/src/lib.rs", ""),
        ]))
        .len()
    }

    #[test]
    fn a_link_leads_to_a_file_a_directory_or_a_heading() {
        for good in [
            "OTHER.md",
            "OTHER.md#the-title-of-it",
            "../README.md",
            "../a/",
            "https://x.y/z",
            "#here",
        ] {
            assert_eq!(findings(&format!("# Here\n[x]({good})")), 0, "{good}");
        }
        for bad in [
            "GONE.md",
            "OTHER.md#no-such",
            "../docs/x.md",
            "#there",
            "README.md",
        ] {
            assert_eq!(
                findings(&format!("# Here\nsee [x]({bad}) and [y](OTHER.md)")),
                1,
                "{bad}"
            );
        }
    }

    #[test]
    fn code_is_not_a_link() {
        assert_eq!(findings("```\na[0](gone)\n```\n`a[0](gone)`"), 0);
    }
}
