//! What a session of the agent lets the owner choose: modes, models, how much it thinks, commands.
//!
//! Agents say it in two ways: by options of a session's configuration, with a category each, or, the older ones, by `modes` and
//! `models`. An option is preferred where both are there.

use crate::wire::{Command, ConfigOption, ConfigValue, ConfigValues, SessionOpened};
use nexus_plugin_api::agents::{Agent, AgentList};
use nexus_plugin_api::models::{Model, ModelList};
use nexus_plugin_api::{commands, models};
use serde_json::{Value, json};

#[derive(Debug, Clone, Default)]
pub struct Offers {
    modes: Option<Choice>,
    models: Option<Choice>,
    efforts: Option<Choice>,
    commands: Vec<Command>,
}

/// `COMMANDS` is how many commands are kept: as many as the host takes.
const COMMANDS: usize = 1_000;

/// `What` is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Mode,
    Model,
    Effort,
}

#[derive(Debug, Clone)]
struct Choice {
    by: By,
    current: String,
    /// `first` is the value that was in use first, as in each new session.
    first: String,
    values: Vec<Offered>,
}

#[derive(Debug, Clone, PartialEq)]
enum By {
    /// `Option` has the option's id.
    Option(String),
    Method,
}

#[derive(Debug, Clone, PartialEq)]
struct Offered {
    id: String,
    name: String,
    description: String,
    group: Option<String>,
}

impl What {
    fn category(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Model => "model",
            Self::Effort => "thought_level",
        }
    }

    /// `word` is what a person reads.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Model => "model",
            Self::Effort => "variant",
        }
    }
}

impl Offers {
    /// Keeps what the agent says when a session begins.
    pub fn opened(&mut self, opened: SessionOpened) {
        if let Some(modes) = opened.modes {
            let values = modes.available_modes.into_iter().map(|mode| Offered {
                id: mode.id,
                name: mode.name,
                description: mode.description.unwrap_or_default(),
                group: None,
            });
            self.modes = Some(Choice {
                by: By::Method,
                first: modes.current_mode_id.clone(),
                current: modes.current_mode_id,
                values: values.collect(),
            });
        }
        if let Some(models) = opened.models {
            let values = models.available_models.into_iter().map(|model| Offered {
                id: model.model_id,
                name: model.name,
                description: String::new(),
                group: None,
            });
            self.models = Some(Choice {
                by: By::Method,
                first: models.current_model_id.clone(),
                current: models.current_model_id,
                values: values.collect(),
            });
        }
        if let Some(options) = opened.config_options {
            self.options(options);
        }
    }

    /// Keeps the options as a whole.
    pub fn options(&mut self, options: Vec<ConfigOption>) {
        for what in [What::Mode, What::Model, What::Effort] {
            let found = options
                .iter()
                .find(|option| option.category.as_deref() == Some(what.category()));
            let slot = self.slot(what);
            match found {
                Some(option) => {
                    let first = slot.take().map(|choice| choice.first);
                    let mut choice = Choice::of(option);
                    choice.first = first.unwrap_or(choice.first);
                    *slot = Some(choice);
                }
                None if slot.as_ref().is_some_and(|choice| choice.by != By::Method) => *slot = None,
                None => {}
            }
        }
    }

    pub fn mode(&mut self, current: String) {
        if let Some(modes) = &mut self.modes {
            modes.current = current;
        }
    }

    pub fn commands(&mut self, mut commands: Vec<Command>) {
        commands.truncate(COMMANDS);
        self.commands = commands;
    }

    fn slot(&mut self, what: What) -> &mut Option<Choice> {
        match what {
            What::Mode => &mut self.modes,
            What::Model => &mut self.models,
            What::Effort => &mut self.efforts,
        }
    }

    fn choice(&self, what: What) -> Option<&Choice> {
        match what {
            What::Mode => self.modes.as_ref(),
            What::Model => self.models.as_ref(),
            What::Effort => self.efforts.as_ref(),
        }
    }

    /// `current` is the value that is in use, as the host knows it.
    pub fn current(&self, what: What) -> Option<String> {
        self.known(what, |choice| &choice.current)
    }

    /// `first` is the value that a new session has, as the host knows it.
    fn first(&self, what: What) -> Option<String> {
        self.known(what, |choice| &choice.first)
    }

    fn known(&self, what: What, id: impl Fn(&Choice) -> &String) -> Option<String> {
        let choice = self.choice(what)?;
        let known = choice.values.iter().find(|value| value.id == *id(choice))?;
        Some(if what == What::Model {
            model_id(&known.id)
        } else {
            known.id.clone()
        })
    }

