//! Accounts and their credentials, over the store.
//!
//! Two kinds of keys: `account/NAME` holds a subject, `subject/ID` holds the credential. The credential is written first
//! and the account's key last, with compare-and-set: of two enrollments at the same time one wins, and a crash between
//! the two writes leaves a credential that no name leads to. The subject is random and not the name,
//! so that a name that is given away later does not inherit what belonged to somebody else.

use crate::password_hash::{self, PasswordHashError, Verification};
use crate::password_rules;
use argon2::Params;
use nexus_plugin_api::auth::Error;
use nexus_plugin_api::auth::types::Value;
use serde::{Deserialize, Serialize};

pub(crate) const ACCOUNT: &str = "account";
pub(crate) const PASSWORD: &str = "password";
pub(crate) const REPEAT: &str = "repeat";
pub(crate) const CURRENT: &str = "current";
/// `NEW` is another name for [`PASSWORD`] in a change, for a form that also has the current password.
pub(crate) const NEW: &str = "new";

/// `ACCOUNT_MAX_BYTES` keeps the key of an account below 256 bytes, the limit of a store key.
const ACCOUNT_MAX_BYTES: usize = 200;

/// `Store` is what this module needs of the host's store.
pub(crate) trait Store {
    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Error>;
    async fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error>;
    async fn delete(&self, key: String) -> Result<(), Error>;
    async fn compare_and_set(&self, key: String, expected: Option<Vec<u8>>, value: Vec<u8>) -> Result<bool, Error>;
}

/// `Credential` is the value of `subject/ID`.
#[derive(Debug, Serialize, Deserialize)]
struct Credential {
    account: String,
    /// `hash` is a PHC string.
    hash: String,
}

impl From<PasswordHashError> for Error {
    fn from(error: PasswordHashError) -> Self {
        Self::Other(format!("Cannot check the password: {}.", error.0))
    }
}

/// `Outcome` is what came of a new or changed credential.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// `Done` is the subject that the credential belongs to from now on.
    Done(String),
    /// `Rejected`: what was typed into this field does not meet the rules, for this reason.
    Rejected(&'static str, String),
    /// `BadCredential`: the present password was wrong.
    BadCredential,
}

pub(crate) struct Accounts<S> {
    store: S,
    /// `params` are the parameters for new hashes; a stored hash with other parameters is replaced when its owner logs
    /// in.
    params: Params,
}

impl<S: Store> Accounts<S> {
    pub(crate) fn new(store: S, params: Params) -> Self {
        Self { store, params }
    }

    /// `login` is the subject of the account; `None`: the name or the password is wrong. Both take the same time.
    pub(crate) async fn login(&self, account: &str, password: &str) -> Result<Option<String>, Error> {
        let Some((subject, kept)) = self.find(account).await? else {
            password_hash::verify_dummy(password);
            return Ok(None);
        };
        let credential = read(&subject, &kept)?;
        match password_hash::verify(password, &credential.hash, &self.params)? {
            Verification::Wrong => Ok(None),
            Verification::Right => Ok(Some(subject)),
            Verification::Outdated => {
                let renewed = Credential {
                    account: credential.account,
                    hash: password_hash::hash_password(password, &self.params)?,
                };
                // If somebody changed it meanwhile, theirs stays; the login is right either way.
                self.store
                    .compare_and_set(subject_key(&subject), Some(kept), write(&renewed)?)
                    .await?;
                Ok(Some(subject))
            }
        }
    }

    pub(crate) async fn enroll(&self, account: &str, input: &[Value]) -> Result<Outcome, Error> {
        if account.is_empty() || account.len() > ACCOUNT_MAX_BYTES {
            return Ok(rejected(
                ACCOUNT,
                &format!("The name must have 1 to {ACCOUNT_MAX_BYTES} bytes."),
            ));
        }
        let password = match new_password(account, input) {
            Ok(password) => password,
            Err(outcome) => return Ok(outcome),
        };
        if self.store.get(account_key(account)).await?.is_some() {
            return Ok(name_taken(account));
        }
        let subject = new_subject()?;
        let credential = Credential {
            account: account.to_owned(),
            hash: password_hash::hash_password(password, &self.params)?,
        };
        self.store.set(subject_key(&subject), write(&credential)?).await?;
        if self
            .store
            .compare_and_set(account_key(account), None, subject.clone().into_bytes())
            .await?
        {
            return Ok(Outcome::Done(subject));
        }
        self.store.delete(subject_key(&subject)).await?;
        Ok(name_taken(account))
    }

