//! Random messages, in every encoding, through our codecs and through Google's Python package.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::{env, thread};

use dreammesh_core::codegen::{Layout, Limits, Message, Msg};
use dreammesh_core::wire::{DynTable, IntoMessage, json, protobuf};
use dreammesh_core::wkt;
use dreammesh_differential::{AllKinds, FILE_DESCRIPTOR_SET, Leaf, Older};

/// Python makes messages and compares, so a few thousand already take seconds.
const ROUNDS_DEFAULT: u64 = 3000;
/// Any seed will do; a failure names it together with the round.
const SEED_DEFAULT: &str = "dreammesh";

#[test]
#[ignore = "needs Google's implementation, see DREAMMESH_TEST_PYTHON"]
fn agrees_with_the_reference() {
    let python = env::var("DREAMMESH_TEST_PYTHON")
        .expect("DREAMMESH_TEST_PYTHON names a Python interpreter that has the package protobuf");
    let rounds = env::var("DREAMMESH_TEST_ROUNDS").map_or(ROUNDS_DEFAULT, |rounds| {
        rounds.parse().expect("a number of rounds")
    });
    let seed = env::var("DREAMMESH_TEST_SEED").unwrap_or_else(|_| SEED_DEFAULT.to_owned());
    println!("seed {seed}, {rounds} rounds");
    // Two interpreters make messages while our side waits for neither.
    let first_half = rounds / 2;
    let halves = [(0, first_half), (first_half, rounds - first_half)];
    thread::scope(|scope| {
        let workers = halves.map(|(first, count)| {
            let (python, seed) = (&python, &seed);
            scope.spawn(move || Reference::start(python, seed, first, count).play())
        });
        for worker in workers {
            let answered = worker.join().expect("the worker does not panic");
            println!("{answered} rounds");
        }
    });
}

/// Google's implementation, run by `reference.py`.
struct Reference {
    process: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Reference {
    fn start(python: &str, seed: &str, first: u64, count: u64) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference.py");
        let mut process = Command::new(python)
            .args([script, seed, &first.to_string(), &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the interpreter starts");
        let input = process.stdin.take().expect("standard input is piped");
        let output = process.stdout.take().expect("standard output is piped");
        Self {
            process,
            input,
            output,
        }
    }

    /// Answers rounds until the script ends, and checks that it found no difference.
    fn play(mut self) -> u64 {
        self.send(FILE_DESCRIPTOR_SET);
        let mut rounds = 0;
        while let Some(name) = self.receive() {
            let name = String::from_utf8(name).expect("names are text");
            let message = self.receive().expect("a message follows its name");
            let text = self.receive().expect("JSON follows a message");
            let text = String::from_utf8(text).expect("JSON is text");
            let answers = match name.rsplit('.').next() {
                Some("AllKinds") => answer::<AllKinds>(&message, &text),
                Some("Leaf") => answer::<Leaf>(&message, &text),
                Some("Older") => answer::<Older>(&message, &text),
                _ => panic!("unknown message {name}"),
            };
            for answer in answers {
                match answer {
                    Ok(bytes) => self.send(&[&[1], &bytes[..]].concat()),
                    Err(reason) => self.send(&[&[0], reason.as_bytes()].concat()),
                }
            }
            self.input.flush().expect("the script reads");
            rounds += 1;
        }
        let status = self.process.wait().expect("the script ends");
        assert!(
            status.success(),
            "the implementations differ, or the script failed"
        );
        rounds
    }

    fn send(&mut self, frame: &[u8]) {
        let length = u32::try_from(frame.len()).expect("frames are small");
        let frame = [&length.to_le_bytes(), frame].concat();
        self.input.write_all(&frame).expect("the script reads");
    }

    /// The next frame, or nothing when the script has ended.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.output.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_le_bytes(length) as usize];
        self.output
            .read_exact(&mut frame)
            .expect("frames are whole");
        Some(frame)
    }
}

type Answer = Result<Vec<u8>, String>;

/// Protobuf (direct, and through the owned struct) and JSON from protobuf, then protobuf and JSON
/// from JSON.
fn answer<M: Message + IntoMessage<M>>(message: &[u8], text: &str) -> [Answer; 5] {
    let limits = Limits::default();
    let options = json::Options::new().types(TYPES);
    let from_protobuf =
        protobuf::to_archive(M::LAYOUT, message, &limits).map_err(|error| error.to_string());
    let from_json =
        json::to_archive(M::LAYOUT, text, &options, &limits).map_err(|error| error.to_string());
    [
        from_protobuf
            .clone()
            .and_then(|archive| to_protobuf(M::LAYOUT, &archive)),
        from_protobuf
            .clone()
            .and_then(to_protobuf_through_owned::<M>),
        from_protobuf.and_then(|archive| to_json(M::LAYOUT, &archive)),
        from_json
            .clone()
            .and_then(|archive| to_protobuf(M::LAYOUT, &archive)),
        from_json.and_then(|archive| to_json(M::LAYOUT, &archive)),
    ]
}

/// Protobuf straight from the archive.
fn to_protobuf(layout: &'static Layout, archive: &[u8]) -> Answer {
    let table = DynTable::from_archive(layout, archive, &Limits::default())
        .map_err(|error| error.to_string())?;
    let message = protobuf::from_archive(table);
    if message.len() != protobuf::encoded_len(table) {
        return Err("the length of protobuf was predicted wrongly".to_owned());
    }
    Ok(message)
}

/// Protobuf by way of the owned struct and the archive that it makes.
fn to_protobuf_through_owned<M: Message + IntoMessage<M>>(archive: Vec<u8>) -> Answer {
    let limits = Limits::default();
    let message = Msg::<M>::from_archive(archive.into(), &limits).map_err(|e| e.to_string())?;
    let encoded = message
        .into_owned()
        .into_message(&limits)
        .map_err(|e| e.to_string())?;
    to_protobuf(M::LAYOUT, &encoded.into_segment().into_vec())
}

fn to_json(layout: &'static Layout, archive: &[u8]) -> Answer {
    let limits = Limits::default();
    let options = json::Options::new().types(TYPES);
    let table =
        DynTable::from_archive(layout, archive, &limits).map_err(|error| error.to_string())?;
    let text = json::to_string(table, &options).map_err(|error| error.to_string())?;
    Ok(text.into_bytes())
}

/// What an `Any` may hold here.
const TYPES: &[&Layout] = &[
    AllKinds::LAYOUT,
    Leaf::LAYOUT,
    Older::LAYOUT,
    wkt::Duration::LAYOUT,
    wkt::Value::LAYOUT,
    wkt::Int64Value::LAYOUT,
];
