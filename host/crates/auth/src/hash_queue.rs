//! A bound on the work that those without a login can cause: checking a password costs tens of milliseconds of CPU.
//!
//! Problem: one queue for everybody is full as soon as one place (a tunnel's listener, loopback) is flooded, and then
//! nobody gets in anywhere.
//!
//! Mechanism: of the checks that run at once one is kept for known devices, which can flood nothing: each has its own small
//! number of wrong attempts. The rest is shared in turn between the places, and at each place in turn between the networks
//! of the peers. A place has room for so many that wait; where it is full, the network that has most of them gives one
//! up for another that has less.
//!
//! Limits: through a tunnel that does not say the peer's address all strangers are one network, and share its turns.

use crate::error::AuthError;
use nexus_model::limits::{HASH_AT_ONCE, HASH_KNOWN, HASH_WAITING};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

#[derive(Default)]
pub(super) struct HashQueue(Arc<Shared>);

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    running: usize,
    /// `strangers` counts those of them that have no known device.
    strangers: usize,
    /// `waiting` has the oldest first.
    waiting: Vec<Waiter>,
    turns: u64,
    /// `served` is the turn at which a place, or a network at a place, was served last.
    served: HashMap<(String, Option<String>), u64>,
}

struct Waiter {
    who: Applicant,
    wake: oneshot::Sender<Permit>,
}

/// `Applicant` says whose password is to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Applicant {
    pub(super) place: String,
    pub(super) network: String,
    /// `known`: it is a known device of the account, or has a valid login.
    pub(super) known: bool,
}

/// `Permit` is the right to have one password checked, until it is dropped.
pub(super) struct Permit {
    shared: Option<Arc<Shared>>,
    known: bool,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            let mut state = shared.state();
            state.leave(self.known);
            state.serve(&shared);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn leave(&mut self, known: bool) {
        self.running = self.running.saturating_sub(1);
        if !known {
            self.strangers = self.strangers.saturating_sub(1);
        }
    }

    fn free(&self, known: bool) -> bool {
        self.running < HASH_AT_ONCE && (known || self.strangers < HASH_AT_ONCE - HASH_KNOWN)
    }

    /// Lets those run that may.
    fn serve(&mut self, shared: &Arc<Shared>) {
        while let Some(at) = self.next() {
            let Waiter { who, wake } = self.waiting.remove(at);
            self.turns += 1;
            let turn = self.turns;
            for key in [(who.place.clone(), None), (who.place, Some(who.network))] {
                self.served.insert(key, turn);
            }
            self.running += 1;
            self.strangers += usize::from(!who.known);
            let permit = Permit {
                shared: Some(Arc::clone(shared)),
                known: who.known,
            };
            if let Err(mut unwanted) = wake.send(permit) {
                // It is gone. Not by its drop, which would wait for this lock.
                unwanted.shared = None;
                self.leave(who.known);
            }
        }
        if self.waiting.is_empty() {
            self.served.clear();
        }
    }

    fn next(&self) -> Option<usize> {
        if let Some(known) = self.waiting.iter().position(|waiter| waiter.who.known) {
            return self.free(true).then_some(known);
        }
        if !self.free(false) {
            return None;
        }
        let served = |place: &str, network: Option<&str>| {
            let key = (place.to_owned(), network.map(str::to_owned));
            self.served.get(&key).copied().unwrap_or_default()
        };
        let waiting = self.waiting.iter().enumerate();
        let longest = waiting.min_by_key(|(_, waiter)| {
            let who = &waiter.who;
            (served(&who.place, None), served(&who.place, Some(&who.network)))
        });
        longest.map(|(at, _)| at)
    }

