//! One reader's place in a session.
//!
//! New events come from a broadcast; whoever lags behind it, or resumes, is fed from the database, which has them all.
//! Events that arrive both ways are known by their number. Where some of what was missed was deleted meanwhile (deltas of
//! a part that is closed), the present state comes instead: a reader never has to guess whether a hole is a loss.

use super::entry::{Entry, Seq};
use super::handle::Journal;
use super::session_state::SessionState;
use super::tables;
use nexus_model::limits::JOURNAL_CATCH_UP;
use nexus_store::StoreError;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// What a subscriber gets. Between two items nothing is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Everything up to its `seq`, in place of all that came before: first, or where some of what was missed is not held
    /// one by one any more.
    State(Box<SessionState>),
    Event(Arc<Entry>),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The session was deleted.
    #[error("the session was deleted")]
    Removed,
    /// It can be resumed from the last number.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub struct Subscription {
    journal: Journal,
    session: String,
    key: Option<i64>,
    first: Option<Box<SessionState>>,
    ready: VecDeque<Arc<Entry>>,
    tail: broadcast::Receiver<Arc<Entry>>,
    last: Seq,
    /// Something above `last` is in the database and will not come by the broadcast.
    behind: bool,
    removed: bool,
}

impl Journal {
    /// What happens in a session, each event exactly once. `from`: the last number the caller has; it gets what came after.
    /// Without one, with one that this journal never gave, or where what came after is not held one by one any more, it
    /// gets the present state first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn subscribe(&self, session: &str, from: Option<Seq>) -> Result<Subscription, StoreError> {
        let live = self.live(session);
        let held = self.hold(&live).await?;
        let tail = live.tail.subscribe();
        let subscription = match from {
            Some(seq) if seq <= held.state.seq && seq > 0 => {
                Subscription::after(self.clone(), live.id.clone(), held.key, seq, held.state.seq, tail)
            }
            _ => Subscription::whole(self.clone(), held.key, held.state.clone(), live.id.clone(), tail),
        };
        Ok(subscription)
    }
}

impl Subscription {
    fn whole(
        journal: Journal,
        key: Option<i64>,
        state: SessionState,
        session: String,
        tail: broadcast::Receiver<Arc<Entry>>,
    ) -> Self {
        let (last, removed) = (state.seq, state.removed);
        let first = Some(Box::new(state)).filter(|_| !removed);
        Self {
            journal,
            session,
            key,
            first,
            ready: VecDeque::new(),
            tail,
            last,
            behind: false,
            removed,
        }
    }

    fn after(
        journal: Journal,
        session: String,
        key: Option<i64>,
        last: Seq,
        head: Seq,
        tail: broadcast::Receiver<Arc<Entry>>,
    ) -> Self {
        let behind = last < head;
        Self {
            journal,
            session,
            key,
            first: None,
            ready: VecDeque::new(),
            tail,
            last,
            behind,
            removed: false,
        }
    }

    pub fn session(&self) -> &str {
        &self.session
    }

    /// The number of the last event given; to resume from.
    pub fn last(&self) -> Seq {
        self.last
    }

    /// The next item; waits for it. May be dropped while it waits, and called again.
    ///
    /// # Errors
    /// [`Ended`]; calling again gives the same.
    pub async fn next(&mut self) -> Result<Item, Ended> {
        loop {
            if let Some(state) = self.first.take() {
                return Ok(Item::State(state));
            }
            if let Some(item) = self.take_ready() {
                return Ok(item);
            }
            if self.removed {
                return Err(Ended::Removed);
            }
            if self.behind {
                self.catch_up().await?;
                continue;
            }
            match self.tail.recv().await {
                Ok(entry) if entry.seq <= self.last => {}
                Ok(entry) if entry.seq == self.last + 1 => self.ready.push_back(entry),
                Ok(_) | Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => self.removed = true,
            }
        }
    }

    /// The next item, if there is one already: to send several at once.
    pub fn try_next(&mut self) -> Option<Item> {
        if self.first.is_some() || self.behind {
            return None;
        }
        if let Some(item) = self.take_ready() {
            return Some(item);
        }
        match self.tail.try_recv() {
            Ok(entry) if entry.seq <= self.last => None,
            Ok(entry) if entry.seq == self.last + 1 => {
                self.ready.push_back(entry);
                self.take_ready()
            }
            Ok(_) | Err(broadcast::error::TryRecvError::Lagged(_)) => {
                self.behind = true;
                None
            }
            Err(_) => None,
        }
    }

    fn take_ready(&mut self) -> Option<Item> {
        let entry = self.ready.pop_front()?;
        self.last = entry.seq;
        self.removed |= entry.event == nexus_model::chat::Event::SessionRemoved;
        Some(Item::Event(entry))
    }

    async fn catch_up(&mut self) -> Result<(), Ended> {
        let key = match self.key {
            Some(key) => key,
            None => {
                let Some(key) = tables::key(&self.journal.inner.store, &self.session).await? else {
                    self.removed = true; // the events that were missed ended with its removal
                    return Ok(());
                };
                key
            }
        };
        self.key = Some(key);
        match tables::tail(&self.journal.inner.store, key, self.last).await? {
            Some(entries) if complete(self.last, &entries) => self.ready = entries.into(),
            Some(_) => {
                let state = self.journal.state(&self.session).await?;
                self.removed = state.removed || state.seq <= self.last; // it was deleted just now
                self.last = self.last.max(state.seq);
                self.first = Some(Box::new(state)).filter(|_| !self.removed);
            }
            None => self.removed = true,
        }
        self.behind = false;
        Ok(())
    }
}

/// Whether `entries` are all that came after `last`, and few enough to be better than the whole state.
fn complete(last: Seq, entries: &[Arc<Entry>]) -> bool {
    let count = entries.len() as u64;
    entries.len() <= JOURNAL_CATCH_UP
        && entries
            .last()
            .is_none_or(|newest| newest.seq.saturating_sub(last) == count)
}