    /// `request` is the method and the parameters that choose `wanted` in a session of the agent; `None`: it is in use.
    ///
    /// # Errors
    /// The agent does not offer it: a sentence.
    pub fn request(&self, what: What, wanted: &str, session: &str) -> Result<Option<(&'static str, Value)>, String> {
        let word = what.word();
        let named = |value: &&Offered| value.id == wanted || what == What::Model && model_id(&value.id) == wanted;
        let choice = self.choice(what);
        let Some((choice, value)) = choice.and_then(|choice| Some((choice, choice.values.iter().find(named)?))) else {
            return Err(format!(
                "The agent has no {word} {wanted:?}. To fix: choose another one."
            ));
        };
        if value.id == choice.current {
            return Ok(None);
        }
        let id = &value.id;
        Ok(Some(match &choice.by {
            By::Option(option) => (
                "session/set_config_option",
                json!({"sessionId": session, "configId": option, "value": id}),
            ),
            By::Method if what == What::Mode => ("session/set_mode", json!({"sessionId": session, "modeId": id})),
            By::Method => ("session/set_model", json!({"sessionId": session, "modelId": id})),
        }))
    }

    /// Notes that a value was chosen, from the agent's answer.
    pub fn chosen(&mut self, what: What, wanted: &str, answer: &Value) {
        if let Some(options) = answer.get("configOptions") {
            let opened = serde_json::from_value(json!({"configOptions": options}));
            return self.opened(opened.unwrap_or_default());
        }
        if let Some(choice) = self.slot(what)
            && let Some(value) = choice
                .values
                .iter()
                .find(|v| v.id == wanted || model_id(&v.id) == wanted)
        {
            choice.current = value.id.clone();
        }
    }

    pub fn agent_list(&self) -> AgentList {
        let values = self.modes.iter().flat_map(|choice| &choice.values);
        AgentList {
            agents: values
                .map(|mode| Agent {
                    id: mode.id.clone(),
                    title: mode.name.clone(),
                    description: mode.description.clone(),
                    model: None,
                    ext: Vec::new(),
                })
                .collect(),
            default: self.first(What::Mode),
        }
    }

    /// `model_list` has the provider as the agent groups its models, or as their ids begin, or `agent`.
    pub fn model_list(&self, agent: &str) -> ModelList {
        let efforts: Vec<String> = self
            .efforts
            .iter()
            .flat_map(|c| &c.values)
            .map(|v| v.id.clone())
            .collect();
        let values = self.models.iter().flat_map(|choice| &choice.values);
        let models = values.map(|model| Model {
            id: model_id(&model.id),
            title: model.name.clone(),
            provider: match (&model.group, model.id.split_once('/')) {
                (Some(group), _) => group.clone(),
                (None, Some((provider, _))) => provider.to_owned(),
                (None, None) => agent.to_owned(),
            },
            variants: efforts.clone(),
            reads: None,
            context_tokens: None,
            input_price: None,
            output_price: None,
            ext: Vec::new(),
        });
        models::ModelList {
            models: models.collect(),
            default: self.first(What::Model),
        }
    }

    pub fn command_list(&self) -> Vec<commands::Command> {
        let all = self.commands.iter();
        all.map(|command| commands::Command {
            name: command.name.clone(),
            description: command.description.clone(),
            arguments: command.input.as_ref().map(|input| input.hint.clone()),
            ext: Vec::new(),
        })
        .collect()
    }

    /// `has_no_command`: the agent has said which commands it has, and this is none of them.
    pub fn has_no_command(&self, name: &str) -> bool {
        !self.commands.is_empty() && self.commands.iter().all(|command| command.name != name)
    }
}

impl Choice {
    fn of(option: &ConfigOption) -> Self {
        let offered = |value: &ConfigValue, group: Option<&String>| Offered {
            id: value.value.clone(),
            name: value.name.clone(),
            description: value.description.clone().unwrap_or_default(),
            group: group.cloned(),
        };
        let mut values = Vec::new();
        for entry in &option.options {
            match entry {
                ConfigValues::One(value) => values.push(offered(value, None)),
                ConfigValues::Group { name, options } => {
                    values.extend(options.iter().map(|value| offered(value, Some(name))));
                }
            }
        }
        Self {
            by: By::Option(option.id.clone()),
            current: option.current_value.clone(),
            first: option.current_value.clone(),
            values,
        }
    }
}

