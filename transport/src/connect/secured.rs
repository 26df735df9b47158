//! Dialling a target that leaves its medium open, `dreammesh://host:port`.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Dialled;
use super::race::{Medium, Memory, race};
use crate::driver::timer;
use crate::link::tcp::TcpOptions;
use crate::link::tls;
use crate::quic::dial::{self, Offer};

/// An endpoint that is reached by TLS or by QUIC, whichever works and suits.
pub(super) struct Secured {
    tls: tls::Dialler,
    tcp: TcpOptions,
    quic: dial::Target,
    /// What the program asked for; the first is preferred. Never empty.
    media: Option<Vec<Medium>>,
    /// What suits the endpoint, once its address is known, and what worked.
    memory: Mutex<(Option<Medium>, Memory)>,
}

impl Secured {
    pub(super) fn new(
        tls: tls::Dialler,
        tcp: TcpOptions,
        quic: dial::Target,
        media: Option<Vec<Medium>>,
        retry: Duration,
    ) -> Self {
        Self {
            tls,
            tcp,
            quic,
            media,
            memory: Mutex::new((None, Memory::new(retry))),
        }
    }

    /// Makes a connection by whatever medium works first.
    pub(super) async fn dial(&self, offer: &Offer) -> io::Result<Dialled> {
        let suited = self.suited().await?;
        let first = {
            let mut memory = self.lock();
            memory.0 = Some(suited);
            memory.1.first(suited, timer::now())
        };
        if let Some([only]) = self.media.as_deref() {
            return self.dial_by(*only, offer).await;
        }
        let (medium, dialled) = race(first, |medium| self.dial_by(medium, offer)).await?;
        self.works(medium);
        Ok(dialled)
    }

    /// Makes a connection by the medium that suits and by no other.
    pub(super) async fn dial_suited(&self, offer: &Offer) -> io::Result<Dialled> {
        let suited = self.suited().await?;
        self.dial_by(suited, offer).await
    }

    /// The medium that suits is back.
    pub(super) fn suited_works(&self) {
        let suited = self.lock().0;
        if let Some(suited) = suited {
            self.works(suited);
        }
    }

    /// Notes what works.
    fn works(&self, medium: Medium) {
        let (suited, memory) = &mut *self.lock();
        let suited = suited.unwrap_or(medium);
        if let Some(until) = memory.won(medium, suited, timer::now()) {
            let retry_s = until.saturating_duration_since(timer::now()).as_secs();
            let host = &self.quic.host;
            tracing::info!(
                host,
                ?medium,
                ?suited,
                retry_s,
                "the suited medium is blocked"
            );
        }
    }

    /// Whether there is a medium to turn to where one does not work.
    pub(super) fn has_alternative(&self) -> bool {
        self.media.as_ref().is_none_or(|media| media.len() > 1)
    }

    /// Notes that QUIC, in use, has stopped to work: the other medium is next.
    pub(super) fn quic_stalled(&self) {
        self.works(Medium::Tls);
    }

    /// When the medium that suits is to be tried again, if another one is in use.
    pub(super) fn revision(&self) -> Option<Instant> {
        self.lock().1.revision()
    }

    /// The medium that suits did not come back.
    pub(super) fn still_blocked(&self) {
        let blocked = self.lock().0;
        if let Some(blocked) = blocked {
            self.works(blocked.other());
        }
    }

    async fn suited(&self) -> io::Result<Medium> {
        if let Some(preferred) = self.media.as_ref().and_then(|media| media.first()) {
            return Ok(*preferred);
        }
        let mut addresses =
            tokio::net::lookup_host((self.quic.host.as_str(), self.quic.port)).await?;
        // A name without an address is an error of whatever dials it.
        let address = addresses.next().map(|address| address.ip());
        Ok(Medium::suited_to(
            address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        ))
    }

    async fn dial_by(&self, medium: Medium, offer: &Offer) -> io::Result<Dialled> {
        match medium {
            Medium::Tls => {
                let (host, port) = (&self.quic.host, self.quic.port);
                let (link, spoken) = self.tls.dial(host, port, &self.tcp).await?;
                Dialled::spoken(link, spoken, host, port).await
            }
            Medium::Quic => Dialled::quic(&self.quic, offer).await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Option<Medium>, Memory)> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
