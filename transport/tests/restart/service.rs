//! What the servers do: nothing that may be done twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dreammesh_core::call::{MethodInfo, MethodKind, Request, Response, Sender, Status};
use dreammesh_core::port::Handler;
use dreammesh_core::server::{Service, server_streaming, unary};
use dreammesh_core::wire::{LayoutHash, Message};
use dreammesh_core::wkt::Any;

const fn method(path: &'static str, kind: MethodKind) -> MethodInfo {
    let hash = LayoutHash([7; 16]);
    MethodInfo::new(path, kind, Any::LAYOUT, Any::LAYOUT).with_closures(hash, hash)
}

/// Answers which process did it.
pub(crate) static TAKE: MethodInfo = method("/test.Restart/Take", MethodKind::Unary);
/// Says so as often as it is asked to, each time after a while.
pub(crate) static WATCH: MethodInfo = method("/test.Restart/Watch", MethodKind::ServerStreaming);

/// The calls that were done, from their beginnings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restart(pub(crate) Arc<AtomicU64>);

impl Service for Restart {
    fn name(&self) -> &'static str {
        "test.Restart"
    }

    fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        vec![
            unary(&self.0, &TAKE, |done, _: Request<Any>| async move {
                done.fetch_add(1, Ordering::SeqCst);
                Ok(Response::new(me()))
            }),
            server_streaming(&self.0, &WATCH, |done, request, items| async move {
                done.fetch_add(1, Ordering::SeqCst);
                watch(request, items).await
            }),
        ]
    }
}

async fn watch(request: Request<Any>, items: Sender<Any>) -> Result<(), Status> {
    let count: u32 = request.view().type_url().parse().unwrap();
    for _ in 0..count {
        items.send(me()).await?;
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

fn me() -> Any {
    ask(std::process::id())
}

/// A message that says a number.
pub(crate) fn ask(number: u32) -> Any {
    Any {
        type_url: number.to_string(),
        ..Any::default()
    }
}

/// Between two messages of a stream.
const PACE: Duration = Duration::from_millis(20);
