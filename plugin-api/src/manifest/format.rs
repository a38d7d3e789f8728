//! The version of the format, and what a manifest has that this version of Nexus does not know.
//!
//! Problem: a plugin is written for hosts to come as well. A host that refuses every key it does not know makes each new key a
//! break; one that ignores them all would run a plugin without a permission that it cannot do without, or grant more than was
//! asked for.
//!
//! Mechanism: a key that only describes is ignored, and reported to the author. What is asked to be allowed is never ignored: an
//! unknown capability, or an unknown key of a known one, which may narrow it, is refused by name; where the author says
//! `optional = true`, the plugin is loaded without it. The names that are known are those of the structs that are read, as serde
//! has them, so that no second list can go stale.

use super::bounds::{MANIFEST_ENTRIES, excerpt};
use super::config_key::ConfigKey;
use super::error::ManifestError;
use super::requests::{Capabilities, HttpRequest, Limits, ProcessRequest, StoreRequest};
use super::unknown_key::UnknownKey;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// `MANIFEST_FORMAT` is the version of the format that is read: `manifest = 1`.
pub const MANIFEST_FORMAT: u32 = 1;

/// `Unknown` is what a manifest has and this version goes without.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    /// `ignored` are keys that describe.
    pub(super) ignored: Vec<UnknownKey>,
    /// `unavailable` are optional capabilities, and optional requests of one.
    pub(super) unavailable: Vec<UnknownKey>,
}

/// Removes what this version does not know from a manifest, and says what that was. `known` are the keys at its top; `line` is
/// that of a place in the text.
///
/// # Errors
/// It asks to be allowed something that this version does not know, and does not say that it is optional.
pub(super) fn without_unknown(
    root: &mut DeTable<'_>,
    known: &[&'static str],
    line: &impl Fn(usize) -> usize,
) -> Result<Unknown, ManifestError> {
    let mut reader = Reader {
        line,
        unknown: Unknown::default(),
    };
    reader.described(root, "", known)?;
    if let Some(config) = table(root, "config") {
        for (name, key) in config.iter_mut() {
            if let DeValue::Table(key) = key.get_mut() {
                reader.described(key, &format!("config.{}.", name.get_ref()), fields::<ConfigKey>())?;
            }
        }
    }
    if let Some(limits) = table(root, "limits") {
        reader.described(limits, "limits.", fields::<Limits>())?;
    }
    if let Some(asked) = table(root, "capabilities") {
        reader.capabilities(asked)?;
    }
    let Unknown { ignored, unavailable } = &mut reader.unknown;
    ignored.sort_by_key(|key| key.line);
    unavailable.sort_by_key(|key| key.line);
    Ok(reader.unknown)
}

/// `written_format` is the version of the format; `None` where the manifest does not say it.
///
/// # Errors
/// It is not the one that is read.
pub(super) fn written_format(root: &DeTable<'_>, line: &impl Fn(usize) -> usize) -> Result<Option<u32>, ManifestError> {
    let Some((_, value)) = root.iter().find(|(key, _)| key.get_ref() == "manifest") else {
        return Ok(None);
    };
    let number = match value.get_ref() {
        DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    };
    let message = match number {
        Some(MANIFEST_FORMAT) => return Ok(number),
        Some(later) if later > MANIFEST_FORMAT => format!(
            "the manifest has version {later} of the format, but this Nexus reads version {MANIFEST_FORMAT}. To fix: use a newer \
             Nexus, or a version of the plugin with `manifest = {MANIFEST_FORMAT}`"
        ),
        _ => format!("`manifest` is the version of the format: expected manifest = {MANIFEST_FORMAT}"),
    };
    Err(ManifestError {
        line: Some(line(value.span().start)),
        message,
    })
}

struct Reader<'l, F> {
    line: &'l F,
    unknown: Unknown,
}

