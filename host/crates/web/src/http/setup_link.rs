//! The address of the page that makes the first account.

use std::net::{Ipv4Addr, SocketAddr};

/// `setup_link` is for the terminal. `address` is where the page listens; `token` is in the fragment, which no server and no log sees.
pub fn setup_link(address: SocketAddr, token: &str) -> String {
    format!("http://{}/setup#{token}", local_name(address))
}

/// How a browser on this machine reaches an address, which may be `0.0.0.0`.
fn local_name(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port())
    } else {
        address
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_link_leads_to_where_the_page_listens() {
        let link = |address: &str| setup_link(address.parse().unwrap(), "t");
        assert_eq!(link("127.0.0.1:7860"), "http://127.0.0.1:7860/setup#t");
        assert_eq!(link("0.0.0.0:7860"), "http://127.0.0.1:7860/setup#t");
        assert_eq!(link("[::1]:7860"), "http://[::1]:7860/setup#t");
    }
}
