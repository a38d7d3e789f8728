//! Posted forms. Each carries a CSRF token: of its login, or before one of its browser. Handlers take these extractors, so that none
//! can forget the check: [`UserForm`] cannot be had without the token, [`AnonymousForm`] not from another browser.

use super::identity::{Anonymous, User};
use crate::{SiteContext, WebState, pages};
use axum::extract::{FromRequest, FromRequestParts as _, RawForm, Request};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use nexus_auth::Session;
use nexus_model::limits::{CALLBACK_PARAMETERS, CALLBACK_VALUE, HTTP_READ};
use nexus_plugin_traits::auth::{Answer, Input};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq as _;

/// `Fields` are those of a posted form.
#[derive(Default)]
pub(crate) struct Fields(BTreeMap<String, String>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
    /// `typed` is what was typed into a field of the login plugin.
    pub(crate) fn typed(&self, name: &str) -> String {
        self.get(&format!("field-{name}")).to_owned()
    }
    /// `input` is what goes to the login plugin: the fields whose names start with `field-`, less that prefix.
    pub(crate) fn input(&self) -> Input {
        let fields = self.0.iter();
        Input(
            fields
                .filter_map(|(k, v)| Some((k.strip_prefix("field-")?.to_owned(), v.clone())))
                .collect(),
        )
    }
    /// `answer` is that to a step of the login plugin: the credential of an authenticator, or else the fields.
    pub(crate) fn answer(&self) -> Answer {
        match self.0.get("credential") {
            Some(credential) => Answer::Webauthn(credential.clone()),
            None => Answer::Form(self.input()),
        }
    }
    async fn read(request: Request) -> Result<Self, Response> {
        Ok(Self::parse(&read_form(request).await?))
    }
    fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }
    fn csrf_is(&self, expected: &str) -> bool {
        self.get("csrf").as_bytes().ct_eq(expected.as_bytes()).into()
    }
}

async fn read_form(request: Request) -> Result<bytes::Bytes, Response> {
    let body = tokio::time::timeout(HTTP_READ, RawForm::from_request(request, &())).await;
    match body {
        Ok(Ok(RawForm(bytes))) => Ok(bytes),
        Ok(Err(rejection)) => Err(rejection.into_response()),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "The form took too long to arrive.\n").into_response()),
    }
}

/// `Returned` is what a browser brings back from another site, in its order, `state` apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    pub state: String,
    pub parameters: Vec<(String, String)>,
}

impl Returned {
    /// Reads a query or a form. `None`: there is too much of it, or no state, or several.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut state, mut parameters) = (None, Vec::new());
        for (name, value) in form_urlencoded::parse(bytes).into_owned() {
            let bounded = |text: &str| text.len() <= CALLBACK_VALUE && !text.chars().any(char::is_control);
            if !bounded(&name) || !bounded(&value) {
                return None;
            }
            if name != "state" {
                parameters.push((name, value));
            } else if state.replace(value).is_some() {
                return None;
            }
        }
        let parameters = Some(parameters).filter(|all| all.len() <= CALLBACK_PARAMETERS)?;
        Some(Self {
            state: state?,
            parameters,
        })
    }
}

/// `ReturnedForm` is what came back, sent by a page of ours: the state in it, which is bound to the browser, is what other
/// forms have a token for.
pub(crate) struct ReturnedForm {
    pub anonymous: Anonymous,
    pub returned: Option<Returned>,
}

impl FromRequest<WebState> for ReturnedForm {
    type Rejection = Response;
    async fn from_request(request: Request, state: &WebState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let anonymous = Anonymous::from_request_parts(&mut parts, state).await?;
        let bytes = read_form(Request::from_parts(parts, body)).await?;
        let returned = Returned::parse(&bytes);
        Ok(Self { anonymous, returned })
    }
}

const STALE: &str = "This form has expired. Go back, reload the page and submit it again.";

/// `UserForm` is a form of a valid login, its CSRF token checked.
pub(crate) struct UserForm {
    pub login: Session,
    pub site: SiteContext,
    pub fields: Fields,
}

impl FromRequest<WebState> for UserForm {
    type Rejection = Response;
    async fn from_request(request: Request, state: &WebState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let user = User::from_request_parts(&mut parts, state).await?;
        let (who, path) = (user.who(), parts.uri.path().to_owned());
        let User { login, site, .. } = user;
        let fields = Fields::read(Request::from_parts(parts, body)).await?;
        if !fields.csrf_is(&login.csrf) {
            return Err(pages::message(StatusCode::FORBIDDEN, "Form expired", STALE));
        }
        // One place for all forms of a user.
        who.note_command(&path, fields.get("plugin"), "");
        Ok(Self { login, site, fields })
    }
}

/// `AnonymousForm` is a form of somebody without a login, from the browser that it was made for.
pub(crate) struct AnonymousForm {
    pub anonymous: Anonymous,
    pub fields: Fields,
}

impl FromRequest<WebState> for AnonymousForm {
    type Rejection = Response;
    async fn from_request(request: Request, state: &WebState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let anonymous = Anonymous::from_request_parts(&mut parts, state).await?;
        let fields = Fields::read(Request::from_parts(parts, body)).await?;
        if anonymous.fresh || !fields.csrf_is(&anonymous.csrf()) {
            return Err(pages::message(StatusCode::FORBIDDEN, "Form expired", STALE));
        }
        Ok(Self { anonymous, fields })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded_as_browsers_send_them() {
        let fields = Fields::parse(b"a=1+2&b=%C3%A4%26%3D&c&=d&e=%zz%2&field-x=%2B&&f=%FF&a=1+2");
        assert_eq!((fields.get("a"), fields.get("b"), fields.get("c")), ("1 2", "ä&=", ""));
        assert_eq!((fields.get("e"), fields.get("f")), ("%zz%2", "\u{fffd}"));
        assert_eq!(
            fields.input().0.into_iter().collect::<Vec<_>>(),
            [("x".to_owned(), "+".to_owned())]
        );
    }

    #[test]
    fn what_comes_back_from_another_site_is_bounded() {
        let parsed = |text: &str| Returned::parse(text.as_bytes());
        let whole = parsed("code=a%20b&state=s&code=c").unwrap();
        assert_eq!(whole.state, "s");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(whole.parameters, [pair("code", "a b"), pair("code", "c")]);
        for odd in [
            "",
            "code=a",
            "state=a&state=a",
            "state=a&code=%00",
            "state=a&c%0d%0aode=x",
        ] {
            assert_eq!(parsed(odd), None, "{odd}");
        }
        let many = |n: usize| parsed(&format!("state=s{}", "&a=b".repeat(n)));
        assert!(many(CALLBACK_PARAMETERS).is_some() && many(CALLBACK_PARAMETERS + 1).is_none());
        let long = |n: usize| parsed(&format!("state=s&code={}", "x".repeat(n)));
        assert!(long(CALLBACK_VALUE).is_some() && long(CALLBACK_VALUE + 1).is_none());
        assert!(parsed(&format!("state={}", "x".repeat(CALLBACK_VALUE + 1))).is_none());
    }
}