impl<F: Fn(usize) -> usize> Reader<'_, F> {
    /// Removes from a table what is none of `known`; it describes and no more.
    fn described(&mut self, table: &mut DeTable<'_>, path: &str, known: &[&'static str]) -> Result<(), ManifestError> {
        for found in unknown(table, path, known, self.line) {
            let (key, found) = found;
            table.remove(key.as_str());
            push(&mut self.unknown.ignored, found)?;
        }
        Ok(())
    }

    fn capabilities(&mut self, asked: &mut DeTable<'_>) -> Result<(), ManifestError> {
        for (key, found) in unknown(asked, "capabilities.", fields::<Capabilities>(), self.line) {
            let capability = asked.remove(key.as_str());
            self.goes_without(found, capability.is_some_and(|value| is_optional(value.get_ref())))?;
        }
        if let Some(programs) = table(asked, "process") {
            let names: Vec<String> = programs.keys().map(|name| name.get_ref().to_string()).collect();
            for name in names {
                let Some(DeValue::Table(request)) = programs.get(name.as_str()).map(Spanned::get_ref) else {
                    continue;
                };
                let path = format!("capabilities.process.{name}.");
                if self.request(request, &path, fields::<ProcessRequest>())? {
                    programs.remove(name.as_str());
                }
            }
        }
        if let Some(DeValue::Table(request)) = asked.get("store").map(Spanned::get_ref)
            && self.request(request, "capabilities.store.", fields::<StoreRequest>())?
        {
            asked.remove("store");
        }
        if let Some(DeValue::Array(servers)) = asked.get_mut("http").map(Spanned::get_mut) {
            let mut kept = toml::de::DeArray::new();
            for server in servers.iter() {
                let goes = match server.get_ref() {
                    DeValue::Table(request) => self.request(request, "capabilities.http.", fields::<HttpRequest>())?,
                    _ => false,
                };
                if !goes {
                    kept.push(server.clone());
                }
            }
            *servers = kept;
        }
        Ok(())
    }

    /// Tells whether the plugin goes without this request, for a key of it is unknown.
    fn request(&mut self, request: &DeTable<'_>, path: &str, known: &[&'static str]) -> Result<bool, ManifestError> {
        let optional = own_optional(request);
        let found = unknown(request, path, known, self.line);
        let goes = !found.is_empty();
        for (_, found) in found {
            self.goes_without(found, optional)?;
        }
        Ok(goes)
    }

    fn goes_without(&mut self, found: UnknownKey, optional: bool) -> Result<(), ManifestError> {
        if optional {
            return push(&mut self.unknown.unavailable, found);
        }
        Err(ManifestError {
            line: Some(found.line),
            message: format!(
                "the plugin needs {found}, which this Nexus cannot give. To fix: use a newer Nexus; if the plugin works without \
                 it, its author can write `optional = true` there"
            ),
        })
    }
}

fn push(list: &mut Vec<UnknownKey>, found: UnknownKey) -> Result<(), ManifestError> {
    if list.len() == MANIFEST_ENTRIES {
        return Err(ManifestError {
            line: Some(found.line),
            message: format!("it has more keys that are unknown; the limit is {MANIFEST_ENTRIES}"),
        });
    }
    list.push(found);
    Ok(())
}

fn table<'t, 'i>(root: &'t mut DeTable<'i>, name: &str) -> Option<&'t mut DeTable<'i>> {
    match root.get_mut(name)?.get_mut() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// `unknown` are the keys of a table that are none of `known`, as they are there, and for people.
fn unknown(
    table: &DeTable<'_>,
    path: &str,
    known: &[&'static str],
    line: &impl Fn(usize) -> usize,
) -> Vec<(String, UnknownKey)> {
    let keys = table.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
    let found = keys.map(|key| {
        let near = known
            .iter()
            .map(|name| (strsim::damerau_levenshtein(&excerpt(key.get_ref()), name), *name))
            .filter(|(distance, _)| *distance <= 2)
            .min();
        let unknown = UnknownKey {
            line: line(key.span().start),
            key: excerpt(&format!("{path}{}", key.get_ref())),
            near: near.map(|(_, name)| name),
        };
        (key.get_ref().to_string(), unknown)
    });
    found.collect()
}

fn own_optional(table: &DeTable<'_>) -> bool {
    table.get("optional").and_then(|value| value.get_ref().as_bool()) == Some(true)
}

/// Tells whether all of an unknown capability is optional: a table that says so, a list of such tables, or a table of them.
fn is_optional(value: &DeValue<'_>) -> bool {
    let is_such =
        |value: &Spanned<DeValue<'_>>| matches!(value.get_ref(), DeValue::Table(table) if own_optional(table));
    match value {
        DeValue::Table(table) => own_optional(table) || !table.is_empty() && table.values().all(is_such),
        DeValue::Array(list) => !list.is_empty() && list.iter().all(is_such),
        _ => false,
    }
}

/// `fields` are the names of a struct's keys, as its own reader asks for them.
pub(super) fn fields<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names = Names(&[]);
    // It reads nothing, and fails once it has the names.
    let _ = T::deserialize(&mut names);
    names.0
}

struct Names(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut Names {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("only names are read"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
