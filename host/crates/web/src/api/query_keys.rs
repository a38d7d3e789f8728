//! The keys of a query are those that the description of the API names, for every operation alike: what is served and what is
//! described cannot differ. One that is written wrong would otherwise be ignored, and the answer be another than was asked for.

use super::problem::Problem;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// `SHOWN` is how many characters of an unknown key are shown.
const SHOWN: usize = 80;

/// The part of the document that is read here.
#[derive(Deserialize)]
struct Document {
    /// By path and method, in lower case.
    paths: BTreeMap<String, BTreeMap<String, Operation>>,
}

#[derive(Deserialize)]
struct Operation {
    #[serde(default)]
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    #[serde(rename = "in")]
    place: String,
}

/// Answers a request whose query has a key that the operation does not know with 400.
pub(super) async fn only_known(request: Request, next: Next) -> Response {
    let unknown = request.uri().query().and_then(|query| {
        let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        unknown(path.unwrap_or_default(), request.method(), query)
    });
    match unknown {
        Some(cause) => Problem::of(StatusCode::BAD_REQUEST, cause).into_response(),
        None => next.run(request).await,
    }
}

/// What is wrong with a query of an operation: a sentence with the key and those that are known. `None`: nothing, or there is no such
/// operation, which others say.
fn unknown(path: &str, method: &Method, query: &str) -> Option<String> {
    static DOCUMENT: LazyLock<Option<Document>> =
        LazyLock::new(|| serde_json::from_str(include_str!("openapi.json")).ok());
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let operation = DOCUMENT.as_ref().and_then(|document| document.paths.get(path));
    let operation = operation.and_then(|of| of.get(&method.as_str().to_lowercase()))?;
    let parameters = operation.parameters.iter();
    let keys: Vec<&str> = parameters
        .filter(|parameter| parameter.place == "query")
        .map(|parameter| parameter.name.as_str())
        .collect();
    let mut given = form_urlencoded::parse(query.as_bytes()).map(|(key, _)| key);
    let wrong = given.find(|key| !keys.contains(&key.as_ref()))?;
    let wrong: String = wrong.chars().take(SHOWN).collect();
    let expected = match keys.as_slice() {
        [] => "none, since this operation has no query".to_owned(),
        keys => keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "),
    };
    Some(format!(
        "The query has an unknown key {wrong:?}. Known keys: {expected}. See /api/v1/openapi.json."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_the_keys_that_the_document_names() {
        let said = |path: &str, method: Method, query: &str| unknown(path, &method, query);
        let lines = "/api/v1/backend/files/lines";
        assert_eq!(said(lines, Method::GET, "text=a&limit=3&workspace=%2Fsrv"), None);
        assert_eq!(said(lines, Method::HEAD, "text=a"), None);
        assert_eq!(
            said(lines, Method::GET, "text=a&limt=3").unwrap_or_default(),
            "The query has an unknown key \"limt\". Known keys: `text`, `workspace`, `limit`. See /api/v1/openapi.json."
        );
        let none = said("/api/v1/status", Method::GET, "x").unwrap_or_default();
        assert!(none.contains("this operation has no query"), "{none}");
        assert_eq!(said("/api/v1/status", Method::DELETE, "x"), None, "405");
        // A key of the path is none of the query.
        assert!(said("/api/v1/sessions/{session}/older", Method::GET, "session=a").is_some());
        let long = said("/api/v1/status", Method::GET, &"k".repeat(5_000)).unwrap_or_default();
        assert!(long.len() < 250, "{long}");
    }
}
