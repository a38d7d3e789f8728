//! A port of the loopback for a program that wants to be told one.

use std::net::Ipv4Addr;
use tokio::net::TcpSocket;

/// A port that belongs to one test: a socket that never listens stays bound to it, so that nobody who asks for any free
/// port is given this one. A program that names it may listen there, for servers set `SO_REUSEADDR`, as this socket does;
/// where none listens, connections are refused.
#[derive(Debug)]
pub struct Port {
    pub number: u16,
    _bound: TcpSocket,
}

impl Port {
    pub fn reserve() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self {
            number: socket.local_addr().unwrap().port(),
            _bound: socket,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_reserved_port_refuses_until_a_program_that_names_it_listens() {
        let port = Port::reserve();
        let address = (Ipv4Addr::LOCALHOST, port.number);
        assert!(TcpStream::connect(address).is_err());
        let listener = TcpListener::bind(address).unwrap();
        assert!(TcpStream::connect(address).is_ok());
        drop(listener);
        assert!(TcpListener::bind(address).is_ok(), "as often as it likes");
        let others: Vec<_> = (0..200).map(|_| Port::reserve()).collect();
        assert!(others.iter().all(|other| other.number != port.number));
    }
}
