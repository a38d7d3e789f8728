//! Words of the contract to words of the host, and back, for logins: as [`super::convert`].

use crate::bindings::auth::exports::nexus::plugin::auth as wit;
use crate::bindings::auth::nexus::plugin::auth_types as types;
use crate::bindings::manage::exports::nexus::plugin::manage;
use crate::capabilities::Mask;
use crate::truncate;
use nexus_model::limits;
use nexus_plugin_traits::{CallError, auth as port};

pub(crate) fn input(input: port::Input) -> Vec<types::Value> {
    input
        .0
        .into_iter()
        .map(|(name, value)| types::Value { name, value })
        .collect()
}

pub(crate) fn context(c: port::Context) -> wit::Context {
    wit::Context {
        account: c.account,
        origin: c.origin,
    }
}

fn field(f: types::Field) -> port::Field {
    let kind = match f.kind {
        types::FieldKind::Account => port::FieldKind::Account,
        types::FieldKind::Password => port::FieldKind::Password,
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

pub(crate) fn fields(fields: Vec<types::Field>) -> Vec<port::Field> {
    truncate::list(fields, limits::LIST_ENTRIES)
        .into_iter()
        .map(field)
        .collect()
}

pub(crate) fn methods(methods: Vec<wit::Method>) -> Vec<port::Method> {
    truncate::list(methods, limits::LIST_ENTRIES)
        .into_iter()
        .map(method)
        .collect()
}

fn method(m: wit::Method) -> port::Method {
    let kind = match m.kind {
        wit::MethodKind::Form => port::MethodKind::Form,
        wit::MethodKind::Redirect => port::MethodKind::Redirect,
        wit::MethodKind::Webauthn => port::MethodKind::Webauthn,
        wit::MethodKind::Ambient => port::MethodKind::Ambient,
        wit::MethodKind::Bearer => port::MethodKind::Bearer,
    };
    port::Method {
        id: truncate::title(m.id),
        kind,
        title: truncate::title(m.title),
    }
}

/// `whole` refuses what is too long: what has to come back as it is cannot be cut, so too much of it is the plugin's
/// fault.
fn whole<T: AsRef<[u8]>>(what: &str, value: T, most: usize) -> Result<T, CallError> {
    match value.as_ref().len() {
        length if length <= most => Ok(value),
        length => Err(CallError::Other(format!(
            "the auth plugin returned {what} of {length} bytes, but at most {most} are allowed. This is a bug of \
             the plugin"
        ))),
    }
}

fn subject(subject: String) -> Result<String, CallError> {
    if subject.is_empty() {
        return Err(CallError::Other(
            "the auth plugin returned an empty subject. This is a bug of the plugin".into(),
        ));
    }
    let subject = whole("a subject", subject, limits::ID_BYTES)?;
    if !truncate::is_id(&subject) {
        return Err(CallError::Other(
            "the auth plugin returned a subject with invisible characters. This is a bug of the plugin".into(),
        ));
    }
    Ok(subject)
}

/// `step` is the plugin's, with everything in it bounded.
///
/// # Errors
/// A state, an address or a subject that is too long to be used.
pub(crate) fn step(s: wit::Step, mask: &Mask) -> Result<port::Step, CallError> {
    let state = |state| whole("a state", state, limits::LOGIN_STATE_BYTES);
    Ok(match s {
        wit::Step::Form(f) => port::Step::Form {
            fields: fields(f.fields),
            state: state(f.state)?,
        },
        wit::Step::Redirect(r) => port::Step::Redirect {
            url: whole("an address", r.url, limits::SENTENCE_BYTES)?,
            state: state(r.state)?,
        },
        wit::Step::Webauthn((json, s)) => port::Step::Webauthn {
            json: whole("a request to the browser", json, limits::LOGIN_STATE_BYTES)?,
            state: state(s)?,
        },
        wit::Step::Identity(s) => port::Step::Identity { subject: subject(s)? },
        wit::Step::Deny(d) => port::Step::Deny {
            reason: match d.reason {
                wit::Denial::BadCredential => port::Denial::BadCredential,
                wit::Denial::Policy => port::Denial::Policy,
                wit::Denial::Unavailable => port::Denial::Unavailable,
            },
            message: d.message.map(|message| truncate::sentence(mask.hide_in(message))),
        },
    })
}

/// `outcome` is the plugin's, with everything in it bounded.
///
/// # Errors
/// A subject that is too long to be used.
pub(crate) fn outcome(o: manage::Outcome, mask: &Mask) -> Result<port::Outcome, CallError> {
    Ok(match o {
        manage::Outcome::Done(s) => port::Outcome::Done { subject: subject(s)? },
        manage::Outcome::Rejected((field, cause)) => port::Outcome::Rejected {
            field: truncate::title(field),
            cause: truncate::sentence(mask.hide_in(cause)),
        },
        manage::Outcome::BadCredential => port::Outcome::BadCredential,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_login_that_says_too_much_fails() {
        let form = |length: usize| {
            step(
                wit::Step::Form(wit::Form {
                    fields: Vec::new(),
                    state: vec![0; length],
                }),
                &Mask::default(),
            )
        };
        assert!(form(limits::LOGIN_STATE_BYTES).is_ok());
        let refused = form(limits::LOGIN_STATE_BYTES + 1).err().unwrap().to_string();
        assert!(
            refused.contains("a state of 65537 bytes, but at most 65536"),
            "{refused}"
        );
        assert!(step(wit::Step::Identity("s".repeat(limits::ID_BYTES)), &Mask::default()).is_ok());
        let refused = step(wit::Step::Identity("s".repeat(limits::ID_BYTES + 1)), &Mask::default());
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains("a subject of 513 bytes"), "{refused}");
    }
}
