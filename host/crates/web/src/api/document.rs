//! The OpenAPI document. Each handler describes its operation (`#[utoipa::path]`), each type its schema (`ToSchema`),
//! and one list (`operations!`) serves and describes them: the two cannot differ. This file adds the head, and what no derive
//! can say.
//!
//! `openapi.json` beside it is what comes out and what is served, so that a change of the API shows in review; a test compares
//! it with what the code makes. To write it again:
//! `NEXUS_WRITE_OPENAPI=1 cargo test -p nexus-web the_document_is_the_one_that_is_checked_in`.

use super::problem::Problem;
use crate::live::protocol::{Client, Server};
use crate::state::WebState;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

/// The document as JSON text.
fn text() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| serde_json::to_string_pretty(&document()).unwrap_or_default() + "\n");
    &TEXT
}

/// The types that are described under the name of a primitive: aliases, as `Millis` and `SessionId`.
const ALIASED: [&str; 2] = ["String", "u64"];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nexus",
        version = "1",
        description = "The functions of the pages, as JSON.\n\n\
            All times are in milliseconds since the Unix epoch (UTC), unless a key says otherwise. A key that ends with `_ms`, `_ns`, \
            `_bytes` or `_seconds` has that unit. `cause` says why something does not work and `fix` how to fix it; `detail` of an \
            error contains both. A key that is named after a session, message, part or request and has a string holds its id. \
            Messages and tools have an `error`: the text that the backend or the tool reported.\n\n\
            On the addresses of the pages a request needs the cookie of a login, and for anything but `GET` the header \
            `Origin` of the page; or, where the login plugin takes tokens, the header `Authorization: Bearer TOKEN` alone. On the \
            control socket (`control.sock` in the data folder) it needs neither, but \
            `POST /api/v1/config/apply` is refused there.\n\n\
            The live socket streams changes: a WebSocket at `GET /live`, on which each text frame is a `ClientFrame` or a \
            `ServerFrame`. A client sends `hello` first. The server closes the socket with 1001 \
            (Nexus or its listener is shutting down: connect again), 1009 (a frame is too long), 4001 (the login or the token was ended), \
            4002 (the first frame is not valid in this version of the protocol: reload the page), 4003 (the client was too slow: connect \
            again and resume) or 4004 (there are too many connections).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "status", description = "The status of Nexus and its plugins"),
        (name = "chat", description = "The chat backend and its sessions"),
        (name = "backend", description = "What the chat backend offers: models, agents, commands, files, providers of models"),
        (name = "tunnels", description = "The tunnels: public addresses of the pages"),
        (name = "configuration", description = "The configuration file"),
    ),
    components(schemas(Problem, Client, Server)),
    security(("login" = []), ("token" = []), ()),
)]
struct Head;

fn document() -> Value {
    let mut head = Head::openapi();
    let cookie = ApiKeyValue::with_description(
        "__Host-nexus",
        "The cookie of a login. Without TLS it has another name: `nexus-local-PORT` on this machine, `nexus-host` on \
         its other names, `nexus-tunnel-NAME` through a tunnel.",
    );
    let components = head.components.get_or_insert_default();
    components.add_security_scheme("login", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token of the login plugin, where it takes tokens. It does not count as a recent login.",
        ))
        .build();
    components.add_security_scheme("token", SecurityScheme::Http(token));
    let all = super::describe_open().into_iter().chain(super::describe_guarded());
    let all = all.chain(super::describe_local());
    let all = all.fold(OpenApiRouter::<WebState>::with_openapi(head), OpenApiRouter::routes);
    let mut document = serde_json::to_value(all.into_openapi()).unwrap_or_default();
    let schemas = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut);
    if let Some(schemas) = schemas {
        name_frames(schemas, "Client");
        name_frames(schemas, "Server");
        let aliased = ALIASED
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), schemas.shift_remove(*name)?)));
        let aliased = aliased.collect();
        inline(&mut document, &aliased);
    }
    document
}

/// Gives each frame of `ClientFrame` or `ServerFrame` a schema of its own, named by its `type`: `ServerWelcome`.
fn name_frames(schemas: &mut Map<String, Value>, side: &str) {
    let parts = schemas.clone();
    let frames = schemas.get_mut(&format!("{side}Frame"));
    let Some(Value::Array(frames)) = frames.and_then(|frames| frames.get_mut("oneOf")) else {
        return;
    };
    let mut named = Vec::new();
    for frame in frames {
        let Some(name) = tag(frame).map(|tag| format!("{side}{}", camel_case(tag))) else {
            continue;
        };
        if let Some(whole) = merged(frame, &parts) {
            *frame = whole;
        }
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        named.push((name, std::mem::replace(frame, reference)));
    }
    schemas.extend(named);
    schemas.sort_keys();
}

