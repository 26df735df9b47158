//! What every link must carry: the suite runs over each medium in turn.
#![forbid(unsafe_code)]

mod bounds;
mod calls;
mod echo;
mod endings;
mod media;
