//! Chat with opencode: one `opencode serve` for all project folders, its API behind the contract of a chat backend.
//!
//! * `settings`, `folders`, `message_ids`, `convert`, `prompt_body`, `file_changes`, `permission_request`, `permission_rules`, `normalize`, `watchdog`
//!   decide; they do no I/O and are tested natively against streams recorded from opencode.
//! * `client`, `connection`, `prompts`, `choices`, `attachments`, `workspace_files`, `session_changes`, `read_back`, `provider_sign_in`
//!   and this file talk to the host.

pub mod attachments;
pub mod choices;
pub mod client;
pub mod commands;
pub mod connection;
pub mod connection_state;
pub mod convert;
pub mod file_changes;
pub mod folders;
pub mod message_ids;
pub mod normalize;
pub mod permission_request;
pub mod permission_rules;
pub mod prompt_body;
pub mod prompts;
pub mod provider_sign_in;
pub mod read_back;
pub mod session_changes;
pub mod settings;
pub mod stream_event;
pub mod watchdog;
mod wildcard;
pub mod wire;
pub mod workspace_files;

use connection::StreamEnd;
use nexus_plugin_api::caps::process as raw;
use nexus_plugin_api::caps::{clock, types::Error};
use nexus_plugin_api::chat::types::{
    Answer, Event, FileContent, MessageWithParts, SessionInfo, SessionRef, SessionSnapshot, Turn,
};
use nexus_plugin_api::chat::{self, Admission, Availability, CancelReason, Descriptor, Failure, Fit, Input, Options};
use nexus_plugin_api::error_text::{cause_and_fix, sentence};
use nexus_plugin_api::job::{Job, permanent_from_text};
use nexus_plugin_api::{
    FutureReader, agents, archive, attachments as attachments_interface, commands as commands_interface, compaction,
    files, fork, history, log, models, process, providers, questions, refuse_settings, revert, sessions, workspaces,
};
use normalize::Page;
use settings::{CORRECT, Settings};

struct Plugin;

impl chat::Guest for Plugin {
    async fn describe() -> Descriptor {
        log::panics();
        Descriptor {
            title: "opencode".to_owned(),
            example: false,
            refused: refuse_settings(setting_failures()),
        }
    }

    async fn check_availability() -> Availability {
        match check_availability().await {
            Ok(availability) => availability,
            Err(Error::NotFound(text)) => Availability::missing(&process::program_not_found(&text, settings::INSTALL)),
            Err(other) => Availability::unsuitable(other.text()),
        }
    }

    async fn events(cancel: FutureReader<CancelReason>) -> Job<Event> {
        chat::job(cancel, async |mut events, mut cancel| {
            let ended = cancel.select(connection::run(&mut events)).await;
            connection_state::set(None);
            match ended {
                Some(StreamEnd::Failed(failure)) => Err(failure),
                Some(StreamEnd::HostDisconnected) | None => Ok(()),
            }
        })
    }

    async fn prompt(s: SessionRef, client_id: String, parts: Vec<Input>, options: Options) -> Result<Admission, Error> {
        if let Some(why) = other_workspace(&s.workspace)? {
            return Ok(Admission::Refused(why));
        }
        prompts::send(s, client_id, parts, options).await
    }

    async fn cancel(s: SessionRef) -> Result<(), Error> {
        check_workspace(&s)?;
        abort_turn(&s).await
    }

    async fn reply(s: SessionRef, request: String, answer: Answer) -> Result<(), Error> {
        check_workspace(&s)?;
        let question = wire::is_question(&request);
        match answer {
            Answer::Reject(_) if question => client::reply_question(&request, &s.workspace, None).await?,
            Answer::Once | Answer::Always if question => {
                return Err(Error::Invalid(
                    "A question must be answered with one list of choices for each of its parts, or rejected. It \
                     cannot be allowed."
                        .to_owned(),
                ));
            }
            Answer::Once => client::reply_permission(&request, &s.workspace, "once", None).await?,
            Answer::Always => client::reply_permission(&request, &s.workspace, "always", None).await?,
            Answer::Reject(message) => {
                client::reply_permission(&request, &s.workspace, "reject", message.as_deref()).await?;
            }
            Answer::Other(ext) => return Err(Error::Invalid(format!("{:?} is no answer to this request", ext.name))),
        }
        Ok(())
    }
}

