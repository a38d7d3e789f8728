//! What servers send, read with patience: each of them leaves out or adds something.

use serde::Deserialize;
use serde_json::Value;

/// `Chunk` is one event of a streamed answer, or a whole answer that is not streamed.
#[derive(Debug, Default, Deserialize)]
pub struct Chunk {
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub choices: Option<Vec<Choice>>,
    #[serde(default)]
    pub usage: Option<Usage>,
    /// `error` is what went wrong amid the answer, in one of several forms: [`error_text`].
    #[serde(default)]
    pub error: Value,
}

#[derive(Debug, Default, Deserialize)]
pub struct Choice {
    #[serde(default)]
    pub index: u64,
    /// `delta` is what is new; of an answer that is not streamed `message` is all of it.
    #[serde(default, alias = "message")]
    pub delta: Option<Delta>,
    #[serde(default)]
    pub finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub struct Delta {
    /// `content` is a text, or a list of parts.
    #[serde(default)]
    content: Value,
    /// `reasoning_content` is what DeepSeek, llama.cpp and vLLM name the reasoning; [`Self::reasoning`] is it at OpenRouter and Ollama.
    #[serde(default)]
    reasoning_content: Value,
    #[serde(default)]
    reasoning: Value,
    /// `refusal` is what OpenAI's models answer in place of a content.
    #[serde(default)]
    refusal: Value,
}

/// `Piece` is one piece of an answer, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Reasoning(String),
    Text(String),
}

impl Delta {
    /// `pieces` are the pieces that are not empty.
    pub fn pieces(&self) -> Vec<Piece> {
        let mut all = Vec::new();
        let reasoning = [&self.reasoning_content, &self.reasoning];
        // A server that sends both sends the same twice.
        let reasoning = reasoning
            .into_iter()
            .filter_map(Value::as_str)
            .find(|text| !text.is_empty());
        all.extend(reasoning.map(|text| Piece::Reasoning(text.to_owned())));
        for value in [&self.content, &self.refusal] {
            match value {
                Value::String(text) => all.push(Piece::Text(text.clone())),
                Value::Array(parts) => all.extend(parts.iter().filter_map(part)),
                _ => {}
            }
        }
        all.retain(|(Piece::Reasoning(text) | Piece::Text(text))| !text.is_empty());
        all
    }
}

/// `part` is one of a list of parts, as Mistral's reasoning models send it.
fn part(value: &Value) -> Option<Piece> {
    let thinking = match value.get("thinking") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Array(parts)) => Some(parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()),
        _ => None,
    };
    match (thinking, value.get("text").and_then(Value::as_str)) {
        (Some(text), _) => Some(Piece::Reasoning(text)),
        (None, Some(text)) => Some(Piece::Text(text.to_owned())),
        (None, None) => None,
    }
}

#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
pub struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
    #[serde(default)]
    completion_tokens_details: Option<Details>,
    /// `cost` is in US dollars: OpenRouter states it.
    #[serde(default)]
    cost: Option<f64>,
}

#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl Usage {
    /// `counted` is the usage as the contract has it: what was cached and reasoned is in neither of the others. `None`: the server
    /// counted nothing.
    pub fn counted(&self) -> Option<nexus_plugin_api::chat::types::Usage> {
        let of = |details: &Option<Details>, count: fn(&Details) -> Option<u64>| {
            details.as_ref().and_then(count).unwrap_or_default()
        };
        let cached = of(&self.prompt_tokens_details, |details| details.cached_tokens);
        let reasoning = of(&self.completion_tokens_details, |details| details.reasoning_tokens);
        let (input, output) = (self.prompt_tokens?, self.completion_tokens.unwrap_or_default());
        Some(nexus_plugin_api::chat::types::Usage {
            input: input.saturating_sub(cached),
            output: output.saturating_sub(reasoning),
            reasoning,
            cache_read: cached,
            cache_write: 0,
            cost: self.cost.filter(|cost| cost.is_finite() && *cost >= 0.0),
        })
    }
}

