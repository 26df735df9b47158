//! Many calls of another implementation, after which our server is as it was.

use std::fs;
use std::process::Command;

use super::{Room, Running, beside, passes, place, until};

/// How many calls each round makes.
const CALLS: u32 = 10_000;

/// What a round may leave behind: 2 MiB, by which a leak of 210 bytes a call is found. What it left in
/// four rounds in a row was between -280 and 32 KiB, as the allocator keeps some of what is freed.
const LEFT_BYTES: u64 = 2 << 20;

fn round(server: &Running) {
    let room = Room::new();
    let mut client = Command::new(place("DREAMMESH_TEST_PYTHON"));
    client.arg("-B").arg(beside("soak.py"));
    client.arg(&server.address).arg(room.descriptors());
    passes(client.arg(CALLS.to_string()));
}

fn descriptors(server: &Running) -> usize {
    let path = format!("/proc/{}/fd", server.server.id());
    fs::read_dir(path).unwrap().count()
}

/// Waits until there are so many again: the server hears later than its client that a connection is
/// over.
fn settle(server: &Running, expected: usize) {
    let settled = until(|| (descriptors(server) == expected).then_some(()));
    let found = descriptors(server);
    assert!(
        settled.is_some(),
        "{found} descriptors are open, and there were {expected}"
    );
}

fn resident_bytes(server: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.server.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes = line.trim().strip_suffix(" kB").unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

#[test]
#[ignore = "needs grpcio, which the step grpc of xtask brings"]
fn a_soak_of_mixed_calls_leaves_nothing_behind() {
    let server = Running::start(&[]);
    let before = descriptors(&server);
    // What is made once and kept, and what the allocator needs for so many calls at once.
    round(&server);
    settle(&server, before);
    let warm = resident_bytes(&server);
    round(&server);
    settle(&server, before);
    let after = resident_bytes(&server);
    println!("resident: {warm} bytes after {CALLS} calls, {after} after as many again");
    assert!(after <= warm + LEFT_BYTES, "{warm} bytes became {after}");
}