impl questions::Guest for Plugin {
    async fn answer(s: SessionRef, request: String, answers: Vec<Vec<String>>) -> Result<(), Error> {
        check_workspace(&s)?;
        if !wire::is_question(&request) {
            return Err(Error::Invalid(
                "A permission request must be allowed or rejected; it has no choices.".to_owned(),
            ));
        }
        Ok(client::reply_question(&request, &s.workspace, Some(answers.into())).await?)
    }
}

impl history::Guest for Plugin {
    async fn snapshot(s: SessionRef, before: Option<String>) -> Result<SessionSnapshot, Error> {
        check_session(&s).await?;
        snapshot(s, before).await
    }
}

impl sessions::Guest for Plugin {
    async fn list(workspace: String, limit: u32) -> Result<Vec<SessionInfo>, Error> {
        prepared(&workspace).await?;
        let found = client::sessions(&workspace, limit.clamp(1, 1_000)).await?;
        connection_state::with(|c| {
            // opencode's list is of its project, which may be all folders of this user that are not in git.
            let folders = c.normalizer.folders();
            let listed = folders.of(&workspace);
            let here = found
                .iter()
                .filter(|s| s.parent.is_none() && folders.of(&s.directory) == listed);
            let infos: Vec<SessionInfo> = here.map(convert::session).collect();
            infos.iter().for_each(|info| c.normalizer.learn(info.clone()));
            infos
        })
    }

    async fn create(workspace: String, title: Option<String>) -> Result<SessionInfo, Error> {
        prepared(&workspace).await?;
        Ok(convert::session(&client::create(&workspace, title).await?))
    }

    async fn rename(s: SessionRef, title: String) -> Result<(), Error> {
        check_session(&s).await?;
        client::rename(&s.id, &s.workspace, &title).await?;
        // opencode may be thinking of a title at this moment.
        connection_state::with(|c| c.normalizer.named(&s.id, &title, clock::now()))
    }

    async fn delete(s: SessionRef) -> Result<(), Error> {
        check_session(&s).await?;
        // A turn goes on without its session otherwise.
        abort_turn(&s).await?;
        client::delete(&s.id, &s.workspace).await?;
        prompts::delete_session(&s.id).await
    }
}

impl models::Guest for Plugin {
    async fn list(workspace: String) -> Result<models::ModelList, Error> {
        let settings = prepared(&workspace).await?;
        let configured = match settings.model {
            Some(model) => Some(model),
            None => client::configured_model(&workspace).await?,
        };
        Ok(choices::providers(&workspace).await?.list(configured))
    }
}

impl agents::Guest for Plugin {
    async fn list(workspace: String) -> Result<agents::AgentList, Error> {
        prepared(&workspace).await?;
        choices::agents(&workspace).await
    }
}

impl commands_interface::Guest for Plugin {
    async fn list(workspace: String) -> Result<Vec<commands_interface::Command>, Error> {
        prepared(&workspace).await?;
        let all = commands::all(&workspace).await?;
        Ok(all.into_iter().map(commands::convert).collect())
    }
}

impl attachments_interface::Guest for Plugin {
    async fn read(s: SessionRef, id: String) -> Result<FileContent, Error> {
        check_session(&s).await?;
        attachments::read(&s, &id).await
    }
}

impl fork::Guest for Plugin {
    async fn fork(s: SessionRef, before: Option<String>) -> Result<SessionInfo, Error> {
        check_session(&s).await?;
        session_changes::fork(&s, before.as_deref()).await
    }
}

impl revert::Guest for Plugin {
    async fn revert(s: SessionRef, message: String) -> Result<SessionInfo, Error> {
        check_session(&s).await?;
        session_changes::revert(&s, &message).await
    }

    async fn restore(s: SessionRef) -> Result<SessionInfo, Error> {
        check_session(&s).await?;
        session_changes::restore(&s).await
    }
}

impl compaction::Guest for Plugin {
    async fn compact(s: SessionRef, model: Option<String>) -> Result<(), Error> {
        check_session(&s).await?;
        session_changes::compact(&s, model).await
    }
}

impl archive::Guest for Plugin {
    async fn set_archived(s: SessionRef, archived: bool) -> Result<(), Error> {
        check_session(&s).await?;
        session_changes::set_archived(&s, archived).await
    }
}

