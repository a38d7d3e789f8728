//! The minor versions of the contract that this host speaks: the newest one, and a folder for each older one that was released.
//! The machinery is in [`crate::engine::minor`]; `CONTRIBUTING.md` says how a minor is added.

mod newest;
#[cfg(test)]
mod test_0_3;

use crate::engine::minor::Minors;

pub(crate) use newest::NEWEST;

/// `SUPPORTED` are all of them, the newest one first.
pub(crate) const SUPPORTED: Minors = Minors(&[&NEWEST]);
