//! `secrets`: what the operator gave, and what the host makes.

use crate::bindings::caps::secrets as wit;
use crate::bindings::caps::types::Error;
use crate::capabilities::capability::{Capability, HostResult};
use crate::capabilities::context::{Capabilities, Granted, context};
use wasmtime::component::Accessor;

/// `capability` misses nothing: a secret that is not set is a setting that is not used, and no permission that is
/// missing.
pub(in crate::capabilities) fn capability<T: Send + 'static>() -> Capability<T> {
    Capability::new("secrets", |linker, caps| wit::add_to_linker::<T, Granted>(linker, caps))
}

impl wit::Host for Capabilities {}

impl<T: Send> wit::HostWithStore<T> for Granted {
    async fn get(a: &Accessor<T, Self>, name: String) -> HostResult<String> {
        let ctx = context(a);
        let secret = ctx.gate.secret(&name);
        Ok(secret.map(|s| s.reveal().to_owned()).map_err(|d| Error::NotFound(d.0)))
    }

    async fn has(a: &Accessor<T, Self>, name: String) -> HostResult<bool> {
        Ok(context(a).gate.has_secret(&name).map_err(Error::Invalid))
    }

    async fn generated(a: &Accessor<T, Self>, name: String) -> HostResult<String> {
        let ctx = context(a);
        Ok(ctx
            .states
            .secrets
            .generated
            .get(ctx.name(), &name)
            .map_err(Error::Invalid))
    }
}
