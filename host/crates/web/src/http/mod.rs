//! What is between a socket and a handler.
//!
//! | where | what |
//! | --- | --- |
//! | [`serve`], [`slots`], [`files`] | listeners, how many connections they hold, and how long each may take |
//! | [`ingress`] | which listener a request came through, and under which name |
//! | [`guard`], [`refusal`] | what holds for every request, and what is said to one that is turned away |
//! | [`identity`] | cookies, logins, CSRF: extractors that a handler cannot go around |
//! | [`control`] | the control socket of the operator |
//! | [`starting`], [`tunnel_pages`] | what is served before all that is there, and through a tunnel |
//! | [`assets`], [`health`], [`probe`] | the files of the page, `/healthz`, and this host looking at itself through a tunnel |

pub(crate) mod assets;
#[cfg(unix)]
pub mod control;
pub mod files;
pub(crate) mod guard;
pub(crate) mod health;
pub(crate) mod identity;
pub mod ingress;
pub(crate) mod probe;
pub(crate) mod refusal;
pub(crate) mod serve;
pub mod setup_link;
pub(crate) mod slots;
pub mod starting;
pub(crate) mod tunnel_pages;
