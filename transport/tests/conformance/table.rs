//! Which behaviour is shown over which medium: the table in `docs/TRANSPORTS.md`.
//!
//! A test of the suite takes its media from the row of its name, so that what the table says is
//! what is run; a test without a row fails.

use std::collections::HashSet;

use crate::media::{ALL, Medium};

/// The media over which the test that says this is to run.
macro_rules! media {
    () => {{
        fn here() {}
        $crate::table::of(std::any::type_name_of_val(&here))
    }};
}
pub(crate) use media;

/// The media of a test, by the path of a function in it.
pub(crate) fn of(path: &str) -> Vec<Medium> {
    let test = path
        .trim_end_matches("::here")
        .trim_end_matches("::{{closure}}");
    let name = test.rsplit("::").next().unwrap().replace('_', " ");
    let row = rows().into_iter().find(|row| row.name == name);
    row.unwrap_or_else(|| panic!("the table in docs/TRANSPORTS.md has no row `{name}`"))
        .media
}

struct Row {
    name: String,
    media: Vec<Medium>,
}

const DOCUMENT: &str = include_str!("../../../docs/TRANSPORTS.md");
const HEAD: &str = "| Behaviour | TCP | TLS | QUIC | either | Unix | memory | h2c | h2 | gRPC | gRPCs | TCP~ | TLS~ | h2c~ |";
const SHOWN: &str = "x";

fn rows() -> Vec<Row> {
    let (_, table) = DOCUMENT.split_once(HEAD).expect("the head of the table");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(row).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
    let (name, cells) = cells.split_first().unwrap();
    assert_eq!(cells.len(), ALL.len(), "{line}");
    let is_shown = |cell: &str| match cell {
        SHOWN => true,
        "" => false,
        other => panic!("`{other}` says nothing: {line}"),
    };
    let media = ALL.into_iter().zip(cells);
    Row {
        name: (*name).to_owned(),
        media: media
            .filter_map(|(medium, cell)| is_shown(cell).then_some(medium))
            .collect(),
    }
}

/// What is not shown, and why.
const MISSING: [(&str, Medium, &str); 7] = [
    (ANOTHER, Medium::Grpc, ONE),
    (ANOTHER, Medium::Grpcs, ONE),
    (ARCHIVES, Medium::Grpc, NO_ARCHIVES),
    (ARCHIVES, Medium::Grpcs, NO_ARCHIVES),
    (NO_SERVER, Medium::RelayedTcp, RELAY_ANSWERS),
    (NO_SERVER, Medium::RelayedTls, RELAY_ANSWERS),
    (NO_SERVER, Medium::RelayedTunnel, RELAY_ANSWERS),
];
const ANOTHER: &str = "calls beyond the servers maximum have another connection opened";
const ONE: &str = "a channel has one connection to a server of plain gRPC";
const ARCHIVES: &str = "equal layouts travel as archives until the switch says otherwise";
const NO_ARCHIVES: &str = "gRPC carries protobuf";
const NO_SERVER: &str = "without a server calls fail as not begun";
const RELAY_ANSWERS: &str = "a relay takes connections whether or not there is a server behind it";

#[test]
fn every_row_is_a_test_and_every_gap_has_a_reason() {
    let mut names = HashSet::new();
    for row in rows() {
        assert!(names.insert(row.name.clone()), "{} twice", row.name);
        for medium in ALL.into_iter().filter(|it| !row.media.contains(it)) {
            let reason = MISSING
                .iter()
                .find(|(name, missing, _)| *name == row.name && *missing == medium);
            assert!(reason.is_some(), "{}: {medium:?}", row.name);
        }
    }
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance");
    let mut tests = HashSet::new();
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "rs") {
            tests.extend(tests_in(&std::fs::read_to_string(path).unwrap()));
        }
    }
    assert_eq!(names, tests);
}

/// The tests of a file that take their media from the table.
fn tests_in(source: &str) -> HashSet<String> {
    let mut tests = HashSet::new();
    let mut name = String::new();
    for line in source.lines() {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        if let Some((found, _)) = line.strip_prefix("fn ").and_then(|it| it.split_once('(')) {
            name = found.replace('_', " ");
        }
        if line.starts_with("for medium in media!()") {
            tests.insert(name.clone());
        }
    }
    tests
}
