//! A generated service is called through its generated client, in process.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dreammesh_core::codegen::{
    Idempotency, Priority, Receiver, Request, Response, Sender, Status, WireOption,
};
use dreammesh_golden::shop::v1::{
    CATALOG_METHODS, Catalog, CatalogClient, Empty, FILE_DESCRIPTOR_SET, Item, ItemArgs, Node,
};

struct Shelf;

impl Catalog for Shelf {
    async fn get_item(&self, request: Request<Item>) -> Result<Response<Item>, Status> {
        let ask = request.view();
        if ask.sku().is_empty() {
            return Err(Status::not_found("no such sku"));
        }
        Ok(Response::new(ItemArgs {
            sku: ask.sku(),
            title: "found",
            ..Default::default()
        }))
    }

    async fn list(&self, request: Request<Node>, items: Sender<Item>) -> Result<(), Status> {
        for number in 0..3 {
            let sku = format!("{}-{number}", request.view().name());
            items
                .send(ItemArgs {
                    sku: &sku,
                    ..Default::default()
                })
                .await?;
        }
        Ok(())
    }

    async fn record(&self, mut items: Receiver<Item>) -> Result<Response<Empty>, Status> {
        let mut count = 0;
        while items.next().await?.is_some() {
            count += 1;
        }
        if count == 2 {
            Ok(Response::new(Empty::default()))
        } else {
            Err(Status::internal("count"))
        }
    }

    async fn chat(&self, mut asks: Receiver<Node>, answers: Sender<Node>) -> Result<(), Status> {
        while let Some(ask) = asks.next().await? {
            answers.send(ask).await?;
        }
        Ok(())
    }

    async fn new(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty::default()))
    }
}

/// Polls to the end; nothing here waits for anything but itself.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1_000 {
        if let Poll::Ready(value) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return value;
        }
    }
    panic!("the call is still waiting after 1,000 polls");
}

#[test]
fn the_four_kinds_of_methods_answer() {
    let client = CatalogClient::in_process(Shelf);
    run(async {
        let found = client
            .get_item(ItemArgs {
                sku: "A",
                ..Default::default()
            })
            .await
            .unwrap();
        assert_eq!((found.view().sku(), found.view().title()), ("A", "found"));
        assert!(client.get_item(Item::default()).await.is_err());

        let mut items = client
            .list(Node {
                name: "x".into(),
                ..Node::default()
            })
            .await
            .unwrap();
        let mut skus = Vec::new();
        while let Some(item) = items.next().await.unwrap() {
            skus.push(item.view().sku().to_owned());
        }
        assert_eq!(skus, ["x-0", "x-1", "x-2"]);

        let items = client.record().await.unwrap();
        items.send(Item::default()).await.unwrap();
        items.send(Item::default()).await.unwrap();
        items.finish().await.unwrap();

        // A method named `New` gets out of the constructor's way.
        client.new_(Empty::default()).await.unwrap();
    });
}

#[test]
fn the_method_table_says_what_the_schema_does() {
    let [get, list, record, ..] = &CATALOG_METHODS;
    assert_eq!(get.path(), "/shop.v1.Catalog/GetItem");
    assert_eq!(get.options().deadline, Some(Duration::from_millis(250)));
    assert_eq!(get.options().idempotency, Idempotency::NoSideEffects);
    assert_eq!(get.options().priority, Some(Priority::HIGH));
    assert_eq!(get.request_closure(), get.response_closure());
    assert_ne!(get.request_closure(), list.request_closure());
    assert_eq!(list.options().wire, WireOption::Protobuf);
    assert!(record.options().spawn);
    assert_eq!(record.options().idempotency, Idempotency::Idempotent);
    assert!(!FILE_DESCRIPTOR_SET.is_empty());
}
