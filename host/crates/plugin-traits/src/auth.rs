//! What [`AuthProvider`](crate::AuthProvider) takes and gives, as in WIT `auth`, `auth-types` and `manage`.

use std::collections::BTreeMap;

/// `Input` has by the name of each field what was typed. Its `Debug` shows the names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Input(pub BTreeMap<String, String>);

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// `MethodKind` is what the user does to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodKind {
    /// `Form`: fills in fields.
    Form,
    /// `Redirect`: logs in at another site and comes back.
    Redirect,
    /// `Webauthn`: uses an authenticator of the browser.
    Webauthn,
    /// `Ambient`: nothing; the request itself shows who it is, as a proxy's header does.
    Ambient,
    /// `Bearer`: nothing; a program sends a token with each request.
    Bearer,
}

/// `Method` is one way to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// `id` is the plugin's name for it, given back to [`begin`](crate::AuthProvider::begin).
    pub id: String,
    /// `kind` is what the user does.
    pub kind: MethodKind,
    /// `title` is for the button or the heading: `Password`.
    pub title: String,
    /// `headers` are those of the request that an ambient method gets, in lower case.
    pub headers: Vec<String>,
}

/// `FieldKind` says how a field is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// `Account` is the account's name. The host makes it canonical and checks lockout with it.
    Account,
    /// `Password` is one that exists. It is never echoed and never logged.
    Password,
    /// `NewPassword` is one that is chosen here. It is never echoed and never logged.
    NewPassword,
    /// `Code` is a one-time code.
    Code,
    /// `Text` is shown as it is typed.
    Text,
}

impl FieldKind {
    /// `is_password` tells whether it is a password, old or new.
    pub fn is_password(self) -> bool {
        matches!(self, Self::Password | Self::NewPassword)
    }
}

/// `Field` is one field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// `name` is the key of what was typed, in [`Input`].
    pub name: String,
    /// `kind` says how it is treated.
    pub kind: FieldKind,
    /// `title` is the label.
    pub title: String,
    /// `help` is one line below the field.
    pub help: Option<String>,
}

/// `Problem` says why a form is shown again: what was typed does not meet the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `field` is the name of the field that it is about; `None`: the whole form.
    pub field: Option<String>,
    /// `message` is the rule, in a sentence.
    pub message: String,
}

/// `Context` is what is known when a step is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// `account` is the canonical account name, where it is known already.
    pub account: Option<String>,
    /// `origin` is the address the page was loaded from: `https://…`, `http://127.0.0.1:7860`.
    pub origin: String,
    /// `callback` is the address that another site has to lead back to.
    pub callback: String,
}

/// `Denial` says why a login was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// `BadCredential`: it is wrong or the subject unknown. The host adds it to the lockout.
    BadCredential,
    /// `Policy`: the credential is right, and the login is not allowed. It is not counted.
    Policy,
    /// `Unavailable`: it could not be found out now. It is not counted.
    Unavailable,
}

/// `Denied` is a login that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// `reason` says whether it is counted.
    pub reason: Denial,
    /// `message` is one sentence for the user; without one the host uses its own.
    pub message: Option<String>,
}

/// `Identity` is who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `subject` is stable, opaque, and unique within this plugin.
    pub subject: String,
    /// `display_name` is what people call that person. Nothing is decided by it.
    pub display_name: Option<String>,
}

/// `Ceremony` is what the browser asks an authenticator for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceremony {
    /// `Create` makes a credential.
    Create,
    /// `Get` uses one.
    Get,
}

/// `Ask` is what the browser has to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// `Form`: the user fills in a form.
    Form {
        /// `fields` are in the order in which they are shown.
        fields: Vec<Field>,
        /// `problem` says why it is shown again.
        problem: Option<Problem>,
    },
    /// `Redirect`: the browser goes to another site.
    Redirect {
        /// `url` is the address there, without the query parameter `state`: `https`, or `http` to a loopback address.
        url: String,
    },
    /// `Webauthn`: the browser asks an authenticator.
    Webauthn {
        /// `ceremony` is what for.
        ceremony: Ceremony,
        /// `options` is a JSON object for `navigator.credentials`.
        options: String,
    },
}

/// `Step` is what a login or an enrollment needs next, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `Ask`: the browser has to answer.
    Ask {
        /// `ask` is the question.
        ask: Ask,
        /// `state` is for the next call. It is opaque to the host, which encrypts it and gives it back once.
        state: Vec<u8>,
    },
    /// `Identity`: it is known who it is; after an enrollment, whom the credential belongs to.
    Identity(Identity),
    /// `Deny`: it is refused.
    Deny(Denied),
}

/// `Answer` is what the browser answered to an [`Ask`]. `Debug` shows names alone.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// `Form` has what was typed.
    Form(Input),
    /// `Redirect` has the query parameters with which the browser came back, in their order.
    Redirect(Vec<(String, String)>),
    /// `Webauthn` is the credential as JSON.
    Webauthn(String),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Form(input) => input.fmt(f),
            Self::Redirect(parameters) => f.debug_set().entries(parameters.iter().map(|(name, _)| name)).finish(),
            Self::Webauthn(_) => f.write_str("Webauthn"),
        }
    }
}

/// `Route` is where a request came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `Loopback` is the page's own listener, by a loopback name, from this machine.
    Loopback,
    /// `Name` is the page's own listener, by a configured name.
    Name(String),
    /// `Tunnel` is the listener of a tunnel.
    Tunnel(String),
}

/// `Facts` are what is known of a request, before anybody has logged in. `Debug` shows neither headers nor token.
#[derive(Clone, PartialEq, Eq)]
pub struct Facts {
    /// `method` is the id of the method that is asked.
    pub method: String,
    /// `route` is where it came in.
    pub route: Route,
    /// `origin` is the address of the page.
    pub origin: String,
    /// `headers` are those that the method declares.
    pub headers: Vec<(String, String)>,
    /// `token` is that of the request, for a bearer method.
    pub token: Option<String>,
    /// `address` is the client's.
    pub address: String,
    /// `peer` is the address at the other end of the connection.
    pub peer: String,
    /// `peer_user` is the number of the user of this machine whose program is there.
    pub peer_user: Option<u32>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts")
            .field("method", &self.method)
            .field("route", &self.route)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// `Verdict` is what a plugin makes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// `Identity`: it is known whose it is.
    Identity(Identity),
    /// `None`: it has nothing that the method knows.
    None,
    /// `Deny`: it is refused.
    Deny(Denied),
}
