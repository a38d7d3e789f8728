//! `[notify]`: how an owner who is away hears of something. All three stages of it, since nothing else needs them.

use crate::command::shell_word;
use crate::diagnostic::Diagnostic;
use crate::resolved::Notify;
use crate::secret::{self, Secret, SecretSource};
use crate::toml_reader::{Findings, InvalidValue, Located, RenamedValue, Table, describe};
use nexus_model::address::is_loopback_host;
use nexus_model::notice::NoticeKind;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use toml::de::DeValue;

#[derive(Debug, Default)]
pub(super) struct AuthoredNotify {
    command: Option<(Located<()>, Vec<Located<String>>)>,
    webhook: Option<Located<Hook>>,
    events: Option<Vec<Located<NoticeKind>>>,
}

#[derive(Debug)]
enum Hook {
    Plain(String),
    Lies(SecretSource),
    /// `InvalidValue` is not shown: it may hold the address.
    InvalidValue,
}

impl AuthoredNotify {
    pub(super) fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let here = t.here();
        let words = t.list(
            "command",
            ("text", "a list of the full path of a program and its arguments"),
            findings,
            |v| {
                v.as_str()
                    .filter(|text| !text.contains('\0'))
                    .map(str::to_owned)
                    .ok_or(InvalidValue::PLAIN)
            },
        );
        let notify = Self {
            command: words.map(|words| {
                let key = format!("{}.command", here.key);
                let span = words.first().map_or(here.span.clone(), |first| first.span.clone());
                (Located { value: (), span, key }, words)
            }),
            webhook: t.get("webhook", "an address", findings, |v| Ok(hook(v))),
            events: events(&mut t, findings),
        };
        t.finish(findings);
        notify
    }

    /// `variable` is the variable of the environment that holds the address.
    pub(super) fn variable(&self) -> Option<&str> {
        match self.webhook.as_ref().map(|hook| &hook.value) {
            Some(Hook::Lies(SecretSource::Env(name))) => Some(name),
            _ => None,
        }
    }

    /// Resolves the table; `None`: nobody is told anything. `untold` gets what this machine does not give, which is no
    /// mistake of the file.
    pub(super) fn resolve(
        self,
        absolute: &dyn Fn(&str) -> PathBuf,
        env: &dyn Fn(&str) -> Option<String>,
        untold: &mut Vec<Diagnostic>,
        findings: &mut Findings,
    ) -> Option<Notify> {
        let command = self.command;
        let command = command.and_then(|(place, words)| program(&place, words, untold, findings));
        let webhook = self.webhook;
        let webhook = webhook.and_then(|hook| address_of(hook, absolute, env, untold, findings));
        if command.is_none() && webhook.is_none() {
            return None;
        }
        let events = match self.events {
            Some(written) => written.into_iter().map(|kind| kind.value).collect(),
            None => BTreeSet::from([NoticeKind::TunnelUrl, NoticeKind::TunnelFailed]),
        };
        Some(Notify {
            command,
            webhook,
            events,
        })
    }
}

/// Reads the kinds. Those of 0.1 had hyphens.
fn events(t: &mut Table<'_, '_>, findings: &mut Findings) -> Option<Vec<Located<NoticeKind>>> {
    let expected = format!("one of {}", quoted(NoticeKind::ALL));
    let mut old = false;
    let whole = format!("a list of some of {}", quoted(NoticeKind::ALL));
    let events = t.list("events", (&expected, &whole), findings, |v| {
        let word = v.as_str().ok_or(InvalidValue::PLAIN)?;
        let of_0_1 = || {
            NoticeKind::ALL
                .into_iter()
                .find(|kind| kind.to_string().replace('_', "-") == word)
        };
        let known = NoticeKind::named(word).or_else(|| of_0_1().inspect(|_| old = true));
        known.ok_or_else(|| InvalidValue {
            found: Some(describe(v)),
            fix: None,
        })
    })?;
    if let Some((first, last)) = events.first().zip(events.last()).filter(|_| old) {
        findings.renamed.push(RenamedValue {
            change: "names in `events` of [notify] have been renamed; this version still reads the old names",
            span: first.span.start..last.span.end,
            value: quoted(events.iter().map(|kind| kind.value)),
        });
    }
    Some(events)
}

fn quoted(kinds: impl IntoIterator<Item = NoticeKind>) -> String {
    let kinds: Vec<_> = kinds.into_iter().map(|kind| format!("\"{kind}\"")).collect();
    kinds.join(", ")
}

fn hook(v: &DeValue<'_>) -> Hook {
    if let Some(text) = v.as_str() {
        return Hook::Plain(text.to_owned());
    }
    let Some(table) = v.as_table().filter(|table| table.len() == 1) else {
        return Hook::InvalidValue;
    };
    match table
        .iter()
        .next()
        .map(|(key, of)| (key.get_ref().as_ref(), of.get_ref().as_str()))
    {
        Some(("env", Some(name))) if !name.is_empty() => Hook::Lies(SecretSource::Env(name.to_owned())),
        Some(("file", Some(path))) if !path.is_empty() => Hook::Lies(SecretSource::File(path.to_owned())),
        _ => Hook::InvalidValue,
    }
}

