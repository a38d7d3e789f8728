//! Readers of the values that several tables have: names, paths, addresses, durations, sizes.

use crate::toml_reader::{Findings, InvalidValue, Located, Table, describe, integer, no_string};
use crate::units;
use crate::written_url::host_name;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use toml::de::DeValue;

/// `PUBLIC_CHECK` is what `public_check` of a tunnel may be.
pub(super) const PUBLIC_CHECK: &str =
    "\"on\", \"off\", or the address to use for the public check, such as \"192.0.2.1:443\"";

pub(super) fn plugin(t: &mut Table<'_, '_>, key: &'static str, findings: &mut Findings) -> Option<Located<String>> {
    t.get(key, "the name of a plugin", findings, |v| {
        v.as_str()
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| no_string(key))
    })
}

pub(super) fn path(t: &mut Table<'_, '_>, key: &'static str, findings: &mut Findings) -> Option<Located<String>> {
    t.get(
        key,
        "a path; a relative path starts at this file's folder",
        findings,
        |v| {
            let text = path_or_none(v)?;
            if text.is_empty() {
                Err(InvalidValue::PLAIN)
            } else {
                Ok(text)
            }
        },
    )
}

pub(super) fn paths(t: &mut Table<'_, '_>, key: &'static str, findings: &mut Findings) -> Vec<Located<String>> {
    let one = "a path; a relative path starts at this file's folder";
    let whole = "a list of paths, such as [\"/home/me/site\"]";
    let list = t.list(key, (one, whole), findings, |v| {
        let text = path_or_none(v)?;
        if text.is_empty() {
            Err(InvalidValue::PLAIN)
        } else {
            Ok(text)
        }
    });
    list.unwrap_or_default()
}

pub(super) fn path_or_none(v: &DeValue<'_>) -> Result<String, InvalidValue> {
    match v.as_str() {
        Some(text) if text == "~" || text.starts_with("~/") => {
            Err(InvalidValue::fix("`~` is not expanded here; write the full path"))
        }
        Some(text) if !text.contains('\0') => Ok(text.to_owned()),
        Some(_) => Err(InvalidValue::PLAIN),
        None => Err(InvalidValue::fix("write the path in quotation marks")),
    }
}

pub(super) fn address(t: &mut Table<'_, '_>, findings: &mut Findings) -> Option<Located<SocketAddr>> {
    t.get(
        "listen",
        "an address and a port, such as \"127.0.0.1:7860\" (port 0: any free port)",
        findings,
        |v| {
            let Some(text) = v.as_str() else {
                return Err(match integer(v) {
                    Some(port) => InvalidValue::fix(format!("write \"127.0.0.1:{port}\"")),
                    None => InvalidValue::PLAIN,
                });
            };
            text.parse().map_err(|_| match text.strip_prefix("localhost:") {
                Some(port) => InvalidValue::fix(format!("write \"127.0.0.1:{port}\"")),
                None if text.parse::<IpAddr>().is_ok() => InvalidValue::fix(format!("add a port: \"{text}:7860\"")),
                None => InvalidValue::PLAIN,
            })
        },
    )
}

pub(super) fn hosts(t: &mut Table<'_, '_>, findings: &mut Findings) -> Vec<Located<String>> {
    t.list(
        "hosts",
        (
            "a host name without scheme and port, such as \"chat.example.org\"",
            "a list of host names without scheme and port, such as [\"chat.example.org\"]",
        ),
        findings,
        |v| {
            let host = host_name(v.as_str().ok_or(InvalidValue::PLAIN)?).map_err(|cause| InvalidValue {
                found: Some(format!("{}: {cause}", describe(v))),
                fix: None,
            })?;
            Ok(host.to_string())
        },
    )
    .unwrap_or_default()
}

pub(super) fn duration(t: &mut Table<'_, '_>, key: &'static str, findings: &mut Findings) -> Option<Located<Duration>> {
    const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);
    t.get(
        key,
        "a duration of up to ten years, such as \"30m\", \"14d\" or \"1h30m\"",
        findings,
        |v| {
            let Some(text) = v.as_str() else {
                return Err(match integer(v) {
                    Some(n) => InvalidValue::fix(format!("add the unit: \"{n}s\" for seconds, \"{n}m\" for minutes")),
                    None => InvalidValue::PLAIN,
                });
            };
            units::duration(text)
                .filter(|d| !d.is_zero() && *d <= LONGEST)
                .ok_or_else(|| InvalidValue::fix("units are ms, s, m, h and d, without spaces"))
        },
    )
}

pub(super) fn size(t: &mut Table<'_, '_>, key: &'static str, findings: &mut Findings) -> Option<Located<u64>> {
    t.get(
        key,
        "a size, such as \"64 MiB\", or bytes as a whole number",
        findings,
        |v| {
            let read = match v.as_str() {
                Some(text) => units::size(text),
                None => integer(v).and_then(|n| u64::try_from(n).ok()),
            };
            // TOML cannot say more, and no machine has it.
            read.filter(|n| i64::try_from(*n).is_ok())
                .ok_or_else(|| InvalidValue::fix("units are B, KiB, MiB and GiB"))
        },
    )
}
