//! What is between a socket and a handler.
//!
//! | where | what |
//! | --- | --- |
//! | [`server`], [`connection_limits`], [`open_files`] | listeners, how many connections they hold, and how long each may take |
//! | [`listener`] | which listener a request came through, and under which name |
//! | [`request_checks`], [`refused_request`] | what holds for every request, and what is said to one that is turned away |
//! | [`identity`] | cookies, logins, CSRF: extractors that a handler cannot go around |
//! | [`arrival`], [`bearer`] | how a request came in, and programs with a token |
//! | [`control_socket`] | the control socket of the operator |
//! | [`starting_page`], [`tunnel_pages`] | what is served before all that is there, and through a tunnel |
//! | [`assets`], [`health`], [`public_check`] | the files of the page, `/healthz`, and this host looking at itself through a tunnel |

pub(crate) mod arrival;
pub(crate) mod assets;
pub(crate) mod bearer;
pub(crate) mod connection_limits;
#[cfg(unix)]
pub mod control_socket;
pub(crate) mod csrf_form;
pub(crate) mod health;
pub(crate) mod identity;
pub mod listener;
pub mod open_files;
pub(crate) mod public_check;
pub(crate) mod refused_request;
pub(crate) mod request_checks;
pub(crate) mod server;
pub mod setup_link;
pub mod starting_page;
pub(crate) mod tunnel_pages;
