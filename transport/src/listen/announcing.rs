//! A server that others are told of.

use std::future::poll_fn;

use dreammesh_core::announce::{Announcement, Announcer, Served};
use dreammesh_services::{Health, HealthChanges};

/// What is told of a server; dropping it takes everything back.
#[derive(Debug)]
pub(super) struct Announcing {
    announcement: Box<dyn Announcement>,
    health: HealthChanges,
}

impl Announcing {
    pub(super) fn begin(announcer: Box<dyn Announcer>, served: Served, health: &Health) -> Self {
        let mut announcement = announcer.announce(served);
        let mut health = health.changes();
        announcement.handle_serving(health.is_serving());
        Self {
            announcement,
            health,
        }
    }

    /// Tells whether the server can be called, for ever.
    async fn follow(&mut self) {
        loop {
            self.health.changed().await;
            self.announcement.handle_serving(self.health.is_serving());
        }
    }
}

/// Waits for the end of a server, of which others are told meanwhile.
pub(super) async fn until(announcing: Option<&mut Announcing>, shutdown: impl Future) {
    let follow = async {
        match announcing {
            Some(announcing) => announcing.follow().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = shutdown => {}
        () = follow => {}
    }
}

/// Says that a server drains of which others are told, and waits until they know.
pub(super) async fn drained(announcing: Option<&mut Announcing>) {
    if let Some(Announcing { announcement, .. }) = announcing {
        poll_fn(|cx| announcement.poll_drained(cx)).await;
    }
}
