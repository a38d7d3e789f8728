//! What a chat backend offers to choose from, the files that it shows, and the providers of its models, as the host has them.
//! Its texts are cleaned and bounded here, and what cannot be given back to it is left out.

use super::convert_chat::Speaker;
use crate::bindings::agents::exports::nexus::plugin::agents as wit_agents;
use crate::bindings::chat::nexus::plugin::chat_types as wit;
use crate::bindings::commands::exports::nexus::plugin::commands as wit_commands;
use crate::bindings::files::exports::nexus::plugin::files as wit_files;
use crate::bindings::models::exports::nexus::plugin::models as wit_models;
use crate::bindings::providers::exports::nexus::plugin::providers as wit_providers;
use crate::bindings::workspaces::exports::nexus::plugin::workspaces as wit_workspaces;
use crate::truncate::{self, is_id, literal, sentence, title};
use nexus_model::{chat, limits};

/// `each` are at most `most` entries, as the host has them.
fn each<T, U>(all: Vec<T>, most: usize, convert: impl FnMut(T) -> Option<U>) -> Vec<U> {
    truncate::list(all, most).into_iter().filter_map(convert).collect()
}

/// `named` are the same of entries that have an id; `None`: that one has none, which the plugin's log says of `what`.
fn named<T, U>(
    all: Vec<T>,
    most: usize,
    by: &Speaker<'_>,
    what: &'static str,
    convert: impl FnMut(T) -> Option<U>,
) -> Vec<U> {
    let count = all.len().min(most);
    let kept = each(all, most, convert);
    by.leave_out_ids(count - kept.len(), what);
    kept
}

fn price(dollars: Option<f64>) -> Option<f64> {
    dollars.filter(|price| price.is_finite() && *price >= 0.0)
}

pub(crate) fn models(list: wit_models::ModelList, by: &Speaker<'_>) -> chat::ModelList {
    chat::ModelList {
        models: named(list.models, limits::MODELS, by, "models", |m| {
            is_id(&m.id).then(|| chat::Model {
                title: title(m.title),
                provider: title(m.provider),
                variants: named(m.variants, limits::MODEL_CHOICES, by, "variants of a model", |id| {
                    is_id(&id).then_some(id)
                }),
                reads: m.reads.map(|all| {
                    truncate::list(all, limits::MODEL_CHOICES)
                        .into_iter()
                        .map(title)
                        .collect()
                }),
                // Browsers count exactly no further.
                context_tokens: m.context_tokens.map(truncate::count),
                input_price: price(m.input_price),
                output_price: price(m.output_price),
                ext: by.ext_within(m.ext, limits::SESSION_EXT_BYTES),
                id: m.id,
            })
        }),
        default: list.default.filter(|id| is_id(id)),
    }
}

pub(crate) fn agents(list: wit_agents::AgentList, by: &Speaker<'_>) -> chat::AgentList {
    chat::AgentList {
        agents: named(list.agents, limits::AGENTS, by, "agents", |a| {
            is_id(&a.id).then(|| chat::Agent {
                title: title(a.title),
                description: sentence(a.description),
                model: a.model.map(title),
                ext: by.ext_within(a.ext, limits::SESSION_EXT_BYTES),
                id: a.id,
            })
        }),
        default: list.default.filter(|id| is_id(id)),
    }
}

pub(crate) fn commands(all: Vec<wit_commands::Command>, by: &Speaker<'_>) -> Vec<chat::Command> {
    named(all, limits::COMMANDS, by, "commands", |c| {
        is_id(&c.name).then(|| chat::Command {
            description: sentence(c.description),
            arguments: c.arguments.map(title),
            ext: by.ext_within(c.ext, limits::SESSION_EXT_BYTES),
            name: c.name,
        })
    })
}

pub(crate) fn workspaces(all: Vec<wit_workspaces::Workspace>, by: &Speaker<'_>) -> Vec<chat::Workspace> {
    named(all, limits::WORKSPACES, by, "project folders", |w| {
        // It comes back to the plugin as it was.
        let usable =
            w.path.starts_with('/') && w.path.len() <= limits::SENTENCE_BYTES && sentence(w.path.clone()) == w.path;
        usable.then(|| chat::Workspace {
            title: title(w.title),
            branch: w.branch.map(title),
            ext: by.ext_within(w.ext, limits::SESSION_EXT_BYTES),
            path: w.path,
        })
    })
}