impl workspaces::Guest for Plugin {
    async fn list() -> Result<Vec<workspaces::Workspace>, Error> {
        prepared("").await?;
        let paths = connection_state::with(|c| c.normalizer.folders().paths().to_vec())?;
        let mut all = Vec::new();
        for path in paths {
            let name = path.rsplit('/').next().filter(|name| !name.is_empty());
            all.push(workspaces::Workspace {
                title: name.unwrap_or(&path).to_owned(),
                branch: client::branch(&path).await,
                path,
                ext: Vec::new(),
            });
        }
        Ok(all)
    }
}

impl files::Guest for Plugin {
    async fn search(workspace: String, query: String, limit: u32) -> Result<Vec<files::Entry>, Error> {
        prepared(&workspace).await?;
        workspace_files::search(&workspace, &query, limit).await
    }

    async fn list(workspace: String, folder: String) -> Result<Vec<files::Entry>, Error> {
        prepared(&workspace).await?;
        workspace_files::list(&workspace, &folder).await
    }

    async fn read(workspace: String, path: String) -> Result<FileContent, Error> {
        prepared(&workspace).await?;
        workspace_files::read(&workspace, &path).await
    }

    async fn find(workspace: String, text: String, limit: u32) -> Result<Vec<files::FoundLine>, Error> {
        prepared(&workspace).await?;
        workspace_files::find(&workspace, &text, limit).await
    }
}

impl providers::Guest for Plugin {
    async fn list() -> Result<Vec<providers::Provider>, Error> {
        provider_sign_in::list().await
    }

    async fn sign_in(provider: String, method: String, values: Vec<providers::Value>) -> Result<(), Error> {
        provider_sign_in::sign_in(&provider, &method, &values).await
    }

    async fn begin(
        provider: String,
        method: String,
        values: Vec<providers::Value>,
    ) -> Result<providers::BrowserSignIn, Error> {
        provider_sign_in::begin(&provider, &method, &values).await
    }

    async fn finish(provider: String, method: String, code: Option<String>) -> Result<(), Error> {
        provider_sign_in::finish(&provider, &method, code).await
    }

    async fn sign_out(provider: String) -> Result<(), Error> {
        provider_sign_in::sign_out(&provider).await
    }
}

nexus_plugin_api::export_chat!(
    Plugin with sessions, history, questions, models, agents, commands, attachments, fork, revert, compaction, archive,
    workspaces, files, providers
);

/// `prepared` are the settings, once opencode may be asked for something of this workspace: [`provider_sign_in::ensure`].
async fn prepared(workspace: &str) -> Result<Settings, Error> {
    if let Some(why) = other_workspace(workspace)? {
        return Err(Error::Other(why));
    }
    let settings = nexus_plugin_api::config()?;
    provider_sign_in::ensure(&settings).await?;
    Ok(settings)
}

/// `check_session` refuses a session of another workspace, and what opencode may not be asked for: [`prepared`].
async fn check_session(s: &SessionRef) -> Result<(), Error> {
    prepared(&s.workspace).await.map(drop)
}

/// `Some`: the session is of another folder, in words. Nothing works without a connection.
fn other_workspace(workspace: &str) -> Result<Option<String>, Error> {
    connection_state::with(|c| {
        let folders = c.normalizer.folders();
        folders.of(workspace).is_none().then(|| {
            format!(
                "This chat belongs to the workspace {workspace}, but this Nexus uses {}. To fix: add that folder to \
                 `workspaces` in [chat.main] and start Nexus again, or start a new chat here.",
                folders.paths().join(" and ")
            )
        })
    })
}

/// `check_workspace` refuses a session of another workspace. What ends something that runs is checked no further.
fn check_workspace(s: &SessionRef) -> Result<(), Error> {
    other_workspace(&s.workspace)?.map_or(Ok(()), |why| Err(Error::Other(why)))
}

/// `setting_failures` are the settings that cannot be used, and why.
fn setting_failures() -> Vec<Failure> {
    let wrong = match nexus_plugin_api::config::<Settings>() {
        Ok(settings) => settings.errors(),
        Err(why) => vec![why.text().to_owned()],
    };
    wrong
        .into_iter()
        .map(|why| permanent_from_text(&why, "correct it, or remove it"))
        .collect()
}

