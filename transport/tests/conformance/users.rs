//! Who is at the other end of a Unix socket, as the kernel says.

use dreammesh_core::call::Code;
use dreammesh_transport::ServerBuilder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::echo::{Echo, ask, call};
use crate::media::{Medium, Site};

async fn text(site: &Site, target: &str) -> String {
    let channel = site.connector().connect(target).await.unwrap();
    let answer = call(&channel, &ask("process")).await.unwrap();
    answer.view().type_url().to_owned()
}

#[tokio::test]
async fn a_handler_is_told_of_the_process_that_calls_whatever_it_speaks() {
    let site = Site::new(Medium::Unix).await;
    let user = nix::unistd::geteuid();
    let this = format!("{user} Some({})", std::process::id());
    assert_eq!(text(&site, &site.target).await, this);
    assert_eq!(
        text(&site, &site.target.replace("unix:", "grpc+unix:")).await,
        this
    );
    let elsewhere = Site::new(Medium::Tcp).await;
    assert_eq!(text(&elsewhere, &elsewhere.target).await, "none");
}

#[tokio::test]
async fn a_server_of_another_user_is_told_nothing() {
    let site = Site::new(Medium::Unix).await;
    let user = nix::unistd::geteuid().as_raw();
    for target in [&site.target, &site.target.replace("unix:", "grpc+unix:")] {
        let connector = site.connector().unix_users([user + 1, user]);
        let right = connector.connect(target).await.unwrap();
        assert!(call(&right, &ask("echo")).await.is_ok());
        let wrong = site.connector().unix_users([user + 1]);
        let wrong = wrong.connect_lazy(target).unwrap();
        let error = call(&wrong, &ask("echo")).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        let said = format!("runs as the user {user}, which is not to be believed");
        assert!(error.message().contains(&said), "{error}");
    }
}

#[tokio::test]
async fn a_user_has_so_many_connections_and_the_others_their_places() {
    let server = |it: ServerBuilder| it.max_connections_per_user(2);
    let site = Site::with(Medium::Unix, Echo::default(), server, |it| it).await;
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
    let path = site.target.strip_prefix("unix://").unwrap();
    let second = UnixStream::connect(path).await.unwrap();
    let mut third = UnixStream::connect(path).await.unwrap();
    // It may be gone before anything can be written.
    let _ = third.write_all(b"x").await;
    let ended = third.read(&mut [0]).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
    drop(second);
    // It is a matter of the server's when it sees that the second is gone.
    loop {
        let other = site.connector().connect(&site.target).await;
        if let Ok(other) = other
            && call(&other, &ask("echo")).await.is_ok()
        {
            break;
        }
        tokio::task::yield_now().await;
    }
}
