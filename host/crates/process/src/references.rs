//! References in the strings of a specification: `{port:NAME}`, `{dir}`, `{file:NAME}`, `{secret:NAME}`,
//! `{generated:NAME}`, in headers also `{basic:USER:secret:NAME}` and `{basic:USER:generated:NAME}`. `{{` is a literal
//! brace; a closing brace alone is itself.
//!
//! A template is parsed once, for one [`Place`]; what the place forbids does not parse. What is filled in is never
//! looked at again, so a secret that contains braces stays as it is.

use std::fmt::Write as _;

/// `References` knows what `{secret:…}` and `{generated:…}` stand for, for one plugin.
pub trait References: Send + Sync + 'static {
    /// `secret` is a value that the operator gave.
    ///
    /// # Errors
    /// A sentence for the operator: there is no such secret, or it may not be used.
    fn secret(&self, name: &str) -> Result<String, String>;
    /// `generated` is a random value, the same each time for one name.
    ///
    /// # Errors
    /// A sentence for the operator.
    fn generated(&self, name: &str) -> Result<String, String>;
}

/// `NoReferences` is for processes that need no secrets: it has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoReferences;

impl References for NoReferences {
    fn secret(&self, name: &str) -> Result<String, String> {
        Err(format!("there is no secret `{name}`"))
    }
    fn generated(&self, name: &str) -> Result<String, String> {
        Err(format!("no value can be generated for `{name}` here"))
    }
}

/// `Place` is where a template stands, and so what it may refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `Argument`: every user of the machine can read it, so it holds no secrets.
    Argument,
    /// `Environment`: the child can read it, and whoever may trace it.
    Environment,
    /// `File`: the child's user alone can read it.
    File,
    /// `Header` is the value of an HTTP header: it refers to secrets alone.
    Header,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reference {
    Port(String),
    Dir,
    File(String),
    Hidden(Hidden),
    Basic { user: String, password: Hidden },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hidden {
    Secret(String),
    Generated(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Reference(Reference),
}

/// `Template` is a text with its references found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// `Names` knows what the names of one process stand for; `None` where its specification has no such name.
pub trait Names {
    /// `port` is the number of a port.
    fn port(&self, name: &str) -> Option<u16>;
    /// `dir` is the path of the private directory.
    fn dir(&self) -> Option<String>;
    /// `file` is the path of a private file.
    fn file(&self, name: &str) -> Option<String>;
}

/// `NoNames` is for headers, which belong to no process.
struct NoNames;

impl Names for NoNames {
    fn port(&self, _: &str) -> Option<u16> {
        None
    }
    fn dir(&self) -> Option<String> {
        None
    }
    fn file(&self, _: &str) -> Option<String> {
        None
    }
}

/// `fill_header` fills in the secrets of one header's value, up to `most` bytes.
///
/// # Errors
/// The template is wrong, the operator gave no such secret, or the value is longer.
pub fn fill_header(value: &str, refs: &dyn References, most: usize) -> Result<String, HeaderError> {
    let template = Template::parse(value, Place::Header).map_err(HeaderError::Template)?;
    template.fill(&NoNames, refs, most).map_err(HeaderError::Refused)
}

/// `HeaderError` says why a header could not be filled in, in a sentence that holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// `Template`: what the plugin wrote is wrong.
    #[error("{0}")]
    Template(String),
    /// `Refused`: there is no such secret for the plugin.
    #[error("{0}")]
    Refused(String),
}

impl Template {
    /// `parse` finds the references of a text.
    ///
    /// # Errors
    /// A sentence that names the reference and what would be right.
    pub fn parse(text: &str, place: Place) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            plain.push_str(before);
            if let Some(after) = after.strip_prefix('{') {
                plain.push('{');
                rest = after;
                continue;
            }
            let (inside, after) = after.split_once('}').ok_or_else(|| {
                format!(
                    "`{{{}` has no closing brace; a literal brace is written `{{{{`",
                    shortened(after)
                )
            })?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Reference(reference(inside, place)?));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// `fill` puts in what the references stand for.
    ///
    /// # Errors
    /// A sentence: a name that nothing stands for, a secret that is not there, or a text of more than `most` bytes: one
    /// secret may be named a thousand times.
    pub fn fill(&self, names: &dyn Names, refs: &dyn References, most: usize) -> Result<String, String> {
        let mut filled = String::new();
        for piece in &self.0 {
            if filled.len() > most {
                break;
            }
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Reference(Reference::Port(name)) => {
                    let port = names.port(name).ok_or_else(|| {
                        format!("`{{port:{name}}}` is not a port; add `{name}` to the specification's ports")
                    })?;
                    let _ = write!(filled, "{port}");
                }
                Piece::Reference(Reference::Dir) => {
                    push_path(&mut filled, &names.dir().ok_or("`{dir}` has no path that is text")?)?;
                }
                Piece::Reference(Reference::File(name)) => {
                    let path = names.file(name).ok_or_else(|| {
                        format!("`{{file:{name}}}` is not a file; add `{name}` to the specification's files")
                    })?;
                    push_path(&mut filled, &path)?;
                }
                Piece::Reference(Reference::Hidden(hidden)) => filled.push_str(&hidden.reveal(refs)?),
                Piece::Reference(Reference::Basic { user, password }) => {
                    let pair = format!("{user}:{}", password.reveal(refs)?);
                    filled.push_str("Basic ");
                    filled.push_str(&data_encoding::BASE64.encode(pair.as_bytes()));
                }
            }
        }
        if filled.len() > most {
            return Err(format!("with its references replaced it has more than {most} bytes"));
        }
        Ok(filled)
    }
}