    /// Makes room for one more. `Err`: there is none.
    fn room(&mut self, who: &Applicant) -> Result<(), AuthError> {
        let same = |other: &Applicant| other.place == who.place && other.known == who.known;
        let here = self.waiting.iter().filter(|waiter| same(&waiter.who));
        let mut networks: HashMap<&str, usize> = HashMap::new();
        here.for_each(|waiter| *networks.entry(&waiter.who.network).or_default() += 1);
        if networks.values().sum::<usize>() < HASH_WAITING {
            return Ok(());
        }
        let own = networks.get(who.network.as_str()).copied().unwrap_or_default();
        let (most, many) = networks.iter().max_by_key(|(_, many)| **many).ok_or(AuthError::Busy)?;
        if *many <= own + 1 {
            return Err(AuthError::Busy);
        }
        let most = (*most).to_owned();
        let last = self
            .waiting
            .iter()
            .rposition(|waiter| same(&waiter.who) && waiter.who.network == most);
        // Its caller hears that it is gone.
        last.map(|at| drop(self.waiting.remove(at))).ok_or(AuthError::Busy)
    }
}

impl HashQueue {
    /// Waits for the right to have a password checked.
    ///
    /// # Errors
    /// [`AuthError::Busy`] where too many wait at the same place.
    pub(super) async fn permit(&self, who: Applicant) -> Result<Permit, AuthError> {
        let (wake, woken) = oneshot::channel();
        {
            let mut state = self.0.state();
            state.waiting.retain(|waiter| !waiter.wake.is_closed());
            state.room(&who)?;
            state.waiting.push(Waiter { who, wake });
            state.serve(&self.0);
        }
        woken.await.map_err(|_| AuthError::Busy)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn who(place: &str, network: &str, known: bool) -> Applicant {
        Applicant {
            place: place.into(),
            network: network.into(),
            known,
        }
    }

    /// The attack of the review: a flood at a tunnel kept the owner out everywhere.
    #[tokio::test]
    async fn a_flood_at_one_place_holds_up_neither_a_known_device_nor_another_place() {
        let hashing = HashQueue::default();
        let mut flood: Vec<_> = (0..64)
            .map(|_| Box::pin(hashing.permit(who("tunnel main", "n", false))))
            .collect();
        let mut running = None;
        for attempt in &mut flood {
            match attempt.as_mut().now_or_never() {
                Some(Ok(permit)) => assert!(running.replace(permit).is_none(), "one is kept"),
                Some(Err(AuthError::Busy)) | None => {}
                Some(Err(other)) => panic!("{other:?}"),
            }
        }
        // A known device does not wait at all, through the flooded tunnel either.
        let known = hashing.permit(who("tunnel main", "n", true)).now_or_never();
        drop(known.expect("it waits").unwrap());
        // Another place is served next.
        let mut here = Box::pin(hashing.permit(who("loopback", "127.0.0.0/24", false)));
        assert!(here.as_mut().now_or_never().is_none());
        drop(running);
        drop(here.await.unwrap());
    }

    #[tokio::test]
    async fn networks_at_one_place_take_turns_and_the_one_with_most_gives_way() {
        let hashing = HashQueue::default();
        let running = hashing.permit(who("t", "x", false)).await.unwrap();
        let mut flood: Vec<_> = (0..HASH_WAITING)
            .map(|_| Box::pin(hashing.permit(who("t", "flood", false))))
            .collect();
        for attempt in &mut flood {
            assert!(attempt.as_mut().now_or_never().is_none());
        }
        let mut owner = Box::pin(hashing.permit(who("t", "owner", false)));
        assert!(owner.as_mut().now_or_never().is_none(), "it has room");
        let evicted = flood.pop().unwrap().now_or_never();
        assert!(matches!(evicted, Some(Err(AuthError::Busy))));
        // At most one of the flood goes before it.
        drop(running);
        let first = flood.iter_mut().find_map(|attempt| attempt.as_mut().now_or_never());
        if owner.as_mut().now_or_never().is_none() {
            drop(first);
            drop(owner.await.unwrap());
        }
    }

    #[tokio::test]
    async fn whoever_goes_away_gives_the_place_back() {
        let hashing = HashQueue::default();
        let running = hashing.permit(who("t", "x", false)).await.unwrap();
        for _ in 0..1000 {
            let gone = hashing.permit(who("t", "y", false)).now_or_never();
            assert!(gone.is_none());
        }
        drop(running);
        hashing
            .permit(who("t", "z", false))
            .now_or_never()
            .expect("nobody is there")
            .unwrap();
        let state = hashing.0.state();
        assert_eq!(
            (state.running, state.strangers, state.waiting.len(), state.served.len()),
            (0, 0, 0, 0)
        );
    }
}
