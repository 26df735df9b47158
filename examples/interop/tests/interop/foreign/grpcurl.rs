//! grpcurl, which learns from our server's reflection what there is to call, by v1alpha.

use std::process::{Command, Output};

use super::{Running, bounded, place};

/// Runs grpcurl: flags, the server, and what it is to do there.
fn grpcurl(server: &Running, flags: &[&str], words: &[&str]) -> Output {
    let mut command = Command::new(place("DREAMMESH_TEST_GRPCURL"));
    match &server.root {
        Some(root) => command.args(["-cacert", root]),
        None => command.arg("-plaintext"),
    };
    command.args(flags).arg(&server.address).args(words);
    bounded(&command).output().unwrap()
}

/// What it says, without white space.
fn said(server: &Running, flags: &[&str], words: &[&str]) -> String {
    let output = grpcurl(server, flags, words);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {complaint}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.split_whitespace().collect()
}

fn finds_and_calls(server: &Running) {
    let services = said(server, &[], &["list"]);
    for service in [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "grpc.testing.TestService",
    ] {
        assert!(services.contains(service), "{services}");
    }
    let described = said(server, &[], &["describe", "grpc.testing.TestService"]);
    let method = "rpcStreamingInputCall(stream.grpc.testing.StreamingInputCallRequest)returns";
    assert!(described.contains(method), "{described}");
    let described = said(server, &[], &["describe", ".grpc.testing.EchoStatus"]);
    let message = "messageEchoStatus{int32code=1;stringmessage=2;}";
    assert!(described.ends_with(message), "{described}");
    for (method, requests, answers) in [
        (
            "UnaryCall",
            r#"{"responseSize": 3}"#,
            r#"{"payload":{"body":"AAAA"}}"#,
        ),
        (
            "StreamingOutputCall",
            r#"{"responseParameters": [{"size": 3}, {"size": 6}]}"#,
            r#"{"payload":{"body":"AAAA"}}{"payload":{"body":"AAAAAAAA"}}"#,
        ),
        (
            "StreamingInputCall",
            r#"{"payload": {"body": "AAAA"}} {"payload": {"body": "AAAA"}}"#,
            r#"{"aggregatedPayloadSize":6}"#,
        ),
        (
            "FullDuplexCall",
            r#"{"responseParameters": [{"size": 3}]} {"responseParameters": [{"size": 6}]}"#,
            r#"{"payload":{"body":"AAAA"}}{"payload":{"body":"AAAAAAAA"}}"#,
        ),
    ] {
        let path = format!("grpc.testing.TestService/{method}");
        assert_eq!(said(server, &["-d", requests], &[&path]), answers, "{path}");
    }
    let failing = r#"{"responseStatus": {"code": 5, "message": "gone"}}"#;
    let path = "grpc.testing.TestService/UnaryCall";
    let failed = grpcurl(server, &["-d", failing], &[path]);
    // It adds the code to 64.
    assert_eq!(failed.status.code(), Some(69));
    let complaint = String::from_utf8_lossy(&failed.stderr);
    assert!(complaint.contains("NotFound") && complaint.contains("gone"));
}

#[test]
#[ignore = "needs grpcurl, which the step grpc of xtask brings"]
fn grpcurl_finds_and_calls_what_there_is() {
    finds_and_calls(&Running::start(&[]));
}

#[test]
#[ignore = "needs grpcurl, which the step grpc of xtask brings"]
fn grpcurl_finds_and_calls_what_there_is_with_tls() {
    finds_and_calls(&Running::start(&["--tls"]));
}
