//! The ssh server.

/// `Target` is the ssh server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// `host` is a host name or an address that is safe as an argument.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `user` is `None` if ssh chooses, or if the secret `token` is the user name.
    pub(crate) user: Option<String>,
}

impl Target {
    /// `known_as` is its name in a known_hosts file.
    pub(crate) fn known_as(&self) -> String {
        match self.port {
            22 => self.host.clone(),
            port => format!("[{}]:{port}", self.host),
        }
    }
}
