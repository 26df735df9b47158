//! Serves gRPC's interoperability tests until it is interrupted.
#![forbid(unsafe_code)]

use std::error::Error;
use std::process::ExitCode;

use dreammesh::Server;
use dreammesh_interop::certificates;
use dreammesh_interop::proto::TestServiceServer;
use dreammesh_interop::server::Tested;
use lexopt::prelude::{Long, ValueExt as _};

const USAGE: &str = "\
interop-server --port N [--tls] [--browser-origin ORIGIN]

Serves grpc.testing.TestService, health and reflection on 127.0.0.1. Port 0 is one that is free.
Scripts of a browser may call it from the origins that are named.
With --tls, the root of its certificate is left in the directory of temporary files.
";

#[derive(Default)]
struct Options {
    port: Option<u16>,
    tls: bool,
    browser_origins: Vec<String>,
    help: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprint!("interop-server: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("interop-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, lexopt::Error> {
    let mut options = Options::default();
    let mut words = lexopt::Parser::from_env();
    while let Some(word) = words.next()? {
        match word {
            Long("port") => options.port = Some(words.value()?.parse()?),
            Long("tls") => options.tls = true,
            Long("browser-origin") => {
                options.browser_origins.push(words.value()?.string()?);
            }
            Long("help") => options.help = true,
            other => return Err(other.unexpected()),
        }
    }
    if options.port.is_none() && !options.help {
        return Err("--port is missing".into());
    }
    Ok(options)
}

#[allow(
    clippy::print_stdout,
    reason = "whoever started it waits for that line"
)]
async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    if options.help {
        print!("{USAGE}");
        return Ok(());
    }
    let builder = Server::builder()
        .service(TestServiceServer::new(Tested::default()))
        .reflection(true)
        .browser_origins(options.browser_origins.iter().cloned())
        // The tests' largest messages are far below; their clients may be asked for larger ones.
        .max_message_bytes(16 << 20);
    let port = options.port.unwrap_or_default();
    let (builder, root) = if options.tls {
        let (tls, root) = certificates::make()?;
        (builder.tls(tls), Some(root))
    } else {
        (builder, None)
    };
    let address = match options.tls {
        true => format!("dreammesh+tls://127.0.0.1:{port}"),
        false => format!("127.0.0.1:{port}"),
    };
    let server = builder.bind(&address).await?;
    let bound = server.local_addr().ok_or("the server has no address")?;
    match &root {
        Some(root) => {
            // Named by the port, so that servers side by side have one each.
            let path = certificates::root_path(bound.port());
            std::fs::write(&path, root)?;
            println!("listening on {bound}, root in {}", path.display());
        }
        None => println!("listening on {bound}"),
    }
    server.serve_until(tokio::signal::ctrl_c()).await;
    Ok(())
}
