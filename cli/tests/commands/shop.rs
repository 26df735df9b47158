//! A server in this process, whose answers depend on what it is asked.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dreammesh_core::call::Metadata;
use dreammesh_core::codegen::{Receiver, Request, Response, Sender, Status};
use dreammesh_golden::shop::v1::{Catalog, CatalogServer, Empty, Item, ItemArgs, Node};
use dreammesh_services::proto::reflection_v1alpha::{
    FileDescriptorResponse, ListServiceResponse, ServerReflection, ServerReflectionRequest,
    ServerReflectionResponse, ServerReflectionServer, ServiceResponse,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use dreammesh_transport::tls::{Certificate, ServerTls};
use dreammesh_transport::{Server, ServerBuilder};
use protox::prost::Message as _;
use tokio::runtime::Runtime;

struct Shelf {
    /// How many items were asked for.
    asked: AtomicU32,
    /// Who hears of each.
    told: mpsc::Sender<()>,
}

impl Catalog for Shelf {
    async fn get_item(&self, request: Request<Item>) -> Result<Response<Item>, Status> {
        let mut headers = Metadata::new();
        let token = request
            .metadata()
            .text("token")
            .unwrap_or("none")
            .to_owned();
        headers.append("saw", token).unwrap();
        let mut item = request.into_owned();
        let first = self.asked.fetch_add(1, Ordering::Relaxed) == 0;
        let _ = self.told.send(());
        match item.sku.as_str() {
            "" => return Err(Status::not_found("no such sku")),
            "slow" => pending().await,
            // What the first one asks for is not to be had, or only after a while.
            "later" if first => return Err(Status::aborted("not\nyet")),
            "slow at first" if first => tokio::time::sleep(SLOW).await,
            _ => {}
        }
        item.title = "found".into();
        let mut response = Response::new(item);
        *response.metadata_mut() = headers;
        Ok(response)
    }

    async fn list(&self, request: Request<Node>, items: Sender<Item>) -> Result<(), Status> {
        for number in 0..3 {
            let sku = format!("{}-{number}", request.view().name());
            let item = ItemArgs {
                sku: &sku,
                ..Default::default()
            };
            items.send(item).await?;
        }
        if request.view().name() == "broken" {
            return Err(Status::data_loss("the rest is lost"));
        }
        Ok(())
    }

    async fn record(&self, mut items: Receiver<Item>) -> Result<Response<Empty>, Status> {
        let mut count = 0;
        while items.next().await?.is_some() {
            count += 1;
        }
        match count {
            2 => Ok(Response::new(Empty::default())),
            other => Err(Status::out_of_range(other.to_string())),
        }
    }

    async fn chat(&self, mut asks: Receiver<Node>, answers: Sender<Node>) -> Result<(), Status> {
        while let Some(ask) = asks.next().await? {
            if ask.view().name() == "enough" {
                return Err(Status::failed_precondition("enough"));
            }
            answers.send(ask).await?;
        }
        Ok(())
    }

    async fn new(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty::default()))
    }
}

/// The reflection of servers from before it was declared stable.
struct Old;

impl ServerReflection for Old {
    async fn server_reflection_info(
        &self,
        mut asks: Receiver<ServerReflectionRequest>,
        answers: Sender<ServerReflectionResponse>,
    ) -> Result<(), Status> {
        let options = protos().join("../../../proto");
        let compiled = protox::compile(["shop.proto"], [protos(), options]);
        let files = compiled.unwrap().file;
        while let Some(ask) = asks.next().await? {
            let answer = match ask.into_owned().message_request {
                Some(MessageRequest::ListServices(_)) => {
                    let name = "shop.v1.Catalog".into();
                    let service = vec![ServiceResponse {
                        name,
                        ..Default::default()
                    }];
                    let list = ListServiceResponse {
                        service,
                        ..Default::default()
                    };
                    MessageResponse::ListServicesResponse(list)
                }
                _ => MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
                    file_descriptor_proto: files
                        .iter()
                        .map(|file| file.encode_to_vec().into())
                        .collect(),
                    ..Default::default()
                }),
            };
            let message_response = Some(answer);
            let answer = ServerReflectionResponse {
                message_response,
                ..Default::default()
            };
            answers.send(answer).await?;
        }
        Ok(())
    }
}

/// A server whose runtime lives as long as it does.
pub(crate) struct Shop {
    _runtime: Runtime,
    pub(crate) target: String,
    /// Something for each item that was asked for.
    pub(crate) asked: mpsc::Receiver<()>,
}

impl Shop {
    pub(crate) fn open() -> Self {
        Self::telling(true)
    }

    /// With or without reflection.
    pub(crate) fn telling(reflection: bool) -> Self {
        Self::serving(
            Server::builder().reflection(reflection),
            "dreammesh+tcp://127.0.0.1:0",
        )
    }

    /// With reflection under its older name alone.
    pub(crate) fn of_old() -> Self {
        let old = Server::builder()
            .reflection(false)
            .service(ServerReflectionServer::new(Old));
        Self::serving(old, "dreammesh+tcp://127.0.0.1:0")
    }

    pub(crate) fn encrypted(chain: &str, key: &str) -> Self {
        let certificate = Certificate::from_pem(chain, key).unwrap();
        let builder = Server::builder().tls(ServerTls::new(certificate));
        Self::serving(builder, "dreammesh+tls://127.0.0.1:0")
    }

    /// On a Unix socket.
    #[cfg(unix)]
    pub(crate) fn on(socket: &Path) -> Self {
        Self::serving(Server::builder(), &format!("unix://{}", socket.display()))
    }

    /// The same server under another scheme.
    pub(crate) fn by(&self, scheme: &str) -> String {
        self.target.replace("dreammesh+tcp", scheme)
    }

    fn serving(builder: ServerBuilder, address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (told, asked) = mpsc::channel();
        let shelf = Shelf {
            asked: AtomicU32::new(0),
            told,
        };
        let builder = builder.service(CatalogServer::new(shelf));
        let bound = runtime.block_on(builder.bind(address));
        let server = bound.unwrap();
        let target = server.target();
        runtime.spawn(async move { server.serve_until(pending::<()>()).await });
        Self {
            _runtime: runtime,
            target,
            asked,
        }
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

pub(crate) fn protos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rpc-codegen/tests/golden/proto")
}

/// How long the first call for `slow at first` takes.
pub(crate) const SLOW: Duration = Duration::from_millis(80);