    pub(crate) async fn change(&self, subject: &str, input: &[Value]) -> Result<Outcome, Error> {
        let (kept, credential) = self.credential(subject).await?;
        let current = field_value(input, CURRENT).unwrap_or_default();
        // The present password first: the rules must not tell a stranger anything.
        if password_hash::verify(current, &credential.hash, &self.params)? == Verification::Wrong {
            return Ok(Outcome::BadCredential);
        }
        let password = match new_password(&credential.account, input) {
            Ok(password) => password,
            Err(outcome) => return Ok(outcome),
        };
        if password == current {
            return Ok(rejected(
                password_field(input),
                "This is your current password. Choose another one.",
            ));
        }
        self.replace(subject, kept, credential.account, password).await
    }

    pub(crate) async fn reset(&self, subject: &str, input: &[Value]) -> Result<Outcome, Error> {
        let (kept, credential) = self.credential(subject).await?;
        match new_password(&credential.account, input) {
            Ok(password) => self.replace(subject, kept, credential.account, password).await,
            Err(outcome) => Ok(outcome),
        }
    }

    /// `remove` deletes the account's name before its credential, so that nobody can log in even if it is interrupted.
    pub(crate) async fn remove(&self, subject: &str) -> Result<(), Error> {
        let (_, credential) = self.credential(subject).await?;
        let key = account_key(&credential.account);
        if self.store.get(key.clone()).await?.as_deref() == Some(subject.as_bytes()) {
            self.store.delete(key).await?;
        }
        self.store.delete(subject_key(subject)).await
    }

    async fn replace(&self, subject: &str, kept: Vec<u8>, account: String, password: &str) -> Result<Outcome, Error> {
        let credential = Credential {
            account,
            hash: password_hash::hash_password(password, &self.params)?,
        };
        if self
            .store
            .compare_and_set(subject_key(subject), Some(kept), write(&credential)?)
            .await?
        {
            Ok(Outcome::Done(subject.to_owned()))
        } else {
            Err(Error::Unavailable(
                "The password was changed by someone else at the same time. Try again.".to_owned(),
            ))
        }
    }

    /// `find` is the subject of an account, and its stored credential.
    async fn find(&self, account: &str) -> Result<Option<(String, Vec<u8>)>, Error> {
        if account.is_empty() || account.len() > ACCOUNT_MAX_BYTES {
            return Ok(None);
        }
        let Some(subject) = self.store.get(account_key(account)).await? else {
            return Ok(None);
        };
        let subject = String::from_utf8(subject).map_err(|_| damaged_entry(account))?;
        let kept = self
            .store
            .get(subject_key(&subject))
            .await?
            .ok_or_else(|| damaged_entry(&subject))?;
        Ok(Some((subject, kept)))
    }

    async fn credential(&self, subject: &str) -> Result<(Vec<u8>, Credential), Error> {
        let kept = self.store.get(subject_key(subject)).await?;
        let kept = kept.ok_or_else(|| Error::NotFound("This plugin has no password for this user.".to_owned()))?;
        let credential = read(subject, &kept)?;
        Ok((kept, credential))
    }
}

/// `field_value` is the value of a field; `None`: the form had no such field.
pub(crate) fn field_value<'a>(input: &'a [Value], name: &str) -> Option<&'a str> {
    input.iter().find(|v| v.name == name).map(|v| v.value.as_str())
}

/// `password_field` is the field of the new password, beside which the message is shown.
fn password_field(input: &[Value]) -> &'static str {
    if field_value(input, NEW).is_some() {
        NEW
    } else {
        PASSWORD
    }
}

fn new_password<'a>(account: &str, input: &'a [Value]) -> Result<&'a str, Outcome> {
    let field = password_field(input);
    let password = field_value(input, field).unwrap_or_default();
    password_rules::check(account, password).map_err(|why| rejected(field, &why))?;
    if field_value(input, REPEAT) != Some(password) {
        return Err(rejected(
            REPEAT,
            "The two passwords do not match. Type the same password twice.",
        ));
    }
    Ok(password)
}

fn rejected(field: &'static str, why: &str) -> Outcome {
    Outcome::Rejected(field, why.to_owned())
}

fn name_taken(account: &str) -> Outcome {
    rejected(ACCOUNT, &format!("The account `{account}` already exists."))
}

fn damaged_entry(key: &str) -> Error {
    Error::Other(format!(
        "The login store is damaged: cannot read the entry `{key}`. Restore a backup."
    ))
}

fn account_key(account: &str) -> String {
    format!("account/{account}")
}

fn subject_key(subject: &str) -> String {
    format!("subject/{subject}")
}

/// `new_subject` is 128 random bits in hexadecimal.
fn new_subject() -> Result<String, Error> {
    let bytes: [u8; 16] = password_hash::random()?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

fn read(subject: &str, kept: &[u8]) -> Result<Credential, Error> {
    serde_json::from_slice(kept).map_err(|_| damaged_entry(subject))
}

fn write(credential: &Credential) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(credential).map_err(|error| Error::Other(format!("Cannot store the credential: {error}.")))
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
