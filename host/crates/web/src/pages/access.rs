//! `/account/access`: all accounts, logins and known devices, and a form to end any of them. Works without a script.

use super::{Frame, failure, show};
use crate::WebState;
use crate::error::ApiError;
use crate::http::csrf_form::UserForm;
use crate::http::identity::{Anonymous, User};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use nexus_auth::{Access, End, Session};
use nexus_auth::{Device, Listed, place_in_words};
use nexus_model::plural;
use nexus_model::time::{Millis, Utc};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "access.html")]
struct AccessPage {
    frame: Frame,
    groups: Vec<Group>,
    /// A password was shown within the last minutes.
    fresh: bool,
    done: Option<String>,
    error: Option<String>,
}

struct Group {
    /// In the form: `account`, `login`, `device`.
    kind: &'static str,
    title: &'static str,
    help: String,
    verb: &'static str,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    name: String,
    /// For a button that stands for this row alone.
    label: String,
    own: bool,
    facts: Vec<Fact>,
}

/// `at`: the time that `text` is, to be shown in the reader's own zone.
struct Fact {
    term: &'static str,
    text: String,
    at: Option<Millis>,
}

impl Fact {
    fn new(term: &'static str, text: String) -> Self {
        Self { term, text, at: None }
    }
    fn at(term: &'static str, at: Millis) -> Self {
        Self {
            term,
            text: time(at),
            at: Some(at),
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct EndedQuery {
    ended: Option<u8>,
}

pub(crate) async fn page(State(state): State<WebState>, Query(done): Query<EndedQuery>, user: User) -> Response {
    let done = done.ended.map(|_| "Done. Its open connections are closed.".to_owned());
    render(&state, user.login, done, None).await
}

/// Only with a fresh login, as for the configuration.
pub(crate) async fn end(State(state): State<WebState>, anonymous: Anonymous, user: UserForm) -> Response {
    if !state.services.auth.recently_checked(&user.login.login) {
        return super::redirect::again("/account/access");
    }
    let id = user.fields.get("id").to_owned();
    let what = match user.fields.get("kind") {
        "login" => End::Login(id),
        "device" => End::Device(id),
        "account" => End::Account(id),
        _ => return failure(&ApiError::NotFound("There is no such entry.".to_owned())),
    };
    let ended = state
        .services
        .auth
        .end(&user.login.login, &anonymous.client, &what)
        .await;
    match ended.map_err(ApiError::from) {
        // Where it was the own one, the login page follows.
        Ok(()) => Redirect::to("/account/access?ended=1").into_response(),
        Err(error @ ApiError::Refused(_)) => render(&state, user.login, None, Some(error.to_string())).await,
        Err(error) => failure(&error),
    }
}

async fn render(state: &WebState, login: Session, done: Option<String>, error: Option<String>) -> Response {
    let fresh = state.services.auth.recently_checked(&login.login);
    let access = match state.services.auth.access().await {
        Ok(access) => access,
        Err(error) => return failure(&error.into()),
    };
    let adding = state.services.host.command("user add NAME");
    let groups = groups(access, &login, state.services.auth.lockout_failures(), &adding);
    let status = if error.is_some() {
        StatusCode::CONFLICT
    } else {
        StatusCode::OK
    };
    let backend = state.services.chat.backend().borrow().clone();
    let page = AccessPage {
        frame: Frame::of("account", "Access", login, backend),
        groups,
        fresh,
        done,
        error,
    };
    (status, show(&page)).into_response()
}

/// `failures`: how many wrong passwords lock an account.
/// `adding` is the command that adds an account.
fn groups(access: Access, own: &Session, failures: u32, adding: &str) -> Vec<Group> {
    let device = own.login.device.clone();
    let logins = access.logins.into_iter().map(|login| Row {
        own: login.id == own.id(),
        label: format!(
            "{} at {}, since {}",
            login.user.account,
            place_in_words(&login.place),
            time(login.created_at)
        ),
        name: login.user.account,
        facts: facts(&login.place, &login.peer, &login.agent, login.created_at, login.used_at),
        id: login.id,
    });
    let devices = access.devices.into_iter().map(|known: Device| Row {
        own: known.id == device,
        label: format!(
            "{} at {}, since {}",
            known.user.account,
            place_in_words(&known.place),
            time(known.created_at)
        ),
        name: known.user.account,
        facts: facts(&known.place, &known.peer, &known.agent, known.created_at, known.used_at),
        id: known.id,
    });
    let accounts = access.accounts.into_iter().map(|listed: Listed| Row {
        own: listed.account == own.account(),
        label: listed.account.clone(),
        facts: [
            Some(Fact::at("Created", listed.created_at)),
            Some(listed.last_used_at.map_or_else(
                || Fact::new("Last used", "no active login".to_owned()),
                |at| Fact::at("Last used", at),
            )),
            Some(Fact::new("Logins", listed.logins.to_string())),
            listed.locked_until.map(|until| Fact::at("Locked until", until)),
        ]
        .into_iter()
        .flatten()
        .collect(),
        id: listed.account.clone(),
        name: listed.account,
    });
    vec![
        Group {
            kind: "login",
            title: "Logins",
            help: "Browsers that are logged in. A login is valid only at the address at which you logged in."
                .to_owned(),
            verb: "Log out",
            rows: logins.collect(),
        },
        Group {
            kind: "device",
            title: "Known devices",
            help: of_devices(failures),
            verb: "Forget",
            rows: devices.collect(),
        },
        Group {
            kind: "account",
            title: "Accounts",
            help: format!("To add an account, run on the machine that runs Nexus: `{adding}`"),
            verb: "Remove",
            rows: accounts.collect(),
        },
    ]
}

fn of_devices(failures: u32) -> String {
    format!(
        "Browsers that have logged in before. Each has its own limit of {}, so strangers cannot lock it out. Forgetting a \
         device also ends its logins.",
        plural::of(failures.into(), "wrong password", "wrong passwords")
    )
}

fn facts(place: &str, peer: &str, agent: &str, since: Millis, seen: Millis) -> Vec<Fact> {
    let unknown = |text: &str| {
        if text.is_empty() {
            "unknown".to_owned()
        } else {
            nexus_plugin_api::text::line(text).into_owned()
        }
    };
    vec![
        Fact::new("Place", place_in_words(place)),
        Fact::new("Address", unknown(peer)),
        Fact::new("Browser", browser(agent).unwrap_or_else(|| unknown(agent))),
        Fact::at("Since", since),
        Fact::at("Last seen", seen),
    ]
}

/// `Firefox on Linux`, as browsers name themselves; none: it names itself otherwise, and is shown as it does. Not more than
/// a help to tell one's own devices apart: anybody can send any of these words.
fn browser(agent: &str) -> Option<String> {
    // The first that fits: each says the names of those before it, to get the pages that are made for them.
    let names = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Version/", "Safari"),
    ];
    let systems = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("CrOS", "ChromeOS"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    if !agent.starts_with("Mozilla/5.0 (") {
        return None;
    }
    let find = |of: &[(&str, &'static str)]| of.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name);
    Some(format!("{} on {}", find(&names)?, find(&systems)?))
}

fn time(at: Millis) -> String {
    let Some(at) = Utc::of_millis(at) else {
        return "unknown".to_owned();
    };
    let clock = at.clock();
    format!("{} {} UTC", at.date(), clock.get(..5).unwrap_or(&clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_the_number_of_attempts_that_is_configured() {
        assert!(of_devices(3).contains("limit of 3 wrong passwords,"));
        assert!(of_devices(1).contains("limit of 1 wrong password,"));
    }

    #[test]
    fn browsers_are_called_as_people_call_them() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
        let edge = format!(
            "{} Edg/140.0",
            chrome.replace("X11; Linux x86_64", "Windows NT 10.0; Win64; x64")
        );
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 \
                      Mobile/15E148 Safari/604.1";
        for (agent, name) in [
            (chrome, Some("Chrome on Linux")),
            (edge.as_str(), Some("Edge on Windows")),
            (safari, Some("Safari on iPhone")),
            (
                "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
                Some("Firefox on Android"),
            ),
            ("curl/8.5.0", None),
            ("", None),
        ] {
            assert_eq!(browser(agent).as_deref(), name, "{agent}");
        }
    }
}
