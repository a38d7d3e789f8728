//! What an authenticator answers, verified: WebAuthn level 3, 7.1 and 7.2, for ES256 without attestation.

use ciborium::Value;
use data_encoding::BASE64URL_NOPAD;
use nexus_plugin_api::auth::Error;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const USER_PRESENT: u8 = 0x01;
const HAS_CREDENTIAL: u8 = 0x40;

/// `Passkey` is what is kept of one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Passkey {
    pub(crate) subject: String,
    /// `key` is the public key, a point of the curve in base64url.
    pub(crate) key: String,
    /// `counter` is that of its last use; 0 where it has none.
    pub(crate) counter: u32,
}

/// `random` are 32 random bytes in base64url.
pub(crate) fn random() -> Result<String, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| Error::Unavailable(e.to_string()))?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

/// `rp` is the RP id of a page: the host name of its origin.
pub(crate) fn rp(origin: &str) -> &str {
    let authority = origin.split("://").nth(1).unwrap_or_default();
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
}

fn client_data_fits(bytes: &[u8], kind: &str, challenge: &str, origin: &str) -> bool {
    let Ok(data) = serde_json::from_slice::<ClientData>(bytes) else {
        return false;
    };
    data.kind == kind && data.challenge == challenge && data.origin == origin && !data.cross_origin
}

/// The flags and the counter of authenticator data for this page, and what follows them.
fn authenticator_data<'a>(bytes: &'a [u8], origin: &str) -> Option<(u8, u32, &'a [u8])> {
    let (hash, rest) = bytes.split_at_checked(32)?;
    let (&[flags, a, b, c, d], rest) = rest.split_first_chunk::<5>()?;
    let right = *hash == Sha256::digest(rp(origin))[..] && flags & USER_PRESENT != 0;
    right.then_some((flags, u32::from_be_bytes([a, b, c, d]), rest))
}

fn binary(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}

#[derive(Deserialize)]
struct Credential<R> {
    id: String,
    response: R,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asserted {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
    user_handle: Option<String>,
}

/// `Assertion` is the use of a passkey.
pub(crate) struct Assertion {
    pub(crate) id: String,
    client_data: Vec<u8>,
    authenticator_data: Vec<u8>,
    signature: Vec<u8>,
    user_handle: Option<String>,
}

impl Assertion {
    pub(crate) fn read(json: &str) -> Option<Self> {
        let Credential { id, response } = serde_json::from_str::<Credential<Asserted>>(json).ok()?;
        Some(Self {
            id,
            client_data: binary(&response.client_data)?,
            authenticator_data: binary(&response.authenticator_data)?,
            signature: binary(&response.signature)?,
            user_handle: response.user_handle,
        })
    }

    /// The new counter of the passkey, where this is its use for this challenge on this page.
    pub(crate) fn verify(&self, known: &Passkey, challenge: &str, origin: &str) -> Option<u32> {
        if !client_data_fits(&self.client_data, "webauthn.get", challenge, origin)
            || self.user_handle.as_ref().is_some_and(|handle| *handle != known.subject)
        {
            return None;
        }
        let (_, counter, _) = authenticator_data(&self.authenticator_data, origin)?;
        // A counter that does not go on is a copy's.
        if (counter != 0 || known.counter != 0) && counter <= known.counter {
            return None;
        }
        let signed = [self.authenticator_data.as_slice(), &Sha256::digest(&self.client_data)].concat();
        let key = VerifyingKey::from_sec1_bytes(&binary(&known.key)?).ok()?;
        key.verify(&signed, &Signature::from_der(&self.signature).ok()?).ok()?;
        Some(counter)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attested {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    attestation_object: String,
}

/// `created` is the passkey that a browser has made, and its id; `None`: it is none for this challenge on this page.
pub(crate) fn created(json: &str, challenge: &str, origin: &str, subject: &str) -> Option<(String, Passkey)> {
    let Credential { id, response } = serde_json::from_str::<Credential<Attested>>(json).ok()?;
    if !client_data_fits(&binary(&response.client_data)?, "webauthn.create", challenge, origin) {
        return None;
    }
    let attestation: Value = ciborium::from_reader(binary(&response.attestation_object)?.as_slice()).ok()?;
    let data = entry(&attestation, &Value::from("authData"))?.as_bytes()?.clone();
    let (flags, counter, rest) = authenticator_data(&data, origin)?;
    if flags & HAS_CREDENTIAL == 0 {
        return None;
    }
    // The model of the authenticator, the length of the id, the id, the key.
    let (&length, rest) = rest.split_at_checked(16)?.1.split_first_chunk::<2>()?;
    let (credential, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
    let key: Value = ciborium::from_reader(rest).ok()?;
    let number = |label: i64| entry(&key, &Value::from(label)).cloned();
    let coordinate = |label: i64| number(label)?.into_bytes().ok().filter(|bytes| bytes.len() == 32);
    // EC2, ES256, P-256.
    if [1, 3, -1].map(number) != [2, -7, 1].map(|n| Some(Value::from(n))) || binary(&id)? != credential {
        return None;
    }
    let point = [&[4], coordinate(-2)?.as_slice(), coordinate(-3)?.as_slice()].concat();
    VerifyingKey::from_sec1_bytes(&point).ok()?;
    let passkey = Passkey {
        subject: subject.to_owned(),
        key: BASE64URL_NOPAD.encode(&point),
        counter,
    };
    Some((id, passkey))
}

fn entry<'a>(map: &'a Value, key: &Value) -> Option<&'a Value> {
    let entries = map.as_map()?;
    entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}
