//! HTTP on the same port: the tunnel for sessions, and a proper answer to everything else.
//!
//! Nothing here knows of frames of the session or of calls. HTTP/2 runs on the crate `h2` directly,
//! because a tunnel is one request that lasts, to which machinery per request only adds; HTTP/1
//! runs on hyper.
//!
//! - `two`: an HTTP/2 connection; `preface`: how it begins; `limits`: what it may cost.
//! - `life`: how long it lives.
//! - `bell`: a waker that does not wake a task which is at work.
//! - `windows`: how far it opens its windows.
//! - `watch`: which frames a peer sends, and when they are too many or do not come to an end.
//! - `one`: an HTTP/1 connection.
//! - `rest`: what still comes of a request that has been answered.
//! - `answer`: what a request gets, and the names that the tunnel goes by.

pub(crate) mod answer;
mod bell;
mod life;
pub(crate) mod limits;
mod one;
mod preface;
pub(crate) mod rest;
mod two;
mod watch;
pub(crate) mod windows;

pub(crate) use one::serve as serve_one;
pub(crate) use two::serve as serve_two;
