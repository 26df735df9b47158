//! The cases that compress messages, each as its caller or its handler decides.

use dreammesh::{Code, Compression, Response};

use super::{
    Failure, LARGE_RESPONSE_BYTES, ended, equal, expect, failed, of, payload, simple, size_of,
};
use crate::proto::{
    BoolValue, ResponseParameters, SimpleRequest, SimpleResponse, StreamingInputCallRequest,
    StreamingOutputCallRequest, TestServiceClient,
};

pub(super) async fn run(name: &str, client: &TestServiceClient) -> Result<(), Failure> {
    match name {
        "client_compressed_unary" => client_unary(client).await,
        "server_compressed_unary" => server_unary(client).await,
        "client_compressed_streaming" => client_streaming(client).await,
        "server_compressed_streaming" => server_streaming(client).await,
        other => Err(format!("there is no case {other:?}")),
    }
}

async fn client_unary(client: &TestServiceClient) -> Result<(), Failure> {
    let asked = |expected| SimpleRequest {
        expect_compressed: truth(expected),
        ..simple()
    };
    let probe = client.unary_call(asked(true)).compression(Compression::Off);
    expect(probe.await.err(), Code::InvalidArgument, None)?;
    for (expected, compression) in [(true, Compression::On), (false, Compression::Off)] {
        let call = client.unary_call(asked(expected)).compression(compression);
        large(&call.await.map_err(failed)?)?;
    }
    Ok(())
}

async fn server_unary(client: &TestServiceClient) -> Result<(), Failure> {
    for compressed in [true, false] {
        let asked = SimpleRequest {
            response_compressed: truth(compressed),
            ..simple()
        };
        let answer = client.unary_call(asked).await.map_err(failed)?;
        equal("compressed", &answer.was_compressed(), &compressed)?;
        large(&answer)?;
    }
    Ok(())
}

async fn client_streaming(client: &TestServiceClient) -> Result<(), Failure> {
    let request = |expected, bytes| StreamingInputCallRequest {
        expect_compressed: truth(expected),
        payload: Some(payload(bytes)),
        ..Default::default()
    };
    let probe = client.streaming_input_call().await.map_err(failed)?;
    // The server may have ended the call before it is sent; how is what its end says.
    let _ = probe.send(request(true, 27_182)).await;
    expect(probe.finish().await.err(), Code::InvalidArgument, None)?;
    let call = client.streaming_input_call().compression(Compression::On);
    let requests = call.await.map_err(failed)?;
    let first = requests.send(request(true, 27_182));
    first.await.map_err(failed)?;
    let second = requests.send(request(false, 45_904));
    second.compression(Compression::Off).await.map_err(failed)?;
    let answer = requests.finish().await.map_err(failed)?;
    let sum = answer.view().aggregated_payload_size();
    equal("the sum", &sum, &73_086)
}

async fn server_streaming(client: &TestServiceClient) -> Result<(), Failure> {
    let wanted = [(31_415, true), (92_653, false)];
    let parameters = wanted.map(|(size, compressed)| ResponseParameters {
        compressed: truth(compressed),
        ..of(size)
    });
    let asked = StreamingOutputCallRequest {
        response_parameters: parameters.to_vec(),
        ..Default::default()
    };
    let mut responses = client.streaming_output_call(asked).await.map_err(failed)?;
    for (size, compressed) in wanted {
        let next = responses.next().await.map_err(failed)?;
        equal("compressed", &responses.was_compressed(), &compressed)?;
        equal("bytes of a response", &size_of(next)?, &(size as usize))?;
    }
    ended(responses.next().await)
}

fn large(answer: &Response<SimpleResponse>) -> Result<(), Failure> {
    let bytes = answer.view().payload().map_or(0, |it| it.body().len());
    equal("bytes of the answer", &bytes, &LARGE_RESPONSE_BYTES)
}

fn truth(value: bool) -> Option<BoolValue> {
    Some(BoolValue {
        value,
        ..Default::default()
    })
}
