//! Runs one part a stated number of times, for a tool that counts instructions.
//!
//! `count` names the parts and how often each happens in a run; `count NAME TIMES` runs one: as
//! often as stated to fill pools and caches, and as often again inside of `measured`, which is the
//! function whose instructions are to be counted.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the list is what it prints")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (name, times) = match words.as_slice() {
        [] => {
            for part in dreammesh_parts::all().filter(|part| part.is_counted) {
                println!("{}\t{}", part.times, part.name);
            }
            return ExitCode::SUCCESS;
        }
        [name, times] => (*name, times.parse::<u32>().ok()),
        _ => ("", None),
    };
    let part = dreammesh_parts::all().find(|part| part.name == name);
    let (Some(part), Some(times)) = (part, times) else {
        eprintln!("usage: count [NAME TIMES]");
        return ExitCode::from(2);
    };
    let mut body = (part.make)();
    (0..times).for_each(|_| body());
    measured(&mut body, times);
    ExitCode::SUCCESS
}

/// Named on callgrind's command line, so it must neither disappear nor be renamed.
#[inline(never)]
fn measured(body: &mut dyn FnMut(), times: u32) {
    for _ in 0..times {
        body();
    }
}