/// `Model` is an entry of `/models`.
#[derive(Debug, Default, Deserialize)]
pub struct Model {
    #[serde(default)]
    pub id: String,
    /// `name` is what OpenRouter names it for people.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub context_length: Option<u64>,
    /// `max_model_len` is vLLM's name for the same.
    #[serde(default)]
    pub max_model_len: Option<u64>,
    /// `meta` are facts of a file, at llama.cpp.
    #[serde(default)]
    pub meta: Value,
    #[serde(default)]
    pub architecture: Value,
    #[serde(default)]
    pub pricing: Value,
}

impl Model {
    /// `context_tokens` is how many tokens it takes in all.
    pub fn context_tokens(&self) -> Option<u64> {
        // llama.cpp has it among the facts of the file.
        let trained = self.meta.get("n_ctx").or_else(|| self.meta.get("n_ctx_train"));
        self.max_model_len.or(self.context_length).or_else(|| trained?.as_u64())
    }

    /// `reads_images` is known of few.
    pub fn reads_images(&self) -> Option<bool> {
        let modalities = self.architecture.get("input_modalities")?.as_array()?;
        Some(modalities.iter().any(|modality| modality == "image"))
    }

    /// `price` is that of a million tokens, of what is sent (`prompt`) or answered (`completion`).
    pub fn price(&self, of: &str) -> Option<f64> {
        let token: f64 = self.pricing.get(of)?.as_str()?.parse().ok()?;
        (token.is_finite() && token >= 0.0).then_some(token * 1e6)
    }
}

/// `models` are the entries of `/models`: each that can be read, so that an odd one costs no other.
pub fn models(answer: &Value) -> Vec<Model> {
    let list = ["data", "models"]
        .into_iter()
        .find_map(|key| answer.get(key)?.as_array());
    let list = list.or_else(|| answer.as_array());
    let entries = list.into_iter().flatten();
    let read = entries.filter_map(|entry| serde_json::from_value::<Model>(entry.clone()).ok());
    read.filter(|model| !model.id.is_empty()).collect()
}

/// `Fault` is an error as a server words it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `code` is its machine-readable name: `context_length_exceeded`.
    pub code: String,
    pub text: String,
}

/// `WORDS` is how many characters of a server's error are shown.
const WORDS: usize = 500;

/// `fault` is the error of a body, whatever form it has: JSON of several kinds, or a text.
pub fn fault(body: &[u8]) -> Fault {
    let text = nexus_plugin_api::json::well_formed(body);
    let json = serde_json::from_str::<Value>(&text).ok();
    match json.as_ref().map(error_text) {
        Some(fault) if !fault.text.is_empty() => fault,
        // A page is no sentence.
        None if !text.trim_start().starts_with('<') => Fault {
            code: String::new(),
            text: shortened(&text),
        },
        _ => Fault::default(),
    }
}

/// `error_text` is the error in a value: `{"error": {"message", "code", "type"}}`, `{"error": "…"}`, `{"message"}`, `{"detail"}`.
pub fn error_text(value: &Value) -> Fault {
    let inner = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
    // OpenRouter has the words of the provider behind its own.
    let raw = inner.get("metadata").and_then(|metadata| metadata.get("raw")?.as_str());
    let said = ["message", "detail", "error"]
        .into_iter()
        .find_map(|key| inner.get(key)?.as_str());
    let said = said.or_else(|| inner.as_str()).unwrap_or_default();
    let detail = inner
        .get("detail")
        .filter(|detail| detail.is_array())
        .map(Value::to_string);
    let text = match (said, raw, detail) {
        ("", _, Some(detail)) => detail,
        (said, Some(raw), _) => format!("{said}: {raw}"),
        (said, None, _) => said.to_owned(),
    };
    let code = ["code", "type"].into_iter().find_map(|key| inner.get(key)?.as_str());
    Fault {
        code: code.unwrap_or_default().to_owned(),
        text: shortened(&text),
    }
}

/// `shortened` are a server's words on one line. A fix is ours to name: what follows `To fix: ` is shown as one to do.
pub fn shortened(text: &str) -> String {
    let words = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace("To fix:", "to fix:");
    if words.chars().count() <= WORDS {
        return words;
    }
    words.chars().take(WORDS).chain(['…']).collect()
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
