//! `store`: the plugin's own keys and values, under the quota of its grant.

use crate::bindings::caps::store as wit;
use crate::bindings::caps::types::Error;
use crate::capabilities::capability::{Capability, HostResult};
use crate::capabilities::context::{Capabilities, Context, Granted, enter};
use nexus_model::limits;
use nexus_model::units::exact_size;
use nexus_store::KvError;
use wasmtime::component::Accessor;

pub(in crate::capabilities) fn capability<T: Send + 'static>() -> Capability<T> {
    Capability {
        limit: |gate| {
            let writes = exact_size(gate.grants().store.writes);
            Some(format!("{writes} written into its store per minute"))
        },
        ..Capability::new("store", |linker, caps| wit::add_to_linker::<T, Granted>(linker, caps))
    }
}

fn outcome<T>(ctx: &Context, result: Result<T, KvError>) -> Result<T, Error> {
    result.map_err(|e| match e {
        KvError::Full(t) => ctx.gate.store_full(&t).into(),
        KvError::Invalid(t) => Error::Invalid(t),
        KvError::Unavailable(t) => Error::Unavailable(t),
    })
}

fn check_key(key: &str) -> Result<(), Error> {
    if key.is_empty() || key.len() > limits::STORE_KEY_BYTES {
        return Err(Error::Invalid(format!(
            "a key of the store must have 1 to {} bytes, but this one has {}",
            limits::STORE_KEY_BYTES,
            key.len()
        )));
    }
    Ok(())
}

fn check_value(value: &[u8]) -> Result<(), Error> {
    if value.len() > limits::STORE_VALUE_BYTES {
        return Err(Error::Invalid(format!(
            "a value of the store can have at most {} bytes, but this one has {}",
            limits::STORE_VALUE_BYTES,
            value.len()
        )));
    }
    Ok(())
}

impl wit::Host for Capabilities {}

impl<T: Send> wit::HostWithStore<T> for Granted {
    async fn get(a: &Accessor<T, Self>, key: String) -> HostResult<Option<Vec<u8>>> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            ctx.gate.store()?;
            check_key(&key)?;
            outcome(&ctx, ctx.states.store.kv.get(ctx.name(), &key).await)
        }
        .await)
    }

    async fn set(a: &Accessor<T, Self>, key: String, value: Vec<u8>) -> HostResult<()> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            let quota = ctx.gate.store()?;
            check_key(&key)?;
            check_value(&value)?;
            ctx.gate.write(&ctx.states.store.writes, key.len() + value.len())?;
            outcome(&ctx, ctx.states.store.kv.set(ctx.name(), &key, value, quota).await)
        }
        .await)
    }

    async fn delete(a: &Accessor<T, Self>, key: String) -> HostResult<()> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            ctx.gate.store()?;
            check_key(&key)?;
            ctx.gate.write(&ctx.states.store.writes, key.len())?;
            outcome(&ctx, ctx.states.store.kv.delete(ctx.name(), &key).await)
        }
        .await)
    }

    async fn keys(a: &Accessor<T, Self>, prefix: String, after: Option<String>) -> HostResult<Vec<String>> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            ctx.gate.store()?;
            outcome(
                &ctx,
                ctx.states
                    .store
                    .kv
                    .keys(ctx.name(), &prefix, after.as_deref(), limits::STORE_KEYS_LISTED)
                    .await,
            )
        }
        .await)
    }

    async fn compare_and_set(
        a: &Accessor<T, Self>,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> HostResult<bool> {
        Ok(async {
            let (ctx, _place) = enter(a)?;
            let quota = ctx.gate.store()?;
            check_key(&key)?;
            check_value(&value)?;
            ctx.gate.write(&ctx.states.store.writes, key.len() + value.len())?;
            outcome(
                &ctx,
                ctx.states
                    .store
                    .kv
                    .compare_and_set(ctx.name(), &key, expected, value, quota)
                    .await,
            )
        }
        .await)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_value_have_an_end() {
        assert!(check_key(&"k".repeat(limits::STORE_KEY_BYTES)).is_ok());
        assert!(check_key("").is_err());
        assert!(check_value(&vec![0; limits::STORE_VALUE_BYTES]).is_ok());
        for (refused, says) in [
            (
                check_key(&"k".repeat(limits::STORE_KEY_BYTES + 1)),
                "1 to 256 bytes, but this one has 257",
            ),
            (
                check_value(&vec![0; limits::STORE_VALUE_BYTES + 1]),
                "at most 1048576 bytes",
            ),
        ] {
            let Error::Invalid(refused) = refused.unwrap_err() else {
                unreachable!("it is the plugin's fault")
            };
            assert!(refused.contains(says), "{refused}");
        }
    }
}
