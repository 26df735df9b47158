//! What each revision says in an order, and what it must read in the others' orders.

use std::collections::BTreeMap;

use dreammesh::{Channel, Request, Response, ServerBuilder, Status};
use dreammesh_golden::evolution::{v1, v2, v3};

/// One revision of the schema, named by its order.
pub(crate) trait Revision: Sized {
    const NUMBER: u32;

    /// Adds the revision's service, whose handler checks what it receives.
    fn serve(server: ServerBuilder) -> ServerBuilder;

    /// Calls a server of revision `server` and checks what comes back.
    ///
    /// `settled` says whether the two sides have compared their layouts.
    async fn call(channel: Channel, server: u32, settled: bool);
}

/// How a reader sees the payment of an order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Paid {
    ByCard,
    InCash,
    OnInvoice,
    /// The number of an arm that the reader does not know.
    Unknown(u32),
    Not,
}

/// Checks a payment that an archive shows as `expected`.
///
/// Protobuf keeps the field of an unknown arm too, but cannot tell that it was one.
fn check_payment(seen: Paid, expected: Paid, settled: bool) {
    let hidden = !settled && matches!(expected, Paid::Unknown(_)) && seen == Paid::Not;
    assert!(
        hidden || seen == expected,
        "{seen:?} instead of {expected:?}"
    );
}

/// The handlers of every revision.
struct Answers;

macro_rules! revision {
    ($revision:ident, $number:literal) => {
        impl Revision for $revision::Order {
            const NUMBER: u32 = $number;

            fn serve(server: ServerBuilder) -> ServerBuilder {
                server.service($revision::LedgerServer::new(Answers))
            }

            async fn call(channel: Channel, server: u32, settled: bool) {
                let client = $revision::LedgerClient::new(channel);
                let call = client
                    .post(order_of::$revision())
                    .metadata("writer", stringify!($number))
                    .metadata("settled", settled.to_string());
                check::$revision(call.await.unwrap().view(), server, settled);
            }
        }

        impl $revision::Ledger for Answers {
            async fn post(
                &self,
                request: Request<$revision::Order>,
            ) -> Result<Response<$revision::Order>, Status> {
                let metadata = request.metadata();
                let writer = metadata.text("writer").unwrap().parse().unwrap();
                let settled = metadata.text("settled") == Some("true");
                check::$revision(request.view(), writer, settled);
                Ok(Response::new(order_of::$revision()))
            }
        }
    };
}

revision!(v1, 1);
revision!(v2, 2);
revision!(v3, 3);

/// The order that each revision sends.
mod order_of {
    use super::*;

    pub(super) fn v1() -> v1::Order {
        let line = v1::Line {
            sku: "A".to_owned(),
            quantity: 2,
            ..Default::default()
        };
        v1::Order {
            id: 7,
            note: "leave it".to_owned(),
            first: Some(line.clone()),
            lines: vec![line.clone(), v1::Line::default()],
            by_sku: BTreeMap::from([("A".to_owned(), line)]),
            payment: Some(v1::order::Payment::Cash(30)),
            paid: Some(false),
            ..Default::default()
        }
    }

    pub(super) fn v2() -> v2::Order {
        let origin = v2::Origin {
            country: "CH".to_owned(),
            ..Default::default()
        };
        let line = v2::Line {
            sku: "A".to_owned(),
            quantity: 2,
            weight: Some(1.5),
            origin: Some(origin),
            ..Default::default()
        };
        v2::Order {
            id: 7,
            note: "leave it".to_owned(),
            first: Some(line.clone()),
            lines: vec![line.clone(), v2::Line::default()],
            by_sku: BTreeMap::from([("A".to_owned(), line)]),
            payment: Some(v2::order::Payment::Invoice("F-1".to_owned())),
            paid: Some(false),
            labels: vec!["x".to_owned(), "y".to_owned()],
            discount: Some(-5),
            ..Default::default()
        }
    }

    pub(super) fn v3() -> v3::Order {
        let origin = v3::Origin {
            country: "CH".to_owned(),
            region: "Uri".to_owned(),
            ..Default::default()
        };
        let line = v3::Line {
            sku: "A".to_owned(),
            quantity: 2,
            weight: Some(1.5),
            origin: Some(origin),
            ..Default::default()
        };
        v3::Order {
            id: 7,
            first: Some(line.clone()),
            lines: vec![line.clone(), v3::Line::default()],
            by_sku: BTreeMap::from([("A".to_owned(), line)]),
            payment: Some(v3::order::Payment::Card("4711".to_owned())),
            paid: Some(false),
            labels: vec!["x".to_owned(), "y".to_owned()],
            discount: Some(-5),
            signature: b"ok".as_slice().into(),
            ..Default::default()
        }
    }
}

