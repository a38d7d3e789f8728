//! A step of the login plugin as a part of a page: fields, a link to another site, or a button for an authenticator.

use super::login_fields::FormField;
use nexus_auth::Page;
use nexus_model::address::literal;
use nexus_plugin_traits::auth::{Ask, Ceremony, Field};

/// `StepForm` is what `step.html` shows, inside a form of the page.
#[derive(Default)]
pub(crate) struct StepForm {
    pub(super) state: String,
    pub(super) inputs: Vec<FormField>,
    /// `problem` is about the whole form.
    pub(super) problem: Option<String>,
    pub(super) redirect: Option<Elsewhere>,
    pub(super) webauthn: Option<Authenticator>,
    /// `button` sends the form.
    pub(super) button: &'static str,
}

/// `Elsewhere` is where another site is.
pub(super) struct Elsewhere {
    pub(super) url: String,
    /// `site` is its name.
    pub(super) site: String,
}

/// `Authenticator` is what the script asks for.
pub(super) struct Authenticator {
    pub(super) ceremony: &'static str,
    pub(super) options: String,
    /// `by_name` is this page under a name, where it has an address that no browser makes a passkey for.
    pub(super) by_name: Option<String>,
}

/// `Around` is what the page knows beside the step.
#[derive(Default)]
pub(super) struct Around<'a> {
    /// `button` sends the form.
    pub(super) button: &'static str,
    /// `before` are fields of the page itself.
    pub(super) before: Vec<Field>,
    /// `typed` is what was sent for a field.
    pub(super) typed: Option<&'a dyn Fn(&str) -> String>,
    /// `rejected` is a field, and what is wrong with it.
    pub(super) rejected: Option<(String, String)>,
    /// `origin` is the address of this page.
    pub(super) origin: &'a str,
}

impl StepForm {
    /// `has_password` tells whether a password is asked for.
    pub(super) fn has_password(&self) -> bool {
        self.inputs.iter().any(|input| input.kind == "password")
    }

    /// `makes_passkey` tells whether a passkey is made.
    pub(super) fn makes_passkey(&self) -> bool {
        self.webauthn.as_ref().is_some_and(|asked| asked.ceremony == "create")
    }

    pub(super) fn new(page: Page, around: Around<'_>) -> Self {
        let Around {
            button,
            before: mut fields,
            typed,
            mut rejected,
            origin,
        } = around;
        let mut form = Self {
            state: page.state,
            button,
            ..Self::default()
        };
        match page.ask {
            Ask::Form { fields: asked, problem } => {
                fields.extend(asked);
                if rejected.is_none() {
                    rejected = problem.map(|p| (p.field.unwrap_or_default(), p.message));
                }
            }
            Ask::Redirect { url } => {
                let site = url.split("://").nth(1).unwrap_or_default();
                form.redirect = Some(Elsewhere {
                    site: site.split(['/', '?']).next().unwrap_or_default().to_owned(),
                    url,
                });
            }
            Ask::Webauthn { ceremony, options } => {
                form.webauthn = Some(Authenticator {
                    ceremony: match ceremony {
                        Ceremony::Create => "create",
                        Ceremony::Get => "get",
                    },
                    options,
                    by_name: by_name(origin),
                });
            }
        }
        let typed = |name: &str| typed.map_or(String::new(), |typed| typed(name));
        let at = rejected.as_ref().map(|(field, cause)| (field.as_str(), cause.as_str()));
        form.inputs = FormField::list(&fields, &typed, at);
        // A rejection of a field that is not in the form must not be lost.
        form.problem = rejected
            .filter(|(name, _)| !fields.iter().any(|field| field.name == *name))
            .map(|(_, cause)| cause);
        form
    }
}

/// `by_name` is the page under the name of this machine, where its address is a number: a passkey belongs to a name.
fn by_name(origin: &str) -> Option<String> {
    let (scheme, authority) = origin.split_once("://")?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, format!(":{port}")),
        _ => (authority, String::new()),
    };
    let ip = literal(host)?;
    Some(match ip.is_loopback() {
        true => format!("{scheme}://localhost{port}"),
        false => String::new(),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_passkey_needs_a_name() {
        let by_name = |origin: &str| super::by_name(origin);
        assert_eq!(
            by_name("http://127.0.0.1:7860").as_deref(),
            Some("http://localhost:7860")
        );
        assert_eq!(by_name("http://[::1]:7860").as_deref(), Some("http://localhost:7860"));
        assert_eq!(by_name("http://[::1]").as_deref(), Some("http://localhost"));
        assert_eq!(by_name("http://192.0.2.7:80").as_deref(), Some(""));
        assert_eq!(by_name("http://localhost:7860"), None);
        assert_eq!(by_name("https://chat.example"), None);
    }
}
