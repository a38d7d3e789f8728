//! Signing in to the providers of models. opencode keeps the credentials; nothing of them is kept or logged here.

use crate::client::{self, PROCESS, RequestError};
use crate::connection_state;
use crate::settings::Settings;
use crate::wire::text_of;
use nexus_plugin_api::caps::{clock, types::Error};
use nexus_plugin_api::chat::types::Choice;
use nexus_plugin_api::http::encode;
use nexus_plugin_api::log;
use nexus_plugin_api::process::Outcome;
use nexus_plugin_api::providers::{BrowserSignIn, Field, Provider, SignInKind, SignInMethod, Value as Given};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// `KEY` is the field of a key, and the method where opencode names none.
const KEY: &str = "key";
/// `FINISH_TIMEOUT` is how many milliseconds of the host's minute are waited for the owner.
const FINISH_TIMEOUT: u64 = 50_000;
/// `RELOAD_LOOK` is after how many milliseconds it is looked again whether the folders are open.
const RELOAD_LOOK: u64 = 50;

#[derive(Deserialize)]
struct All {
    #[serde(default)]
    all: Vec<Known>,
    #[serde(default)]
    connected: Vec<String>,
}

/// `Known` is a provider; what else opencode says of it, its key among it, is not read.
#[derive(Deserialize)]
struct Known {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    source: String,
}

/// `Method` is a way to sign in.
#[derive(Debug, Deserialize)]
struct Method {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    prompts: Vec<Value>,
}

type Methods = BTreeMap<String, Vec<Method>>;

pub async fn list() -> Result<Vec<Provider>, Error> {
    let known: All = client::get("/provider", "").await?;
    let mut methods = methods().await?;
    // A credential in opencode's own file is its `api`; one that only the configuration has cannot be removed.
    let provider = |provider: Known| Provider {
        signed_in: known.connected.contains(&provider.id),
        removable: provider.source == "api",
        methods: match methods.remove(&provider.id) {
            Some(all) => all.iter().enumerate().map(convert).collect(),
            None => vec![key_method()],
        },
        title: if provider.name.is_empty() {
            provider.id.clone()
        } else {
            provider.name
        },
        id: provider.id,
    };
    Ok(known.all.into_iter().map(provider).collect())
}

async fn is_connected(provider: &str) -> Result<bool, Error> {
    let known: All = client::get("/provider", "").await?;
    Ok(known.connected.iter().any(|id| id == provider))
}

async fn methods() -> Result<Methods, Error> {
    Ok(client::get("/provider/auth", "").await?)
}

fn key_field() -> Field {
    Field {
        name: KEY.to_owned(),
        title: "API key".to_owned(),
        placeholder: None,
        secret: true,
        choices: Vec::new(),
    }
}

fn key_method() -> SignInMethod {
    SignInMethod {
        id: KEY.to_owned(),
        kind: SignInKind::Key,
        title: "API key".to_owned(),
        fields: vec![key_field()],
    }
}

fn convert((at, method): (usize, &Method)) -> SignInMethod {
    let kind = if method.kind == "api" {
        SignInKind::Key
    } else {
        SignInKind::Browser
    };
    let own = (kind == SignInKind::Key).then(key_field);
    SignInMethod {
        id: at.to_string(),
        kind,
        title: method.label.clone(),
        fields: method.prompts.iter().filter_map(field).chain(own).collect(),
    }
}

fn field(prompt: &Value) -> Option<Field> {
    let options = prompt.get("options").and_then(Value::as_array).into_iter().flatten();
    Some(Field {
        name: text_of(prompt, "key")?,
        title: text_of(prompt, "message").unwrap_or_default(),
        placeholder: text_of(prompt, "placeholder"),
        secret: false,
        choices: options
            .filter_map(|option| {
                Some(Choice {
                    label: text_of(option, "value")?,
                    description: text_of(option, "label").unwrap_or_default(),
                })
            })
            .collect(),
    })
}

