//! Chat with an agent that speaks the Agent Client Protocol (<https://agentclientprotocol.com>): JSON-RPC on the standard input
//! and output of one process, for all chats.
//!
//! Chats and their messages are the host's: what an agent keeps of its sessions differs, and many keep nothing. A chat has a
//! session of the agent, which goes on where the agent can do that, and is replaced where it cannot (`sessions`).
//!
//! * `wire`, `rpc`, `lines`, `agent`, `content`, `file_changes`, `tools`, `turn`, `permission`, `offers`, `prompt_blocks`, `chat` and
//!   `connection_state` decide; they do no I/O and are tested natively.
//! * `settings`, `connection`, `client`, `sessions`, `records`, `prompts` and this file talk to the host.

pub mod agent;
pub mod chat;
pub mod client;
pub mod connection;
pub mod connection_state;
pub mod content;
pub mod current;
pub mod file_changes;
pub mod lines;
pub mod offers;
pub mod permission;
pub mod prompt_blocks;
pub mod prompts;
pub mod records;
pub mod rpc;
pub mod sessions;
pub mod settings;
pub mod tools;
pub mod turn;
pub mod wire;

use connection::StreamEnd;
use nexus_plugin_api::caps::process as raw;
use nexus_plugin_api::caps::{clock, config, types::Error};
use nexus_plugin_api::chat::types::{Answer, Event, FileContent, SessionRef};
use nexus_plugin_api::chat::{self as backend, Admission, Availability, CancelReason, Descriptor, Fit, Input, Options};
use nexus_plugin_api::job::Job;
use nexus_plugin_api::{FutureReader, agents, attachments, commands, log, models, process, questions, workspaces};
use settings::{INSTALL, PROCESS, Settings};

struct Plugin;

impl backend::Guest for Plugin {
    async fn describe() -> Descriptor {
        log::panics();
        let settings: Option<Settings> = nexus_plugin_api::config().ok();
        Descriptor {
            title: settings.map(|settings| settings.title).unwrap_or_default(),
            example: false,
            refused: Vec::new(),
        }
    }

    /// Which version it is only the running agent says.
    async fn check_availability() -> Availability {
        match raw::find(PROCESS.to_owned()).await {
            Ok(path) => Availability::Ready(Fit {
                version: path,
                note: Some("The agent itself decides what it does without a permission request.".to_owned()),
            }),
            Err(Error::NotFound(text)) => Availability::missing(&process::program_not_found(&text, INSTALL)),
            Err(other) => Availability::unsuitable(other.text()),
        }
    }

    async fn events(cancel: FutureReader<CancelReason>) -> Job<Event> {
        backend::job(cancel, async |mut events, mut cancel| {
            let ended = cancel.select(connection::run(&mut events)).await;
            current::set(None);
            match ended {
                Some(StreamEnd::Failed(failure)) => Err(failure),
                Some(StreamEnd::HostDisconnected) | None => Ok(()),
            }
        })
    }

    async fn prompt(s: SessionRef, client_id: String, parts: Vec<Input>, options: Options) -> Result<Admission, Error> {
        prompts::send(s, client_id, parts, options).await
    }

    async fn cancel(s: SessionRef) -> Result<(), Error> {
        let events = current::with(|c| c.cancel(&s.id))?;
        client::report(events).await;
        Ok(())
    }

    async fn reply(s: SessionRef, request: String, answer: Answer) -> Result<(), Error> {
        let closed = current::with(|c| c.answer(&s.id, &request, |waiting| waiting.answer(&answer)))??;
        client::report(vec![closed]).await;
        if let Answer::Reject(Some(why)) = answer
            && !why.trim().is_empty()
        {
            let now = clock::now();
            let id = current::with(|c| c.id(now))?;
            let note = "The agent was told that you do not allow this, and not why: its protocol has no place for a reason. \
                        Send the reason as a message.";
            client::report(turn::note(&s.id, id, note, now)).await;
        }
        Ok(())
    }
}

impl questions::Guest for Plugin {
    async fn answer(s: SessionRef, request: String, answers: Vec<Vec<String>>) -> Result<(), Error> {
        let closed = current::with(|c| c.answer(&s.id, &request, |waiting| waiting.chosen(&answers)))??;
        client::report(vec![closed]).await;
        Ok(())
    }
}

impl models::Guest for Plugin {
    async fn list(workspace: String) -> Result<models::ModelList, Error> {
        let offers = sessions::offers(&workspace).await?;
        Ok(offers.model_list(&current::agent()?.name))
    }
}

impl agents::Guest for Plugin {
    async fn list(workspace: String) -> Result<agents::AgentList, Error> {
        Ok(sessions::offers(&workspace).await?.agent_list())
    }
}

impl commands::Guest for Plugin {
    async fn list(workspace: String) -> Result<Vec<commands::Command>, Error> {
        Ok(sessions::offers(&workspace).await?.command_list())
    }
}

impl attachments::Guest for Plugin {
    async fn read(_: SessionRef, id: String) -> Result<FileContent, Error> {
        let found = current::with(|c| c.files.read(&id))?;
        found.ok_or_else(|| Error::NotFound("The agent's file is not kept any more.".to_owned()))
    }
}

impl workspaces::Guest for Plugin {
    async fn list() -> Result<Vec<workspaces::Workspace>, Error> {
        let all = config::workspaces().into_iter().map(|path| {
            let name = path.rsplit('/').next().filter(|name| !name.is_empty());
            workspaces::Workspace {
                title: name.unwrap_or(&path).to_owned(),
                branch: None,
                path,
                ext: Vec::new(),
            }
        });
        Ok(all.collect())
    }
}

nexus_plugin_api::export_chat!(Plugin with questions, models, agents, commands, attachments, workspaces);
