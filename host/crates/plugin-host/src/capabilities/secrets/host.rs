//! `secrets`: what the operator gave, and what the host makes.

use crate::bindings::caps::secrets as wit;
use crate::bindings::caps::types::Error;
use crate::capabilities::capability::Capability;
use crate::capabilities::context::{Capabilities, Granted};

/// `capability` misses nothing: a secret that is not set is a setting that is not used, and no permission that is
/// missing.
pub(in crate::capabilities) fn capability<T: Send + 'static>() -> Capability<T> {
    Capability::new("secrets", |linker, caps| wit::add_to_linker::<T, Granted>(linker, caps))
}

impl wit::Host for Capabilities {
    fn get(&mut self, name: String) -> wasmtime::Result<Result<String, Error>> {
        let secret = self.ctx.gate.secret(&name);
        Ok(secret.map(|s| s.reveal().to_owned()).map_err(|d| Error::NotFound(d.0)))
    }
    fn generated(&mut self, name: String) -> wasmtime::Result<Result<String, Error>> {
        Ok(self
            .ctx
            .states
            .secrets
            .generated
            .get(self.ctx.name(), &name)
            .map_err(Error::Invalid))
    }
}
