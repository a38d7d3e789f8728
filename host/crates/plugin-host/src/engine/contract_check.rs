//! Whether the types of a component are those of the contract.
//!
//! Problem: an interface of the right name may be a later one, with a field or a function more. The engine finds that when
//! it links, or only when it looks for the exports of an instance that runs already, and says it in a linker's words.
//!
//! Mechanism: `contract.wasm` beside this file is a component without a body that imports and exports every interface of
//! this host's contract (a test makes it from the WIT and compares). Its types and those of the plugin are read by
//! wasmparser, without compiling or running anything, and compared function by function; what differs is said by name.
//! The same check serves `nexus plugin check`, the start of a plugin, and a change of its file. It runs before a component
//! is compiled, so what the code cache has was checked already ([`super::code_cache`]).
//!
//! Limits: what a plugin takes from WASI is left to the engine, which links it ([`super::linker`]).
//!
//! Rejected: instantiating a component to look at it, which runs code of it; and comparing by the engine's own types, which
//! needs it compiled (half a minute for some languages) before it can be refused.

use super::error::LoadError;
use super::interface_name::interface;
use super::minor::Minor;
use nexus_plugin_api::manifest::Kind;
use wasmparser::component_types::{
    ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType, ComponentFuncType, ComponentInstanceType,
    ComponentValType,
};
use wasmparser::types::{Types, TypesRef};
use wasmparser::{Parser, ValidPayload, Validator, WasmFeatures};

/// `CONTRACT` is that of the newest minor. Those of all minors are part of the key of the code cache: what lies there was
/// compared with them.
pub(crate) const CONTRACT: &[u8] = include_bytes!("contract.wasm");

/// `types` are those of a component, without a look at its code.
///
/// # Errors
/// They are not valid.
pub(super) fn types(bytes: &[u8]) -> Result<Types, String> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut last = None;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|e| e.to_string())?;
        if let ValidPayload::End(types) = validator.payload(&payload).map_err(|e| e.to_string())? {
            last = Some(types);
        }
    }
    last.ok_or_else(|| "it has no end".to_owned())
}

/// `optional` are the interfaces of the newest minor that belong to a kind and need not be there.
pub(crate) fn optional(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Auth => &["manage"],
        Kind::Chat => &[
            "sessions",
            "history",
            "questions",
            "models",
            "agents",
            "commands",
            "attachments",
            "fork",
            "revert",
            "compaction",
            "archive",
            "workspaces",
            "files",
            "providers",
        ],
        Kind::Tunnel => &[],
    }
}

