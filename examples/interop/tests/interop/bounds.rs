//! What a caller may ask the server for, at the bound and one past it.

use dreammesh::{Channel, Code, Connect, Request, Server};
use dreammesh_interop::proto::{
    ResponseParameters, SimpleRequest, StreamingOutputCallRequest, TestService, TestServiceClient,
    TestServiceServer,
};
use dreammesh_interop::server::{ASKED_MAX, PAYLOAD_BYTES_MAX, Tested};

#[tokio::test]
async fn a_payload_is_made_up_to_its_bound() {
    let asked = |response_size| {
        let request = SimpleRequest {
            response_size,
            ..Default::default()
        };
        Request::new(request).unwrap()
    };
    let most = i32::try_from(PAYLOAD_BYTES_MAX).unwrap();
    for size in [0, most] {
        let answer = Tested::default().unary_call(asked(size)).await.unwrap();
        let bytes = answer.view().payload().unwrap().body().len();
        assert_eq!(bytes, size as usize);
    }
    for size in [most + 1, i32::MAX, -1, i32::MIN] {
        let refused = Tested::default().unary_call(asked(size)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{size}");
    }
}

/// Our server over a session, whose streams have both ends there.
async fn served() -> TestServiceClient {
    let service = TestServiceServer::new(Tested::default());
    let server = Server::builder().service(service).bind("127.0.0.1:0").await;
    let server = server.unwrap();
    let target = server.addresses().next().unwrap().to_string();
    tokio::spawn(server.serve_until(std::future::pending::<()>()));
    TestServiceClient::new(Channel::connect(&target).await.unwrap())
}

fn asking(count: usize, parameters: &ResponseParameters) -> StreamingOutputCallRequest {
    StreamingOutputCallRequest {
        response_parameters: vec![parameters.clone(); count],
        ..Default::default()
    }
}

#[tokio::test]
async fn answers_are_kept_in_mind_up_to_their_bound() {
    let client = served().await;
    let empty = ResponseParameters::default();
    for (asked, code) in [
        ([ASKED_MAX - 1, 1], None),
        ([ASKED_MAX, 1], Some(Code::ResourceExhausted)),
    ] {
        let (requests, mut responses) = client.half_duplex_call().await.unwrap();
        for count in asked {
            requests.send(asking(count, &empty)).await.unwrap();
        }
        requests.finish();
        let (mut came, mut failed) = (0, None);
        loop {
            match responses.next().await {
                Ok(Some(_)) => came += 1,
                Ok(None) => break,
                Err(error) => {
                    failed = Some(error.code());
                    break;
                }
            }
        }
        let expected = code.map_or(ASKED_MAX, |_| 0);
        assert_eq!((came, failed), (expected, code));
    }
}

#[tokio::test]
async fn an_interval_is_none_or_more() {
    let client = served().await;
    for (interval_us, code) in [
        (0, None),
        (1, None),
        (-1, Some(Code::InvalidArgument)),
        (i32::MIN, Some(Code::InvalidArgument)),
    ] {
        let parameters = ResponseParameters {
            interval_us,
            ..Default::default()
        };
        let call = client.streaming_output_call(asking(1, &parameters));
        let mut responses = call.await.unwrap();
        let failed = responses.next().await.err().map(|error| error.code());
        assert_eq!(failed, code, "{interval_us}");
    }
}
