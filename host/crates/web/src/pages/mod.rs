//! The pages. Each file is one page: its template's data and its handlers; or what several of them share.

pub(super) mod access;
pub(super) mod account;
pub(super) mod chat;
mod frame;
mod input;
mod lockout;
pub(super) mod log;
pub(super) mod login;
mod message;
pub(super) mod redirect;
pub(super) mod setup;
pub(super) mod status;

pub(super) use frame::banners;
pub(super) use message::{failure, message, not_done, not_found, starting};

use frame::{Frame, show};
use input::Input;
use lockout::{locked, until};
