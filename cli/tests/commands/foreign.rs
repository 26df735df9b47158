//! The commands against a server that is not ours: gRPC's own, by way of its library for Python.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use protox::prost::Message as _;
use serde_json::Value;

use crate::scratch::{self, Ended, Scratch};
use crate::shop::pem;

#[cfg(target_os = "linux")]
mod mesh;

const NEEDS: &str = "`cargo xtask test --only grpc` brings what these tests need, and says where";

const SCHEMA: &str = "syntax = \"proto3\"; package foreign.v1;
service Echo {
  rpc Get(Text) returns (Text);
  rpc Repeat(Text) returns (stream Text);
  rpc Last(stream Text) returns (Text);
  rpc Chat(stream Text) returns (stream Text);
}
message Text { string text = 1; }
";

/// A server in a process of its own, which is ended with the test.
struct Foreign {
    server: Child,
    target: String,
    /// How to believe it.
    trust: Vec<String>,
}

impl Foreign {
    fn start(scratch: &Scratch, encrypted: bool) -> Self {
        let schema = scratch.file("echo.proto", SCHEMA);
        let compiled = protox::compile([&schema], [scratch.path("")]).unwrap();
        let descriptors = scratch.path("echo.fds");
        std::fs::write(&descriptors, compiled.encode_to_vec()).unwrap();
        let program = "tests/commands/foreign/server.py";
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(program);
        let interpreter = std::env::var_os("DREAMMESH_TEST_PYTHON").expect(NEEDS);
        let mut command = Command::new(interpreter);
        command.arg("-B").arg(program).arg(descriptors);
        let (mut scheme, mut trust) = ("grpc", Vec::new());
        if encrypted {
            let made = rcgen::generate_simple_self_signed(["shop.test".to_owned()]).unwrap();
            let chain = scratch.file("chain.pem", &pem("CERTIFICATE", made.cert.der()));
            let key = pem("PRIVATE KEY", &made.signing_key.serialize_der());
            command.arg(&chain).arg(scratch.file("key.pem", &key));
            let named = ["--cacert", &chain, "--server-name", "shop.test"];
            (scheme, trust) = ("grpcs", named.map(str::to_owned).to_vec());
        }
        let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let output = server.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap();
        Self {
            target: format!("{scheme}://{address}"),
            server,
            trust,
        }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let trust: Vec<&str> = self.trust.iter().map(String::as_str).collect();
        scratch::dreammesh(Path::new("/"), &[arguments, &trust].concat())
    }

    fn call(&self, method: &str, data: &str) -> (i32, String, String) {
        let method = format!("foreign.v1.Echo/{method}");
        let ended = self.run(&["call", &self.target, &method, "--compact", "-d", data]);
        (ended.status, ended.stdout, ended.stderr)
    }

    fn says(&self, arguments: &[&str], status: i32, stdout: &str) {
        let ended = self.run(arguments);
        assert_eq!(
            (ended.status, ended.stdout.as_str()),
            (status, stdout),
            "{ended:?}"
        );
    }

    fn passes(&self) {
        let target = self.target.as_str();
        let list = self.run(&["list", "--target", target]);
        assert!(
            list.stdout.lines().any(|line| line == "foreign.v1.Echo"),
            "{list:?}"
        );
        let text = "message foreign.v1.Text {\n  string text = 1;\n}\n";
        self.says(
            &["describe", "foreign.v1.Text", "--target", target],
            0,
            text,
        );
        self.says(&["health", target], 0, "SERVING\n");
        self.says(&["health", target, "foreign.v1.Echo"], 1, "NOT_SERVING\n");
        assert_eq!(self.run(&["health", target, "nobody"]).status, 69);
        let (a, ab) = ("{\"text\":\"a\"}\n", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
        let told = |status, stdout: &str, stderr: &str| (status, stdout.into(), stderr.into());
        assert_eq!(self.call("Get", a), told(0, a, ""));
        assert_eq!(
            self.call("Get", "{}"),
            told(69, "", "error: NOT_FOUND: no text\n")
        );
        assert_eq!(self.call("Repeat", a), told(0, &a.repeat(3), ""));
        assert_eq!(self.call("Last", ab), told(0, "{\"text\":\"b\"}\n", ""));
        assert_eq!(self.call("Chat", ab), told(0, ab, ""));
        let bench = [
            "bench",
            target,
            "foreign.v1.Echo/Chat",
            "-d",
            ab,
            "--calls",
            "9",
            "--json",
        ];
        let bench = self.run(&bench);
        assert_eq!((bench.status, bench.stderr.as_str()), (0, ""));
        let report: Value = serde_json::from_str(&bench.stdout).unwrap();
        assert_eq!(
            (&report["succeeded"], &report["messages_received"]),
            (&9.into(), &18.into())
        );
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // It may have ended itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
#[ignore = "needs grpcio, which the step grpc of xtask brings"]
fn a_server_on_grpcio_is_looked_at_and_called() {
    let scratch = Scratch::new("grpcio");
    Foreign::start(&scratch, false).passes();
}

#[test]
#[ignore = "needs grpcio, which the step grpc of xtask brings"]
fn a_server_on_grpcio_is_called_with_tls() {
    let scratch = Scratch::new("grpcio-tls");
    let server = Foreign::start(&scratch, true);
    server.passes();
    let believed = scratch::dreammesh(Path::new("/"), &["health", &server.target]);
    assert_eq!(believed.status, 2, "{believed:?}");
    assert!(believed.stderr.contains("--cacert"), "{believed:?}");
}
