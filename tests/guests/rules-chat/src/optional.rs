//! What it answers where the host asks for a list, a file or a change: more than there may be, and what is none. An argument that
//! names a rule breaks that one.

use crate::Plugin;
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::chat::types::{FileContent, SessionInfo, SessionRef};
use nexus_plugin_api::{
    agents, archive, attachments, commands, compaction, files, fork, models, providers, questions, revert, workspaces,
};

/// Each kind of error by its name.
fn error(rule: &str) -> Option<Error> {
    let text = format!("It is {rule}\u{202e}.");
    Some(match rule {
        "denied" => Error::Denied(text),
        "limited" => Error::Limited(text),
        "invalid" => Error::Invalid(text),
        "not-found" => Error::NotFound(text),
        "timeout" => Error::Timeout(text),
        "unavailable" => Error::Unavailable(text),
        "cancelled" => Error::Cancelled(text),
        "other" => Error::Other(text),
        _ => return None,
    })
}

fn info(session: SessionRef, id: &str) -> SessionInfo {
    SessionInfo {
        ref_: SessionRef {
            id: id.to_owned(),
            ..session
        },
        parent: None,
        title: "t\u{202e}".repeat(1_000),
        created_at: u64::MAX,
        updated_at: u64::MAX,
        archived: false,
        reverted: None,
        ext: Vec::new(),
    }
}

fn file(path: &str) -> Result<FileContent, Error> {
    match error(path) {
        Some(error) => Err(error),
        None => Ok(FileContent {
            mime: "text/html\u{202e}".to_owned(),
            data: vec![b'x'; if path == "giant" { (8 << 20) + 1 } else { 3 }],
        }),
    }
}

impl questions::Guest for Plugin {
    async fn answer(_: SessionRef, request: String, _: Vec<Vec<String>>) -> Result<(), Error> {
        Err(Error::NotFound(request))
    }
}

impl models::Guest for Plugin {
    async fn list(_: String) -> Result<models::ModelList, Error> {
        let model = |id: String| models::Model {
            id,
            title: "m\u{202e}".repeat(1_000),
            provider: "p".repeat(10_000),
            variants: (0..100).map(|n| format!("v{n}")).collect(),
            reads: Some((0..100).map(|n| format!("image/{n}")).collect()),
            context_tokens: Some(u64::MAX),
            input_price: Some(f64::NAN),
            output_price: Some(-1.0),
            ext: Vec::new(),
        };
        let mut models = vec![model(String::new()), model("hidden\u{202e}".to_owned())];
        models.extend((0..2_500).map(|n| model(format!("acme/m{n}"))));
        Ok(models::ModelList {
            models,
            default: Some("acme/none".to_owned()),
        })
    }
}

impl agents::Guest for Plugin {
    async fn list(_: String) -> Result<agents::AgentList, Error> {
        let agent = |id: String| agents::Agent {
            id,
            title: String::new(),
            description: "d".repeat(100_000),
            model: None,
            ext: Vec::new(),
        };
        let mut agents = vec![agent(String::new())];
        agents.extend((0..300).map(|n| agent(format!("a{n}"))));
        Ok(agents::AgentList { agents, default: None })
    }
}

impl commands::Guest for Plugin {
    async fn list(_: String) -> Result<Vec<commands::Command>, Error> {
        let command = |name: String| commands::Command {
            name,
            description: String::new(),
            arguments: None,
            ext: Vec::new(),
        };
        let mut all = vec![command(String::new()), command("two\nlines".to_owned())];
        all.extend((0..1_200).map(|n| command(format!("c{n}"))));
        Ok(all)
    }
}

impl attachments::Guest for Plugin {
    async fn read(_: SessionRef, id: String) -> Result<FileContent, Error> {
        file(&id)
    }
}

impl fork::Guest for Plugin {
    async fn fork(session: SessionRef, before: Option<String>) -> Result<SessionInfo, Error> {
        let rule = before.unwrap_or_default();
        let id = match rule.strip_prefix("as ") {
            _ if error(&rule).is_some() => return Err(error(&rule).unwrap()),
            Some(id) => id.to_owned(),
            None if rule == "itself" => session.id.clone(),
            None => String::new(),
        };
        Ok(info(session, &id))
    }
}

