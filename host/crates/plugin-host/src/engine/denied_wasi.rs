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
//! Limits: what can give nothing of these traps, with its name, and so does what is handed a stream; no library gets there,
//! because no socket and no file ever exists.
//!
//! Cost: the linker is copied for each component that imports one of them, some microseconds.

use super::interface_name::interface;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, Resource, ResourceAny, ResourceType, Type, Val};
use wasmtime::{AsContextMut as _, Engine, StoreContextMut};
use wasmtime_wasi::p2::bindings as wasi;

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
/// A function of them passes what WASI does not: the component was made to look like one of WASI.
pub(super) fn with_denied<T: 'static>(
    linker: &Linker<T>,
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<Option<Linker<T>>> {
    let mut with: Option<Linker<T>> = None;
    // An interface also lists the resources that it takes from another one (`use wasi:io/streams`), which are that one's.
    let mut known: Vec<ResourceType> = Vec::new();
    for (name, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(items) = import.ty else {
            continue;
        };
        let denied = interface(name).is_some_and(|i| match i.package {
            SOCKETS | FILESYSTEM => true,
            CLI => DENIED_OF_CLI.contains(&i.name),
            _ => false,
        });
        let mut own = Vec::new();
        for (item, export) in items.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(function) if denied => {
                    let way = way(&function).map_err(|passed| {
                        wasmtime::Error::msg(format!("{name}#{item} passes {passed}, unlike WASI"))
                    })?;
                    own.push((item, way));
                }
                ComponentItem::Resource(resource) if !known.contains(&resource) => {
                    known.push(resource);
                    if denied {
                        let linker = with.get_or_insert_with(|| linker.clone());
                        linker
                            .instance(name)?
                            .resource(item, ResourceType::host::<Denied>(), |_, _| Ok(()))?;
                    }
                }
                _ => {}
            }
        }
        if denied {
            let mut instance = with.get_or_insert_with(|| linker.clone()).instance(name)?;
            for (item, way) in own {
                deny(&mut instance, name, item, way)?;
            }
        }
    }
    Ok(with)
}

/// `Way` is how a function is linked.
#[derive(Clone, Copy)]
enum Way {
    Sync,
    Async,
    /// It is handed a stream or a future, which only a host that reads it could end: each call is a trap.
    Trap {
        is_async: bool,
    },
}

/// What is handed over is made before it is denied, and the limits of a plugin count it as the interfaces of WASI need it:
/// nothing with an end of its own but what a call ends by a trap, and no small thing that becomes a large one. What would be
/// given is never made.
fn way(function: &ComponentFunc) -> Result<Way, &'static str> {
    let is_async = function.async_();
    let mut way = if is_async { Way::Async } else { Way::Sync };
    for (_, ty) in function.params() {
        match ty {
            Type::Stream(_) | Type::Future(_) => way = Way::Trap { is_async },
            ty => plain(&ty, false)?,
        }
    }
    Ok(way)
}

fn plain(ty: &Type, in_list: bool) -> Result<(), &'static str> {
    match ty {
        Type::List(list) => plain(&list.ty(), true),
        Type::Option(option) => plain(&option.ty(), in_list),
        Type::Result(result) => [result.ok(), result.err()]
            .into_iter()
            .flatten()
            .try_for_each(|ty| plain(&ty, in_list)),
        Type::Tuple(tuple) => tuple.types().try_for_each(|ty| plain(&ty, in_list)),
        Type::Record(record) => record.fields().try_for_each(|field| plain(&field.ty, in_list)),
        Type::Variant(variant) => variant
            .cases()
            .filter_map(|case| case.ty)
            .try_for_each(|ty| plain(&ty, in_list)),
        Type::Flags(_) if in_list => Err("flags in a list"),
        Type::Bool
        | Type::S8
        | Type::U8
        | Type::S16
        | Type::U16
        | Type::S32
        | Type::U32
        | Type::S64
        | Type::U64
        | Type::Float32
        | Type::Float64
        | Type::Char
        | Type::String
        | Type::Enum(_)
        | Type::Flags(_)
        | Type::Own(_)
        | Type::Borrow(_) => Ok(()),
        _ => Err("a stream, a future or another type"),
    }
}

fn deny<T: 'static>(
    instance: &mut LinkerInstance<'_, T>,
    interface: &str,
    function: &str,
    way: Way,
) -> wasmtime::Result<()> {
    let name = format!("{interface}#{function}");
    let unavailable = move || wasmtime::Error::msg(format!("{name} is not available to plugins"));
    let answer =
        move |store: &mut StoreContextMut<'_, T>, signature: &ComponentFunc, params: &[Val], results: &mut [Val]| {
            for param in params {
                give_back(store, param);
            }
            for (result, ty) in results.iter_mut().zip(signature.results()) {
                *result = match way {
                    Way::Trap { .. } => None,
                    _ => nothing(store, &ty)?,
                }
                .ok_or_else(&unavailable)?;
            }
            Ok(())
        };
    match way {
        Way::Sync | Way::Trap { is_async: false } => instance
            .func_new(function, move |mut store, signature, params, results| {
                answer(&mut store, &signature, params, results)
            }),
        Way::Async | Way::Trap { is_async: true } => {
            instance.func_new_concurrent(function, move |accessor, signature, params, results| {
                let answered =
                    accessor.with(|mut store| answer(&mut store.as_context_mut(), &signature, params, results));
                Box::pin(std::future::ready(answered))
            })
        }
    }
}

/// Ends the loan of a resource: a call that keeps one is a fault of the host. Nested ones do not exist in these interfaces
/// but for lists of pollables, which are not theirs.
fn give_back<T: 'static>(store: &mut StoreContextMut<'_, T>, param: &Val) {
    let Val::Resource(resource) = *param else { return };
    let store = &mut store.as_context_mut();
    // It is of one of these types: all others fail, and change nothing.
    let _ = resource.try_into_resource::<Denied>(&mut *store).map(drop);
    let _ = resource
        .try_into_resource::<wasi::io::error::Error>(&mut *store)
        .map(drop);
    let _ = resource
        .try_into_resource::<wasi::io::streams::InputStream>(&mut *store)
        .map(drop);
    let _ = resource
        .try_into_resource::<wasi::io::streams::OutputStream>(&mut *store)
        .map(drop);
    let _ = resource
        .try_into_resource::<wasi::io::poll::Pollable>(&mut *store)
        .map(drop);
}

/// `nothing` is the value of a type that says no, or that nothing is there; `None`: there is none.
fn nothing<T: 'static>(store: &mut StoreContextMut<'_, T>, ty: &Type) -> wasmtime::Result<Option<Val>> {
    Ok(match ty {
        Type::Result(result) => {
            let error = result.err().and_then(|error| denial(&error));
            error.map(|error| Val::Result(Err(Some(Box::new(error)))))
        }
        Type::List(_) => Some(Val::List(Vec::new())),
        Type::Option(_) => Some(Val::Option(None)),
        Type::Bool => Some(Val::Bool(false)),
        Type::Own(_) => {
            let resource = Resource::<Denied>::new_own(0);
            let resource = ResourceAny::try_from_resource(resource, store.as_context_mut())?;
            Some(Val::Resource(resource))
        }
        _ => None,
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
