//! Last words to a peer that is turned away before anything begins.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::BoxLink;

/// Writes last words and waits until the peer has taken them, but not for long.
///
/// Closing a socket with unread input makes the kernel reset the connection, and a reset overtakes
/// what was written last, so the rest of the input is read and dropped.
pub(crate) async fn say(link: &mut BoxLink, words: &[u8]) {
    let said = async {
        link.write_all(words).await?;
        link.shutdown().await?;
        let mut rest = [0; 512];
        while link.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // There is nobody to tell that the peer did not listen.
    let _ = tokio::time::timeout(LINGER, said).await;
}

/// How long last words may take: a few round trips.
const LINGER: Duration = Duration::from_secs(1);
