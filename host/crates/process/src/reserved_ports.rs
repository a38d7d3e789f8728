//! Loopback ports picked for a child before it runs.
//!
//! The port stays bound, but not listening, while the child lives: nobody is given it by chance, and since both sides
//! set SO_REUSEADDR (every common server does) the child may still bind it and listen. Picking a port and letting it go
//! was rejected: between the two, anybody may get it. For a child that does not set SO_REUSEADDR, see
//! [`ReservedPorts::release`].

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use tokio::net::TcpSocket;

#[derive(Debug, Default)]
pub(super) struct ReservedPorts {
    ports: BTreeMap<String, u16>,
    held: Vec<TcpSocket>,
}

impl ReservedPorts {
    pub(super) fn pick(names: &[String]) -> std::io::Result<Self> {
        let mut reserved = Self::default();
        for name in names {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
            reserved.ports.insert(name.clone(), socket.local_addr()?.port());
            reserved.held.push(socket);
        }
        Ok(reserved)
    }

    pub(super) fn ports(&self) -> &BTreeMap<String, u16> {
        &self.ports
    }

    /// Lets the ports go right before the start, for a child that could not bind them while they were held.
    pub(super) fn release(&mut self) {
        self.held.clear();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn a_reserved_port_is_for_the_child_alone() {
        let mut reserved = ReservedPorts::pick(&["a".into(), "b".into()]).unwrap();
        let (a, b) = (reserved.ports()["a"], reserved.ports()["b"]);
        assert_ne!(a, b);
        assert!(TcpStream::connect(("127.0.0.1", a)).is_err(), "nobody listens yet");
        // `std` sets SO_REUSEADDR, as servers do.
        let child = TcpListener::bind(("127.0.0.1", a)).unwrap();
        TcpStream::connect(("127.0.0.1", a)).unwrap();
        assert!(TcpListener::bind(("127.0.0.1", a)).is_err(), "the child listens");
        drop(child);
        let stubborn = TcpSocket::new_v4().unwrap();
        assert!(stubborn.bind(([127, 0, 0, 1], b).into()).is_err());
        reserved.release();
        stubborn.bind(([127, 0, 0, 1], b).into()).unwrap();
    }
}
