//! A server's handshake, until it is done or brings early data.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use dreammesh_session::frame::CloseCode;
use quinn::{Connecting, Connection, ConnectionError, RecvStream, SendStream, ZeroRttAccepted};

use super::dial::{chain, check_protocol, close};
use super::lane::connection_error;
use super::peers::Listed;
use super::under_way::Counted;
use crate::tls::ServerTls;
use crate::tls::explain::Side;

/// A client that was let in and has to prove what it must.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(super) connecting: Connecting,
    pub(super) listed: Listed,
    pub(super) counted: Arc<Counted>,
    pub(super) tls: ServerTls,
}

/// A client that may be served.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) connection: Connection,
    /// Its place in the list of peers, to be kept as long as it is served.
    pub(super) listed: Listed,
    /// What came of one whose handshake is not done.
    pub(super) early: Option<Early>,
}

/// A handshake that was not done when the first lane was opened.
pub(super) struct Early {
    /// The first lane, until it is taken.
    pub(super) first: Option<(SendStream, RecvStream)>,
    pub(super) done: ZeroRttAccepted,
    _counted: Arc<Counted>,
}

impl fmt::Debug for Early {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Early").finish_non_exhaustive()
    }
}

impl Handshake {
    pub(crate) fn peer(&self) -> SocketAddr {
        self.connecting.remote_address()
    }

    /// Its place among the handshakes that are under way.
    pub(super) fn counted(&self) -> Arc<Counted> {
        Arc::clone(&self.counted)
    }

    /// Waits until the handshake is done, or early data has come; the caller bounds the time.
    ///
    /// # Errors
    /// Why it failed, such as a protocol that the client does not offer.
    pub(super) async fn done(self) -> io::Result<Arrived> {
        let arrived = match self.tls.takes_early_data() {
            // In a box, so that what few servers do takes no room in the others.
            true => Box::pin(self.done_early()).await?,
            false => Arrived {
                connection: self.connecting.await.map_err(server_error)?,
                listed: self.listed,
                early: None,
            },
        };
        check_protocol(&arrived.connection)?;
        arrived.listed.connected(&arrived.connection);
        Ok(arrived)
    }

    async fn done_early(self) -> io::Result<Arrived> {
        let Self {
            mut connecting,
            listed,
            counted,
            tls,
        } = self;
        connecting.handshake_data().await.map_err(server_error)?;
        let (connection, mut done) = match connecting.into_0rtt() {
            Ok(begun) => begun,
            Err(connecting) => {
                let connection = connecting.await.map_err(server_error)?;
                return Ok(Arrived {
                    connection,
                    listed,
                    early: None,
                });
            }
        };
        // quinn takes in nothing else of a client before it has proved who it is.
        let early = tokio::select! {
            biased;
            _ = &mut done => None,
            lane = connection.accept_bi() => Some(lane.map_err(server_error)?),
        };
        if let Some(error) = connection.close_reason() {
            return Err(server_error(error));
        }
        if let Err(error) = tls.verify_again(&chain(&connection)) {
            let reason = format!("the certificate that was shown earlier is good no more: {error}");
            close(&connection, CloseCode::VERSION, &reason);
            return Err(io::Error::other(reason));
        }
        let early = early.map(|first| Early {
            first: Some(first),
            done,
            _counted: counted,
        });
        Ok(Arrived {
            connection,
            listed,
            early,
        })
    }
}

fn server_error(error: ConnectionError) -> io::Error {
    connection_error(error, Side::Server)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::{Arc, Mutex};

    use super::super::dial::{self, Offer, Target};
    use super::super::listen::{Listener, Options};
    use crate::tls::test_certificates::Authority;
    use crate::tls::{Certificate, ClientTls, Roots, ServerTls};

    const ID: &str = "spiffe://example.org/shop";

    #[tokio::test]
    async fn who_the_server_is_is_said_early_only_if_it_is_known() {
        let authority = Authority::new("root");
        let made = authority.issue(&["127.0.0.1", ID]);
        let tls = ServerTls::new(Certificate::from_pem(made.chain, made.key).unwrap());
        let options = Options {
            tls: tls.early_data(true),
            keepalive: None,
            buffer_bytes: None,
            take_over: false,
        };
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), &options).unwrap();
        let port = listener.local_addr().port();
        let client = ClientTls::new(Roots::from_pem(authority.pem()).unwrap());
        let client = client.early_data(true);
        let expecting = client.clone().server_identity(ID).unwrap();
        for (client, early) in [(client, None), (expecting, Some(ID.to_owned()))] {
            let target = Target::new("127.0.0.1".to_owned(), port, client, None, None);
            let offered = Arc::<Mutex<Vec<_>>>::default();
            let offers = Arc::clone(&offered);
            let offer: Offer = Arc::new(move |connected| {
                let identity = connected.identity().map(|it| it.name().to_owned());
                offers.lock().unwrap().push(identity);
                false
            });
            // Until a ticket has come in time, and is used.
            for _ in 0..100 {
                let serving = async { listener.accept().await.unwrap().done().await };
                let (served, dialled) = tokio::join!(serving, dial::dial(&target, &offer));
                let identity = dialled.as_ref().unwrap().identity().unwrap().name();
                assert_eq!(identity, ID);
                if !offered.lock().unwrap().is_empty() {
                    break;
                }
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
                drop((served, dialled));
            }
            assert_eq!(*offered.lock().unwrap(), [early]);
        }
    }
}