/// `inputs` are what the owner typed beside the key.
fn inputs(values: &[Given]) -> Map<String, Value> {
    let others = values
        .iter()
        .filter(|given| given.name != KEY && !given.value.is_empty());
    others.map(|given| (given.name.clone(), json!(given.value))).collect()
}

pub async fn sign_in(provider: &str, method: &str, values: &[Given]) -> Result<(), Error> {
    let known = methods().await?;
    let fits = match known.get(provider) {
        Some(all) => method
            .parse::<usize>()
            .ok()
            .and_then(|at| all.get(at))
            .is_some_and(|m| m.kind == "api"),
        None => method == KEY,
    };
    if !fits {
        return Err(no_such_method(provider, method));
    }
    let key = values
        .iter()
        .find(|given| given.name == KEY)
        .map(|given| given.value.trim());
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return Err(Error::Invalid("A key is missing.".to_owned()));
    };
    nothing_runs().await?;
    let mut body = json!({ "type": "api", "key": key });
    let inputs = inputs(values);
    if let (false, Some(map)) = (inputs.is_empty(), body.as_object_mut()) {
        map.insert("metadata".to_owned(), Value::Object(inputs));
    }
    client::send_json("PUT", &format!("/auth/{}", encode(provider)), "", &body).await?;
    read_again().await
}

pub async fn begin(provider: &str, method: &str, values: &[Given]) -> Result<BrowserSignIn, Error> {
    #[derive(Deserialize)]
    struct Page {
        url: String,
        #[serde(default)]
        method: String,
        #[serde(default)]
        instructions: String,
    }
    let at = browser_method(provider, method).await?;
    let body = json!({ "method": at, "inputs": inputs(values) });
    let path = format!("/provider/{}/oauth/authorize", encode(provider));
    let answer = client::send_json("POST", &path, "", &body)
        .await
        .map_err(|error| match error {
            RequestError::Refused { status: 500.., .. } => Error::Unavailable(format!(
                "opencode could not begin the sign-in to {provider}: is the provider reachable from this machine?"
            )),
            other => other.into(),
        })?;
    let page: Page = answer.json(64 * 1024).await?;
    Ok(BrowserSignIn {
        url: page.url,
        instructions: page.instructions,
        gives_code: page.method == "code",
    })
}

pub async fn finish(provider: &str, method: &str, code: Option<String>) -> Result<(), Error> {
    let at = browser_method(provider, method).await?;
    let mut body = json!({ "method": at });
    if let (Some(code), Some(map)) = (code, body.as_object_mut()) {
        map.insert("code".to_owned(), json!(code.trim()));
    }
    nothing_runs().await?;
    let path = format!("/provider/{}/oauth/callback", encode(provider));
    let request = client::request("POST", &path, "").timeout(FINISH_TIMEOUT).json(&body)?;
    match client::send(request).await {
        Ok(_) => read_again().await,
        Err(RequestError::Host(Error::Timeout(_))) => Err(Error::Unavailable(
            "The sign-in is not finished yet. Finish it at the provider's page.".to_owned(),
        )),
        // The one before may have ended after its time.
        Err(RequestError::Refused { status: 400.., .. }) if is_connected(provider).await? => read_again().await,
        Err(RequestError::Refused {
            status: 400.., message, ..
        }) => Err(Error::Denied(format!("The sign-in failed: {message}. Begin it again."))),
        Err(other) => Err(other.into()),
    }
}

pub async fn sign_out(provider: &str) -> Result<(), Error> {
    nothing_runs().await?;
    let request = client::request("DELETE", &format!("/auth/{}", encode(provider)), "");
    client::send(request).await?;
    read_again().await
}

async fn browser_method(provider: &str, method: &str) -> Result<usize, Error> {
    let known = methods().await?;
    let at = method.parse::<usize>().ok();
    let found = at.filter(|at| {
        let all = known.get(provider);
        all.and_then(|all| all.get(*at)).is_some_and(|m| m.kind != "api")
    });
    found.ok_or_else(|| no_such_method(provider, method))
}

