//! How many connections each user of this host has over Unix sockets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dreammesh_core::call::Process;

/// The connections of each user; a clone shares them.
#[derive(Clone, Debug)]
pub(super) struct Users {
    counts: Arc<Mutex<BTreeMap<u32, Count>>>,
    max: usize,
}

/// Of one user that has a connection.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// `0 < connections <= max`.
    connections: usize,
    /// Whether it was said that there are more than there may be, once each time that happens.
    was_told: bool,
}

/// A connection of a user, for as long as it lives.
#[derive(Debug)]
pub(super) struct Share(Option<(Users, u32)>);

impl Users {
    pub(super) fn new(max: usize) -> Self {
        Self {
            counts: Arc::default(),
            max,
        }
    }

    /// Counts one more connection, unless its user has as many as one may. What the kernel names no
    /// process of is not counted.
    pub(super) fn enter(&self, process: Option<Process>) -> Option<Share> {
        let Some(Process { user, .. }) = process else {
            return Some(Share(None));
        };
        let mut counts = self.counts();
        let count = counts.entry(user).or_default();
        if count.connections >= self.max {
            if !std::mem::replace(&mut count.was_told, true) {
                let max = self.max;
                tracing::warn!(user, max, "a user has too many connections");
            }
            return None;
        }
        count.connections += 1;
        Some(Share(Some((self.clone(), user))))
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<u32, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((users, user)) = self.0.take() else {
            return;
        };
        let mut counts = users.counts();
        if let Some(count) = counts.get_mut(&user) {
            count.connections -= 1;
            if count.connections == 0 {
                counts.remove(&user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_so_many_connections_and_no_more() {
        let users = Users::new(2);
        let enter = |user| users.enter(Some(Process::new(user, 0, None)));
        let first = enter(7).unwrap();
        let _second = enter(7).unwrap();
        assert!(enter(7).is_none());
        let other = enter(8).unwrap();
        assert!(
            users.enter(None).is_some(),
            "what has no user is not counted"
        );
        drop(first);
        let _third = enter(7).unwrap();
        assert!(enter(7).is_none());
        drop(other);
        assert_eq!(users.counts().keys().collect::<Vec<_>>(), [&7]);
    }
}
