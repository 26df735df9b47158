//! Who sends most of what comes to a port, to be looked at out of turn: what a peer does below the
//! sessions costs little each time, and may be done a million times between two looks.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use quinn::udp::RecvMeta;
use tokio::sync::Notify;

/// Finds out who sends more than all others together, by one counter (Boyer and Moore, "MJRTY: a
/// fast majority vote algorithm", 1981).
#[derive(Debug, Default)]
pub(super) struct Busiest {
    leading: Mutex<Leading>,
    found: Notify,
}

#[derive(Debug, Default)]
struct Leading {
    peer: Option<SocketAddr>,
    /// By how many datagrams it is ahead of all others.
    lead: usize,
    /// Who was ahead by enough, and has not been looked at.
    found: Option<SocketAddr>,
}

impl Busiest {
    /// Counts the datagrams of one read.
    pub(super) fn count(&self, read: &[RecvMeta]) {
        let mut leading = self.leading.lock().unwrap_or_else(PoisonError::into_inner);
        for meta in read {
            let datagrams = meta.len.div_ceil(meta.stride.max(1));
            if leading.count(meta.addr, datagrams) {
                self.found.notify_one();
            }
        }
    }

    /// Waits until somebody is so far ahead that a look is due.
    pub(super) async fn next(&self) -> SocketAddr {
        loop {
            let found = self
                .leading
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .found
                .take();
            match found {
                Some(found) => return found,
                None => self.found.notified().await,
            }
        }
    }
}

impl Leading {
    /// Whether somebody is ahead by enough now.
    fn count(&mut self, peer: SocketAddr, datagrams: usize) -> bool {
        if self.peer == Some(peer) {
            self.lead += datagrams;
        } else if datagrams <= self.lead {
            self.lead -= datagrams;
        } else {
            (self.peer, self.lead) = (Some(peer), datagrams - self.lead);
        }
        if self.lead < LEAD {
            return false;
        }
        self.lead = 0;
        self.found = self.peer;
        true
    }
}

/// So many datagrams hold up to a hundred thousand of the smallest frames. A peer that moves bulk
/// as fast as a core can is looked at a few hundred times a second.
const LEAD: usize = 256;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn peer(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    #[test]
    fn who_is_ahead_by_so_many_is_found() {
        let mut leading = Leading::default();
        assert!(!leading.count(peer(1), LEAD - 1));
        assert!(leading.count(peer(1), 1));
        assert_eq!(leading.found.take(), Some(peer(1)));
        assert!(!leading.count(peer(1), LEAD - 1));
    }

    #[test]
    fn what_others_send_counts_against_it() {
        let mut leading = Leading::default();
        for _ in 0..10 * LEAD {
            assert!(!leading.count(peer(1), 1));
            assert!(!leading.count(peer(2), 1));
        }
        let one_of_three =
            (0..4 * LEAD).any(|_| leading.count(peer(3), 2) | leading.count(peer(4), 1));
        assert!(one_of_three);
        assert_eq!(leading.found, Some(peer(3)));
    }

    #[tokio::test]
    async fn who_waits_is_told_at_once_or_later() {
        let busiest = Busiest::default();
        let mut meta = RecvMeta {
            addr: peer(5),
            stride: 100,
            ..RecvMeta::default()
        };
        meta.len = 100 * LEAD - 1;
        busiest.count(&[meta]);
        assert_eq!(busiest.next().await, peer(5));
    }
}
