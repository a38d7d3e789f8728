//! The interfaces of WASI that standard libraries of languages import whether or not a plugin uses them, and behind which
//! there is nothing here: sockets, files, the environment, a terminal. Each of their functions exists and denies.
//!
//! Problem: without them no component of Rust, C or Python links. With wasmtime's own implementation and everything switched
//! off, code that opens sockets and files lies one mistake behind a plugin; and its hundred typed functions took a third of
//! the time that this crate takes to compile.
//!
//! Mechanism: what a component imports of them is linked by the component's own types: a function whose result has an error
//! gives the one that says "not allowed", a list is empty, an option is none, and a resource is one on which everything is
//! denied. So a language's library reports what it reports of an operating system that denies it.
//!
//! Limits: what can give nothing of these traps, with its name; no library gets there, because no socket and no file ever
//! exists.
//!
//! Cost: the linker is copied for each component that imports one of them, some microseconds.

use super::interface_name::interface;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, Resource, ResourceAny, ResourceType, Type, Val};
use wasmtime::{AsContextMut, Engine, StoreContextMut};

/// `SOCKETS` is said aloud when a component imports it: whoever uses it will miss it.
pub(super) const SOCKETS: &str = "wasi:sockets";
pub(super) const FILESYSTEM: &str = "wasi:filesystem";
/// `CLI` has beside what is denied the standard streams and the exit, which are linked.
pub(super) const CLI: &str = "wasi:cli";
const DENIED_OF_CLI: [&str; 6] = [
    "environment",
    "terminal-input",
    "terminal-output",
    "terminal-stdin",
    "terminal-stdout",
    "terminal-stderr",
];

/// `DENIALS` are the names for "not allowed" among the error codes of these interfaces.
const DENIALS: [&str; 3] = ["access-denied", "access", "not-permitted"];

/// `Denied` stands for each resource of these interfaces. There is nothing behind it.
struct Denied;

/// Copies the linker and adds what this component imports of these interfaces; `None`: nothing.
///
/// # Errors
/// None that a component could cause: its imports were read before.
pub(super) fn with_denied<T: 'static>(
    linker: &Linker<T>,
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<Option<Linker<T>>> {
    let mut with: Option<Linker<T>> = None;
    for (name, import) in component.component_type().imports(engine) {
        let denied = interface(name).is_some_and(|i| match i.package {
            SOCKETS | FILESYSTEM => true,
            CLI => DENIED_OF_CLI.contains(&i.name),
            _ => false,
        });
        let ComponentItem::ComponentInstance(items) = import.ty else {
            continue;
        };
        if !denied {
            continue;
        }
        let linker = with.get_or_insert_with(|| linker.clone());
        let mut instance = linker.instance(name)?;
        for (item, export) in items.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => deny(&mut instance, name, item)?,
                ComponentItem::Resource(_) => {
                    instance.resource(item, ResourceType::host::<Denied>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(with)
}

fn deny<T: 'static>(instance: &mut LinkerInstance<'_, T>, interface: &str, function: &str) -> wasmtime::Result<()> {
    let name = format!("{interface}#{function}");
    instance.func_new(function, move |mut store, signature, _, results| {
        answer(&mut store, &signature, results)
            .ok_or_else(|| wasmtime::Error::msg(format!("{name} is not available to plugins")))
    })
}

fn answer<T: 'static>(store: &mut StoreContextMut<'_, T>, function: &ComponentFunc, results: &mut [Val]) -> Option<()> {
    for (result, ty) in results.iter_mut().zip(function.results()) {
        *result = nothing(store, &ty)?;
    }
    Some(())
}

/// `nothing` is the value of a type that says no, or that nothing is there.
fn nothing<T: 'static>(store: &mut StoreContextMut<'_, T>, ty: &Type) -> Option<Val> {
    Some(match ty {
        Type::Result(result) => Val::Result(Err(Some(Box::new(denial(&result.err()?)?)))),
        Type::List(_) => Val::List(Vec::new()),
        Type::Option(_) => Val::Option(None),
        Type::Bool => Val::Bool(false),
        Type::Own(_) => {
            let resource = Resource::<Denied>::new_own(0);
            Val::Resource(ResourceAny::try_from_resource(resource, store.as_context_mut()).ok()?)
        }
        _ => return None,
    })
}

fn denial(error: &Type) -> Option<Val> {
    let among = |names: &mut dyn Iterator<Item = &str>| {
        let names: Vec<&str> = names.collect();
        DENIALS.into_iter().find(|denial| names.contains(denial))
    };
    match error {
        Type::Enum(codes) => Some(Val::Enum(among(&mut codes.names())?.to_owned())),
        Type::Variant(codes) => {
            let plain = codes.cases().filter(|case| case.ty.is_none());
            Some(Val::Variant(among(&mut plain.map(|case| case.name))?.to_owned(), None))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "denied_wasi_tests.rs"]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
