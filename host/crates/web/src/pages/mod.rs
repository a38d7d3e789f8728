//! The pages. Each file is one page: its template's data and its handlers; or what several of them share.

pub(super) mod access;
pub(super) mod account;
pub(super) mod callback;
pub(super) mod chat;
pub(super) mod first_account;
mod lockout;
pub(super) mod log;
pub(super) mod login;
mod login_fields;
mod marked;
mod message;
mod page_frame;
pub(super) mod redirect;
pub(super) mod status;
mod step_form;

pub(super) use message::{failure, message, not_done, not_found, starting};
pub(super) use page_frame::banners;

use lockout::{locked, until};
use marked::marked;
use page_frame::{Frame, show};
use step_form::StepForm;
