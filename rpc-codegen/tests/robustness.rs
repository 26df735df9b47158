//! Mutated and extreme schemas are answered, never with a panic, an overflow or a hang.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use dreammesh_codegen::{Builder, Error};

/// Generates code for one text on a small stack, so that recursion cannot hide behind a large one.
fn compile(directory: &Path, text: &[u8]) -> Result<(), Error> {
    let path = directory.join("a.proto");
    fs::write(&path, text).unwrap();
    let builder = Builder::new().include(directory).include(fixtures());
    let work = move || builder.generate([path]).map(|_| ());
    let thread = std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(work)
        .unwrap();
    let result = thread.join().expect("the compiler panicked");
    if let Err(error @ Error::Internal { .. }) = &result {
        panic!("{error}\n{}", String::from_utf8_lossy(text));
    }
    result
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/proto")
}

fn scratch(test: &str) -> PathBuf {
    let name = format!("dreammesh-codegen-{}-{test}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// A small generator of known sequence; the seed is all there is to replay it.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }
}

/// Cuts, repeats, swaps and replaces pieces of a schema, at the borders of words and anywhere.
fn mutate(text: &str, random: &mut Random) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(24)).min(bytes.len());
        match random.below(7) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            2 => bytes.truncate(at),
            3 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            4 => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..end, word.bytes());
            }
            5 => {
                let other = random.below(bytes.len());
                bytes.swap(at, other);
            }
            _ => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..at, word.bytes());
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

const WORDS: [&str; 32] = [
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    "(",
    ")",
    ";",
    "=",
    "\"",
    "'",
    "\\",
    "/*",
    "*/",
    "//",
    "\n",
    " message A { A a = 1; }",
    " oneof ",
    " map<string, A> ",
    " repeated ",
    " optional ",
    " reserved 1 to max;",
    " = 536870911",
    " = -1",
    " = 0",
    " = 99999999999999999999",
    " import public \"a.proto\";",
    " edition = \"2023\";",
    " extensions 1 to 5;",
    " option (dreammesh.retired) = { number: 1 type: \"A\" };",
    "\u{0}\u{feff}é\u{202e}",
];

#[test]
fn mutated_schemas_are_answered() {
    let directory = scratch("mutated");
    let seeds = [
        "shop.proto",
        "everything.proto",
        "docs.proto",
        "names.proto",
    ];
    let texts = seeds.map(|name| fs::read_to_string(fixtures().join(name)).unwrap());
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..600_u64 {
        let mut random = Random(seed);
        let text = mutate(&texts[random.below(texts.len())], &mut random);
        println!("seed {seed}");
        match compile(&directory, &text) {
            Ok(()) => accepted += 1,
            Err(_) => refused += 1,
        }
    }
    fs::remove_dir_all(&directory).unwrap();
    // Both happen, or the mutations are too tame or too wild to say anything.
    assert!(
        accepted > 20 && refused > 100,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn extreme_schemas_are_answered() {
    let directory = scratch("extreme");
    let head = "syntax = \"proto3\";\n";
    let many = 200;
    let texts = [
        String::new(),
        "\u{feff}".to_owned() + head,
        head.to_owned() + &"{".repeat(1 << 20),
        head.to_owned() + &"message A { ".repeat(1 << 16),
        head.to_owned() + "message " + &"a".repeat(1 << 14) + " {}",
        head.to_owned() + "message A { string a = " + &"9".repeat(1 << 20) + "; }",
        head.to_owned() + "option java_package = \"" + &"x".repeat(1 << 20) + "\";",
        head.to_owned() + "option java_package = " + &"\"x\" ".repeat(1 << 16) + ";",
        head.to_owned() + "/*" + &"*".repeat(1 << 20),
        head.to_owned() + "// " + &"/".repeat(1 << 20),
        head.to_owned() + &"//\n".repeat(1 << 18),
        head.to_owned() + "option (a) = " + &"{ a: ".repeat(1 << 16),
        head.to_owned() + "option a" + &".a".repeat(1 << 16) + " = 1;",
        head.to_owned() + "package a" + &".a".repeat(1_000) + ";\nmessage A {}",
        head.to_owned() + "message A { a" + &".a".repeat(1 << 16) + " b = 1; }",
        head.to_owned() + "message A { " + &";".repeat(1 << 20) + " }",
        head.to_owned() + &"-".repeat(1 << 20),
    ];
    for text in &texts {
        let _ = compile(&directory, text.as_bytes());
    }
    // A long chain of singular messages, closed into a ring: the search for cycles does not recurse.
    let ring: String = (0..many)
        .map(|n| format!("message M{n} {{ M{} next = 1; }}\n", (n + 1) % many))
        .collect();
    compile(&directory, (head.to_owned() + &ring).as_bytes()).unwrap();
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_long_chain_of_imports_is_followed() {
    let directory = scratch("imports");
    let count = 500;
    for n in 0..count {
        let text = format!("syntax = \"proto3\";\nimport \"i{}.proto\";\n", n + 1);
        fs::write(directory.join(format!("i{n}.proto")), text).unwrap();
    }
    fs::write(
        directory.join(format!("i{count}.proto")),
        "syntax = \"proto3\";",
    )
    .unwrap();
    compile(
        &directory,
        b"syntax = \"proto3\"; import \"i0.proto\"; message A {}",
    )
    .unwrap();
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn mutated_descriptor_sets_are_answered() {
    let root = fixtures();
    let output = Builder::new()
        .include(&root)
        .generate([root.join("everything.proto")])
        .unwrap();
    let file = output
        .files
        .iter()
        .find(|file| file.name == "everything.fds")
        .unwrap();
    let set = &file.contents;
    assert!(
        Builder::new()
            .descriptor_set(set.clone())
            .generate(["everything.proto"])
            .is_ok()
    );
    for seed in 0..1_000_u64 {
        let mut random = Random(seed);
        let mut bytes = set.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                1 => bytes.truncate(at.max(1)),
                _ => drop(bytes.drain(at..(at + 3).min(bytes.len() - 1).max(at))),
            }
        }
        let _ = Builder::new()
            .descriptor_set(bytes)
            .generate(["everything.proto"]);
    }
}
