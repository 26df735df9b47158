//! Clients of HTTP that came to the wrong port: curl and h2load.

use std::process::Command;

use crate::calls::Behind;
use crate::programs::debian;

async fn said(mut command: Command) -> String {
    let run = tokio::task::spawn_blocking(move || {
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {text}{problem}");
        text
    });
    run.await.unwrap()
}

#[tokio::test]
#[ignore = "runs curl, see DREAMMESH_TEST_PROXIES"]
async fn curl_is_answered() {
    let behind = Behind::new().await;
    let url = |path: &str| format!("http://{}{path}", behind.address);
    let curl = |version: &str, more: &[&str], path: &str| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--include", version]);
        command.args(more).arg(url(path));
        said(command)
    };
    let two = "--http2-prior-knowledge";
    let tunnel = "/dreammesh.Tunnel/Session";
    let grpc = ["--header", "content-type: application/grpc", "--data", ""];
    let session = [
        "--header",
        "content-type: application/dreammesh-session",
        "--data",
        "x",
    ];
    let body = "x".repeat(1 << 16);
    for (version, more, path, expected) in [
        ("--http1.1", &[][..], "/", "HTTP/1.1 404"),
        ("--http1.1", &session, tunnel, "HTTP/1.1 426"),
        ("--http1.1", &grpc, "/a.B/C", "HTTP/1.1 426"),
        ("--http1.1", &["--data", &body], "/", "HTTP/1.1 404"),
        (two, &[], "/", "HTTP/2 404"),
        (two, &["--head"], "/", "HTTP/2 404"),
        (two, &["--data", &body], "/", "HTTP/2 404"),
        (two, &[], tunnel, "HTTP/2 405"),
        (two, &["--data", "x"], tunnel, "HTTP/2 415"),
        (two, &grpc, "/a.B/C", "grpc-status: 12"),
    ] {
        let answer = curl(version, more, path).await;
        assert!(answer.contains(expected), "{expected}: {answer}");
    }
}

#[tokio::test]
#[ignore = "needs h2load, see DREAMMESH_TEST_PROXIES"]
async fn h2load_is_answered() {
    let behind = Behind::new().await;
    for version in [&[][..], &["--h1"]] {
        let mut command = debian("usr/bin/h2load");
        command.args(["-n", "20000", "-c", "10", "-m", "50"]);
        command
            .args(version)
            .arg(format!("http://{}/", behind.address));
        let report = said(command).await;
        println!("{report}");
        assert!(report.contains("20000 4xx"), "{report}");
        assert!(report.contains("0 errored, 0 timeout"), "{report}");
    }
}
