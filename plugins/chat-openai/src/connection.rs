//! What the functions of one instance share while it is connected. The guest has one thread; a borrow never lives over an await.

use crate::answer::Prompt;
use crate::settings::Settings;
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::job::{Receiver, Sender, channel};
use std::cell::RefCell;
use std::collections::VecDeque;

/// `WAITING` is how many prompts may wait to be taken; whoever has more waits too.
const WAITING: usize = 64;
/// `REMEMBERED` is how many prompts are known again, of all chats.
const REMEMBERED: usize = 1024;

/// `Turn` is a prompt that is to be answered.
pub struct Turn {
    pub prompt: Prompt,
    /// `stop` has a value once the owner stops it.
    pub stop: Receiver<()>,
}

/// `Connection` is an open connection to the host; the server has none between two requests.
pub struct Connection {
    pub settings: Settings,
    /// `key`: the operator gave one.
    pub key: bool,
    /// `default_model` is as the server names it.
    pub default_model: Option<String>,
    /// `uncounted`: the server does not know `stream_options`.
    pub uncounted: bool,
    work: Sender<Turn>,
    /// `turns` are those that run or wait, by session and client id, and how they are stopped.
    turns: Vec<(String, String, Sender<()>)>,
    /// `taken` are the newest prompts, by session and client id.
    taken: VecDeque<(String, String)>,
}

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Opens the connection: what is to be done comes out of the receiver.
pub fn open(settings: Settings, key: bool, default_model: Option<String>) -> Receiver<Turn> {
    let (work, turns) = channel(WAITING);
    let connection = Connection {
        settings,
        key,
        default_model,
        uncounted: false,
        work,
        turns: Vec::new(),
        taken: VecDeque::new(),
    };
    CONNECTION.with_borrow_mut(|c| *c = Some(connection));
    turns
}

pub fn close() {
    CONNECTION.take();
}

/// `with` calls `f` with the open connection.
///
/// # Errors
/// `unavailable` while there is none.
pub fn with<T>(f: impl FnOnce(&mut Connection) -> T) -> Result<T, Error> {
    CONNECTION.with_borrow_mut(|c| c.as_mut().map(f)).ok_or_else(|| {
        Error::Unavailable("The chat backend is not connected yet. To fix: try again in a moment.".to_owned())
    })
}

impl Connection {
    /// Tells whether a prompt was taken before.
    pub fn knows(&self, session: &str, client_id: &str) -> bool {
        self.taken.iter().any(|(s, c)| s == session && c == client_id)
    }

    /// Takes a prompt: its turn, and where it is to be sent.
    pub fn take(&mut self, prompt: Prompt) -> (Turn, Sender<Turn>) {
        let (stop, stopped) = channel(1);
        let (session, client_id) = (prompt.session.clone(), prompt.client_id.clone());
        self.turns.push((session.clone(), client_id.clone(), stop));
        if self.taken.len() >= REMEMBERED {
            self.taken.pop_front();
        }
        self.taken.push_back((session, client_id));
        let turn = Turn { prompt, stop: stopped };
        (turn, self.work.clone())
    }

    /// Forgets a turn that has ended.
    pub fn ended(&mut self, prompt: &Prompt) {
        self.turns
            .retain(|(session, client_id, _)| *session != prompt.session || *client_id != prompt.client_id);
    }

    /// Stops all turns of a session, those that wait too.
    pub fn stop(&self, session: &str) {
        for (_, _, stop) in self.turns.iter().filter(|(s, _, _)| s == session) {
            // It may have been stopped before, or has ended.
            let _ = stop.try_send(());
        }
    }
}
