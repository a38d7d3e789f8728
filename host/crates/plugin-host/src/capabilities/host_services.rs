//! What the program gives to the capabilities.

use nexus_egress::Outgoing;
use nexus_model::time::Clock;
use nexus_plugin_traits::Transcripts;
use nexus_process::Processes;
use nexus_store::KeyValue;
use std::sync::Arc;

/// `HostServices` are the parts of the host that capabilities reach.
#[derive(Clone)]
pub struct HostServices {
    /// `clock` is the one of `nexus:plugin/clock`, of failures and of statistics.
    pub clock: Arc<dyn Clock>,
    /// `processes` is the table of child processes.
    pub processes: Arc<dyn Processes>,
    /// `outgoing` is the HTTP client.
    pub outgoing: Arc<dyn Outgoing>,
    /// `kv` has the stores of all plugins.
    pub kv: KeyValue,
    /// `transcripts` are what was said in the sessions of all chat backends.
    pub transcripts: Arc<dyn Transcripts>,
}
