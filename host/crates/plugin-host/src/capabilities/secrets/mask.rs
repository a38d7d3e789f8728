//! Keeps a plugin's own secrets out of what it says, in its log lines and in what it answers (why it failed, what it waits
//! for): the host knows their values, so a text that holds one is shown with the secret's name in its place. As it stands,
//! and as it is written in an address, in JSON and in base64.
//!
//! Limits: this is for mistakes. A plugin that means harm can say its secret in any other form, or in two lines. What an
//! agent writes into a chat is its own text and stays as it is.

use super::generated::GeneratedSecrets;
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use nexus_config::resolved::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `SHORTEST` is the length from which on a secret is hidden: a shorter one would also hide what is none.
const SHORTEST: usize = 4;

#[derive(Default)]
pub(crate) struct Mask {
    /// `given` is what is hidden, and by what; the longest first.
    given: Vec<(String, String)>,
    /// `generated` are made while the plugin runs.
    generated: Option<(Arc<GeneratedSecrets>, String)>,
}

impl Mask {
    pub(crate) fn of(given: &BTreeMap<String, Secret>, generated: &Arc<GeneratedSecrets>, plugin: &str) -> Self {
        let forms = given.iter().flat_map(|(name, secret)| forms(name, secret.reveal()));
        Self {
            given: longest_first(forms.collect()),
            generated: Some((Arc::clone(generated), plugin.to_owned())),
        }
    }

    /// Does the same for a text that a plugin hands over. It is done before the text is cut: half a secret would no
    /// longer be one to us.
    pub(crate) fn hide_in(&self, text: String) -> String {
        let hidden = match self.hide(&text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(shown) => Some(shown),
        };
        hidden.unwrap_or(text)
    }

    pub(in crate::capabilities) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut shown = Cow::Borrowed(text);
        let made = self
            .generated
            .as_ref()
            .map(|(all, plugin)| all.of(plugin))
            .unwrap_or_default();
        let made = made.iter().flat_map(|(name, value)| forms(name, value));
        for (hidden, name) in self.given.iter().cloned().chain(longest_first(made.collect())) {
            if shown.contains(&hidden) {
                shown = Cow::Owned(shown.replace(&hidden, &name));
            }
        }
        shown
    }
}

fn longest_first(mut forms: Vec<(String, String)>) -> Vec<(String, String)> {
    forms.sort_by_key(|(hidden, _)| std::cmp::Reverse(hidden.len()));
    forms
}

fn forms(name: &str, value: &str) -> Vec<(String, String)> {
    let shown = format!("[secret {name}]");
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = json.trim_matches('"').to_owned();
    let mut all = vec![
        value.to_owned(),
        in_an_address(value),
        json,
        BASE64_NOPAD.encode(value.as_bytes()),
        BASE64URL_NOPAD.encode(value.as_bytes()),
    ];
    // A key in several lines is said line by line.
    if value.contains('\n') {
        all.extend(value.lines().filter(|line| line.len() >= 16).map(str::to_owned));
    }
    all.retain(|form| form.len() >= SHORTEST);
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(|form| (form, shown.clone())).collect()
}

fn in_an_address(value: &str) -> String {
    const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(value, UNRESERVED).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_usual_form_and_nothing_else_is() {
        let given = BTreeMap::from([
            ("token".to_owned(), Secret::new("s3cr3t/+\"x")),
            ("tokens".to_owned(), Secret::new("s3cr3t/+\"x and more")),
            ("pin".to_owned(), Secret::new("1")),
        ]);
        let generated = Arc::new(GeneratedSecrets::default());
        let password = generated.get("p", "password").unwrap();
        let of_another = generated.get("q", "password").unwrap();
        let mask = Mask::of(&given, &generated, "p");
        for said in [
            "GOT s3cr3t/+\"x.",
            "GET /?t=s3cr3t%2F%2B%22x",
            r#"{"t":"s3cr3t/+\"x"}"#,
            &format!("basic {}", BASE64_NOPAD.encode(b"s3cr3t/+\"x")),
            &format!("the password is {password}"),
        ] {
            let shown = mask.hide(said);
            assert!(shown.contains("[secret "), "{shown}");
            assert!(!shown.contains("s3cr3t") && !shown.contains(&password), "{shown}");
        }
        assert_eq!(mask.hide("all: s3cr3t/+\"x and more"), "all: [secret tokens]");
        let other = format!("1 line of {of_another}");
        assert!(matches!(mask.hide(&other), Cow::Borrowed(_)), "not its own");
    }
}
