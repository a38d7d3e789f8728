//! The three kinds of plugin, each as the trait that the rest of the host knows: the types of the contract are turned into
//! those of the host, and cut to what the host keeps of them.

mod auth;
mod chat;
mod chat_deltas;
mod chat_events;
mod chat_exports;
mod convert;
mod convert_auth;
mod convert_chat;
mod convert_chat_choices;
mod convert_chat_event;
mod convert_ext;
mod convert_tunnel;
mod event_order;
mod plugin_info;
mod request_paths;
mod terminal_text;
mod tunnel;

pub(crate) use auth::{AuthThreads, WasmAuth};
pub(crate) use chat::WasmChat;
pub(crate) use plugin_info::PluginInfo;
pub(crate) use tunnel::WasmTunnel;
