//! A login by passkey: ES256, without attestation. A subject is the user handle, and has one passkey.

mod passkey;

use nexus_plugin_api::auth::types::{Answer, Ceremony, Context, Denial, Denied, Form, Identity, Step, Webauthn};
use nexus_plugin_api::auth::{Error, Facts, Guest, Method, MethodKind, Verdict};
use nexus_plugin_api::caps::store;
use nexus_plugin_api::{log, manage};
use passkey::{Passkey, random};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// `Begun` is what has to be known when the browser has answered.
#[derive(Serialize, Deserialize)]
enum Begun {
    /// `Name`: the account's name is asked for; `subject` is whose the passkey becomes.
    Name {
        subject: String,
    },
    Create {
        challenge: String,
        subject: String,
    },
    Get {
        challenge: String,
    },
    /// `Confirm`: the present passkey is asked for before another is made.
    Confirm {
        challenge: String,
        subject: String,
    },
}

pub struct Plugin;

fn invalid(what: &str) -> Error {
    Error::Invalid(what.to_owned())
}

fn key(id: &str) -> String {
    format!("passkey/{id}")
}

fn of(subject: &str) -> String {
    format!("subject/{subject}")
}

fn state(begun: &Begun) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(begun).map_err(|e| Error::Other(e.to_string()))
}

fn wrong() -> Step {
    Step::Deny(Denied {
        reason: Denial::BadCredential,
        message: Some("This passkey is not known here.".to_owned()),
    })
}

fn identity(subject: String) -> Step {
    Step::Identity(Identity {
        subject,
        display_name: None,
    })
}

fn asked_for_name(subject: String) -> Result<Step, Error> {
    Ok(Step::Form(Form {
        fields: Vec::new(),
        problem: None,
        state: state(&Begun::Name { subject })?,
    }))
}

fn get(challenge: &str, context: &Context, begun: &Begun) -> Result<Step, Error> {
    let options = json!({
        "challenge": challenge,
        "rpId": passkey::rp(&context.origin),
        "userVerification": "preferred",
        "timeout": 120_000,
    });
    Ok(Step::Webauthn(Webauthn {
        ceremony: Ceremony::Get,
        options: options.to_string(),
        state: state(begun)?,
    }))
}

fn create(subject: String, context: &Context) -> Result<Step, Error> {
    let account = context
        .account
        .as_deref()
        .ok_or_else(|| invalid("there is nobody to enroll"))?;
    let challenge = random()?;
    let options = json!({
        "challenge": challenge,
        "rp": {"id": passkey::rp(&context.origin), "name": "Nexus"},
        "user": {"id": subject, "name": account, "displayName": account},
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        "authenticatorSelection": {"residentKey": "required", "userVerification": "preferred"},
        "attestation": "none",
        "timeout": 120_000,
    });
    Ok(Step::Webauthn(Webauthn {
        ceremony: Ceremony::Create,
        options: options.to_string(),
        state: state(&Begun::Create { challenge, subject })?,
    }))
}

/// Whose the passkey is that the browser used; `None`: it is not known, or its answer is not right.
async fn used(answer: Answer, challenge: &str, context: &Context) -> Result<Option<String>, Error> {
    let Answer::Webauthn(answer) = answer else {
        return Err(invalid("a passkey was asked for"));
    };
    let Some(assertion) = passkey::Assertion::read(&answer) else {
        return Ok(None);
    };
    let Some(kept) = store::get(key(&assertion.id)).await? else {
        return Ok(None);
    };
    let known: Passkey = serde_json::from_slice(&kept).map_err(|e| Error::Other(e.to_string()))?;
    let Some(counter) = assertion.verify(&known, challenge, &context.origin) else {
        return Ok(None);
    };
    let next = Passkey { counter, ..known };
    let value = serde_json::to_vec(&next).map_err(|e| Error::Other(e.to_string()))?;
    // Somebody else used it at the same time: one of both is a copy.
    let alone = store::compare_and_set(key(&assertion.id), Some(kept), value).await?;
    Ok(alone.then_some(next.subject))
}

impl Guest for Plugin {
    async fn describe() -> Vec<Method> {
        vec![Method {
            id: "passkey".to_owned(),
            kind: MethodKind::Webauthn,
            title: "a passkey".to_owned(),
            headers: Vec::new(),
        }]
    }

    async fn begin(_method: String, context: Context) -> Result<Step, Error> {
        log::panics();
        let challenge = random()?;
        get(&challenge.clone(), &context, &Begun::Get { challenge })
    }

    async fn proceed(state: Vec<u8>, answer: Answer, context: Context) -> Result<Step, Error> {
        log::panics();
        let Ok(Begun::Get { challenge }) = serde_json::from_slice(&state) else {
            return Err(invalid("the state is not of a login"));
        };
        Ok(used(answer, &challenge, &context).await?.map_or_else(wrong, identity))
    }

    async fn authenticate(_facts: Facts) -> Result<Verdict, Error> {
        Ok(Verdict::None)
    }
}

impl manage::Guest for Plugin {
    async fn enroll(_context: Context) -> Result<Step, Error> {
        asked_for_name(random()?)
    }

    async fn change(subject: String, context: Context) -> Result<Step, Error> {
        let challenge = random()?;
        get(&challenge.clone(), &context, &Begun::Confirm { challenge, subject })
    }

    async fn reset(subject: String, _context: Context) -> Result<Step, Error> {
        asked_for_name(subject)
    }

    async fn proceed(state: Vec<u8>, answer: Answer, context: Context) -> Result<Step, Error> {
        log::panics();
        match serde_json::from_slice(&state) {
            Ok(Begun::Name { subject }) => create(subject, &context),
            Ok(Begun::Confirm { challenge, subject }) => match used(answer, &challenge, &context).await? {
                Some(owner) if owner == subject => create(subject, &context),
                _ => Ok(wrong()),
            },
            Ok(Begun::Create { challenge, subject }) => {
                let Answer::Webauthn(answer) = answer else {
                    return Err(invalid("a passkey was asked for"));
                };
                let Some((id, passkey)) = passkey::created(&answer, &challenge, &context.origin, &subject) else {
                    return Ok(wrong());
                };
                let value = serde_json::to_vec(&passkey).map_err(|e| Error::Other(e.to_string()))?;
                if !store::compare_and_set(key(&id), None, value).await? {
                    return Ok(wrong());
                }
                if let Some(before) = store::get(of(&subject)).await? {
                    let before = String::from_utf8_lossy(&before).into_owned();
                    store::delete(key(&before)).await?;
                }
                store::set(of(&subject), id.into_bytes()).await?;
                Ok(identity(subject))
            }
            _ => Err(invalid("the state is not of an enrollment")),
        }
    }

    async fn remove(subject: String) -> Result<(), Error> {
        if let Some(id) = store::get(of(&subject)).await? {
            store::delete(key(&String::from_utf8_lossy(&id))).await?;
        }
        store::delete(of(&subject)).await
    }
}

#[cfg(target_family = "wasm")]
nexus_plugin_api::export_auth!(Plugin with manage);
