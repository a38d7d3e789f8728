//! The providers of models to which the user signs in through a backend.

use super::request::Choice;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// `Provider` is a provider of models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Provider {
    /// `id` is the backend's name for it.
    #[schema(examples("anthropic"))]
    pub id: String,
    /// `title` is its name for people.
    pub title: String,
    /// `signed_in` is true if its models can be used.
    pub signed_in: bool,
    /// `removable` is true if its credential can be removed. Others come from the configuration of the machine.
    pub removable: bool,
    /// `methods` are the ways to sign in.
    pub methods: Vec<SignInMethod>,
}

/// `SignInKind` is what the user does to sign in to a provider: type a `key`, or sign in at a page of the provider (`browser`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignInKind {
    /// `Key`: the user types a key.
    Key,
    /// `Browser`: the user signs in at a page of the provider.
    Browser,
}

/// `SignInMethod` is a way to sign in to a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInMethod {
    /// `id` is unique in its provider.
    pub id: String,
    /// `kind` is what the user does.
    pub kind: SignInKind,
    /// `title` is for the button.
    pub title: String,
    /// `fields` are what the user types.
    pub fields: Vec<SignInField>,
}

/// `SignInField` is a value that a sign-in needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInField {
    /// `name` is the key of the value.
    pub name: String,
    /// `title` is the label.
    pub title: String,
    /// `placeholder` is an example of what is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub placeholder: Option<String>,
    /// `secret` is true if it is not shown while it is typed.
    pub secret: bool,
    /// `choices` are what it may be. Empty: any text.
    pub choices: Vec<Choice>,
}

/// `SignInValues` have a value for each field. Their `Debug` shows the names only.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct SignInValues(pub BTreeMap<String, String>);

impl std::fmt::Debug for SignInValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// `BrowserSignIn` is a page at which the user signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrowserSignIn {
    /// `url` is the address of the page.
    pub url: String,
    /// `instructions` say what to do there.
    pub instructions: String,
    /// `gives_code` is true if the page shows a code at its end, with which the sign-in is finished.
    pub gives_code: bool,
}
