//! What an agent has yet to find out after it was started.
//!
//! An agent that starts knows less than it will: its files are not read, applications that were
//! attached to a former run are not back, and other agents have not been heard. Until then, what it
//! knows of a service is not all there is, and must not be said to be.

use std::sync::Arc;

use tokio::sync::watch;

/// What is yet to come; a clone shares it. Nothing is, unless somebody waits for it.
#[derive(Clone, Debug)]
pub struct Settling(Arc<watch::Sender<Counts>>);

/// What an agent may have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Awaited {
    /// The first look at each file of services.
    Files,
    /// A first version of each file of services that can be used; it may not be long in coming, or
    /// may not come before somebody mends the file.
    Contents,
    /// The return of applications that were attached to a former run.
    Applications,
    /// What other agents say.
    Agents,
}

/// How many wait for each.
type Counts = [usize; 4];

impl Settling {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new([0; 4])))
    }

    /// Something is to be waited for until what this gives is dropped. Whoever holds it sees to it
    /// that this is not for ever, contents aside.
    pub fn wait_for(&self, awaited: Awaited) -> Waiting {
        self.0.send_modify(|counts| counts[awaited as usize] += 1);
        Waiting {
            settling: self.clone(),
            awaited,
        }
    }

    /// Whether nothing of these is waited for any more.
    pub fn is_over(&self, all: &[Awaited]) -> bool {
        is_over(&self.0.borrow(), all)
    }

    /// Waits until nothing of these is waited for any more.
    pub async fn over(&self, all: &[Awaited]) {
        let mut counts = self.0.subscribe();
        // The sender is held here; so it cannot be gone.
        let _ = counts.wait_for(|counts| is_over(counts, all)).await;
    }
}

fn is_over(counts: &Counts, all: &[Awaited]) -> bool {
    all.iter().all(|awaited| counts[*awaited as usize] == 0)
}

/// Something is waited for as long as this is held.
#[derive(Debug)]
pub struct Waiting {
    settling: Settling,
    awaited: Awaited,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let awaited = self.awaited as usize;
        self.settling.0.send_modify(|counts| counts[awaited] -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_over_when_the_last_who_waited_is_gone() {
        let settling = Settling::new();
        let both = [Awaited::Files, Awaited::Agents];
        assert!(settling.is_over(&both));
        let first = settling.wait_for(Awaited::Files);
        let second = settling.wait_for(Awaited::Files);
        let other = settling.wait_for(Awaited::Applications);
        drop(first);
        assert!(!settling.is_over(&both) && settling.is_over(&[Awaited::Agents]));
        let over = tokio::spawn({
            let settling = settling.clone();
            async move { settling.over(&both).await }
        });
        tokio::task::yield_now().await;
        assert!(!over.is_finished());
        drop(second);
        over.await.unwrap();
        assert!(!settling.is_over(&[Awaited::Applications]));
        drop(other);
        assert!(settling.is_over(&[Awaited::Applications]));
    }
}