/// `model_id` is a model's id as the contract has it, `provider/model`, also where the agent names no provider.
fn model_id(id: &str) -> String {
    if id.contains('/') {
        id.to_owned()
    } else {
        format!("agent/{id}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn offers(opened: Value) -> Offers {
        let mut offers = Offers::default();
        offers.opened(serde_json::from_value(opened).unwrap());
        offers
    }

    /// What opencode 1.18.33 says.
    fn options() -> Value {
        json!({"sessionId": "s", "configOptions": [
            {"id": "model", "name": "Model", "category": "model", "type": "select", "currentValue": "s/m", "options": [
                {"value": "s/m", "name": "S/M"}, {"value": "s/n", "name": "S/N"}]},
            {"id": "mode", "name": "Session Mode", "category": "mode", "type": "select", "currentValue": "build", "options": [
                {"value": "build", "name": "build", "description": "The default agent."}, {"value": "plan", "name": "plan"}]}]})
    }

    #[test]
    fn options_are_modes_and_models() {
        let mut offers = offers(options());
        let modes = offers.agent_list();
        assert_eq!((modes.agents.len(), modes.default.as_deref()), (2, Some("build")));
        let models = offers.model_list("X");
        assert_eq!(
            (models.models[1].id.as_str(), models.models[1].provider.as_str()),
            ("s/n", "s")
        );
        assert_eq!(offers.request(What::Mode, "build", "s"), Ok(None));
        let (method, params) = offers.request(What::Model, "s/n", "s").unwrap().unwrap();
        assert_eq!(
            (method, &params["configId"], &params["value"]),
            ("session/set_config_option", &json!("model"), &json!("s/n"))
        );
        assert!(
            offers
                .request(What::Effort, "high", "s")
                .unwrap_err()
                .contains("no variant \"high\"")
        );
        let mut answer = options();
        answer["configOptions"][0]["currentValue"] = json!("s/n");
        offers.chosen(What::Model, "s/n", &answer);
        assert_eq!(offers.current(What::Model).as_deref(), Some("s/n"));
        assert_eq!(
            offers.model_list("X").default.as_deref(),
            Some("s/m"),
            "that of a new session"
        );
        offers.options(Vec::new());
        assert_eq!(offers.agent_list().agents, []);
    }

    #[test]
    fn older_agents_have_methods_and_models_without_a_provider() {
        let mut offers = offers(json!({"sessionId": "s",
            "modes": {"currentModeId": "ask", "availableModes": [{"id": "ask", "name": "Ask"}, {"id": "code", "name": "Code", "description": null}]},
            "models": {"currentModelId": "pro", "availableModels": [{"modelId": "pro", "name": "Pro"}, {"modelId": "flash", "name": "Flash"}]}}));
        assert_eq!(offers.model_list("Gemini").default.as_deref(), Some("agent/pro"));
        assert_eq!(offers.model_list("Gemini").models[0].provider, "Gemini");
        let (method, params) = offers.request(What::Model, "agent/flash", "s").unwrap().unwrap();
        assert_eq!((method, &params["modelId"]), ("session/set_model", &json!("flash")));
        offers.chosen(What::Model, "agent/flash", &Value::Null);
        assert_eq!(offers.request(What::Model, "agent/flash", "s"), Ok(None));
        let (method, params) = offers.request(What::Mode, "code", "s").unwrap().unwrap();
        assert_eq!((method, &params["modeId"]), ("session/set_mode", &json!("code")));
        offers.mode("code".into());
        assert_eq!(offers.current(What::Mode).as_deref(), Some("code"));
        // Options that say nothing of modes leave them.
        offers.options(Vec::new());
        assert_eq!(offers.agent_list().agents.len(), 2);
    }

    #[test]
    fn how_much_it_thinks_is_a_variant_of_every_model() {
        let mut opened = options();
        let effort = json!({"id": "effort", "category": "thought_level", "type": "select", "currentValue": "low", "options": [
            {"group": "g", "name": "G", "options": [{"value": "low", "name": "Low"}, {"value": "high", "name": "High"}]}]});
        opened["configOptions"].as_array_mut().unwrap().push(effort);
        let offers = offers(opened);
        assert_eq!(offers.model_list("X").models[0].variants, ["low", "high"]);
        assert!(offers.request(What::Effort, "high", "s").unwrap().is_some());
    }

    #[test]
    fn commands_have_their_hint() {
        let mut offers = Offers::default();
        offers.commands(
            serde_json::from_value(
                json!([{"name": "web", "description": "d", "input": {"hint": "query"}}, {"name": "x"}]),
            )
            .unwrap(),
        );
        let list = offers.command_list();
        assert_eq!(
            (list[0].arguments.as_deref(), list[1].arguments.as_deref()),
            (Some("query"), None)
        );
        assert!(!offers.has_no_command("web") && offers.has_no_command("y"));
        assert!(!Offers::default().has_no_command("y"), "it is not known yet");
        let many: Vec<Value> = (0..2 * COMMANDS).map(|n| json!({"name": n.to_string()})).collect();
        offers.commands(serde_json::from_value(many.into()).unwrap());
        assert_eq!(offers.command_list().len(), COMMANDS);
    }
}
