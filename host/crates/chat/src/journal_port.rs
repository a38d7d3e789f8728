//! The real journal behind [`JournalPort`].

use super::port::{JournalPort, Journaled, Listed, State};
use crate::journal::Journal;
use crate::journal::list::Listed as Row;
use nexus_model::chat::{Epoch, Event, SessionId, SessionInfo, Snapshot};
use std::sync::Arc;
use tokio::sync::watch;

impl JournalPort for Journal {
    fn of_backend(&self, plugin: &str) -> Arc<dyn JournalPort> {
        Arc::new(Journal::of_backend(self, plugin))
    }
    fn open_epoch(&self) {
        Journal::open_epoch(self);
    }
    fn create(&self, info: SessionInfo) -> Journaled<'_, ()> {
        Box::pin(async move { Journal::create(self, info).await.map(|_| ()) })
    }
    fn remove<'a>(&'a self, session: &'a str) -> Journaled<'a, ()> {
        Box::pin(Journal::remove(self, session))
    }
    fn is_removed(&self, session: &str) -> bool {
        Journal::is_removed(self, session)
    }
    fn append<'a>(&'a self, session: &'a str, events: Vec<Event>) -> Journaled<'a, ()> {
        Box::pin(async move { Journal::append(self, session, events).await.map(|_| ()) })
    }
    fn ingest<'a>(&'a self, session: &'a str, events: Vec<Event>) -> Journaled<'a, ()> {
        Box::pin(async move { Journal::ingest(self, session, events).await.map(|_| ()) })
    }
    fn reconcile(&self, snapshot: Snapshot) -> Journaled<'_, ()> {
        Box::pin(async move { Journal::reconcile(self, snapshot).await.map(|_| ()) })
    }
    fn settle<'a>(&'a self, session: &'a str, epoch: &'a Epoch) -> Journaled<'a, ()> {
        Box::pin(async move { Journal::settle(self, session, epoch).await.map(|_| ()) })
    }
    fn state<'a>(&'a self, session: &'a str) -> Journaled<'a, State> {
        Box::pin(self.look(session, |state| {
            State {
                messages: state
                    .messages
                    .iter()
                    .map(|m| (m.message.clone(), m.parts.clone()))
                    .collect(),
                turn: state.turn.clone(),
                error: state.error.clone(),
            }
        }))
    }
    fn list(&self) -> watch::Receiver<Arc<Vec<Listed>>> {
        let mut rows = self.subscribe_list();
        let (sender, receiver) = watch::channel(Arc::new(listed(&rows.borrow_and_update())));
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    changed = rows.changed() => if changed.is_err() { return },
                    () = sender.closed() => return,
                }
                sender.send_replace(Arc::new(listed(&rows.borrow_and_update())));
            }
        });
        receiver
    }
    fn find(&self, session: &str) -> Option<Listed> {
        let rows = self.subscribe_list();
        let rows = rows.borrow();
        let row = rows.iter().find(|row| row.info.id == session);
        row.map(|row| Listed {
            info: row.info.clone(),
            backend: row.backend.clone(),
        })
    }
    fn children(&self, session: &str) -> Vec<SessionId> {
        let rows = self.subscribe_list();
        let rows = rows.borrow();
        let of = rows.iter().filter(|row| row.info.parent.as_deref() == Some(session));
        of.map(|row| row.info.id.clone()).collect()
    }
    fn unfinished(&self) -> Vec<SessionId> {
        Journal::unfinished(self)
    }
    fn watched(&self) -> Vec<SessionId> {
        Journal::watched(self)
    }
}

fn listed(rows: &[Row]) -> Vec<Listed> {
    rows.iter()
        .map(|row| Listed {
            info: row.info.clone(),
            backend: row.backend.clone(),
        })
        .collect()
}
