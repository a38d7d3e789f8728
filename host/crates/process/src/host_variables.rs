//! The variables of the host's environment that none of its children inherits.

/// Prefixes of the variables that the host keeps to itself.
const OWN: [&str; 3] = ["NEXUS_", "TUNNEL_", "LISTEN_"];
/// `OF_THE_SERVICE_MANAGER` is what a service manager says to the host alone. A child that had them could speak to the
/// manager in the host's name.
const OF_THE_SERVICE_MANAGER: [&str; 4] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "CREDENTIALS_DIRECTORY",
];

/// `is_our_own` tells whether an environment variable is for this process and none of its children.
///
/// ```
/// assert!(nexus_process::is_our_own("NEXUS_DATA_DIR") && !nexus_process::is_our_own("PATH"));
/// ```
pub fn is_our_own(variable: &str) -> bool {
    OWN.iter().any(|own| variable.starts_with(own)) || OF_THE_SERVICE_MANAGER.contains(&variable)
}
