//! What the client checks, one function for each case of the document.

mod compressed;

use std::time::Duration;

use dreammesh::codegen::Bytes;
use dreammesh::{CallError, Channel, Code, Initiator, Metadata};

use crate::proto::{
    EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, StreamingInputCallRequest,
    StreamingOutputCallRequest, StreamingOutputCallResponse, TestServiceClient,
    UnimplementedServiceClient,
};
use crate::{ECHO_INITIAL, ECHO_TRAILING};

/// Why a case failed.
pub type Failure = String;

/// The names of all cases, in the order in which they run.
pub const NAMES: [&str; 15] = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "cancel_after_begin",
    "cancel_after_first_response",
    "timeout_on_sleeping_server",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
    "cacheable_unary",
];

/// The names of the cases that compress messages, which plain gRPC alone does.
pub const COMPRESSED: [&str; 4] = [
    "client_compressed_unary",
    "server_compressed_unary",
    "client_compressed_streaming",
    "server_compressed_streaming",
];

/// Runs one case.
///
/// # Errors
/// What the server did otherwise than it should, or that there is no such case.
pub async fn run(name: &str, channel: &Channel) -> Result<(), Failure> {
    let client = TestServiceClient::new(channel.clone());
    match name {
        "empty_unary" => empty_unary(&client).await,
        "large_unary" => large_unary(&client).await,
        "cacheable_unary" => cacheable_unary(&client).await,
        "client_streaming" => client_streaming(&client).await,
        "server_streaming" => server_streaming(&client).await,
        "ping_pong" => ping_pong(&client).await,
        "empty_stream" => empty_stream(&client).await,
        "cancel_after_begin" => cancel_after_begin(&client).await,
        "cancel_after_first_response" => cancel_after_first_response(&client).await,
        "timeout_on_sleeping_server" => timeout_on_sleeping_server(&client).await,
        "custom_metadata" => custom_metadata(&client).await,
        "status_code_and_message" => statuses(&client, Code::Unknown, "test status message").await,
        "special_status_message" => statuses(&client, Code::Unknown, SPECIAL).await,
        "unimplemented_method" => unimplemented_method(&client).await,
        "unimplemented_service" => unimplemented_service(channel).await,
        other => compressed::run(other, &client).await,
    }
}

async fn empty_unary(client: &TestServiceClient) -> Result<(), Failure> {
    let answer = client.empty_call(Empty::default()).await.map_err(failed)?;
    equal("the answer", &answer.into_owned(), &Empty::default())
}

async fn large_unary(client: &TestServiceClient) -> Result<(), Failure> {
    let answer = client.unary_call(simple()).await.map_err(failed)?;
    let bytes = answer.view().payload().map_or(0, |it| it.body().len());
    equal("bytes of the answer", &bytes, &LARGE_RESPONSE_BYTES)
}

async fn cacheable_unary(client: &TestServiceClient) -> Result<(), Failure> {
    let asked = SimpleRequest {
        payload: Some(payload(8)),
        response_size: 8,
        ..Default::default()
    };
    let answer = client.cacheable_unary_call(asked).await.map_err(failed)?;
    let bytes = answer.view().payload().map_or(0, |it| it.body().len());
    equal("bytes of the answer", &bytes, &8)
}

async fn client_streaming(client: &TestServiceClient) -> Result<(), Failure> {
    let requests = client.streaming_input_call().await.map_err(failed)?;
    for bytes in REQUEST_BYTES {
        let request = StreamingInputCallRequest {
            payload: Some(payload(bytes)),
            ..Default::default()
        };
        requests.send(request).await.map_err(failed)?;
    }
    let answer = requests.finish().await.map_err(failed)?;
    let sum = answer.view().aggregated_payload_size();
    equal("the sum", &sum, &74_922)
}

