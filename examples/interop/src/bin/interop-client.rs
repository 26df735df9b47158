//! Runs gRPC's interoperability tests against a server.
#![forbid(unsafe_code)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use dreammesh::tls::{ClientTls, Roots};
use dreammesh::{Channel, Connector, Encoding};
use dreammesh_interop::{cases, certificates};
use lexopt::prelude::{Long, ValueExt as _};

const USAGE: &str = "\
interop-client --server HOST:PORT --case NAME,...|all [--tls [--ca FILE] [--server-name NAME]]
               [--scheme SCHEME] [--compress ENCODING]

Calls a server of grpc.testing.TestService as plain gRPC, or by another scheme of DreamMesh's, such as
dreammesh+tcp. With --tls, the root is by default what interop-server left for that port. With
--compress, requests are compressed that do not say otherwise.
";

#[derive(Default)]
struct Options {
    server: String,
    case: String,
    tls: bool,
    root: Option<PathBuf>,
    server_name: Option<String>,
    scheme: Option<String>,
    compress: Option<Encoding>,
    help: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprint!("interop-client: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("interop-client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, lexopt::Error> {
    let mut options = Options::default();
    let mut words = lexopt::Parser::from_env();
    while let Some(word) = words.next()? {
        match word {
            Long("server") => options.server = words.value()?.string()?,
            Long("case") => options.case = words.value()?.string()?,
            Long("tls") => options.tls = true,
            Long("ca") => options.root = Some(words.value()?.into()),
            Long("server-name") => options.server_name = Some(words.value()?.string()?),
            Long("scheme") => options.scheme = Some(words.value()?.string()?),
            Long("compress") => options.compress = Some(encoding(&words.value()?.string()?)?),
            Long("help") => options.help = true,
            other => return Err(other.unexpected()),
        }
    }
    let mut cases = options.case.split(',');
    let known = options.case == "all" || cases.all(|case| names().any(|name| name == case));
    match &options {
        Options { help: true, .. } => Ok(options),
        Options { server, .. } if server.is_empty() => Err("--server is missing".into()),
        _ if !known => {
            let names = names().collect::<Vec<_>>().join(", ");
            Err(format!("--case takes all, or some of {names}").into())
        }
        _ => Ok(options),
    }
}

fn encoding(name: &str) -> Result<Encoding, lexopt::Error> {
    let known = Encoding::ALL.into_iter().find(|it| it.name() == name);
    known.ok_or_else(|| {
        let names = Encoding::ALL.map(Encoding::name).join(", ");
        format!("--compress takes one of {names}").into()
    })
}

fn names() -> impl Iterator<Item = &'static str> {
    cases::NAMES.into_iter().chain(cases::COMPRESSED)
}

#[allow(clippy::print_stdout, reason = "the results are what it is run for")]
async fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    if options.help {
        print!("{USAGE}");
        return Ok(true);
    }
    let channel = connect(options).await?;
    let mut all_well = true;
    // Other media compress no messages.
    let is_plain = options
        .scheme
        .as_deref()
        .is_none_or(|scheme| matches!(scheme, "grpc" | "grpcs" | "grpc+unix"));
    for name in names() {
        let is_chosen = match options.case.as_str() {
            "all" => is_plain || !cases::COMPRESSED.contains(&name),
            cases => cases.split(',').any(|case| case == name),
        };
        if !is_chosen {
            continue;
        }
        match cases::run(name, &channel).await {
            Ok(()) => println!("{name}: ok"),
            Err(failure) => {
                println!("{name}: FAILED, {failure}");
                all_well = false;
            }
        }
    }
    Ok(all_well)
}

async fn connect(options: &Options) -> Result<Channel, Box<dyn Error>> {
    let mut connector = Connector::new().max_message_bytes(16 << 20);
    if options.tls {
        let root = match &options.root {
            Some(root) => root.clone(),
            None => {
                let port = options.server.rsplit_once(':').map(|(_, port)| port);
                certificates::root_path(port.unwrap_or_default().parse()?)
            }
        };
        let mut tls = ClientTls::new(Roots::from_pem_file(&root)?);
        if let Some(name) = &options.server_name {
            tls = tls.server_name(name)?;
        }
        connector = connector.tls(tls);
    }
    if let Some(encoding) = options.compress {
        connector = connector.compress_grpc(encoding);
    }
    let plain = match options.tls {
        true => "grpcs",
        false => "grpc",
    };
    let scheme = options.scheme.as_deref().unwrap_or(plain);
    Ok(connector
        .connect(&format!("{scheme}://{}", options.server))
        .await?)
}
