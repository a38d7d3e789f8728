//! A reader over parsed TOML that knows the place of everything it hands out.
//!
//! Not serde's derive: that stops at the first problem and forgets where keys stood. Here each key is asked for by
//! name; what was asked for is the schema, so that an unknown key is what is left over and the nearest valid name is
//! known without a second list.

use crate::diagnostic::{Diagnostic, Place, Span};
use std::collections::BTreeSet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// `Located` is a value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located<T> {
    pub value: T,
    pub span: Span,
    /// `key` is the key path.
    pub key: String,
}

impl<T> Located<T> {
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Located<U> {
        Located {
            value: f(self.value),
            span: self.span,
            key: self.key,
        }
    }
    pub(super) fn problem(&self, problem: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Place::At(self.span.clone()), self.key.clone(), problem)
    }
}

/// `RenamedValue` is a value that is written as the version before had it.
#[derive(Debug)]
pub(super) struct RenamedValue {
    /// `change` is what has changed, and what this version makes of the old form: two clauses of a sentence.
    pub change: &'static str,
    /// `span` is where the value is.
    pub span: Span,
    /// `value` is the value to write, as TOML.
    pub value: String,
}

/// `Findings` are what was found out while reading.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub diagnostics: Vec<Diagnostic>,
    /// `asked` has the path of every key that was asked for, with `*` for a name that the operator chose.
    pub asked: BTreeSet<String>,
    /// `renamed` are the values that are written with names of the version before.
    pub renamed: Vec<RenamedValue>,
    /// `notices` are sentences about old keys elsewhere: in the manifests of plugins.
    pub notices: Vec<String>,
}

impl Findings {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }
}

/// `InvalidValue` says why a value is not accepted; the reader adds place and key.
#[derive(Debug)]
pub(super) struct InvalidValue {
    pub found: Option<String>,
    pub fix: Option<String>,
}

impl InvalidValue {
    /// `PLAIN`: its type or its form is another one.
    pub(super) const PLAIN: Self = Self { found: None, fix: None };
    pub(super) fn fix(fix: impl Into<String>) -> Self {
        Self {
            found: None,
            fix: Some(fix.into()),
        }
    }
}

/// `CORRECT` is the fix of a value for which no better one is known.
pub(super) const CORRECT: &str = "correct the value, or delete the line";

/// `Table` is one table that is being read.
pub(super) struct Table<'a, 'i> {
    map: &'a DeTable<'i>,
    span: Span,
    path: String,
    /// `pattern` is the path with `*` for chosen names.
    pattern: String,
    asked: Vec<&'static str>,
}

fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '*');
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

impl<'a, 'i> Table<'a, 'i> {
    pub(super) fn root(map: &'a DeTable<'i>, span: Span) -> Self {
        Self {
            map,
            span,
            path: String::new(),
            pattern: String::new(),
            asked: Vec::new(),
        }
    }

    pub(super) fn here(&self) -> Located<()> {
        Located {
            value: (),
            span: self.span.clone(),
            key: self.path.clone(),
        }
    }

    fn ask(&mut self, key: &'static str, findings: &mut Findings) -> Option<(Span, &'a Spanned<DeValue<'i>>)> {
        self.asked.push(key);
        findings.asked.insert(join(&self.pattern, key));
        let (name, value) = self.map.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((name.span(), value))
    }

    /// Reads the value of `key` as `parse` understands it. `None`: it is absent, or not accepted, which is then noted.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        findings: &mut Findings,
        parse: impl FnOnce(&DeValue<'i>) -> Result<T, InvalidValue>,
    ) -> Option<Located<T>> {
        let (_, value) = self.ask(key, findings)?;
        let path = join(&self.path, key);
        match parse(value.get_ref()) {
            Ok(parsed) => Some(Located {
                value: parsed,
                span: value.span(),
                key: path,
            }),
            Err(invalid) => {
                findings.push(Diagnostic {
                    found: Some(invalid.found.unwrap_or_else(|| describe(value.get_ref()))),
                    fix: Some(invalid.fix.unwrap_or_else(|| CORRECT.to_owned())),
                    ..Diagnostic::new(
                        Place::At(value.span()),
                        path.clone(),
                        format!("`{path}` has an invalid value"),
                    )
                    .expected(expected)
                });
                None
            }
        }
    }

    pub(super) fn string(
        &mut self,
        key: &'static str,
        expected: &str,
        findings: &mut Findings,
    ) -> Option<Located<String>> {
        self.get(key, expected, findings, |v| {
            v.as_str().map(str::to_owned).ok_or_else(|| no_string(key))
        })
    }