/// One object out of the parts of a frame, where one of them allows no other fields: as parts they would allow no frame.
fn merged(frame: &Value, schemas: &Map<String, Value>) -> Option<Value> {
    let part = |part: &Value| match part.get("$ref").and_then(Value::as_str) {
        Some(to) => schemas.get(to.strip_prefix("#/components/schemas/")?).cloned(),
        None => Some(part.clone()),
    };
    let parts: Vec<Value> = frame
        .get("allOf")?
        .as_array()?
        .iter()
        .map(part)
        .collect::<Option<_>>()?;
    parts
        .iter()
        .find(|part| part.get("additionalProperties") == Some(&Value::Bool(false)))?;
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts {
        properties.extend(part.get("properties")?.as_object()?.clone());
        required.extend(
            part.get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .cloned(),
        );
    }
    let description = frame.get("description");
    Some(json!({ "type": "object", "description": description, "required": required, "properties": properties }))
}

/// The `type` of a frame.
fn tag(frame: &Value) -> Option<&str> {
    let of = |schema: &'_ Value| schema.pointer("/properties/type/enum/0").is_some();
    let own = match frame.get("allOf").and_then(Value::as_array) {
        Some(all) => all.iter().find(|schema| of(schema))?,
        None => frame,
    };
    own.pointer("/properties/type/enum/0")?.as_str()
}

fn camel_case(tag: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    tag.split('_').filter_map(word).collect()
}

/// Puts the schemas of aliases where they are referred to.
fn inline(value: &mut Value, aliased: &Map<String, Value>) {
    match value {
        Value::Object(object) => {
            let to = object.get("$ref").and_then(Value::as_str);
            let to = to.and_then(|to| aliased.get(to.strip_prefix("#/components/schemas/")?));
            if let Some(Value::Object(schema)) = to {
                object.shift_remove("$ref");
                for (key, of) in schema {
                    object.entry(key.clone()).or_insert_with(|| of.clone());
                }
            }
            object.values_mut().for_each(|value| inline(value, aliased));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| inline(value, aliased)),
        _ => {}
    }
}

#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_document_is_the_one_that_is_checked_in() {
        if std::env::var_os("NEXUS_WRITE_OPENAPI").is_some() {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/openapi.json");
            std::fs::write(file, text()).unwrap();
            return;
        }
        let (checked_in, made) = (include_str!("openapi.json").lines(), text().lines());
        let other = made.zip(checked_in).position(|(made, checked_in)| made != checked_in);
        assert!(
            text() == include_str!("openapi.json"),
            "host/crates/web/src/api/openapi.json is another document than the code makes, from line {} on. To fix: run\n\
             NEXUS_WRITE_OPENAPI=1 cargo test -p nexus-web the_document_is_the_one_that_is_checked_in\n\
             and commit what it writes.",
            other.map_or(0, |line| line + 1)
        );
    }

    #[test]
    fn a_name_stands_for_one_schema_and_each_that_is_referred_to_is_there() {
        let mut known = BTreeMap::new();
        for (name, schema) in crate::api::describe_guarded()
            .into_iter()
            .chain(crate::api::describe_local())
            .flat_map(|(schemas, ..)| schemas)
        {
            let schema = serde_json::to_value(schema).unwrap();
            let before = known.insert(name.clone(), schema.clone());
            assert!(
                before.is_none_or(|before| before == schema),
                "two types are described as {name}"
            );
        }
        let document: Value = serde_json::from_str(text()).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for named in text().split("#/components/schemas/").skip(1) {
            let name = named.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
    }

    #[test]
    fn each_frame_of_the_live_socket_has_a_schema_of_its_own() {
        let document: Value = serde_json::from_str(text()).unwrap();
        let schemas = &document["components"]["schemas"];
        for (side, of) in [("Client", ["Hello", "TakeBack"]), ("Server", ["State", "Welcome"])] {
            let frames = schemas[format!("{side}Frame")]["oneOf"].as_array().unwrap();
            assert!(frames.len() > 10);
            for frame in frames {
                assert!(frame["$ref"].is_string(), "{frame}");
            }
            for frame in of {
                assert!(schemas[format!("{side}{frame}")].is_object(), "{side}{frame}");
            }
        }
    }
}
