//! What an HTTP/2 connection may cost, and why that much.

use h2::{client, server};

use super::windows;

/// The settings of the accepting side, where so many calls may run at once.
pub(super) fn server(calls_max: u32) -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .max_header_list_size(HEADER_LIST_BYTES)
        .max_concurrent_streams(calls_max.max(STREAMS_MIN))
        .max_frame_size(FRAME_BYTES)
        .initial_window_size(windows::FIRST.stream_bytes)
        .initial_connection_window_size(windows::FIRST.connection_bytes)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_concurrent_reset_streams(RESET_STREAMS)
        .max_pending_accept_reset_streams(PENDING_RESET_STREAMS)
        .max_local_error_reset_streams(Some(ERROR_RESET_STREAMS))
        .data_frame_budget(DATA_FRAME_BUDGET_BYTES);
    builder
}

/// The settings of the dialling side, whose connection carries one tunnel.
pub(crate) fn client() -> client::Builder {
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .max_header_list_size(HEADER_LIST_BYTES)
        .max_frame_size(FRAME_BYTES)
        .initial_window_size(CLIENT_WINDOW_BYTES)
        .initial_connection_window_size(CLIENT_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_local_error_reset_streams(Some(ERROR_RESET_STREAMS))
        .data_frame_budget(DATA_FRAME_BUDGET_BYTES);
    builder
}

/// The settings of the dialling side of plain gRPC, whose connection carries a stream a call.
pub(crate) fn grpc_client() -> client::Builder {
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .max_header_list_size(HEADER_LIST_BYTES)
        .max_frame_size(GRPC_FRAME_BYTES)
        .initial_window_size(windows::FIRST.stream_bytes)
        .initial_connection_window_size(windows::FIRST.connection_bytes)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_concurrent_reset_streams(GRPC_RESET_STREAMS)
        .max_local_error_reset_streams(None)
        .data_frame_budget(DATA_FRAME_BUDGET_BYTES);
    builder
}

/// What gRPC servers and nginx customarily take. `h2` takes what is shorter and answers the rest with
/// 431; more than four times as much ends the connection.
const HEADER_LIST_BYTES: u32 = 16 * 1024;
/// RFC 9113 section 6.5.2 recommends no fewer than 100. A call of gRPC takes one, so that as many
/// calls run at once as over a session: 1024 unless configured otherwise, where many gRPC servers
/// have no limit. A tunnel takes one too, and a place of a connection besides.
const STREAMS_MIN: u32 = 100;
/// A driver's batch is at most so long, and with the default of 16 KiB it became many frames,
/// each a system call: with small calls that cost a tenth, with messages of 1 KiB nearly a third.
const FRAME_BYTES: u32 = 256 * 1024;
/// A client always reads, so that this bounds what is under way, not what is held; at a round trip
/// of 100 ms it is worth 160 MB/s.
const CLIENT_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Two batches: one that is being written and one that is being gathered.
const SEND_BUFFER_BYTES: usize = 512 * 1024;
/// Streams that were reset here and for which frames may still come, kept for a second: as many as
/// may run at once unless configured otherwise. Calls that are answered before their requests have
/// ended become such streams; what comes on one that is forgotten counts as an error of the peer.
const RESET_STREAMS: usize = 1024;
/// Streams that the peer opened and reset within what one read brings, the pattern of rapid reset;
/// `h2`'s default, after which it ends the connection.
const PENDING_RESET_STREAMS: usize = 20;
/// Streams reset here because of their peer's errors, over the life of a connection; `h2`'s default
/// is 1024. Honest peers make them only where more than [`RESET_STREAMS`] calls a second are
/// answered by handlers that leave a request which goes on.
const ERROR_RESET_STREAMS: usize = 256;
/// Each frame below 256 bytes takes from it what it lacks of them until it is read; beyond it, `h2`
/// ends the connection with all that runs on it. So a call that nobody reads should come to the end
/// of its window first, which harms no other: a window of 2 MiB takes 72,315 frames of 29 bytes, the
/// least that a message of 24 bytes comes as, and those lack 227 bytes each, 15.7 MiB together. One
/// that was opened to 16 MiB takes 131,072 frames of 128 bytes, which lack as much as is there.
///
/// `h2` keeps about 250 bytes for each frame beside what was in it, so that this much is 17 to
/// 21 MiB. To have the window bind for messages of one byte too would take 167 MiB, which is more
/// than a stranger may make a server hold.
const DATA_FRAME_BUDGET_BYTES: usize = 16 * 1024 * 1024;
/// So that a message of 1 MiB may come in one frame, and is read where it arrived.
const GRPC_FRAME_BYTES: u32 = 1024 * 1024 + 1024;
/// Calls that were dropped here while their answers are under way. One that is forgotten has its
/// frames answered with a reset, which is why those are not limited: they say nothing of the server.
const GRPC_RESET_STREAMS: usize = 1024;
