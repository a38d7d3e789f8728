//! The state of a step of a login or an enrollment on its way through the browser: encrypted and authenticated (ChaCha20-Poly1305), bound to the
//! browser and to the place, expiring, used once. The key lives as long as the process, so after a restart the login starts
//! again and nothing has to be remembered about what was used. (Keeping the states in memory instead would let strangers
//! fill it.)
//!
//! What was used is remembered until it would have expired, for each place by itself and at most so many: beyond that the
//! place begins a new generation, and the forms that are open there begin again. A step is used when its password is about
//! to be checked, so no stranger fills this faster than passwords are checked.

use crate::error::AuthError;
use data_encoding::BASE64URL_NOPAD;
use nexus_model::digest::sha256;
use nexus_model::limits::{LOGIN_STEP, LOGIN_STEPS_USED};
use nexus_model::time::{Millis, millis};
use nexus_plugin_traits::auth::{Ask, Field, FieldKind};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `Purpose` is what a sequence of steps is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// `LogIn`: somebody logs in.
    LogIn,
    /// `Open`: the form of a set-up page, which is filled in together with the link's token and the account's name.
    Open,
    /// `Join`: who has this link becomes this account.
    Join { link: String, account: String },
    /// `Change`: the user of this login changes the credential.
    Change { login: String },
}

/// `Source` says which interface of the plugin a step is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Source {
    Auth,
    Manage,
}

/// `Asked` is what the browser has to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Asked {
    Form,
    Redirect,
    Webauthn,
}

/// `StepState` is what the browser carries, before it is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StepState {
    pub(super) plugin: String,
    pub(super) purpose: Purpose,
    pub(super) source: Source,
    pub(super) asked: Asked,
    /// `number` counts the steps before it.
    pub(super) number: u32,
    /// `state` is the plugin's own state, in base64.
    state: String,
    /// `account` is canonical, and there where an earlier step told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
    /// `account_field` is the name of the field that tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account_field: Option<String>,
    /// `fields` are the names of all fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) fields: Vec<String>,
    expires: Millis,
    /// `generation` is that of the place, when the step was made.
    #[serde(default)]
    generation: u64,
}

/// `Opened` is a step that was opened, for [`FormTokens::use_up`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) step: StepState,
    nonce: [u8; NONCE_LEN],
}

#[derive(Default)]
struct Used {
    generation: u64,
    /// `nonces` are those of used steps, with the time at which they would have expired, the first one first.
    nonces: BTreeSet<(Millis, [u8; NONCE_LEN])>,
}

/// `Thread` is what all steps of one sequence have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thread {
    pub(super) purpose: Purpose,
    pub(super) source: Source,
    pub(super) account: Option<String>,
    /// `number` counts the steps so far.
    pub(super) number: u32,
}

impl StepState {
    pub(super) fn new(plugin: &str, thread: Thread, state: &[u8], ask: &Ask, now: Millis) -> Self {
        let (asked, fields): (_, &[Field]) = match ask {
            Ask::Form { fields, .. } => (Asked::Form, fields),
            Ask::Redirect { .. } => (Asked::Redirect, &[]),
            Ask::Webauthn { .. } => (Asked::Webauthn, &[]),
        };
        Self {
            plugin: plugin.to_owned(),
            purpose: thread.purpose,
            source: thread.source,
            asked,
            number: thread.number,
            state: BASE64URL_NOPAD.encode(state),
            account: thread.account,
            account_field: fields
                .iter()
                .find(|f| f.kind == FieldKind::Account)
                .map(|f| f.name.clone()),
            fields: fields.iter().map(|f| f.name.clone()).collect(),
            expires: now.saturating_add(millis(LOGIN_STEP)),
            generation: 0,
        }
    }

    /// `thread` is that of the next step; `account` is known by now.
    pub(super) fn thread(&self, account: Option<String>) -> Thread {
        Thread {
            purpose: self.purpose.clone(),
            source: self.source,
            account,
            number: self.number.saturating_add(1),
        }
    }

