//! Errors, and bodies that are not what was expected.

use crate::port::ApiError;
use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::json;

/// As RFC 9457 has it, of type `about:blank`.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    /// A consent that is missing: its id.
    consent: Option<String>,
    /// What Nexus does before it can do anything else.
    starting: Option<String>,
}

impl Problem {
    pub(super) fn of(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            consent: None,
            starting: None,
        }
    }

    pub(super) fn starting(what: Option<&str>) -> Self {
        let doing = what.map(|what| format!(": {what}")).unwrap_or_default();
        Self {
            starting: Some(what.unwrap_or("it will be here in a moment").to_owned()),
            ..Self::of(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("Nexus is starting{doing}. Try again in a moment."),
            )
        }
    }

    pub(super) fn consent(id: String, text: String) -> Self {
        Self {
            consent: Some(id),
            ..Self::of(StatusCode::CONFLICT, text)
        }
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let status = match error {
            ApiError::NotFound(_) => StatusCode::NOT_FOUND,
            ApiError::Refused(_) => StatusCode::CONFLICT,
            ApiError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::of(status, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let (Some(consent), Some(body)) = (self.consent, body.as_object_mut()) {
            body.insert("consent".to_owned(), consent.into());
        }
        if let (Some(starting), Some(body)) = (self.starting, body.as_object_mut()) {
            body.insert("starting".to_owned(), starting.into());
        }
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, kind, Json(body).into_response().into_body()).into_response()
    }
}

/// A JSON body. Nothing at all counts as `{}`.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = bytes::Bytes::from_request(request, state)
            .await
            .map_err(|error| Problem::of(error.status(), error.body_text()))?;
        let text = if bytes.is_empty() { b"{}".as_slice() } else { &bytes };
        match serde_json::from_str(&nexus_plugin_api::json::well_formed(text)) {
            Ok(body) => Ok(Self(body)),
            Err(error) => Err(Problem::of(
                StatusCode::BAD_REQUEST,
                format!("The body is not what is expected here: {error}. See /api/v1/openapi.json."),
            )),
        }
    }
}