/// Compares every interface that the component imports or exports with the contract of the minor that it speaks.
///
/// # Errors
/// A sentence: which function of which interface, what was found, what this host's contract has.
pub(super) fn check(
    minor: &Minor,
    kind: Kind,
    found: &Types,
    imports: &[String],
    exports: &[String],
) -> Result<(), LoadError> {
    let contract = minor.types.get_or_init(|| types(minor.contract).ok());
    let Some(contract) = contract else {
        return Err(LoadError::Unsupported(
            "this Nexus is damaged: cannot read its contract. To fix: reinstall Nexus".into(),
        ));
    };
    let (found, contract) = (found.as_ref(), contract.as_ref());
    let state = minor.name();
    let unsupported = |interface: &str, function: Option<&str>, detail: String| {
        let interface = interface.split('@').next().unwrap_or_default();
        let differs = match function {
            Some(function) => format!("function `{function}` of {interface}"),
            None => interface.to_owned(),
        };
        LoadError::Api(format!(
            "The component was built against another state of the contract {state} ({differs}): {detail}. To fix: build it again \
             with `nexus plugin build` against the plugin-api of this Nexus, or use a newer version of the plugin"
        ))
    };
    let ours = |name: &str| {
        let i = interface(name)?;
        minor
            .has(&i)
            .then(|| (format!("nexus:plugin/{}@{}", i.name, minor.version), i.name.to_owned()))
    };
    for import in imports {
        let Some((name, _)) = ours(import) else { continue };
        let theirs = instance(found, found.component_item_for_import(import).map(|item| item.ty));
        let own = instance(contract, contract.component_item_for_import(&name).map(|item| item.ty));
        // Types alone, as `types` and `chat-types`, are compared where a function has them.
        let (Some(theirs), Some(own)) = (theirs, own) else {
            continue;
        };
        for (function, theirs) in functions(found, theirs) {
            let Some(own) = functions(contract, own)
                .find(|(name, _)| *name == function)
                .map(|(_, own)| own)
            else {
                let detail = format!("it imports the function `{function}` of {import}, which does not exist");
                return Err(unsupported(import, Some(function), detail));
            };
            let same = compare((found, theirs), (contract, own));
            same.map_err(|cause| {
                let detail =
                    format!("it imports the function `{function}` of {import} with another signature: {cause}");
                unsupported(import, Some(function), detail)
            })?;
        }
    }
    let required = kind.interface().trim_start_matches("nexus:plugin/");
    for export in exports {
        let Some((name, bare)) = ours(export) else { continue };
        if bare != required && !(minor.optional)(kind).contains(&bare.as_str()) {
            continue;
        }
        let theirs = instance(found, found.component_item_for_export(export).map(|item| item.ty));
        let own = instance(contract, contract.component_item_for_export(&name).map(|item| item.ty));
        let Some(own) = own else { continue };
        let Some(theirs) = theirs else {
            return Err(unsupported(
                export,
                None,
                format!("its export {export} is not an interface"),
            ));
        };
        for (function, own) in functions(contract, own) {
            let Some(theirs) = functions(found, theirs)
                .find(|(name, _)| *name == function)
                .map(|(_, theirs)| theirs)
            else {
                let detail = format!("its {export} has no function `{function}`");
                return Err(unsupported(export, Some(function), detail));
            };
            let same = compare((found, theirs), (contract, own));
            same.map_err(|cause| {
                let detail = format!("the function `{function}` of its {export} has another signature: {cause}");
                unsupported(export, Some(function), detail)
            })?;
        }
    }
    Ok(())
}

fn instance<'a>(types: TypesRef<'a>, entity: Option<ComponentEntityType>) -> Option<&'a ComponentInstanceType> {
    match entity? {
        ComponentEntityType::Instance(id) => types.get(id),
        _ => None,
    }
}

fn functions<'a>(
    types: TypesRef<'a>,
    instance: &'a ComponentInstanceType,
) -> impl Iterator<Item = (&'a str, &'a ComponentFuncType)> {
    instance.exports.iter().filter_map(move |(name, item)| match item.ty {
        ComponentEntityType::Func(id) => Some((name.as_str(), types.get(id)?)),
        _ => None,
    })
}

type Side<'a, T> = (TypesRef<'a>, T);

/// Compares side by side: no further into the plugin's types than the contract goes, however large they are.
fn compare(found: Side<'_, &ComponentFuncType>, own: Side<'_, &ComponentFuncType>) -> Result<(), String> {
    let ((found, f), (own, o)) = (found, own);
    if f.async_ != o.async_ {
        let word = |is_async: bool| if is_async { "`async func`" } else { "`func`" };
        return Err(format!("found {}, expected {}", word(f.async_), word(o.async_)));
    }
    let names = |f: &ComponentFuncType| list(f.params.iter().map(|(name, _)| name.as_str()));
    if f.params.len() != o.params.len()
        || f.params
            .iter()
            .zip(&o.params)
            .any(|((one, _), (other, _))| one != other)
    {
        return Err(format!("its parameters are {}, expected {}", names(f), names(o)));
    }
    for ((name, f), (_, o)) in f.params.iter().zip(&o.params) {
        values((found, f), (own, o)).map_err(|cause| format!("in its parameter `{name}`, {cause}"))?;
    }
    maybe((found, f.result.as_ref()), (own, o.result.as_ref())).map_err(|cause| format!("in its result, {cause}"))
}