/// Looks at the program now: an owner who is away would learn of a wrong path by hearing nothing.
fn program(
    place: &Located<()>,
    words: Vec<Located<String>>,
    untold: &mut Vec<Diagnostic>,
    findings: &mut Findings,
) -> Option<Vec<String>> {
    let expected = "the full path of a program: command = [\"/usr/local/bin/tell-me\", \"argument\"]";
    let Some(first) = words.first() else {
        findings.push(
            place
                .problem("the command names no program")
                .found("an empty list")
                .expected(expected)
                .fix("remove `command` to run none"),
        );
        return None;
    };
    let path = Path::new(&first.value);
    let found = if !path.is_absolute() {
        Some(format!("{:?} is not a full path", first.value))
    } else if !path.is_file() {
        Some(format!("{:?} does not exist", first.value))
    } else {
        None
    };
    if let Some(found) = found {
        let refused = first
            .problem("this program cannot be run")
            .found(found)
            .expected(expected)
            .fix(format!(
                "write the full path of an existing program (`command -v {}` shows it)",
                shell_word(
                    &path
                        .file_name()
                        .map_or_else(|| "NAME".into(), |name| name.to_string_lossy())
                )
            ));
        if path.is_absolute() {
            untold.push(refused);
        } else {
            findings.push(refused);
        }
        return None;
    }
    Some(words.into_iter().map(|word| word.value).collect())
}

fn address_of(
    hook: Located<Hook>,
    absolute: &dyn Fn(&str) -> PathBuf,
    env: &dyn Fn(&str) -> Option<String>,
    untold: &mut Vec<Diagnostic>,
    findings: &mut Findings,
) -> Option<Secret> {
    let place = Located {
        value: (),
        span: hook.span.start..hook.span.start,
        key: hook.key.clone(),
    };
    // The address may hold a token, so that no message shows it.
    let refused = |found: &str| -> Diagnostic {
        place
            .problem("this is not an address for a webhook")
            .hide_value()
            .found(found)
            .expected("\"https://…\" (http:// on this machine alone), { env = \"VARIABLE\" } or { file = \"path\" }")
            .fix(
                "an address with a token in it is a secret; put it into a file with mode 600 and give the path of \
                that file",
            )
    };
    let plain = matches!(hook.value, Hook::Plain(_));
    let written = match hook.value {
        Hook::Plain(text) => Secret::new(text),
        Hook::Lies(source) => {
            let source = Located {
                value: source,
                span: hook.span,
                key: hook.key,
            };
            match secret::read(&source, absolute, env) {
                Ok(secret) => secret,
                Err(problem) => {
                    untold.push(*problem);
                    return None;
                }
            }
        }
        Hook::InvalidValue => {
            findings.push(refused("something else"));
            return None;
        }
    };
    let url = url::Url::parse(written.reveal());
    let problem = match &url {
        Err(_) => Some("text that is no URL"),
        Ok(url) => match (url.scheme(), url.host_str()) {
            ("https", Some(_)) => None,
            ("http", Some(host)) if is_loopback_host(host) => None,
            ("http", _) => Some("http:// to another machine, where anyone on the network path could read it"),
            _ => Some("neither https:// nor http://"),
        },
    };
    match problem {
        None => Some(written),
        Some(found) => {
            if plain {
                findings.push(refused(found));
            } else {
                untold.push(refused(found));
            }
            None
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::authored::Authored;

    /// What a file means, and what is wrong with it.
    fn read(text: &str) -> (Option<Notify>, String) {
        let text = format!("config_version = 1\n{text}");
        let mut findings = Findings::default();
        let notify = Authored::read(&text, &mut findings).notify;
        let env = |name: &str| (name == "HOOK").then(|| "https://hooks.example.org/t0ken".to_owned());
        let mut untold = Vec::new();
        let notify = notify.resolve(&|path| PathBuf::from(path), &env, &mut untold, &mut findings);
        findings.diagnostics.extend(untold);
        let report = crate::Report::new(None, text, findings.diagnostics);
        (notify, report.to_string())
    }

    #[test]
    fn nothing_is_sent_without_a_channel_and_two_kinds_unless_others_are_named() {
        assert!(read("").0.is_none() && read("[notify]\nevents = [\"tunnel_url\"]").0.is_none());
        let (notify, _) = read("[notify]\nwebhook = { env = \"HOOK\" }");
        let notify = notify.unwrap();
        assert_eq!(
            notify.events,
            BTreeSet::from([NoticeKind::TunnelUrl, NoticeKind::TunnelFailed])
        );
        assert!(!format!("{notify:?}").contains("t0ken"));
        let (notify, _) = read("[notify]\nwebhook = \"http://[::1]:80/x\"\nevents = [\"login_locked\"]");
        assert_eq!(notify.unwrap().events, BTreeSet::from([NoticeKind::LoginLocked]));
    }

    #[test]
    fn an_address_that_is_refused_is_not_shown() {
        for hook in [
            "\"http://hooks.example.org/t0ken\"",
            "\"ftp://hooks.example.org/t0ken\"",
            "\"t0ken\"",
            "{ url = \"https://hooks.example.org/t0ken\" }",
            "[\"https://hooks.example.org/t0ken\"]",
            "{ file = \"/nowhere/x\", env = \"t0ken\" }",
        ] {
            let (notify, said) = read(&format!("[notify]\nwebhook = {hook}"));
            assert!(notify.is_none(), "{hook}");
            assert!(
                said.contains("not an address for a webhook") && said.contains("notify.webhook"),
                "{said}"
            );
            assert!(!said.contains("t0ken"), "{said}");
        }
    }
}