    pub(super) fn boolean(&mut self, key: &'static str, findings: &mut Findings) -> Option<Located<bool>> {
        self.get(key, "true or false", findings, |v| {
            v.as_bool().ok_or_else(|| match v.as_str() {
                Some("true" | "false") => InvalidValue::fix("remove the quotation marks"),
                _ => InvalidValue::PLAIN,
            })
        })
    }

    pub(super) fn whole<T: TryFrom<i64> + PartialOrd + std::fmt::Display + Copy>(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<T>,
        findings: &mut Findings,
    ) -> Option<Located<T>> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let within = |n: i64| T::try_from(n).ok().filter(|n| range.contains(n));
        self.get(key, &expected, findings, |v| {
            integer(v).and_then(within).ok_or_else(|| {
                let quoted = v.as_str().and_then(|text| within(text.parse().ok()?));
                quoted.map_or(InvalidValue::PLAIN, |_| InvalidValue::fix("remove the quotation marks"))
            })
        })
    }

    /// Reads a list whose items `parse` understands one by one, each with its place. `expected` is what one item may be, and
    /// what the whole list is.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        (expected, whole): (&str, &str),
        findings: &mut Findings,
        mut parse: impl FnMut(&DeValue<'i>) -> Result<T, InvalidValue>,
    ) -> Option<Vec<Located<T>>> {
        let (_, value) = self.ask(key, findings)?;
        let path = join(&self.path, key);
        let Some(items) = value.get_ref().as_array() else {
            findings.push(
                Diagnostic::new(
                    Place::At(value.span()),
                    path.clone(),
                    format!("`{path}` has an invalid value"),
                )
                .found(describe(value.get_ref()))
                .expected(whole)
                .fix(match to_toml(value.get_ref()) {
                    Ok(plain) => format!("write it in brackets: {key} = [{plain}]"),
                    Err(_) => CORRECT.to_owned(),
                }),
            );
            return None;
        };
        let mut all = Vec::new();
        for item in items.iter() {
            match parse(item.get_ref()) {
                Ok(parsed) => all.push(Located {
                    value: parsed,
                    span: item.span(),
                    key: path.clone(),
                }),
                Err(invalid) => findings.push(Diagnostic {
                    found: Some(invalid.found.unwrap_or_else(|| describe(item.get_ref()))),
                    fix: Some(
                        invalid
                            .fix
                            .unwrap_or_else(|| "correct it, or delete it from the list".to_owned()),
                    ),
                    ..Diagnostic::new(
                        Place::At(item.span()),
                        path.clone(),
                        format!("an item of `{path}` has an invalid value"),
                    )
                    .expected(expected)
                }),
            }
        }
        Some(all)
    }

    /// Reads the table `key`.
    pub(super) fn table(&mut self, key: &'static str, findings: &mut Findings) -> Option<Table<'a, 'i>> {
        let pattern = join(&self.pattern, key);
        let (at, value) = self.ask(key, findings)?;
        let path = join(&self.path, key);
        into_table(at, value, path, pattern, findings)
    }

    /// Reads the tables in the table `key`, whose names the operator chose.
    pub(super) fn named(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Vec<(Located<String>, Table<'a, 'i>)> {
        let Some(outer) = self.table(key, findings) else {
            return Vec::new();
        };
        let pattern = join(&outer.pattern, "*");
        let mut all = Vec::new();
        // `[chat]` with keys, where a name belongs: the likeliest first mistake, said once.
        if let Some((name, value)) = outer.map.iter().find(|(_, value)| value.get_ref().as_table().is_none()) {
            let usual = match key {
                "chat" => "main",
                "tunnel" => "home",
                _ => "NAME",
            };
            findings.push(
                Diagnostic::new(
                    Place::At(name.span()),
                    join(&outer.path, name.get_ref()),
                    format!("[{key}] has no name"),
                )
                .found(format!("{} = {}", name.get_ref(), describe(value.get_ref())))
                .expected(format!("tables with a name of your choice, as [{key}.{usual}]"))
                .fix(format!("write [{key}.{usual}] instead of [{key}]")),
            );
            return Vec::new();
        }
        for (name, value) in outer.map {
            let path = join(&outer.path, name.get_ref());
            if let Some(table) = into_table(name.span(), value, path.clone(), pattern.clone(), findings) {
                all.push((
                    Located {
                        value: name.get_ref().to_string(),
                        span: name.span(),
                        key: path,
                    },
                    table,
                ));
            }
        }
        all.sort_by_key(|(name, _)| name.span.start);
        all
    }

    /// Reads everything in the table `key`, for keys that another schema checks later. Values that no configuration can
    /// hold (an integer that does not fit into 64 bits) are noted.
    pub(super) fn values(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Vec<(Located<String>, Located<toml::Value>)> {
        let Some(outer) = self.table(key, findings) else {
            return Vec::new();
        };
        let mut all: Vec<_> = outer
            .map
            .iter()
            .filter_map(|(name, value)| {
                let key = join(&outer.path, name.get_ref());
                match to_toml(value.get_ref()) {
                    Ok(plain) => Some((
                        Located {
                            value: name.get_ref().to_string(),
                            span: name.span(),
                            key: key.clone(),
                        },
                        Located {
                            value: plain,
                            span: value.span(),
                            key,
                        },
                    )),
                    Err(found) => {
                        findings.push(
                            Diagnostic::new(
                                Place::At(value.span()),
                                key.clone(),
                                format!("`{key}` has an invalid value"),
                            )
                            .found(found)
                            .expected("a number of at most 64 bits")
                            .fix(CORRECT),
                        );
                        None
                    }
                }
            })
            .collect();
        all.sort_by_key(|(_, value)| value.span.start);
        all
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self, findings: &mut Findings) {
        for (name, value) in self.map {
            let written = name.get_ref();
            if self.asked.iter().any(|asked| written == asked) {
                continue;
            }
            let not_known = if self.path.is_empty() {
                "a known table or key".to_owned()
            } else {
                format!("a key in [{}]", self.path)
            };
            let mut unknown = Diagnostic::new(
                Place::At(name.span()),
                join(&self.path, written),
                format!("`{written}` is not {not_known}"),
            )
            .expected(format!("one of {}", self.asked.join(", ")))
            .nearest(written, self.asked.iter().copied());
            unknown.fix = Some(match &unknown.nearest {
                Some(near) if value.get_ref().is_table() => {
                    format!("rename it to [{}], or delete it", join(&self.path, near))
                }
                Some(near) => format!("rename `{written}` to `{near}`, or delete it"),
                None => "delete it".to_owned(),
            });
            findings.push(unknown);
        }
    }
}

fn into_table<'a, 'i>(
    at: Span,
    value: &'a Spanned<DeValue<'i>>,
    path: String,
    pattern: String,
    findings: &mut Findings,
) -> Option<Table<'a, 'i>> {
    if let Some(map) = value.get_ref().as_table() {
        return Some(Table {
            map,
            span: at,
            path,
            pattern,
            asked: Vec::new(),
        });
    }
    findings.push(
        Diagnostic::new(Place::At(value.span()), path.clone(), format!("`{path}` is a table"))
            .found(describe(value.get_ref()))
            .expected(format!("a table, written [{path}]"))
            .fix(format!("write [{path}] with the keys below it, or delete the line")),
    );
    None
}

pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// `no_string` is why the value of a key that takes text is not accepted.
pub(super) fn no_string(key: &str) -> InvalidValue {
    InvalidValue::fix(format!("write it in quotation marks: {key} = \"…\""))
}

/// `describe` is the value as it is written in TOML, or what kind of value it is where it may be long.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{:?}", shorten(text)),
        DeValue::Integer(n) => n.to_string(),
        DeValue::Float(n) => n.to_string(),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(d) => d.to_string(),
        DeValue::Array(items) if items.len() == 1 => "a list of one item".to_owned(),
        DeValue::Array(items) => format!("a list of {} items", items.len()),
        DeValue::Table(items) if items.len() == 1 => "a table of one key".to_owned(),
        DeValue::Table(items) => format!("a table of {} keys", items.len()),
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() > 80 {
        text.chars().take(79).chain(['…']).collect()
    } else {
        text.to_owned()
    }
}

fn to_toml(value: &DeValue<'_>) -> Result<toml::Value, String> {
    Ok(match value {
        DeValue::String(text) => toml::Value::String(text.to_string()),
        DeValue::Integer(_) => toml::Value::Integer(integer(value).ok_or_else(|| describe(value))?),
        DeValue::Float(n) => toml::Value::Float(n.as_str().parse().map_err(|_| describe(value))?),
        DeValue::Boolean(b) => toml::Value::Boolean(*b),
        DeValue::Datetime(d) => toml::Value::Datetime(*d),
        DeValue::Array(items) => toml::Value::Array(
            items
                .iter()
                .map(|item| to_toml(item.get_ref()))
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(items) => toml::Value::Table(
            items
                .iter()
                .map(|(name, item)| Ok((name.get_ref().to_string(), to_toml(item.get_ref())?)))
                .collect::<Result<_, String>>()?,
        ),
    })
}
