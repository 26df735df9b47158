//! What a peer still sends of a request that has been answered.

use std::time::Duration;

use h2::RecvStream;

/// Reads on, within bounds, and forgets it.
///
/// To reset a request that is still being sent fails it for some clients, although it has been
/// answered. Beyond that, `h2` remembers such streams for a while and not without number, and
/// counts what comes on others as errors of the peer, some of which end the connection.
pub(crate) async fn swallow(mut body: RecvStream) {
    let reading = async {
        let mut total = 0;
        while let Some(Ok(bytes)) = body.data().await {
            total += bytes.len();
            let released = body.flow_control().release_capacity(bytes.len());
            if released.is_err() || total > REST_BYTES_MAX {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(REST, reading).await;
}

/// What is read of a request that has been answered: more than most that come by mistake send.
const REST_BYTES_MAX: usize = 1 << 20;
/// For so long.
const REST: Duration = Duration::from_secs(5);