    pub(super) fn state(&self) -> Result<Vec<u8>, AuthError> {
        BASE64URL_NOPAD
            .decode(self.state.as_bytes())
            .map_err(|_| AuthError::Expired)
    }
}

pub(super) struct FormTokens {
    key: LessSafeKey,
    /// `used` is by place: the configuration bounds how many there are.
    used: Mutex<HashMap<String, Used>>,
}

impl FormTokens {
    pub(super) fn new() -> Result<Self, AuthError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &nexus_model::random::random::<32>()?)
            .map_err(|_| AuthError::Unavailable("there is no key for login steps".into()))?;
        Ok(Self {
            key: LessSafeKey::new(key),
            used: Mutex::default(),
        })
    }

    pub(super) fn encrypt(&self, mut step: StepState, browser: &str, place: &str) -> Result<String, AuthError> {
        let broken = |_| AuthError::Unavailable("cannot sign the login step".into());
        let nonce = nexus_model::random::random::<NONCE_LEN>()?;
        step.generation = self.used().get(place).map_or(0, |used| used.generation);
        let mut text = serde_json::to_vec(&step).map_err(|e| AuthError::Unavailable(e.to_string()))?;
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound(browser, place), &mut text)
            .map_err(broken)?;
        let mut whole = nonce.to_vec();
        whole.append(&mut text);
        Ok(BASE64URL_NOPAD.encode(&whole))
    }

    /// Opens a step. It is used up by [`Self::use_up`] alone.
    pub(super) fn open(&self, text: &str, browser: &str, place: &str, now: Millis) -> Result<Opened, AuthError> {
        let mut whole = BASE64URL_NOPAD
            .decode(text.as_bytes())
            .map_err(|_| AuthError::Expired)?;
        let (nonce, text) = whole.split_first_chunk_mut::<NONCE_LEN>().ok_or(AuthError::Expired)?;
        let plain = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), bound(browser, place), text)
            .map_err(|_| AuthError::Expired)?;
        let step: StepState = serde_json::from_slice(plain).map_err(|_| AuthError::Expired)?;
        let opened = Opened { step, nonce: *nonce };
        let fresh = self
            .used()
            .get(place)
            .map_or(opened.step.generation == 0, |used| opened.fits(used));
        if opened.step.expires <= now || !fresh {
            return Err(AuthError::Expired);
        }
        Ok(opened)
    }

    /// Uses a step up; the second time it fails.
    pub(super) fn use_up(&self, opened: &Opened, place: &str, now: Millis) -> Result<(), AuthError> {
        let mut all = self.used();
        let used = all.entry(place.to_owned()).or_default();
        while used.nonces.first().is_some_and(|(expires, _)| *expires <= now) {
            used.nonces.pop_first();
        }
        if opened.step.expires <= now || !opened.fits(used) {
            return Err(AuthError::Expired);
        }
        if used.nonces.len() >= LOGIN_STEPS_USED {
            used.nonces.clear();
            used.generation += 1;
            return Err(AuthError::Expired);
        }
        used.nonces.insert((opened.step.expires, opened.nonce));
        Ok(())
    }

    fn used(&self) -> MutexGuard<'_, HashMap<String, Used>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    fn fits(&self, used: &Used) -> bool {
        self.step.generation == used.generation && !used.nonces.contains(&(self.step.expires, self.nonce))
    }
}