fn no_such_method(provider: &str, method: &str) -> Error {
    Error::Invalid(format!("opencode has no way {method:?} to sign in to {provider:?}."))
}

/// opencode reads its credentials when it opens a folder, and opening it again ends what runs there.
async fn nothing_runs() -> Result<(), Error> {
    for folder in connection_state::all_folders()? {
        if !client::statuses(&folder).await?.is_empty() {
            return Err(Error::Unavailable(
                "An answer is running, and opencode would end it. Try again when it is finished, or stop it."
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

/// Lets opencode read its credentials, now or when nothing runs any more.
async fn read_again() -> Result<(), Error> {
    let folders = connection_state::all_folders()?;
    connection_state::with(|c| c.reload_due.extend(folders))?;
    // opencode has them: what is asked for is done, and the next prompt lets it read them.
    if let Err(error) = reload_if_due(&nexus_plugin_api::config()?, None).await {
        log::warn(format!(
            "opencode has other credentials and could not read them yet: {}",
            error.text()
        ));
    }
    Ok(())
}

/// Opens those folders again in which opencode has to read its credentials and nothing runs: an answer that began meanwhile goes on,
/// and has the ones of before. So does a prompt that is on its way; `own` is the one that this is done before. One that comes
/// while folders are opened waits for that.
pub async fn reload_if_due(settings: &Settings, own: Option<&(String, String)>) -> Result<(), Error> {
    while connection_state::with(|c| c.reloading.strong_count() > 0)? {
        clock::sleep(RELOAD_LOOK).await;
    }
    let reloading = Rc::new(());
    let due = connection_state::with(|c| {
        let mut others = c.sending.iter().filter(|(key, _)| Some(*key) != own);
        if others.any(|(_, held)| held.strong_count() > 0) {
            return BTreeSet::new();
        }
        c.reloading = Rc::downgrade(&reloading);
        c.reload_due.clone()
    })?;
    for folder in due {
        if !client::statuses(&folder).await.is_ok_and(|running| running.is_empty()) {
            continue;
        }
        // It loads the workspace's own code with that.
        ensure(settings).await?;
        client::send_json("POST", "/instance/dispose", &folder, &json!({})).await?;
        connection_state::with(|c| c.reload_due.remove(&folder))?;
    }
    Ok(())
}

/// Refuses to go on where opencode would load code of the workspace that was not there when it was started: it does so at the first
/// request of a folder, and again after a while without one.
pub async fn ensure(settings: &Settings) -> Result<(), Error> {
    let running = settings.server().ensure(PROCESS).await?;
    if running.outcome == Outcome::Adopted {
        return Ok(());
    }
    Err(Error::Unavailable(
        "opencode exited and was just restarted. Try again.".to_owned(),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_sign_in_have_what_opencode_asks_for() {
        let all: Vec<Method> = serde_json::from_value(json!([
            {"type": "oauth", "label": "Login with GitHub Copilot", "prompts": [
                {"type": "select", "key": "deploymentType", "message": "Select GitHub deployment type",
                 "options": [{"label": "GitHub.com", "value": "github.com", "hint": "Public"}]}]},
            {"type": "api", "label": "API key", "prompts": [
                {"type": "text", "key": "accountId", "message": "Enter your Account ID", "placeholder": "e.g. 12"}]},
        ]))
        .unwrap();
        let read: Vec<SignInMethod> = all.iter().enumerate().map(convert).collect();
        assert_eq!((read[0].id.as_str(), read[0].kind), ("0", SignInKind::Browser));
        assert_eq!(read[0].fields[0].choices[0].label, "github.com");
        assert_eq!(read[1].kind, SignInKind::Key);
        let names: Vec<_> = read[1].fields.iter().map(|f| (f.name.as_str(), f.secret)).collect();
        assert_eq!(names, [("accountId", false), ("key", true)]);
        let given = |name: &str, value: &str| Given {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let values = [given("accountId", "12"), given("key", "sk"), given("empty", "")];
        assert_eq!(Value::Object(inputs(&values)), json!({"accountId": "12"}));
    }
}
