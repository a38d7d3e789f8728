//! The sessions of the backend that pretends, and what it does by itself when it is called.
#![allow(unreachable_pub)]

use super::events::{message, now};
use super::script;
use nexus_chat::journal::SessionState;
use nexus_model::chat::{Admission, Event, Role, SessionInfo, Snapshot, Turn};
use nexus_plugin_traits::{BackendEvent, Prompt};
use nexus_testkit::FakeChat;
use nexus_testkit::fake_chat::{EventStreams, Script, event, opened};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// What the backend has, and what it does by itself.
pub struct FakeSessions {
    backend: Arc<FakeChat>,
    sessions: Mutex<BTreeMap<String, SessionState>>,
    reports: mpsc::UnboundedSender<BackendEvent>,
    pace: Option<Duration>,
}

impl FakeSessions {
    /// `pace`: between two scripted events; none: a prompt has an empty turn.
    pub fn of(backend: Arc<FakeChat>, streams: EventStreams, pace: Option<Duration>) -> Arc<Self> {
        let (reports, reported) = mpsc::unbounded_channel();
        let fake_sessions = Arc::new(Self {
            backend: Arc::clone(&backend),
            sessions: Mutex::default(),
            reports,
            pace,
        });
        *backend.script.lock().unwrap() = Some(Arc::new(Reactions(Arc::clone(&fake_sessions))));
        tokio::spawn(speak(streams, reported));
        fake_sessions
    }

    /// What the backend was sent.
    pub fn prompts(&self) -> Vec<Prompt> {
        self.backend.prompts.lock().unwrap().clone()
    }

    /// The session as the backend has it.
    pub fn state(&self, session: &str) -> SessionState {
        self.sessions.lock().unwrap()[session].clone()
    }

    pub fn add(&self, info: SessionInfo) {
        self.report(&info.id.clone(), vec![Event::Session { info }]);
    }

    /// The backend has it, and says so.
    pub fn report(&self, session: &str, events: Vec<Event>) {
        let mut sessions = self.sessions.lock().unwrap();
        let state = sessions.entry(session.to_owned()).or_default();
        for event in &events {
            state.apply(event);
        }
        if let Some(info) = state.info.clone() {
            self.backend.has(Snapshot {
                info,
                messages: state
                    .messages
                    .iter()
                    .map(|known| (known.message.clone(), known.parts.clone()))
                    .collect(),
                turn: state.turn.clone(),
                requests: state.requests.clone(),
                before: None,
            });
        }
        for reported in events {
            let _ = self.reports.send(event(session, reported)); // the service may have ended
        }
    }

    fn turn(&self, session: &SessionInfo, turn: Turn) {
        self.report(&session.id, vec![Event::Turn { turn }]);
    }
}

/// Opens each stream that the service asks for, and says there what is reported.
async fn speak(mut streams: EventStreams, mut reported: mpsc::UnboundedReceiver<BackendEvent>) {
    while let Some(stream) = streams.recv().await {
        let _ = stream.send(opened("connection", &[])).await;
        loop {
            tokio::select! {
                biased;
                () = stream.closed() => break,
                Some(report) = reported.recv() => drop(stream.send(report).await),
                else => return,
            }
        }
    }
}

/// What the backend does when it is called.
struct Reactions(Arc<FakeSessions>);

impl Script for Reactions {
    fn prompted(&self, session: &SessionInfo, prompt: &Prompt) -> Admission {
        let known = |old: &Prompt| old.client_id == prompt.client_id && old.consent == prompt.consent;
        if self.0.backend.prompts.lock().unwrap().iter().any(known) {
            return Admission::Duplicate;
        }
        if prompt.text.contains("consent") && prompt.consent.is_none() {
            return Admission::ConsentNeeded {
                id: "hosted".into(),
                text: "No model is configured. opencode would use its public hosted model: what you write, and the \
                       files the agent reads, would be sent to its operator."
                    .into(),
            };
        }
        if prompt.text.contains("refuse") {
            return Admission::Refused("The backend has no model of that name.".into());
        }
        let (fake_sessions, session) = (Arc::clone(&self.0), session.id.clone());
        let report = move |event| fake_sessions.report(&session, vec![event]);
        if let Some(pace) = self.0.pace {
            tokio::spawn(script::answer(report, prompt.clone(), pace, now()));
        } else {
            report(message(&prompt.client_id, Role::User, Some(prompt.client_id.clone())));
            report(Event::Turn { turn: Turn::Running });
            report(Event::Turn { turn: Turn::Idle });
        }
        Admission::Admitted
    }
    fn canceled(&self, session: &SessionInfo) {
        self.0.turn(session, Turn::Idle);
    }
    fn replied(&self, session: &SessionInfo, request: &str) {
        let request = request.to_owned();
        self.0.report(&session.id, vec![Event::RequestClosed { request }]);
        self.0.turn(session, Turn::Idle);
    }
    fn created(&self, session: &SessionInfo) {
        self.0.add(session.clone());
    }
    fn renamed(&self, session: &SessionInfo, title: &str) {
        let title = title.to_owned();
        self.0.add(SessionInfo {
            title,
            ..session.clone()
        });
    }
    fn deleted(&self, session: &SessionInfo) {
        self.0.sessions.lock().unwrap().remove(&session.id);
        self.0.backend.snapshots.lock().unwrap().remove(&session.id);
        let _ = self.0.reports.send(event(&session.id, Event::SessionRemoved)); // as above
    }
}