impl revert::Guest for Plugin {
    async fn revert(session: SessionRef, message: String) -> Result<SessionInfo, Error> {
        match error(&message) {
            Some(error) => Err(error),
            None => Ok(info(session, &message)),
        }
    }
    async fn restore(_: SessionRef) -> Result<SessionInfo, Error> {
        Err(Error::Unavailable("It restores nothing.".to_owned()))
    }
}

impl compaction::Guest for Plugin {
    async fn compact(_: SessionRef, model: Option<String>) -> Result<(), Error> {
        error(&model.unwrap_or_default()).map_or(Ok(()), Err)
    }
}

impl archive::Guest for Plugin {
    async fn set_archived(_: SessionRef, archived: bool) -> Result<(), Error> {
        if archived {
            Err(error("unavailable").unwrap())
        } else {
            Ok(())
        }
    }
}

impl workspaces::Guest for Plugin {
    async fn list() -> Result<Vec<workspaces::Workspace>, Error> {
        let workspace = |path: String| workspaces::Workspace {
            path,
            title: String::new(),
            branch: None,
            ext: Vec::new(),
        };
        let mut all = vec![workspace("relative".to_owned()), workspace(String::new())];
        all.extend((0..300).map(|n| workspace(format!("/w{n}"))));
        Ok(all)
    }
}

fn entries(count: usize) -> Vec<files::Entry> {
    let entry = |path: String| files::Entry {
        path,
        folder: false,
        size: Some(u64::MAX),
    };
    let mut all = vec![entry(String::new()), entry("hidden\u{202e}".to_owned())];
    all.extend((0..count).map(|n| entry(format!("f{n}"))));
    all
}

impl files::Guest for Plugin {
    async fn search(_: String, query: String, _: u32) -> Result<Vec<files::Entry>, Error> {
        error(&query).map_or_else(|| Ok(entries(600)), Err)
    }
    async fn list(_: String, folder: String) -> Result<Vec<files::Entry>, Error> {
        error(&folder).map_or_else(|| Ok(entries(10_500)), Err)
    }
    async fn read(_: String, path: String) -> Result<FileContent, Error> {
        file(&path)
    }
    async fn find(_: String, text: String, _: u32) -> Result<Vec<files::FoundLine>, Error> {
        if let Some(error) = error(&text) {
            return Err(error);
        }
        let line = |n| files::FoundLine {
            path: "f".to_owned(),
            line: n,
            text: "l\u{202e}".repeat(10_000),
        };
        Ok((0..1_500).map(line).collect())
    }
}

impl providers::Guest for Plugin {
    async fn list() -> Result<Vec<providers::Provider>, Error> {
        let method = |n| providers::SignInMethod {
            id: format!("m{n}"),
            kind: providers::SignInKind::Key,
            title: String::new(),
            fields: (0..40)
                .map(|n| providers::Field {
                    name: format!("f{n}"),
                    title: String::new(),
                    placeholder: None,
                    secret: true,
                    choices: Vec::new(),
                })
                .collect(),
        };
        let provider = |id: String| providers::Provider {
            id,
            title: "p\u{202e}".to_owned(),
            signed_in: false,
            removable: true,
            methods: (0..2).map(method).collect(),
        };
        let mut all = vec![provider(String::new())];
        all.extend((0..600).map(|n| provider(format!("p{n}"))));
        Ok(all)
    }
    async fn sign_in(provider: String, _: String, _: Vec<providers::Value>) -> Result<(), Error> {
        Err(error(&provider).unwrap_or(Error::Invalid("A value is missing.".to_owned())))
    }
    async fn begin(
        provider: String,
        method: String,
        _: Vec<providers::Value>,
    ) -> Result<providers::BrowserSignIn, Error> {
        match error(&provider) {
            Some(error) => Err(error),
            None => Ok(providers::BrowserSignIn {
                url: match method.as_str() {
                    "script" => "javascript:alert(1)".to_owned(),
                    "plain" => "http://login.example/".to_owned(),
                    _ => "https://login.example/".to_owned(),
                },
                instructions: "type\u{202e} it".to_owned(),
                gives_code: true,
            }),
        }
    }
    async fn finish(provider: String, _: String, _: Option<String>) -> Result<(), Error> {
        error(&provider).map_or(Ok(()), Err)
    }
    async fn sign_out(provider: String) -> Result<(), Error> {
        error(&provider).map_or(Ok(()), Err)
    }
}