async fn server_streaming(client: &TestServiceClient) -> Result<(), Failure> {
    let asked = StreamingOutputCallRequest {
        response_parameters: RESPONSE_BYTES.iter().map(|bytes| of(*bytes)).collect(),
        ..Default::default()
    };
    let mut responses = client.streaming_output_call(asked).await.map_err(failed)?;
    for bytes in RESPONSE_BYTES {
        let next = responses.next().await.map_err(failed)?;
        equal("bytes of a response", &size_of(next)?, &(bytes as usize))?;
    }
    ended(responses.next().await)
}

async fn ping_pong(client: &TestServiceClient) -> Result<(), Failure> {
    let (requests, mut responses) = client.full_duplex_call().await.map_err(failed)?;
    for (request, response) in REQUEST_BYTES.into_iter().zip(RESPONSE_BYTES) {
        requests
            .send(streaming(request, response))
            .await
            .map_err(failed)?;
        let next = responses.next().await.map_err(failed)?;
        equal("bytes of a response", &size_of(next)?, &(response as usize))?;
    }
    requests.finish();
    ended(responses.next().await)
}

async fn empty_stream(client: &TestServiceClient) -> Result<(), Failure> {
    let (requests, mut responses) = client.full_duplex_call().await.map_err(failed)?;
    requests.finish();
    ended(responses.next().await)
}

/// Dropping a call cancels it, so there is nobody left to see how it ended; that the server goes on
/// is what can be seen.
async fn cancel_after_begin(client: &TestServiceClient) -> Result<(), Failure> {
    drop(client.streaming_input_call().await.map_err(failed)?);
    empty_unary(client).await
}

async fn cancel_after_first_response(client: &TestServiceClient) -> Result<(), Failure> {
    let (requests, mut responses) = client.full_duplex_call().await.map_err(failed)?;
    requests
        .send(streaming(REQUEST_BYTES[0], RESPONSE_BYTES[0]))
        .await
        .map_err(failed)?;
    let first = responses.next().await.map_err(failed)?;
    let expected = RESPONSE_BYTES[0] as usize;
    equal("bytes of the first response", &size_of(first)?, &expected)?;
    drop(responses);
    match requests.send(streaming(1, 1)).await {
        Ok(()) => Err("what is sent behind a cancellation was taken".to_owned()),
        Err(error) => equal("the end", &error.code(), &Code::Cancelled),
    }?;
    empty_unary(client).await
}

async fn timeout_on_sleeping_server(client: &TestServiceClient) -> Result<(), Failure> {
    let call = client.full_duplex_call().timeout(Duration::from_millis(1));
    let (requests, mut responses) = match call.await {
        Ok(halves) => halves,
        Err(error) => return equal("the end", &error.code(), &Code::DeadlineExceeded),
    };
    let mut asked = streaming(REQUEST_BYTES[0], RESPONSE_BYTES[0]);
    asked.response_parameters[0].interval_us = 1_000_000;
    // The time may be over before it is sent.
    let _ = requests.send(asked).await;
    match responses.next().await {
        Err(error) => equal("the end", &error.code(), &Code::DeadlineExceeded),
        Ok(_) => Err("the call outlived its deadline".to_owned()),
    }
}

async fn custom_metadata(client: &TestServiceClient) -> Result<(), Failure> {
    let (initial, trailing) = ("test_initial_metadata_value", &[0xab, 0xab, 0xab][..]);
    let sent_back = |metadata: &Metadata, trailers: &Metadata| {
        equal("before", &metadata.text(ECHO_INITIAL), &Some(initial))?;
        let after = trailers.binary(ECHO_TRAILING);
        equal("after", &after.map(|bytes| &bytes[..]), &Some(trailing))
    };
    let answer = client
        .unary_call(simple())
        .metadata(ECHO_INITIAL, initial)
        .metadata_bin(ECHO_TRAILING, Bytes::from_static(&[0xab, 0xab, 0xab]))
        .await
        .map_err(failed)?;
    sent_back(answer.metadata(), answer.trailers())?;
    let (requests, mut responses) = client
        .full_duplex_call()
        .metadata(ECHO_INITIAL, initial)
        .metadata_bin(ECHO_TRAILING, Bytes::from_static(&[0xab, 0xab, 0xab]))
        .await
        .map_err(failed)?;
    let asked = streaming(271_828, 314_159);
    requests.send_last(asked).await.map_err(failed)?;
    let metadata = responses.metadata().await.map_err(failed)?.clone();
    let first = responses.next().await.map_err(failed)?;
    equal(
        "bytes of a response",
        &size_of(first)?,
        &LARGE_RESPONSE_BYTES,
    )?;
    ended(responses.next().await)?;
    sent_back(&metadata, responses.trailers())
}