fn maybe(found: Side<'_, Option<&ComponentValType>>, own: Side<'_, Option<&ComponentValType>>) -> Result<(), String> {
    match (found, own) {
        ((_, None), (_, None)) => Ok(()),
        ((found, Some(f)), (own, Some(o))) => values((found, f), (own, o)),
        ((found, Some(f)), (_, None)) => Err(format!("found {}, expected nothing", shown((found, f)))),
        ((_, None), (own, Some(o))) => Err(format!("found nothing, expected {}", shown((own, o)))),
    }
}

fn defined<'a>(types: TypesRef<'a>, id: ComponentDefinedTypeId) -> Option<&'a ComponentDefinedType> {
    types.get(id)
}

fn values(found: Side<'_, &ComponentValType>, own: Side<'_, &ComponentValType>) -> Result<(), String> {
    use ComponentDefinedType as T;
    let differs = || Err(format!("found {}, expected {}", shown(found), shown(own)));
    let (f, o) = match (found, own) {
        ((_, ComponentValType::Primitive(f)), (_, ComponentValType::Primitive(o))) => {
            return if f == o { Ok(()) } else { differs() };
        }
        ((ft, ComponentValType::Type(f)), (ot, ComponentValType::Type(o))) => {
            match (defined(ft, *f), defined(ot, *o)) {
                (Some(f), Some(o)) => ((ft, f), (ot, o)),
                _ => return differs(),
            }
        }
        // One of the two has a name for it.
        ((ft, ComponentValType::Type(f)), (_, ComponentValType::Primitive(o))) => {
            let same = matches!(defined(ft, *f), Some(T::Primitive(f)) if f == o);
            return if same { Ok(()) } else { differs() };
        }
        ((_, ComponentValType::Primitive(f)), (ot, ComponentValType::Type(o))) => {
            let same = matches!(defined(ot, *o), Some(T::Primitive(o)) if f == o);
            return if same { Ok(()) } else { differs() };
        }
    };
    let ((ft, f), (ot, o)) = (f, o);
    match (f, o) {
        (T::Primitive(f), T::Primitive(o)) if f == o => Ok(()),
        (T::Record(f), T::Record(o)) => {
            same(
                "the record has the fields",
                f.fields.keys().map(|n| n.as_str()),
                o.fields.keys().map(|n| n.as_str()),
            )?;
            each(
                ft,
                f.fields.iter().map(|(n, t)| (n.as_str(), Some(t))),
                ot,
                o.fields.values().map(Some),
                "field",
            )
        }
        (T::Variant(f), T::Variant(o)) => {
            same(
                "the variant has the cases",
                f.cases.keys().map(|n| n.as_str()),
                o.cases.keys().map(|n| n.as_str()),
            )?;
            let theirs = f.cases.iter().map(|(n, case)| (n.as_str(), case.ty.as_ref()));
            each(ft, theirs, ot, o.cases.values().map(|case| case.ty.as_ref()), "case")
        }
        (T::Enum(f), T::Enum(o)) => same(
            "the enum has the cases",
            f.iter().map(|n| n.as_str()),
            o.iter().map(|n| n.as_str()),
        ),
        (T::Flags(f), T::Flags(o)) => same(
            "the flags are",
            f.iter().map(|n| n.as_str()),
            o.iter().map(|n| n.as_str()),
        ),
        (T::List { element: f, .. }, T::List { element: o, .. }) => {
            values((ft, f), (ot, o)).map_err(|cause| format!("in the list, {cause}"))
        }
        (T::Option { ty: f, .. }, T::Option { ty: o, .. }) => values((ft, f), (ot, o)),
        (T::Tuple(f), T::Tuple(o)) if f.types.len() == o.types.len() => {
            let mut pairs = f.types.iter().zip(&o.types);
            pairs.try_for_each(|(f, o)| values((ft, f), (ot, o)))
        }
        (T::Result { ok: fo, err: fe, .. }, T::Result { ok: oo, err: oe, .. }) => {
            maybe((ft, fo.as_ref()), (ot, oo.as_ref()))?;
            maybe((ft, fe.as_ref()), (ot, oe.as_ref()))
        }
        (T::Future { ty: f, .. }, T::Future { ty: o, .. }) => {
            maybe((ft, f.as_ref()), (ot, o.as_ref())).map_err(|cause| format!("in the future, {cause}"))
        }
        (T::Stream { ty: f, .. }, T::Stream { ty: o, .. }) => {
            maybe((ft, f.as_ref()), (ot, o.as_ref())).map_err(|cause| format!("in the stream, {cause}"))
        }
        _ => differs(),
    }
}