/// What a reader of each revision finds in an order of revision `writer`.
mod check {
    use super::*;

    /// What every revision has, by its own accessors.
    macro_rules! shared {
        ($revision:ident, $order:expr) => {
            let line = |line: $revision::LineView<'_>| (line.sku().to_owned(), line.quantity());
            let gear = || ("A".to_owned(), 2);
            assert_eq!(($order.id(), $order.paid()), (7, Some(false)));
            assert_eq!($order.first().map(line), Some(gear()));
            let lines: Vec<_> = $order.lines().iter().map(line).collect();
            assert_eq!(lines, [gear(), (String::new(), 0)]);
            assert_eq!($order.by_sku().get("A").map(line), Some(gear()));
            assert_eq!($order.by_sku().len(), 1);
        };
    }

    /// What the second revision added and the third kept.
    macro_rules! added_in_v2 {
        ($order:expr, $writer:expr) => {
            let since = $writer >= 2;
            let labels: Vec<_> = $order.labels().iter().collect();
            assert_eq!(labels, if since { vec!["x", "y"] } else { Vec::new() });
            assert_eq!($order.discount(), since.then_some(-5));
            let first = $order.first().unwrap();
            assert_eq!(first.weight(), since.then_some(1.5));
            assert_eq!(first.origin().map(|at| at.country()), since.then_some("CH"));
            let second = $order.lines().get(1).unwrap();
            assert!(second.weight().is_none() && second.origin().is_none());
        };
    }

    pub(super) fn v1(order: v1::OrderView<'_>, writer: u32, settled: bool) {
        shared!(v1, order);
        assert_eq!(order.note(), if writer < 3 { "leave it" } else { "" });
        let seen = match order.payment() {
            Some(v1::order::PaymentView::Card(_)) => Paid::ByCard,
            Some(v1::order::PaymentView::Cash(30)) => Paid::InCash,
            Some(v1::order::PaymentView::Unknown(number)) => Paid::Unknown(number),
            _ => Paid::Not,
        };
        let expected = [Paid::InCash, Paid::Unknown(11), Paid::ByCard];
        check_payment(seen, expected[writer as usize - 1], settled);
    }

    pub(super) fn v2(order: v2::OrderView<'_>, writer: u32, settled: bool) {
        shared!(v2, order);
        added_in_v2!(order, writer);
        assert_eq!(order.note(), if writer < 3 { "leave it" } else { "" });
        let seen = match order.payment() {
            Some(v2::order::PaymentView::Card(_)) => Paid::ByCard,
            Some(v2::order::PaymentView::Cash(30)) => Paid::InCash,
            Some(v2::order::PaymentView::Invoice("F-1")) => Paid::OnInvoice,
            Some(v2::order::PaymentView::Unknown(number)) => Paid::Unknown(number),
            _ => Paid::Not,
        };
        let expected = [Paid::InCash, Paid::OnInvoice, Paid::ByCard];
        check_payment(seen, expected[writer as usize - 1], settled);
    }

    pub(super) fn v3(order: v3::OrderView<'_>, writer: u32, settled: bool) {
        shared!(v3, order);
        added_in_v2!(order, writer);
        assert_eq!(
            order.signature(),
            if writer == 3 { b"ok".as_slice() } else { b"" }
        );
        let region = order
            .first()
            .and_then(|line| line.origin())
            .map(|at| at.region());
        assert_eq!(
            region.unwrap_or_default(),
            if writer == 3 { "Uri" } else { "" }
        );
        let seen = match order.payment() {
            Some(v3::order::PaymentView::Card("4711")) => Paid::ByCard,
            Some(v3::order::PaymentView::Invoice("F-1")) => Paid::OnInvoice,
            Some(v3::order::PaymentView::Unknown(number)) => Paid::Unknown(number),
            _ => Paid::Not,
        };
        let expected = [Paid::Unknown(7), Paid::OnInvoice, Paid::ByCard];
        check_payment(seen, expected[writer as usize - 1], settled);
    }
}
