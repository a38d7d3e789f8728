//! The models of the server, as the contract has them.

use crate::settings::Server;
use crate::wire::Model;
use nexus_plugin_api::models::{Model as Choice, ModelList};

/// `list` is what the owner chooses from: what the server lists, and the configured model also where that is not among them.
pub fn list(server: &Server, listed: &[Model], configured: Option<&str>) -> ModelList {
    let mut models: Vec<Choice> = listed.iter().map(|model| choice(server, model)).collect();
    if let Some(name) = configured.filter(|name| listed.iter().all(|model| model.id != **name)) {
        let own = Model {
            id: name.to_owned(),
            ..Model::default()
        };
        models.insert(0, choice(server, &own));
    }
    ModelList {
        default: default(listed, configured).map(|name| server.model_id(name)),
        models,
    }
}

/// `default` is the model that answers where none is chosen, as the server names it.
pub fn default<'a>(listed: &'a [Model], configured: Option<&'a str>) -> Option<&'a str> {
    configured.or_else(|| listed.first().map(|model| model.id.as_str()))
}

fn choice(server: &Server, model: &Model) -> Choice {
    Choice {
        id: server.model_id(&model.id),
        title: model.name.clone().unwrap_or_else(|| model.id.clone()),
        provider: server.host.clone(),
        variants: Vec::new(),
        reads: model.reads_images().map(|images| {
            let all = ["text/*", "image/*"].into_iter().take(if images { 2 } else { 1 });
            all.map(str::to_owned).collect()
        }),
        context_tokens: model.context_tokens(),
        input_price: model.price("prompt"),
        output_price: model.price("completion"),
        ext: Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::settings::{Settings, tests::authored};
    use crate::wire::models;
    use serde_json::json;

    fn server() -> Server {
        Settings::try_from(authored("https://openrouter.ai/api/v1"))
            .unwrap()
            .server
    }

    #[test]
    fn models_are_listed_with_what_is_known_of_them() {
        let listed = models(&json!({"data": [
            {"id": "a/b", "name": "B", "context_length": 8192, "architecture": {"input_modalities": ["text", "image"]},
             "pricing": {"prompt": "0.000003", "completion": "-1"}},
            {"id": "v", "max_model_len": 4096, "architecture": {"input_modalities": ["text"]}},
            {"id": "l", "meta": {"n_ctx_train": 2048}, "context_length": null},
            {"id": 7}, "odd", {"name": "without an id"},
        ]}));
        let list = list(&server(), &listed, None);
        let ids: Vec<_> = list.models.iter().map(|model| model.id.as_str()).collect();
        assert_eq!(ids, ["openrouter.ai/a/b", "openrouter.ai/v", "openrouter.ai/l"]);
        assert_eq!(list.default.as_deref(), Some("openrouter.ai/a/b"));
        let first = &list.models[0];
        assert_eq!((first.title.as_str(), first.provider.as_str()), ("B", "openrouter.ai"));
        assert_eq!(first.input_price.map(|price| (price * 1e3).round()), Some(3000.0));
        assert_eq!(first.output_price, None);
        let contexts: Vec<_> = list.models.iter().map(|model| model.context_tokens).collect();
        assert_eq!(contexts, [Some(8192), Some(4096), Some(2048)]);
        let reads: Vec<_> = list
            .models
            .iter()
            .map(|model| model.reads.as_ref().map(Vec::len))
            .collect();
        assert_eq!(reads, [Some(2), Some(1), None]);
    }

    #[test]
    fn the_configured_model_is_the_default_and_there_without_a_list() {
        let listed = models(&json!({"models": [{"id": "x"}]}));
        let of = |listed: &[Model], configured: Option<&str>| {
            let list = list(&server(), listed, configured);
            (list.models.len(), list.default)
        };
        assert_eq!(of(&listed, Some("y")), (2, Some("openrouter.ai/y".to_owned())));
        assert_eq!(of(&listed, Some("x")), (1, Some("openrouter.ai/x".to_owned())));
        assert_eq!(of(&[], Some("y")), (1, Some("openrouter.ai/y".to_owned())));
        assert_eq!(of(&[], None), (0, None));
    }
}