async fn statuses(client: &TestServiceClient, code: Code, text: &str) -> Result<(), Failure> {
    let status = EchoStatus {
        code: code.number() as i32,
        message: text.to_owned(),
        ..Default::default()
    };
    let asked = SimpleRequest {
        response_status: Some(status.clone()),
        ..Default::default()
    };
    expect(client.unary_call(asked).await.err(), code, Some(text))?;
    if text == SPECIAL {
        return Ok(());
    }
    let (requests, mut responses) = client.full_duplex_call().await.map_err(failed)?;
    let asked = StreamingOutputCallRequest {
        response_status: Some(status),
        ..Default::default()
    };
    requests.send_last(asked).await.map_err(failed)?;
    expect(responses.next().await.err(), code, Some(text))
}

async fn unimplemented_method(client: &TestServiceClient) -> Result<(), Failure> {
    let answer = client.unimplemented_call(Empty::default()).await;
    expect(answer.err(), Code::Unimplemented, None)
}

async fn unimplemented_service(channel: &Channel) -> Result<(), Failure> {
    let client = UnimplementedServiceClient::new(channel.clone());
    let answer = client.unimplemented_call(Empty::default()).await;
    expect(answer.err(), Code::Unimplemented, None)
}

fn simple() -> SimpleRequest {
    SimpleRequest {
        response_size: LARGE_RESPONSE_BYTES as i32,
        payload: Some(payload(271_828)),
        ..Default::default()
    }
}

fn streaming(request: usize, response: i32) -> StreamingOutputCallRequest {
    StreamingOutputCallRequest {
        response_parameters: vec![of(response)],
        payload: Some(payload(request)),
        ..Default::default()
    }
}

fn of(size: i32) -> ResponseParameters {
    ResponseParameters {
        size,
        ..Default::default()
    }
}

fn payload(bytes: usize) -> Payload {
    Payload {
        body: Bytes::from(vec![0; bytes]),
        ..Default::default()
    }
}

fn size_of(
    response: Option<dreammesh::Msg<StreamingOutputCallResponse>>,
) -> Result<usize, Failure> {
    let response = response.ok_or("the stream ended before its time")?;
    Ok(response.view().payload().map_or(0, |it| it.body().len()))
}

fn ended<T>(next: Result<Option<T>, CallError>) -> Result<(), Failure> {
    match next.map_err(failed)? {
        None => Ok(()),
        Some(_) => Err("one response more than was asked for".to_owned()),
    }
}

/// A failure that the server said.
fn expect(error: Option<CallError>, code: Code, text: Option<&str>) -> Result<(), Failure> {
    let error = error.ok_or("the call succeeded")?;
    equal("the code", &error.code(), &code)?;
    equal("who ended it", &error.initiator(), &Initiator::Peer)?;
    match text {
        Some(text) => equal("the message", &error.message(), &text),
        None => Ok(()),
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), Failure> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?} in place of {expected:?}")),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn failed(error: CallError) -> Failure {
    format!("{}: {}", error.code().name(), error.message())
}

/// Of the one large answer.
const LARGE_RESPONSE_BYTES: usize = 314_159;
/// Of the requests of streams.
const REQUEST_BYTES: [usize; 4] = [27_182, 8, 1_828, 45_904];
/// Of their responses.
const RESPONSE_BYTES: [i32; 4] = [31_415, 9, 2_653, 58_979];
/// White space, and characters that do not fit into one unit of UTF-16.
const SPECIAL: &str = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
