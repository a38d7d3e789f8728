//! The ssh server.

/// Which server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// A name or an address, safe as an argument.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// None: ssh's own choice, or the secret `token`.
    pub(crate) user: Option<String>,
}

impl Target {
    /// As a known_hosts file names it.
    pub(crate) fn known_as(&self) -> String {
        match self.port {
            22 => self.host.clone(),
            port => format!("[{}]:{port}", self.host),
        }
    }
}
