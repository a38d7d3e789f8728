//! What a prompt can be sent with: models and agents.

use crate::client;
use crate::wire::text_of;
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::{agents, models};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// `Providers` is the answer of `GET /config/providers`. It has the keys of providers; what is not here is not read.
#[derive(Debug, Default, Deserialize)]
pub struct Providers {
    #[serde(default)]
    providers: Vec<Provider>,
    #[serde(default)]
    default: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Provider {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    models: BTreeMap<String, Model>,
}

#[derive(Debug, Deserialize)]
struct Model {
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    capabilities: Value,
    #[serde(default)]
    cost: Value,
    #[serde(default)]
    limit: Value,
    #[serde(default)]
    variants: BTreeMap<String, Value>,
}

/// `INPUTS` are opencode's words for what a model reads beside text, and the media types.
const INPUTS: [(&str, &str); 4] = [
    ("image", "image/*"),
    ("audio", "audio/*"),
    ("video", "video/*"),
    ("pdf", "application/pdf"),
];

pub async fn providers(workspace: &str) -> Result<Providers, Error> {
    Ok(client::get("/config/providers", workspace).await?)
}

impl Providers {
    /// `has` tells whether a model can be used.
    pub fn has(&self, provider: &str, model: &str) -> bool {
        let mut providers = self.providers.iter().filter(|known| known.id == provider);
        providers.any(|known| known.models.contains_key(model))
    }

    /// `default_model` is a model for what has none: the first provider's.
    pub fn default_model(&self) -> Option<(String, String)> {
        let mut all = self.providers.iter();
        all.find_map(|provider| Some((provider.id.clone(), self.default.get(&provider.id)?.clone())))
    }

    /// `list` are the models. `configured`: the one of the configuration, which answers in a new session.
    pub fn list(self, configured: Option<String>) -> models::ModelList {
        let default = configured.or_else(|| {
            self.default_model()
                .map(|(provider, model)| format!("{provider}/{model}"))
        });
        let of = |provider: Provider| {
            let name = if provider.name.is_empty() {
                provider.id.clone()
            } else {
                provider.name
            };
            let usable = provider
                .models
                .into_iter()
                .filter(|(_, model)| model.status != "deprecated");
            usable
                .map(move |(id, model)| convert_model(format!("{}/{id}", provider.id), &name, model))
                .collect::<Vec<_>>()
        };
        models::ModelList {
            models: self.providers.into_iter().flat_map(of).collect(),
            default,
        }
    }
}

fn convert_model(id: String, provider: &str, model: Model) -> models::Model {
    let input = model.capabilities.get("input");
    let reads = input.map(|input| {
        let can = |what: &str| input.get(what).and_then(Value::as_bool) == Some(true);
        let more = INPUTS.iter().filter(|(what, _)| can(what)).map(|(_, mime)| *mime);
        // opencode reads text files itself and adds their text.
        std::iter::once("text/*").chain(more).map(str::to_owned).collect()
    });
    let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_f64).filter(|n| *n > 0.0);
    models::Model {
        title: if model.name.is_empty() { id.clone() } else { model.name },
        provider: provider.to_owned(),
        variants: model.variants.into_keys().collect(),
        reads,
        context_tokens: number(&model.limit, "context").map(crate::wire::count),
        input_price: number(&model.cost, "input"),
        output_price: number(&model.cost, "output"),
        ext: Vec::new(),
        id,
    }
}

/// `no_such_model` is the refusal of a model that opencode does not have.
pub fn no_such_model(model: &str) -> String {
    format!("opencode has no model {model:?}. To fix: choose one of its models, or sign in to the model's provider.")
}

/// `Agent` is an entry of `GET /agent`.
#[derive(Debug, Deserialize)]
pub struct Agent {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    hidden: bool,
    #[serde(default)]
    model: Value,
}

impl Agent {
    /// `takes_prompts` tells whether the owner may send it a prompt; others are started by an agent, or by opencode itself.
    fn takes_prompts(&self) -> bool {
        !self.hidden && self.mode != "subagent"
    }

    /// `model` is the model that it has of its own.
    fn model(&self) -> Option<String> {
        let provider = text_of(&self.model, "providerID")?;
        Some(format!("{provider}/{}", text_of(&self.model, "modelID")?))
    }
}

