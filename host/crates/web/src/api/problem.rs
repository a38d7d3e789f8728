//! Errors, and the readers of paths, queries and bodies that answer with one.

use crate::error::ApiError;
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::{IntoResponses, ToSchema};

/// The media type of a [`Problem`].
pub(super) const KIND: &str = "application/problem+json";

/// Why a request is answered with 409.
pub(super) const REFUSED: &str = "The request was refused. `detail` says why; the same request would be refused again.";

/// `Problem` is an error as defined by RFC 9457, of type `about:blank`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Problem {
    /// `title` is the reason phrase of the HTTP status.
    #[schema(examples("Conflict"))]
    title: &'static str,
    /// `status` is the HTTP status.
    #[schema(minimum = 400, maximum = 599, examples(409))]
    status: u16,
    /// `detail` says what is wrong and how to fix it, for people.
    pub(super) detail: String,
    /// `consent` is the id of a consent that is missing. Send it with the prompt when the user has agreed to `detail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    consent: Option<String>,
    /// `starting` describes the current step while Nexus is starting.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    starting: Option<String>,
}

/// The errors that every request may be answered with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes the answers: what is sent is a Problem")]
pub(super) enum Guarded {
    /// The path, the query or the body is invalid. `detail` says where.
    #[response(status = 400, content_type = KIND)]
    BadRequest(Problem),
    /// The request has no valid login cookie and no valid token.
    #[response(status = 401, content_type = KIND)]
    NoLogin(Problem),
    /// The request is not a `GET` request and comes from another origin, or it comes from a program that Nexus runs.
    #[response(status = 403, content_type = KIND)]
    Foreign(Problem),
    /// The request is for a host name that is not configured.
    #[response(status = 421, content_type = KIND)]
    Misdirected(Problem),
    /// Too many wrong tokens came from this address. Try again later.
    #[response(status = 429, content_type = KIND)]
    Locked(Problem),
    /// The request cannot be handled now: Nexus is starting or stopping, or the backend is unavailable. Try again.
    #[response(status = 503, content_type = KIND)]
    Unavailable(Problem),
}

/// What a request whose body is too long is answered with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes the answers: what is sent is a Problem")]
pub(super) enum TooLong {
    /// The body is longer than 2 MiB.
    #[response(status = 413, content_type = KIND)]
    Body(Problem),
}

impl Problem {
    pub(super) fn of(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: detail.into(),
            consent: None,
            starting: None,
        }
    }

    pub(super) fn starting(what: Option<&str>) -> Self {
        let doing = what.map(|what| format!(": {what}")).unwrap_or_default();
        Self {
            starting: Some(what.unwrap_or("it will be ready in a moment").to_owned()),
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

impl<E: Into<ApiError>> From<E> for Problem {
    fn from(error: E) -> Self {
        let error: ApiError = error.into();
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
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = [(header::CONTENT_TYPE, KIND)];
        let mut response = (status, kind, Json(&self).into_response().into_body()).into_response();
        // For who completes it on its way out.
        response.extensions_mut().insert(self);
        response
    }
}

/// The parameters in a path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(error) => Err(Problem::of(error.status(), error.body_text())),
        }
    }
}

/// The parameters in a query.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(error) => Err(Problem::of(error.status(), error.body_text())),
        }
    }
}

/// A JSON body. Nothing at all counts as `{}`.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = bytes::Bytes::from_request(request, state)
            .await
            .map_err(|error| Problem::of(error.status(), error.body_text()))?;
        let text = if bytes.is_empty() { b"{}".as_slice() } else { &bytes };
        // A list is read as the fields of an object in their order, which is nobody's intention.
        if text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
            let cause = "The body is a list: expected an object. See /api/v1/openapi.json.";
            return Err(Problem::of(StatusCode::BAD_REQUEST, cause));
        }
        match serde_json::from_str(&nexus_plugin_api::json::well_formed(text)) {
            Ok(body) => Ok(Self(body)),
            Err(error) => Err(Problem::of(
                StatusCode::BAD_REQUEST,
                format!("The body is not valid: {error}. See /api/v1/openapi.json."),
            )),
        }
    }
}