pub(crate) fn entries(all: Vec<wit_files::Entry>, most: usize) -> Vec<chat::FileEntry> {
    each(all, most, |e| {
        // A name that cannot be shown as it is could not be asked for either.
        let usable = literal(e.path.clone(), limits::CHANGED_PATH_BYTES) == e.path && !e.path.is_empty();
        usable.then_some(chat::FileEntry {
            path: e.path,
            folder: e.folder,
            size: e.size.map(truncate::count),
        })
    })
}

pub(crate) fn found_lines(all: Vec<wit_files::FoundLine>, most: usize) -> Vec<chat::FoundLine> {
    each(all, most, |found| {
        Some(chat::FoundLine {
            path: literal(found.path, limits::CHANGED_PATH_BYTES),
            line: found.line,
            text: literal(found.text, limits::CHANGED_PATH_BYTES),
        })
    })
}

/// `file` is a file's content; `None`: it is larger than a file may be.
pub(crate) fn file(content: wit::FileContent) -> Option<chat::FileContent> {
    (content.data.len() <= limits::FILE_BYTES).then(|| chat::FileContent {
        mime: title(content.mime),
        data: content.data,
    })
}

pub(crate) fn providers(all: Vec<wit_providers::Provider>, by: &Speaker<'_>) -> Vec<chat::Provider> {
    named(all, limits::PROVIDERS, by, "providers of models", |p| {
        is_id(&p.id).then(|| chat::Provider {
            title: title(p.title),
            signed_in: p.signed_in,
            removable: p.removable,
            methods: named(p.methods, limits::SIGN_IN_FIELDS, by, "ways to sign in", |m| {
                method(m, by)
            }),
            id: p.id,
        })
    })
}

fn method(m: wit_providers::SignInMethod, by: &Speaker<'_>) -> Option<chat::SignInMethod> {
    is_id(&m.id).then(|| chat::SignInMethod {
        kind: match m.kind {
            wit_providers::SignInKind::Key => chat::SignInKind::Key,
            wit_providers::SignInKind::Browser => chat::SignInKind::Browser,
        },
        title: title(m.title),
        fields: named(m.fields, limits::SIGN_IN_FIELDS, by, "fields of a sign-in", |f| {
            is_id(&f.name).then(|| chat::SignInField {
                title: title(f.title),
                placeholder: f.placeholder.map(title),
                secret: f.secret,
                choices: named(f.choices, limits::REQUEST_CHOICES, by, "choices of a field", |c| {
                    is_id(&c.label).then(|| chat::Choice {
                        description: sentence(c.description),
                        label: c.label,
                    })
                }),
                name: f.name,
            })
        }),
        id: m.id,
    })
}

pub(crate) fn values(values: chat::SignInValues) -> Vec<wit_providers::Value> {
    let each = values.0.into_iter();
    each.map(|(name, value)| wit_providers::Value { name, value }).collect()
}

/// `page` is a page at which the user signs in. `Err`: its address is none that a browser may be sent to.
pub(crate) fn page(page: wit_providers::BrowserSignIn) -> Result<chat::BrowserSignIn, String> {
    let address = url::Url::parse(&page.url).ok();
    let here = |url: &url::Url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let fits = |url: &url::Url| {
        url.username().is_empty()
            && url.password().is_none()
            && (url.scheme() == "https" || (url.scheme() == "http" && here(url)))
    };
    match address.filter(fits) {
        Some(url) if page.url.len() <= limits::SENTENCE_BYTES => Ok(chat::BrowserSignIn {
            url: url.into(),
            instructions: sentence(page.instructions),
            gives_code: page.gives_code,
        }),
        _ => Err(format!(
            "the chat plugin gave {:?} as the address of the page to sign in at: expected `https://…`. This is a bug of the plugin",
            title(page.url)
        )),
    }
}

#[cfg(test)]
#[path = "convert_chat_choices_tests.rs"]
mod tests;
