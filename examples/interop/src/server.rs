//! `grpc.testing.TestService`.

use std::time::Duration;

use dreammesh::codegen::Bytes;
use dreammesh::{Code, Compression, Metadata, Receiver, Request, Response, Sender, Status};

use crate::proto::{
    BoolValue, EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse,
    StreamingInputCallRequest, StreamingInputCallResponse, StreamingOutputCallRequest,
    StreamingOutputCallResponse, TestService,
};
use crate::{ECHO_INITIAL, ECHO_TRAILING};

/// The service; it keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Tested;

impl TestService for Tested {
    async fn empty_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty::default()))
    }

    async fn unary_call(
        &self,
        request: Request<SimpleRequest>,
    ) -> Result<Response<SimpleResponse>, Status> {
        let (initial, trailing) = echoed(request.metadata())?;
        let compressed = request.was_compressed();
        let request = request.into_owned();
        check_compression(
            request.expect_compressed.as_ref().map(|it| it.value),
            compressed,
        )?;
        if let Some(status) = failure(request.response_status.as_ref(), &trailing) {
            return Err(status);
        }
        let mut response = Response::new(SimpleResponse {
            payload: Some(payload(request.response_size)?),
            ..Default::default()
        });
        response.set_compression(compression(request.response_compressed.as_ref()));
        *response.metadata_mut() = initial;
        *response.trailers_mut() = trailing;
        Ok(response)
    }

    async fn cacheable_unary_call(
        &self,
        request: Request<SimpleRequest>,
    ) -> Result<Response<SimpleResponse>, Status> {
        self.unary_call(request).await
    }

    async fn streaming_output_call(
        &self,
        request: Request<StreamingOutputCallRequest>,
        responses: Sender<StreamingOutputCallResponse>,
    ) -> Result<(), Status> {
        let trailing = begin(request.metadata(), &responses)?;
        let request = request.into_owned();
        send_all(&request.response_parameters, &responses).await?;
        failure(request.response_status.as_ref(), &trailing).map_or(Ok(()), Err)
    }

    async fn streaming_input_call(
        &self,
        mut requests: Receiver<StreamingInputCallRequest>,
    ) -> Result<Response<StreamingInputCallResponse>, Status> {
        let (initial, trailing) = echoed(requests.metadata())?;
        let mut bytes = 0_usize;
        while let Some(request) = requests.next().await? {
            let expected = request.view().expect_compressed().map(|it| it.value());
            check_compression(expected, requests.was_compressed())?;
            bytes += request.view().payload().map_or(0, |it| it.body().len());
        }
        let sum = i32::try_from(bytes);
        let mut response = Response::new(StreamingInputCallResponse {
            aggregated_payload_size: sum
                .map_err(|_| Status::out_of_range(format!("{bytes} bytes in all")))?,
            ..Default::default()
        });
        *response.metadata_mut() = initial;
        *response.trailers_mut() = trailing;
        Ok(response)
    }

    async fn full_duplex_call(
        &self,
        mut requests: Receiver<StreamingOutputCallRequest>,
        responses: Sender<StreamingOutputCallResponse>,
    ) -> Result<(), Status> {
        let trailing = begin(requests.metadata(), &responses)?;
        while let Some(request) = requests.next().await? {
            let request = request.into_owned();
            if let Some(status) = failure(request.response_status.as_ref(), &trailing) {
                return Err(status);
            }
            send_all(&request.response_parameters, &responses).await?;
        }
        Ok(())
    }

    async fn half_duplex_call(
        &self,
        mut requests: Receiver<StreamingOutputCallRequest>,
        responses: Sender<StreamingOutputCallResponse>,
    ) -> Result<(), Status> {
        begin(requests.metadata(), &responses)?;
        let mut asked = Vec::new();
        while let Some(request) = requests.next().await? {
            asked.extend(request.into_owned().response_parameters);
            if asked.len() > ASKED_MAX {
                let text = format!("more than {ASKED_MAX} answers are asked for at once");
                return Err(Status::resource_exhausted(text));
            }
        }
        send_all(&asked, &responses).await
    }

    async fn unimplemented_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented("no server has this method"))
    }
}

/// What of the caller's metadata goes back, before and after the answer.
fn echoed(received: &Metadata) -> Result<(Metadata, Metadata), Status> {
    let wrong = |error: dreammesh::MetadataError| Status::internal(error.to_string());
    let (mut initial, mut trailing) = (Metadata::new(), Metadata::new());
    if let Some(text) = received.text(ECHO_INITIAL) {
        initial
            .append(ECHO_INITIAL, text.to_owned())
            .map_err(wrong)?;
    }
    if let Some(bytes) = received.binary(ECHO_TRAILING) {
        trailing
            .append_bin(ECHO_TRAILING, bytes.clone())
            .map_err(wrong)?;
    }
    Ok((initial, trailing))
}

/// Holds a request against what its caller says of it.
fn check_compression(expected: Option<bool>, compressed: bool) -> Result<(), Status> {
    match expected {
        Some(true) if !compressed => Err(Status::invalid_argument("the request is not compressed")),
        Some(false) if compressed => Err(Status::invalid_argument("the request is compressed")),
        _ => Ok(()),
    }
}

/// What is asked for of an answer.
fn compression(asked: Option<&BoolValue>) -> Compression {
    match asked {
        None => Compression::Auto,
        Some(BoolValue { value: true, .. }) => Compression::On,
        Some(_) => Compression::Off,
    }
}

/// Sends what goes back before the answers, and has the rest follow them.
fn begin<T>(received: &Metadata, responses: &Sender<T>) -> Result<Metadata, Status> {
    let (initial, trailing) = echoed(received)?;
    if !initial.is_empty() {
        responses.send_metadata(initial);
    }
    responses.set_trailers(trailing.clone());
    Ok(trailing)
}

/// The failure that is asked for.
fn failure(asked: Option<&EchoStatus>, trailing: &Metadata) -> Option<Status> {
    let asked = asked.filter(|status| status.code != 0)?;
    let code = u32::try_from(asked.code).map_or(Code::Unknown, Code::from_number);
    // What was asked for goes back as a detail too, for clients that can read one.
    let status = Status::new(code, asked.message.clone()).with_detail(asked);
    Some(match trailing.is_empty() {
        true => status,
        false => status.with_trailers(trailing.clone()),
    })
}

async fn send_all(
    asked: &[ResponseParameters],
    responses: &Sender<StreamingOutputCallResponse>,
) -> Result<(), Status> {
    for asked in asked {
        let pause = u64::try_from(asked.interval_us)
            .map_err(|_| Status::invalid_argument("an interval below zero"))?;
        if pause > 0 {
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
        let response = StreamingOutputCallResponse {
            payload: Some(payload(asked.size)?),
            ..Default::default()
        };
        let sending = responses.send(response);
        sending
            .compression(compression(asked.compressed.as_ref()))
            .await?;
    }
    Ok(())
}

/// A payload of so many zeros.
fn payload(bytes: i32) -> Result<Payload, Status> {
    let bytes = usize::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= PAYLOAD_BYTES_MAX)
        .ok_or_else(|| Status::invalid_argument(format!("a payload of {bytes} bytes")))?;
    Ok(Payload {
        body: Bytes::from(vec![0; bytes]),
        ..Default::default()
    })
}

/// The largest payload that is made: beyond what messages may be by default, where the tests ask for
/// some 300 KiB.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;
/// How many answers may be asked for before the first of them: far more than the tests ask for.
pub const ASKED_MAX: usize = 10_000;
