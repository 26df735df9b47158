//! What each process tells about the calls it handled: its own metrics, as a service.

use dreammesh::{Code, MethodSnapshot, Metrics, Request, Response, Side, Status, WireMode};

use crate::proto::current::{CounterList, Counters, MethodCounters, ReadCountersRequest};

/// The handlers of `shop.v1.Counters`.
#[derive(Debug)]
pub(crate) struct OwnCounters(pub(crate) Metrics);

impl Counters for OwnCounters {
    async fn read(
        &self,
        _request: Request<ReadCountersRequest>,
    ) -> Result<Response<CounterList>, Status> {
        let snapshot = self.0.snapshot();
        let handled = snapshot.iter().filter(|method| method.side == Side::Server);
        let methods = handled.map(counters_of).collect();
        Ok(Response::new(CounterList {
            methods,
            ..Default::default()
        }))
    }
}

fn counters_of(method: &MethodSnapshot) -> MethodCounters {
    let quantile = |share| {
        method
            .quantile(share)
            .map_or(0, |bound| bound.as_micros() as u64)
    };
    let late = method
        .calls
        .iter()
        .filter(|calls| calls.code == Code::DeadlineExceeded);
    MethodCounters {
        path: method.path.to_owned(),
        calls: method.count(),
        errors: method.errors(),
        deadline_exceeded: late.map(|calls| calls.count()).sum(),
        archive_calls: method.count_in(WireMode::Archive),
        protobuf_calls: method.count_in(WireMode::Protobuf),
        received_bytes: method.received_bytes,
        sent_bytes: method.sent_bytes,
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        ..Default::default()
    }
}