async fn all_agents(workspace: &str) -> Result<Vec<Agent>, Error> {
    Ok(client::list("/agent", workspace).await?)
}

/// `agent` is an agent that the owner may send a prompt to, and the model that it has of its own. `None`: there is no such.
pub async fn agent(workspace: &str, id: &str) -> Result<Option<Option<String>>, Error> {
    let all = all_agents(workspace).await?;
    let found = all.iter().find(|agent| agent.name == id && agent.takes_prompts());
    Ok(found.map(Agent::model))
}

/// `model_of_agent` is the model that an agent has of its own, whoever may send it prompts.
pub async fn model_of_agent(workspace: &str, id: &str) -> Result<Option<String>, Error> {
    let all = all_agents(workspace).await?;
    Ok(all.iter().find(|agent| agent.name == id).and_then(Agent::model))
}

pub async fn agents(workspace: &str) -> Result<agents::AgentList, Error> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        default_agent: Option<String>,
    }
    let agents: Vec<_> = all_agents(workspace).await?;
    let configured = client::get::<Config>("/config", workspace).await?.default_agent;
    let list: Vec<_> = agents
        .into_iter()
        .filter(Agent::takes_prompts)
        .map(|agent| agents::Agent {
            model: agent.model(),
            id: agent.name.clone(),
            title: agent.name,
            description: agent.description.unwrap_or_default(),
            ext: Vec::new(),
        })
        .collect();
    let named = |name: &str| list.iter().any(|agent| agent.id == name);
    Ok(agents::AgentList {
        default: configured
            .filter(|name| named(name))
            .or_else(|| named("build").then(|| "build".to_owned())),
        agents: list,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer() -> Providers {
        serde_json::from_value(json!({
            "providers": [{
                "id": "fake", "name": "Fake LLM", "options": {"apiKey": "sk-secret"},
                "models": {
                    "one": {"name": "Fake One", "limit": {"context": 128000, "output": 32000}, "cost": {"input": 0, "output": 2.5},
                        "capabilities": {"input": {"text": true, "image": true, "pdf": false}}, "variants": {"high": {}, "low": {}}},
                    "old": {"name": "Old", "status": "deprecated"},
                },
            }],
            "default": {"fake": "one"},
        }))
        .unwrap()
    }

    #[test]
    fn models_have_what_opencode_knows_of_them_and_no_key_is_read() {
        assert!(!format!("{:?}", answer()).contains("sk-secret"));
        let list = answer().list(None);
        assert_eq!(list.default.as_deref(), Some("fake/one"));
        assert_eq!(list.models.len(), 1);
        let model = &list.models[0];
        assert_eq!((model.id.as_str(), model.title.as_str()), ("fake/one", "Fake One"));
        assert_eq!(model.provider, "Fake LLM");
        assert_eq!(model.reads, Some(vec!["text/*".to_owned(), "image/*".to_owned()]));
        assert_eq!(model.context_tokens, Some(128_000));
        assert_eq!((model.input_price, model.output_price), (None, Some(2.5)));
        assert_eq!(model.variants, ["high", "low"]);
        assert_eq!(answer().list(Some("a/b".to_owned())).default.as_deref(), Some("a/b"));
        assert!(answer().has("fake", "one") && !answer().has("fake", "two") && !answer().has("other", "one"));
    }

    #[test]
    fn only_agents_that_take_prompts_are_offered() {
        let agent = |value: Value| serde_json::from_value::<Agent>(value).unwrap();
        assert!(agent(json!({"name": "build", "mode": "primary"})).takes_prompts());
        assert!(agent(json!({"name": "mine", "mode": "all"})).takes_prompts());
        assert!(!agent(json!({"name": "title", "mode": "primary", "hidden": true})).takes_prompts());
        assert!(!agent(json!({"name": "explore", "mode": "subagent"})).takes_prompts());
        let own = agent(json!({"name": "a", "mode": "all", "model": {"providerID": "p", "modelID": "m/x"}}));
        assert_eq!(own.model().as_deref(), Some("p/m/x"));
    }
}