fn bound(browser: &str, place: &str) -> Aad<[u8; 32]> {
    let length = u64::try_from(place.len()).unwrap_or(u64::MAX).to_le_bytes();
    Aad::from(sha256(&[&length[..], place.as_bytes(), browser.as_bytes()]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    const PLACE: &str = "loopback";

    fn step(now: Millis) -> StepState {
        let thread = Thread {
            purpose: Purpose::LogIn,
            source: Source::Auth,
            account: None,
            number: 0,
        };
        let url = "https://login.example/".to_owned();
        StepState::new("local", thread, b"pkce-verifier", &Ask::Redirect { url }, now)
    }

    fn open_once(
        tokens: &FormTokens,
        text: &str,
        browser: &str,
        place: &str,
        now: Millis,
    ) -> Result<StepState, AuthError> {
        let opened = tokens.open(text, browser, place, now)?;
        tokens.use_up(&opened, place, now)?;
        Ok(opened.step)
    }

    #[test]
    fn opens_once_in_its_browser_at_its_place_in_time() {
        let tokens = FormTokens::new().unwrap();
        let open = |text: &str, browser: &str, now: Millis| open_once(&tokens, text, browser, PLACE, now);
        let text = tokens.encrypt(step(1000), "browser", PLACE).unwrap();
        assert!(
            !BASE64URL_NOPAD
                .decode(text.as_bytes())
                .unwrap()
                .windows(4)
                .any(|w| w == b"pkce")
        );
        assert_eq!(open(&text, "another browser", 1000), Err(AuthError::Expired));
        assert_eq!(
            open_once(&tokens, &text, "browser", "tunnel main", 1000),
            Err(AuthError::Expired)
        );
        // Opened twice at the same time it is used once.
        let both = [(); 2].map(|()| tokens.open(&text, "browser", PLACE, 1000).unwrap());
        assert_eq!(both[0].step.state().unwrap(), b"pkce-verifier");
        assert_eq!(tokens.use_up(&both[0], PLACE, 1000), Ok(()));
        assert_eq!(tokens.use_up(&both[1], PLACE, 1000), Err(AuthError::Expired));
        assert_eq!(open(&text, "browser", 1000), Err(AuthError::Expired));
        let late = tokens.encrypt(step(1000), "browser", PLACE).unwrap();
        assert_eq!(
            open(&late, "browser", 1000 + millis(LOGIN_STEP)),
            Err(AuthError::Expired)
        );
        let mut forged = tokens.encrypt(step(1000), "browser", PLACE).unwrap().into_bytes();
        forged[30] = if forged[30] == b'A' { b'B' } else { b'A' };
        let forged = std::str::from_utf8(&forged).unwrap();
        assert_eq!(open(forged, "browser", 1000), Err(AuthError::Expired));
        assert_eq!(
            open_once(&FormTokens::new().unwrap(), &late, "browser", PLACE, 1000),
            Err(AuthError::Expired)
        );
    }

    #[test]
    fn what_was_used_is_bounded_and_nothing_of_it_can_be_used_again() {
        let tokens = FormTokens::new().unwrap();
        let first = tokens.encrypt(step(1000), "browser", PLACE).unwrap();
        let other = tokens.encrypt(step(1000), "browser", "tunnel main").unwrap();
        open_once(&tokens, &first, "browser", PLACE, 1000).unwrap();
        let mut refused = 0;
        for _ in 0..2 * LOGIN_STEPS_USED {
            let text = tokens.encrypt(step(1000), "browser", PLACE).unwrap();
            refused += usize::from(open_once(&tokens, &text, "browser", PLACE, 1000).is_err());
            assert!(tokens.used()[PLACE].nonces.len() <= LOGIN_STEPS_USED);
        }
        assert!((1..=2).contains(&refused), "{refused}");
        assert_eq!(
            open_once(&tokens, &first, "browser", PLACE, 1000),
            Err(AuthError::Expired)
        );
        open_once(&tokens, &other, "browser", "tunnel main", 1000).expect("another place has its own");
        // What expired is forgotten.
        let now = 1000 + millis(LOGIN_STEP);
        let text = tokens.encrypt(step(now), "browser", PLACE).unwrap();
        open_once(&tokens, &text, "browser", PLACE, now).unwrap();
        assert_eq!(tokens.used()[PLACE].nonces.len(), 1);
    }
}