async fn check_availability() -> Result<Availability, Error> {
    let settings: Settings = nexus_plugin_api::config()?;
    if let Err(why) = settings.check() {
        let (why, fix) = cause_and_fix(&why);
        return Ok(Availability::unsuitable(&sentence(why, fix.or(Some(CORRECT)))));
    }
    let path = raw::find("opencode".to_owned()).await?;
    let output = settings::version_command().run(20_000).await?;
    Ok(match settings::version(&output.stdout) {
        Some(Ok(version)) => Availability::Ready(Fit {
            version,
            note: Some(settings.summary()),
        }),
        Some(Err(why)) => Availability::unsuitable(&format!("{path}: {why}")),
        None => {
            let printed = format!("{} {}", output.stdout, output.stderr);
            let why = format!(
                "`{path} --version` did not print a version (it exited with {} and printed: {})",
                process::describe_exit(&output.exit),
                printed.trim().lines().last().unwrap_or("nothing")
            );
            Availability::unsuitable(&sentence(&why, Some(settings::INSTALL)))
        }
    })
}

/// Aborts the turn, and rejects what it left asking: opencode keeps such asks for ever.
async fn abort_turn(s: &SessionRef) -> Result<(), Error> {
    client::abort(&s.id, &s.workspace).await?;
    let permissions = client::permissions(&s.workspace).await?;
    let questions = client::questions(&s.workspace).await;
    let requests = permissions
        .into_iter()
        .map(|p| (p.id, p.session))
        .chain(questions.into_iter().map(|q| (q.id, q.session)));
    for (request, session) in requests {
        connection::learn_session(&session, &s.workspace).await;
        if session == s.id || connection_state::with(|c| c.normalizer.root(&session))? == s.id {
            // It may be answered or gone by now: that is what is wanted.
            let _ = connection::reject(&request, &s.workspace).await;
        }
    }
    Ok(())
}

async fn snapshot(s: SessionRef, before: Option<String>) -> Result<SessionSnapshot, Error> {
    let session = client::session(&s.id, &s.workspace).await?;
    let info = convert::session(&session);
    if let Some(why) = other_workspace(&session.directory)? {
        return Err(Error::Other(why));
    }
    // The host may not know yet where it is.
    let s = SessionRef {
        workspace: session.directory.clone(),
        ..s
    };
    let first = before.is_none();
    let (mut messages, before) = client::messages(&s.id, &s.workspace, client::PAGE, before.as_deref()).await?;
    if first {
        let page = Page {
            messages: &messages,
            newest: true,
            oldest: before.is_none(),
        };
        connection_state::with(|c| c.normalizer.read(&s.id, page, session.revert.as_ref()))?;
        if let Some(before) = &before {
            read_back::begin(&s, before)?;
        }
        connection::read_todo(&s.id, &s.workspace).await?;
    }
    if let Some(revert) = &session.revert {
        revert.apply(&mut messages);
    }
    let statuses = client::statuses(&s.workspace).await?;
    let permissions = client::permissions(&s.workspace).await?;
    let questions = client::questions(&s.workspace).await;
    connection_state::with(|c| c.normalizer.learn(info.clone()))?;
    for id in permissions
        .iter()
        .map(|p| &p.session)
        .chain(questions.iter().map(|q| &q.session))
    {
        connection::learn_session(id, &s.workspace).await;
    }
    connection_state::with(|c| messages.iter().for_each(|m| c.normalizer.learn_calls(m)))?;
    connection::learn_tool_calls(&permissions).await;
    let now = clock::now();
    let (mut messages, requests) = connection_state::with(|c| {
        let messages: Vec<MessageWithParts> = messages
            .iter()
            .map(|m| MessageWithParts {
                message: convert::message(&m.info, None),
                parts: m
                    .parts
                    .iter()
                    .filter_map(|p| c.normalizer.snapshot_part(p, &m.info))
                    .collect(),
            })
            .collect();
        let requests = permissions.iter().map(|p| c.normalizer.permission(p, now));
        let requests = requests.chain(questions.iter().map(|q| c.normalizer.question(q, now)));
        (messages, requests.filter(|request| request.session == s.id).collect())
    })?;
    for message in &mut messages {
        prompts::add_client_id(&mut message.message).await;
    }
    let turn = statuses.get(&s.id).map_or(Turn::Idle, convert::turn);
    Ok(SessionSnapshot {
        info,
        messages,
        turn,
        requests,
        before,
    })
}
