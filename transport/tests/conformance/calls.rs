//! The four kinds of call, and what travels beside their messages.

use std::sync::Arc;

use dreammesh_core::call::{Begun, Code, Initiator};
use dreammesh_core::channel::ServerStreamingCall;
use dreammesh_core::in_process::InProcess;
use dreammesh_core::server::Router;
use dreammesh_core::wkt::Any;

use crate::echo::{EchoServer, LIST, ask, call, chat, list, record};
use crate::media::Site;
use crate::table::media;

#[tokio::test]
async fn a_unary_call_brings_back_what_it_sent() {
    for medium in media!() {
        let site = Site::new(medium).await;
        for length in [0, 1, 7, 64, 5_000, 70_000, 1_000_000] {
            let value = vec![b'x'; length].into();
            let request = Any {
                value,
                ..ask("echo")
            };
            let response = call(&site.channel, &request).await.unwrap();
            assert_eq!(response.view().value().len(), length, "{medium:?}");
            assert_eq!(response.into_owned(), request, "{medium:?}");
        }
    }
}

#[tokio::test]
async fn many_calls_at_once_each_get_their_own_answer() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let calls = (0..500_u32).map(|number| {
            let channel = site.channel.clone();
            tokio::spawn(async move {
                let value = number.to_le_bytes().to_vec().into();
                let request = Any {
                    value,
                    ..ask("echo")
                };
                assert_eq!(
                    call(&channel, &request).await.unwrap().into_owned(),
                    request
                );
            })
        });
        for done in calls.collect::<Vec<_>>() {
            done.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_server_streams_with_metadata_before_and_after() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let mut items = list(&site.channel, 300, 1_000).await.unwrap();
        let mut next = 0;
        while let Some(item) = items.next().await.unwrap() {
            assert_eq!(item.view().type_url(), next.to_string());
            assert_eq!(item.view().value().len(), 1_000);
            next += 1;
        }
        assert_eq!(next, 300, "{medium:?}");
        let trailers = items.trailers();
        assert_eq!(trailers.text("x-sent"), Some("300"), "{medium:?}");
    }
}

#[tokio::test]
async fn a_client_streams_and_gets_one_answer() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let points = record(&site.channel).await.unwrap();
        for _ in 0..300 {
            points
                .send(Any {
                    value: vec![2; 1_000].into(),
                    ..ask("")
                })
                .await
                .unwrap();
        }
        let answer = points.finish().await.unwrap();
        assert_eq!(answer.view().type_url(), "300 of 300000", "{medium:?}");
    }
}

#[tokio::test]
async fn both_sides_stream_at_once() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let (notes, mut answers) = chat(&site.channel).await.unwrap();
        for number in 0..50 {
            notes.send(ask(&number.to_string())).await.unwrap();
            let answer = answers.next().await.unwrap().unwrap();
            assert_eq!(answer.view().type_url(), number.to_string());
        }
        notes.finish();
        assert!(answers.next().await.unwrap().is_none(), "{medium:?}");
    }
}

#[tokio::test]
async fn metadata_goes_out_and_comes_back_before_and_after_the_message() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let response = call(&site.channel, &ask("metadata"))
            .metadata("x-name", "value")
            .metadata_bin("x-bytes-bin", &[0, 255][..])
            .await
            .unwrap();
        assert_eq!(
            response.metadata().text("x-name"),
            Some("value"),
            "{medium:?}"
        );
        assert_eq!(
            response.trailers().text("x-after"),
            Some("value"),
            "{medium:?}"
        );
        let bytes = response.trailers().binary("x-bytes-bin").unwrap();
        assert_eq!(&bytes[..], [0, 255], "{medium:?}");
    }
}

#[tokio::test]
async fn a_failure_carries_its_code_message_and_details() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let error = call(&site.channel, &ask("fail")).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition, "{medium:?}");
        assert_eq!(error.message(), "as asked");
        assert_eq!(
            (error.initiator(), error.begun()),
            (Initiator::Peer, Begun::Maybe)
        );
        let detail = &error.status().details()[0];
        assert_eq!(
            (detail.type_name(), &detail.value()[..]),
            ("test.Detail", &b"detail"[..])
        );
        assert_eq!(error.endpoint().unwrap().target(), site.target);
    }
}

#[tokio::test]
async fn a_failure_carries_trailers_of_its_own_whatever_the_kind() {
    let name = |length| "n".repeat(length);
    for medium in media!() {
        let site = Site::new(medium).await;
        let in_process = InProcess::new(Router::of(&EchoServer(Arc::default()))).into_channel();
        for channel in [&site.channel, &in_process] {
            for length in [1, 3, 4_000] {
                let failing = call(channel, &ask("fail")).metadata("x-name", name(length));
                let error = failing.await.unwrap_err();
                assert_eq!(error.code(), Code::FailedPrecondition, "{medium:?}");
                assert_eq!(error.trailers().text("x-after"), Some(&*name(length)));
                assert_eq!(error.status().details().len(), 1);
            }
            let failing = ServerStreamingCall::<Any>::new(channel, &LIST, ask("fail"));
            let failing = failing.metadata("x-name", "stream");
            let mut items = failing.await.unwrap();
            let error = items.next().await.unwrap_err();
            assert_eq!(
                error.trailers().text("x-after"),
                Some("stream"),
                "{medium:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_unimplemented() {
    use dreammesh_core::call::{MethodInfo, MethodKind};
    use dreammesh_core::channel::UnaryCall;
    use dreammesh_core::wire::Message;
    static MISSING: MethodInfo = MethodInfo::new(
        "/test.Echo/Missing",
        MethodKind::Unary,
        Any::LAYOUT,
        Any::LAYOUT,
    );
    for medium in media!() {
        let site = Site::new(medium).await;
        let missing = UnaryCall::<Any>::new(&site.channel, &MISSING, ask(""));
        assert_eq!(
            missing.await.unwrap_err().code(),
            Code::Unimplemented,
            "{medium:?}"
        );
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
    }
}

#[tokio::test]
async fn a_panicking_handler_ends_its_own_call_alone() {
    for medium in media!() {
        let site = Site::new(medium).await;
        let channel = site.channel.clone();
        let neighbour = tokio::spawn(async move { call(&channel, &ask("gate")).await });
        site.probe.alive_is(1).await;
        let error = call(&site.channel, &ask("panic")).await.unwrap_err();
        assert_eq!(error.code(), Code::Internal, "{medium:?}");
        site.probe.gate.notify_one();
        assert!(neighbour.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn requests_of_one_channel_run_on_a_multi_threaded_runtime_too() {
    let threads = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(3)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            for medium in media!() {
                let site = Site::new(medium).await;
                let tasks = (0..8).map(|_| {
                    let channel = site.channel.clone();
                    tokio::spawn(async move {
                        for _ in 0..200 {
                            call(&channel, &ask("echo")).await.unwrap();
                        }
                    })
                });
                for task in tasks.collect::<Vec<_>>() {
                    task.await.unwrap();
                }
            }
        });
    });
    threads.join().unwrap();
}
