//! Which medium an endpoint is reached by where the target leaves that open.
//!
//! Two media are raced: the one that suits the place gets a head start, and the first whose
//! handshake is done wins. What won is remembered for the endpoint, so that the next connection
//! does not wait for the other again, and forgotten after a while, so that a path which was
//! blocked is found when it opens. Both media are encrypted and authenticated alike; there is no
//! third one to fall back to.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

/// A medium that authenticates the server and encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Medium {
    /// TLS over TCP.
    Tls,
    /// QUIC over UDP.
    Quic,
}

impl Medium {
    /// The other one.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Tls => Self::Quic,
            Self::Quic => Self::Tls,
        }
    }

    /// What suits the way to an address.
    ///
    /// Within a host or a zone, TLS makes more calls and moves more bytes than QUIC for the same
    /// CPU time. Across networks QUIC loses less to a lost packet, and survives a change of address.
    pub(super) const fn suited_to(address: IpAddr) -> Self {
        if is_near(address) {
            Self::Tls
        } else {
            Self::Quic
        }
    }
}

/// Whether an address is of this host or of a private network.
const fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => is_near(IpAddr::V4(address)),
            None => {
                address.is_loopback()
                    || address.is_unique_local()
                    || address.is_unicast_link_local()
            }
        },
    }
}

/// What is remembered of an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// How long the first detour holds.
    retry: Duration,
    /// What won although the other one was tried first, until when that holds, and for how long it
    /// was to hold.
    detour: Option<(Medium, Instant, Duration)>,
}

impl Memory {
    pub(super) const fn new(retry: Duration) -> Self {
        Self {
            retry,
            detour: None,
        }
    }

    /// What to try first where `suited` would be best.
    pub(super) fn first(&self, suited: Medium, now: Instant) -> Medium {
        match self.detour {
            Some((medium, until, _)) if now < until => medium,
            _ => suited,
        }
    }

    /// When the suited medium is to be tried again, if another one works.
    pub(super) fn revision(&self) -> Option<Instant> {
        self.detour.map(|(_, until, _)| until)
    }

    /// A connection was made, or the suited medium was found to be blocked while in use: `medium` is
    /// what works. Gives the time after which the suited one is to be tried again, if it is not
    /// what works.
    pub(super) fn won(&mut self, medium: Medium, suited: Medium, now: Instant) -> Option<Instant> {
        if medium == suited {
            self.detour = None;
            return None;
        }
        let period = match self.detour {
            // It is longer each time that the suited medium does not come back.
            Some((_, until, period)) if now >= until => (2 * period).min(PERIODS_MAX * self.retry),
            Some((_, _, period)) => period,
            None => self.retry,
        };
        let until = now + period;
        self.detour = Some((medium, until, period));
        Some(until)
    }
}

/// Dials `first`, and [`HEAD_START`] later or when that has failed the other medium too, and gives
/// what is connected first.
///
/// Dropping the future gives both up.
///
/// # Errors
/// Why neither was connected.
pub(super) async fn race<T, F>(first: Medium, dial: impl Fn(Medium) -> F) -> io::Result<(Medium, T)>
where
    F: Future<Output = io::Result<T>>,
{
    let second = first.other();
    let mut leading = pin!(dial(first));
    let early = tokio::time::timeout(HEAD_START, leading.as_mut()).await;
    let mut failed = match early {
        Ok(Ok(connected)) => return Ok((first, connected)),
        Ok(Err(error)) => Some((first, error)),
        Err(_) => None,
    };
    let mut following = pin!(dial(second));
    loop {
        let leads = !matches!(failed, Some((medium, _)) if medium == first);
        let follows = !matches!(failed, Some((medium, _)) if medium == second);
        let (medium, ended) = tokio::select! {
            biased;
            ended = leading.as_mut(), if leads => (first, ended),
            ended = following.as_mut(), if follows => (second, ended),
        };
        let error = match ended {
            Ok(connected) => return Ok((medium, connected)),
            Err(error) => error,
        };
        failed = match failed {
            None => Some((medium, error)),
            Some(earlier) => return Err(neither(&earlier, &(medium, error))),
        };
    }
}

/// One error that says why neither medium was connected.
fn neither((one, why): &(Medium, io::Error), (other, too): &(Medium, io::Error)) -> io::Error {
    // A certificate that is refused is refused on both; to say it once is enough.
    if why.to_string() == too.to_string() {
        return io::Error::new(why.kind(), why.to_string());
    }
    let text = format!("by {one:?}: {why}; by {other:?}: {too}");
    io::Error::new(too.kind(), text)
}

