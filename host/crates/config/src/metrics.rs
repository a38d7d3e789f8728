//! `[metrics]`: where Prometheus finds the host's statistics. Both stages of it, since nothing else needs them.

use crate::resolved::Metrics;
use crate::toml_reader::{Findings, Located, Table};
use crate::value_readers::address;
use std::net::SocketAddr;

#[derive(Debug, Default)]
pub(super) struct AuthoredMetrics {
    pub(super) listen: Option<Located<SocketAddr>>,
    pub(super) insecure_listen: Option<Located<bool>>,
}

impl AuthoredMetrics {
    pub(super) fn read(mut t: Table<'_, '_>, findings: &mut Findings) -> Self {
        let metrics = Self {
            listen: address(&mut t, findings),
            insecure_listen: t.boolean("insecure_listen", findings),
        };
        t.finish(findings);
        metrics
    }

    /// `taken`: the other listeners, and whose they are. None: off.
    pub(super) fn prepare(self, taken: &[(SocketAddr, String)], findings: &mut Findings) -> Option<Metrics> {
        let listen = self.listen?;
        let at = listen.value;
        if !at.ip().is_loopback() && !self.insecure_listen.is_some_and(|insists| insists.value) {
            findings.push(
                listen
                    .problem("this address is open to the network, but the metrics have neither TLS nor a login")
                    .found(at.to_string())
                    .expected("a loopback address, such as 127.0.0.1 or [::1]")
                    .fix(format!(
                        "listen on 127.0.0.1:{}, where a collector on this machine can read them;\n\
                         if this network is protected otherwise, set in [metrics]: insecure_listen = true",
                        at.port()
                    )),
            );
        }
        if let Some((_, other)) = taken.iter().find(|(other, _)| *other == at && at.port() != 0) {
            findings.push(
                listen
                    .problem("two listeners cannot share a port")
                    .found(format!("{at}, which {other} uses"))
                    .expected("another port, or 0 for any free port"),
            );
        }
        Some(Metrics { listen: at })
    }
}
