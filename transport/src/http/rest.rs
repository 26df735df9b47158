//! What a peer still sends of a request that has been answered.

use std::time::Duration;

use h2::RecvStream;

/// Reads on in a task of its own, within bounds, and forgets it.
///
/// To reset a request that is still being sent fails it for some clients, although it has been
/// answered. Beyond that, `h2` remembers such streams for a while and not without number, and
/// counts what comes on others as errors of the peer, some of which end the connection. So one
/// that is too long is not reset while its peer may send: its window is not opened again, and what
/// is under way comes to its end. Nobody waits for the task: it ends with the connection, and soon if that lasts.
pub(crate) fn swallow(body: RecvStream) {
    tokio::spawn(tokio::time::timeout(REST, read(body)));
}

async fn read(mut body: RecvStream) {
    let mut total = 0;
    while let Some(Ok(bytes)) = body.data().await {
        total += bytes.len();
        if total <= REST_BYTES_MAX && body.flow_control().release_capacity(bytes.len()).is_err() {
            break;
        }
    }
}

/// How much of a request that has been answered makes room for more of it: more than most that come
/// by mistake send.
const REST_BYTES_MAX: usize = 1 << 20;
/// For so long.
const REST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};

    use bytes::Bytes;
    use h2::{Reason, SendStream, client, server};
    use http::{Request, Response};
    use tokio::io::DuplexStream;

    use super::*;
    use crate::driver::timer;

    /// Answers every request at once and swallows what still comes of it, while the connection is
    /// wanted.
    async fn answer(link: DuplexStream, wanted: impl Future<Output = ()>) {
        let serving = async {
            let mut connection = server::handshake(link).await.expect("it is HTTP/2");
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let answered = respond.send_response(Response::new(()), true);
                answered.expect("the client waits for it");
                swallow(request.into_body());
            }
        };
        tokio::select! {
            () = serving => {}
            () = wanted => {}
        }
    }

    /// Begins a request that has been answered before anything of its body was sent.
    async fn answered(link: DuplexStream) -> SendStream<Bytes> {
        let (mut requests, connection) = client::handshake(link).await.expect("it is HTTP/2");
        tokio::spawn(connection);
        let request = Request::post("http://one/").body(()).expect("it is valid");
        let (response, body) = requests.send_request(request, false).expect("it is open");
        response.await.expect("there is an answer");
        body
    }

    /// Sends so many bytes and waits until all of them are on their way.
    async fn send(body: &mut SendStream<Bytes>, mut length: usize) {
        while length > 0 {
            body.reserve_capacity(length);
            let room = poll_fn(|cx| body.poll_capacity(cx)).await;
            let room = room.expect("it is open").expect("it is open");
            let data = Bytes::from(vec![0; room.min(length)]);
            length -= data.len();
            body.send_data(data, false).expect("it is open");
        }
    }

    async fn reset(mut body: SendStream<Bytes>) -> (Reason, Duration) {
        let since = timer::now();
        let reason = poll_fn(|cx| body.poll_reset(cx)).await;
        (reason.expect("the connection stands"), timer::now() - since)
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_at_the_bound_is_taken_whole_and_reset_when_its_time_is_over() {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(answer(theirs, std::future::pending()));
        let mut body = answered(ours).await;
        send(&mut body, REST_BYTES_MAX).await;
        assert_eq!(reset(body).await, (Reason::NO_ERROR, REST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_beyond_the_bound_finds_its_window_closed_before_it_is_reset() {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(answer(theirs, std::future::pending()));
        let mut body = answered(ours).await;
        let since = timer::now();
        let mut sent = 0;
        // Until nothing more may be sent, and beyond: until the stream is reset.
        while timer::now() - since < REST {
            body.reserve_capacity(REST_BYTES_MAX);
            let room = tokio::time::timeout(REST, poll_fn(|cx| body.poll_capacity(cx))).await;
            let Ok(Some(Ok(room))) = room else { break };
            sent += room;
            body.send_data(Bytes::from(vec![0; room]), false)
                .expect("it is open");
        }
        // What a window that is never opened again holds, beyond what opened it.
        const WINDOW: usize = 65_535;
        assert!(sent > REST_BYTES_MAX, "{sent}");
        assert!(sent <= REST_BYTES_MAX + WINDOW, "{sent}");
        assert_eq!(timer::now() - since, REST);
        assert_eq!(reset(body).await, (Reason::NO_ERROR, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_that_is_short_enough_can_end() {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(answer(theirs, std::future::pending()));
        let mut body = answered(ours).await;
        send(&mut body, REST_BYTES_MAX).await;
        body.send_data(Bytes::new(), true).expect("it is open");
        let waited = tokio::time::timeout(2 * REST, reset(body)).await;
        assert!(waited.is_err(), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn reading_ends_with_the_connection() {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (end, ended) = tokio::sync::oneshot::channel();
        let serving = tokio::spawn(answer(theirs, async { drop(ended.await) }));
        let _body = answered(ours).await;
        let metrics = tokio::runtime::Handle::current().metrics();
        let since = timer::now();
        end.send(()).expect("it is served");
        serving.await.expect("it does not panic");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(metrics.num_alive_tasks(), 0);
        assert_eq!(timer::now() - since, Duration::ZERO);
    }
}
