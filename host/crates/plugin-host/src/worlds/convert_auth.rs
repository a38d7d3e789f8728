//! Words of the contract to words of the host, and back, for logins: as [`super::convert`].

use crate::bindings::auth::exports::nexus::plugin::auth as wit;
use crate::bindings::auth::nexus::plugin::auth_types as types;
use crate::capabilities::Mask;
use crate::truncate;
use nexus_model::{address, limits};
use nexus_plugin_traits::{CallError, auth as port};
use std::collections::BTreeSet;
use url::Url;

/// `HOST_HEADERS` are what a plugin never gets: what logs in, what the host decides by, what is of the connection alone.
const HOST_HEADERS: [&str; 11] = [
    "authorization",
    "connection",
    "cookie",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
    "sec-websocket-key",
];

fn values(pairs: impl IntoIterator<Item = (String, String)>) -> Vec<types::Value> {
    let values = pairs.into_iter();
    values.map(|(name, value)| types::Value { name, value }).collect()
}

pub(crate) fn answer(answer: port::Answer) -> types::Answer {
    match answer {
        port::Answer::Form(input) => types::Answer::Form(values(input.0)),
        port::Answer::Redirect(parameters) => types::Answer::Redirect(values(parameters)),
        port::Answer::Webauthn(credential) => types::Answer::Webauthn(credential),
    }
}

pub(crate) fn context(c: port::Context) -> types::Context {
    types::Context {
        account: c.account,
        origin: c.origin,
        callback: c.callback,
    }
}

pub(crate) fn facts(f: port::Facts) -> wit::Facts {
    wit::Facts {
        method: f.method,
        route: match f.route {
            port::Route::Loopback => wit::Route::Loopback,
            port::Route::Name(name) => wit::Route::Name(name),
            port::Route::Tunnel(name) => wit::Route::Tunnel(name),
        },
        origin: f.origin,
        headers: values(f.headers),
        token: f.token,
        address: f.address,
        peer: f.peer,
        peer_user: f.peer_user,
    }
}

fn field(f: types::Field) -> port::Field {
    let kind = match f.kind {
        types::FieldKind::Account => port::FieldKind::Account,
        types::FieldKind::Password => port::FieldKind::Password,
        types::FieldKind::NewPassword => port::FieldKind::NewPassword,
        types::FieldKind::Code => port::FieldKind::Code,
        types::FieldKind::Text => port::FieldKind::Text,
    };
    port::Field {
        name: truncate::title(f.name),
        kind,
        title: truncate::title(f.title),
        help: f.help.map(truncate::sentence),
    }
}

/// `fields` are those of a form. What is typed is found by the name of its field, so each has one of its own.
fn fields(all: Vec<types::Field>) -> Result<Vec<port::Field>, CallError> {
    let fields: Vec<_> = truncate::list(all, limits::LIST_ENTRIES)
        .into_iter()
        .map(field)
        .collect();
    let mut names = BTreeSet::new();
    match fields.iter().find(|field| !names.insert(&field.name)) {
        Some(field) => Err(fault(&format!("a form with two fields with the name `{}`", field.name))),
        None => Ok(fields),
    }
}

fn fault(what: &str) -> CallError {
    CallError::Other(format!("the auth plugin returned {what}. This is a bug of the plugin"))
}

/// `methods` are the ways to log in. They have to come back as they are, so what cannot be one is the plugin's fault.
///
/// # Errors
/// Too many, an id twice, an id or a header that is none.
pub(crate) fn methods(methods: Vec<wit::Method>) -> Result<Vec<port::Method>, CallError> {
    if methods.len() > limits::LOGIN_METHODS {
        let what = format!(
            "{} login methods, but at most {} are allowed",
            methods.len(),
            limits::LOGIN_METHODS
        );
        return Err(fault(&what));
    }
    let mut ids = BTreeSet::new();
    let methods = methods.into_iter().map(|m| {
        let id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=64).contains(&m.id.len()) || !m.id.bytes().all(id) {
            return Err(fault("a login method whose id is not of [a-z0-9-], 1 to 64 of them"));
        }
        if !ids.insert(m.id.clone()) {
            return Err(fault(&format!("two login methods with the id {}", m.id)));
        }
        method(m)
    });
    methods.collect()
}

fn method(m: wit::Method) -> Result<port::Method, CallError> {
    let kind = match m.kind {
        wit::MethodKind::Form => port::MethodKind::Form,
        wit::MethodKind::Redirect => port::MethodKind::Redirect,
        wit::MethodKind::Webauthn => port::MethodKind::Webauthn,
        wit::MethodKind::Ambient => port::MethodKind::Ambient,
        wit::MethodKind::Bearer => port::MethodKind::Bearer,
    };
    if m.headers.len() > limits::METHOD_HEADERS || (kind != port::MethodKind::Ambient && !m.headers.is_empty()) {
        return Err(fault(&format!(
            "a login method with {} headers, but only one of the kind `ambient` has any, at most {}",
            m.headers.len(),
            limits::METHOD_HEADERS
        )));
    }
    let headers = m.headers.into_iter().map(|name| {
        let name = http::HeaderName::try_from(name.as_str()).map_err(|_| fault("a header whose name is none"))?;
        match HOST_HEADERS.contains(&name.as_str()) {
            true => Err(fault(&format!("the header {name}, which no plugin is given"))),
            false => Ok(name.as_str().to_owned()),
        }
    });
    Ok(port::Method {
        headers: headers.collect::<Result<_, _>>()?,
        id: m.id,
        kind,
        title: truncate::title(m.title),
    })
}