/// A path between quotation marks is part of the program's own configuration (JSON, YAML, ssh's): each has other escapes, and the
/// program would read another path, or nothing at all.
fn push_path(filled: &mut String, path: &str) -> Result<(), String> {
    let acts = |c: char| c == '"' || c.is_control() || c == '\\' && !cfg!(windows);
    if filled.ends_with('"') && path.contains(acts) {
        return Err(format!(
            "the data folder has `\"`, `\\` or a control character in its path ({path}), so the path cannot be \
             written into the configuration of this program. To fix: choose a data folder without these \
             characters with --data-dir DIR"
        ));
    }
    filled.push_str(path);
    Ok(())
}

impl Hidden {
    fn reveal(&self, refs: &dyn References) -> Result<String, String> {
        match self {
            Self::Secret(name) => refs.secret(name),
            Self::Generated(name) => refs.generated(name),
        }
    }
}

fn reference(inside: &str, place: Place) -> Result<Reference, String> {
    let unknown = || {
        let known = if place == Place::Header {
            "{secret:NAME}, {generated:NAME} and {basic:USER:generated:NAME}"
        } else {
            "{port:NAME}, {dir}, {file:NAME}, {secret:NAME} and {generated:NAME}"
        };
        format!(
            "`{{{}}}` is not a reference; known references are {known}, and a literal brace is written `{{{{`",
            shortened(inside)
        )
    };
    let in_process = place != Place::Header;
    match inside.split_once(':') {
        None if inside == "dir" && in_process => Ok(Reference::Dir),
        Some(("port", name)) if named(name) && in_process => Ok(Reference::Port(name.to_owned())),
        Some(("file", name)) if named(name) && in_process => Ok(Reference::File(name.to_owned())),
        Some(("basic", rest)) if place == Place::Header => {
            let (user, password) = rest.split_once(':').ok_or_else(unknown)?;
            let password = hidden(password).ok_or_else(unknown)?;
            if user.chars().any(char::is_control) {
                return Err(unknown());
            }
            Ok(Reference::Basic {
                user: user.to_owned(),
                password,
            })
        }
        _ => match hidden(inside) {
            Some(_) if place == Place::Argument => Err(format!(
                "`{{{}}}` is in an argument, which every user of the machine can read; put it in `env` or a file",
                shortened(inside)
            )),
            Some(hidden) => Ok(Reference::Hidden(hidden)),
            None => Err(unknown()),
        },
    }
}

fn hidden(inside: &str) -> Option<Hidden> {
    match inside.split_once(':')? {
        ("secret", name) if named(name) => Some(Hidden::Secret(name.to_owned())),
        ("generated", name) if named(name) => Some(Hidden::Generated(name.to_owned())),
        _ => None,
    }
}

fn named(name: &str) -> bool {
    !name.is_empty() && !name.contains([':', '{']) && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
#[path = "references_tests.rs"]
mod tests;