/// How long the medium that suits is tried alone, as RFC 8305 section 5 recommends for addresses:
/// so long is the first call held up where that medium is blocked.
pub(super) const HEAD_START: Duration = Duration::from_millis(250);
/// How much longer a detour holds in the end where a medium is blocked for good.
const PERIODS_MAX: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::timer;

    const SECOND: Duration = Duration::from_secs(1);

    #[derive(Clone, Copy)]
    enum After {
        Done(Duration),
        Failed(Duration),
        Never,
    }

    /// Races QUIC against TLS; what came of it, and after how long.
    async fn of(quic: After, tls: After) -> (Result<Medium, String>, Duration) {
        let begun = timer::now();
        let ended = race(Medium::Quic, |medium| async move {
            let after = match medium {
                Medium::Quic => quic,
                Medium::Tls => tls,
            };
            match after {
                After::Done(after) => tokio::time::sleep(after).await,
                After::Failed(after) => {
                    tokio::time::sleep(after).await;
                    return Err(io::Error::other(format!("no {medium:?} here")));
                }
                After::Never => std::future::pending().await,
            }
            Ok(())
        });
        let ended = ended.await.map(|(medium, ())| medium);
        (
            ended.map_err(|error| error.to_string()),
            timer::now() - begun,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_wins_unless_it_is_late_by_its_head_start() {
        let soon = Duration::from_millis(10);
        assert_eq!(
            of(After::Done(soon), After::Done(soon)).await,
            (Ok(Medium::Quic), soon)
        );
        assert_eq!(
            of(After::Done(HEAD_START + soon), After::Done(2 * soon)).await,
            (Ok(Medium::Quic), HEAD_START + soon)
        );
        assert_eq!(
            of(After::Done(SECOND), After::Done(soon)).await,
            (Ok(Medium::Tls), HEAD_START + soon)
        );
        assert_eq!(
            of(After::Never, After::Done(soon)).await,
            (Ok(Medium::Tls), HEAD_START + soon)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_other_at_once() {
        let soon = Duration::from_millis(10);
        assert_eq!(
            of(After::Failed(soon), After::Done(soon)).await,
            (Ok(Medium::Tls), 2 * soon)
        );
        assert_eq!(
            of(After::Done(SECOND), After::Failed(soon)).await,
            (Ok(Medium::Quic), SECOND)
        );
        assert_eq!(
            of(After::Failed(SECOND), After::Done(2 * SECOND)).await,
            (Ok(Medium::Tls), HEAD_START + 2 * SECOND)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn if_neither_works_both_reasons_are_told() {
        let (ended, _) = of(After::Failed(SECOND), After::Failed(2 * SECOND)).await;
        assert_eq!(
            ended.unwrap_err(),
            "by Quic: no Quic here; by Tls: no Tls here"
        );
        let (ended, _) = of(After::Failed(2 * SECOND), After::Failed(SECOND)).await;
        assert!(ended.unwrap_err().contains("no Quic here"));
        let same = (Medium::Tls, io::Error::other("the certificate has expired"));
        let too = (
            Medium::Quic,
            io::Error::other("the certificate has expired"),
        );
        assert_eq!(
            neither(&same, &too).to_string(),
            "the certificate has expired"
        );
    }

    #[test]
    fn a_detour_is_remembered_and_given_up_later_each_time() {
        let (mut memory, mut now) = (Memory::new(30 * SECOND), timer::now());
        let first = |memory: &Memory, now| memory.first(Medium::Quic, now);
        assert_eq!(first(&memory, now), Medium::Quic);
        for period in [30, 60, 120, 240, 480, 600, 600] {
            let until = memory.won(Medium::Tls, Medium::Quic, now).unwrap();
            assert_eq!(until - now, period * SECOND);
            assert_eq!(first(&memory, until - Duration::from_nanos(1)), Medium::Tls);
            assert_eq!(first(&memory, until), Medium::Quic);
            now = until;
        }
        assert_eq!(memory.won(Medium::Quic, Medium::Quic, now), None);
        let until = memory.won(Medium::Tls, Medium::Quic, now).unwrap();
        assert_eq!(until - now, 30 * SECOND, "it begins anew");
    }

    #[test]
    fn near_addresses_suit_tls_and_others_quic() {
        let near = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ];
        for address in near {
            let address = address.parse().unwrap();
            assert_eq!(Medium::suited_to(address), Medium::Tls, "{address}");
        }
        for address in ["172.32.0.1", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            let address = address.parse().unwrap();
            assert_eq!(Medium::suited_to(address), Medium::Quic, "{address}");
        }
    }
}