fn same<'a>(
    what: &str,
    found: impl Iterator<Item = &'a str> + Clone,
    own: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), String> {
    if found.clone().eq(own.clone()) {
        return Ok(());
    }
    Err(format!("{what} {}, expected {}", list(found), list(own)))
}

fn each<'a>(
    found: TypesRef<'_>,
    theirs: impl Iterator<Item = (&'a str, Option<&'a ComponentValType>)>,
    own: TypesRef<'_>,
    ours: impl Iterator<Item = Option<&'a ComponentValType>>,
    what: &str,
) -> Result<(), String> {
    for ((name, f), o) in theirs.zip(ours) {
        maybe((found, f), (own, o)).map_err(|cause| format!("in the {what} `{name}`, {cause}"))?;
    }
    Ok(())
}

/// `TUPLE` is how many types of a tuple are shown.
const TUPLE: usize = 8;

/// `list` has as many names as are read.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 24;
    let mut names: Vec<&str> = names.take(SHOWN + 1).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    if names.len() > SHOWN {
        names.truncate(SHOWN);
        names.push("…");
    }
    names.join(", ")
}

/// `in_wit` is a type as WIT writes it, as far as a message needs it: a plugin's types can grow without end.
fn in_wit((types, value): Side<'_, &ComponentValType>, depth: u8) -> String {
    use ComponentDefinedType as T;
    let named = match value {
        ComponentValType::Primitive(primitive) => return primitive.to_string(),
        ComponentValType::Type(id) => defined(types, *id),
    };
    let Some(depth) = depth.checked_sub(1) else {
        return "…".to_owned();
    };
    let one = |value: &ComponentValType| in_wit((types, value), depth);
    let maybe = |value: &Option<ComponentValType>| value.as_ref().map_or("_".to_owned(), one);
    match named {
        Some(T::Primitive(primitive)) => primitive.to_string(),
        Some(T::Record(record)) => format!("record {{ {} }}", list(record.fields.keys().map(|name| name.as_str()))),
        Some(T::Variant(variant)) => format!("variant {{ {} }}", list(variant.cases.keys().map(|name| name.as_str()))),
        Some(T::Enum(names)) => format!("enum {{ {} }}", list(names.iter().map(|name| name.as_str()))),
        Some(T::Flags(names)) => format!("flags {{ {} }}", list(names.iter().map(|name| name.as_str()))),
        Some(T::List { element, .. }) => format!("list<{}>", one(element)),
        Some(T::Option { ty, .. }) => format!("option<{}>", one(ty)),
        Some(T::Tuple(tuple)) => {
            let types: Vec<_> = tuple.types.iter().take(TUPLE).map(one).collect();
            let more = if tuple.types.len() > TUPLE { ", …" } else { "" };
            format!("tuple<{}{more}>", types.join(", "))
        }
        Some(T::Result { ok, err, .. }) => match (ok, err) {
            (None, None) => "result".to_owned(),
            (ok, None) => format!("result<{}>", maybe(ok)),
            (ok, err) => format!("result<{}, {}>", maybe(ok), maybe(err)),
        },
        Some(T::Future { ty, .. }) => format!("future<{}>", maybe(ty)),
        Some(T::Stream { ty, .. }) => format!("stream<{}>", maybe(ty)),
        Some(T::Own(_) | T::Borrow(_)) => "a resource".to_owned(),
        _ => "another type".to_owned(),
    }
}

/// `shown` is a type as it is shown.
fn shown(value: Side<'_, &ComponentValType>) -> String {
    in_wit(value, 3)
}

#[cfg(test)]
#[path = "contract_check_tests.rs"]
mod tests;
