//! The one way out: HTTP for plugins through one pooled client, behind the hosts that the operator allowed and an address
//! policy; and the host's own requests, the public check of a tunnel ([`public_check`]) and the webhook.
//!
//! Problem: a name that the operator allowed may lead to an address of this machine or its network (the cloud's metadata
//! service, a router), at the first look-up or at a second one. Mechanism: a URL is read by the parser of the client that
//! sends it ([`nexus_config::grants::HttpGrant::admits`]), and the addresses that are checked are those that are connected to.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use nexus_config::grants::HttpGrant;
//! use nexus_egress::{Client, Outgoing as _, OutgoingError, Request, Target};
//!
//! let request = Request {
//!     target: Target::Granted(HttpGrant::parse("http://169.254.169.254")?),
//!     method: http::Method::GET,
//!     url: "http://169.254.169.254/latest/meta-data".to_owned(),
//!     headers: http::HeaderMap::new(),
//!     body: bytes::Bytes::new(),
//!     timeout: std::time::Duration::from_secs(1),
//!     idle_timeout: None,
//! };
//! // The host is granted, and its address is private: that takes a grant of its own.
//! assert!(matches!(Client::new().fetch(request).await, Err(OutgoingError::Private(_))));
//! # Ok::<_, String>(())
//! # }).unwrap();
//! ```

#![warn(missing_docs)]

mod body;
mod client;
mod error;
mod failure_cause;
mod outgoing;
pub mod public_check;
mod socket;
mod tls;
mod types;
mod webhook;

pub use body::Body;
pub use client::Client;
pub use error::OutgoingError;
pub use outgoing::Outgoing;
pub use types::{Request, Response, Target};
pub use webhook::Webhook;