/// `whole` refuses what is too long: what has to come back as it is cannot be cut, so too much of it is the plugin's
/// fault.
fn whole<T: AsRef<[u8]>>(what: &str, value: T, most: usize) -> Result<T, CallError> {
    match value.as_ref().len() {
        length if length <= most => Ok(value),
        length => Err(fault(&format!(
            "{what} of {length} bytes, but at most {most} are allowed"
        ))),
    }
}

fn identity(identity: types::Identity) -> Result<port::Identity, CallError> {
    if identity.subject.is_empty() {
        return Err(fault("an empty subject"));
    }
    let subject = whole("a subject", identity.subject, limits::ID_BYTES)?;
    if !truncate::is_id(&subject) {
        return Err(fault("a subject with invisible characters"));
    }
    Ok(port::Identity {
        subject,
        display_name: identity.display_name.map(truncate::title),
    })
}

fn denied(d: types::Denied, mask: &Mask) -> port::Denied {
    port::Denied {
        reason: match d.reason {
            types::Denial::BadCredential => port::Denial::BadCredential,
            types::Denial::Policy => port::Denial::Policy,
            types::Denial::Unavailable => port::Denial::Unavailable,
        },
        message: d.message.map(|message| truncate::sentence(mask.hide_in(message))),
    }
}

/// `target` is where a browser is sent to: a site over TLS, or a program of this machine.
fn target(url: String) -> Result<String, CallError> {
    let url = whole("an address", url, limits::URL_BYTES)?;
    let parsed = Url::parse(&url).map_err(|_| fault("an address that is none"))?;
    let host = parsed.host_str().unwrap_or_default();
    let safe = match parsed.scheme() {
        "https" => !host.is_empty(),
        "http" => address::is_loopback_host(host),
        _ => false,
    };
    if !safe || !parsed.username().is_empty() || parsed.password().is_some() || parsed.fragment().is_some() {
        return Err(fault(
            "an address to which no browser is sent: only https://, or http:// to a loopback address, without a name, a \
             password or a fragment in it",
        ));
    }
    if parsed.query_pairs().any(|(name, _)| name == "state") {
        return Err(fault("an address with a parameter `state`, which the host adds"));
    }
    Ok(parsed.into())
}

/// `step` is the plugin's, with everything in it bounded.
///
/// # Errors
/// A state, an address, options or a subject that cannot be used.
pub(crate) fn step(s: types::Step, mask: &Mask) -> Result<port::Step, CallError> {
    let state = |state, most| whole("a state", state, most);
    Ok(match s {
        types::Step::Form(f) => port::Step::Ask {
            ask: port::Ask::Form {
                fields: fields(f.fields)?,
                problem: f.problem.map(|p| port::Problem {
                    field: p.field.map(truncate::title),
                    message: truncate::sentence(mask.hide_in(p.message)),
                }),
            },
            state: state(f.state, limits::LOGIN_STATE_BYTES)?,
        },
        types::Step::Redirect(r) => port::Step::Ask {
            ask: port::Ask::Redirect { url: target(r.url)? },
            state: state(r.state, limits::REDIRECT_STATE_BYTES)?,
        },
        types::Step::Webauthn(w) => {
            let options = whole("a request to the browser", w.options, limits::WEBAUTHN_OPTIONS)?;
            if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&options).is_err() {
                return Err(fault("a request to the browser that is no JSON object"));
            }
            port::Step::Ask {
                ask: port::Ask::Webauthn {
                    ceremony: match w.ceremony {
                        types::Ceremony::Create => port::Ceremony::Create,
                        types::Ceremony::Get => port::Ceremony::Get,
                    },
                    options,
                },
                state: state(w.state, limits::LOGIN_STATE_BYTES)?,
            }
        }
        types::Step::Identity(i) => port::Step::Identity(identity(i)?),
        types::Step::Deny(d) => port::Step::Deny(denied(d, mask)),
    })
}

/// `verdict` is the plugin's, with everything in it bounded.
///
/// # Errors
/// A subject that cannot be used.
pub(crate) fn verdict(v: wit::Verdict, mask: &Mask) -> Result<port::Verdict, CallError> {
    Ok(match v {
        wit::Verdict::Identity(i) => port::Verdict::Identity(identity(i)?),
        wit::Verdict::None => port::Verdict::None,
        wit::Verdict::Deny(d) => port::Verdict::Deny(denied(d, mask)),
    })
}

#[cfg(test)]
#[path = "convert_auth_tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
