//! Whether messages travel compressed.

/// Whether a message is to travel compressed, where its medium compresses single messages.
///
/// Plain gRPC does. A session does not, nor does a call within one process: there every choice means
/// the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "to leave it to the settings or to decide it, one way or the other, is all there is"
)]
pub enum Compression {
    /// As the connection or server is set up, where that makes the message shorter.
    #[default]
    Auto,
    /// Compressed, whatever its size, by what the connection or server is set up with, and by what
    /// the peer takes where that is nothing. A peer that takes nothing of it gets it as it is.
    On,
    /// As it is.
    Off,
}
