//! Which addresses are out in the world, and which are this machine or its neighbours.
//!
//! Written as what is known to be global, with everything else refused: a range that somebody forgot is then closed.
//! (`IpAddr::is_global` of the standard library is not stable.)
//!
//! Beside it is what the host of a URL or of a Host header says of this, read as `url` reads it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::Host;

/// Tells whether packets to `address` leave for the internet: not loopback, private, link-local (and with it the
/// cloud's metadata service), multicast, reserved, or an IPv6 wrapping of such an IPv4 address.
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_global_v4(v4),
        IpAddr::V6(v6) => is_global_v6(v6),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || (a == 100 && (64..128).contains(&b)) // shared by carriers
        || (a == 192 && b == 0 && c == 0) // protocol assignments
        || (a == 192 && b == 88 && c == 99) // 6to4 relays, withdrawn
        || (a == 198 && (b == 18 || b == 19)) // benchmarks
        || a >= 240) // reserved, broadcast
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_global_v4(v4);
    }
    let v4_of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        // NAT64 and 6to4 deliver to the IPv4 address inside.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_global_v4(v4_of(high, low)),
        [0x2002, high, low, ..] => is_global_v4(v4_of(high, low)),
        [0x2001, second, ..] if second < 0x200 => false, // protocol assignments, Teredo among them
        [0x2001, 0xdb8, ..] => false,                    // documentation
        [0x3fff, second, ..] if second < 0x1000 => false, // documentation
        [first, ..] => first & 0xe000 == 0x2000,         // 2000::/3 is all that is handed out
    }
}

/// Tells whether nobody beyond this machine's own link has `address`: link-local (a cloud's metadata service among
/// them), unspecified, multicast or broadcast.
pub fn is_of_the_link(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            v4.is_link_local() || first == 0 || first >= 224
        }
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast(),
    }
}

/// `literal` is the IP address, where the host of a URL or of a Host header is one: `127.0.0.1`, `[::1]`.
pub fn literal(host: &str) -> Option<IpAddr> {
    match Host::parse(host).ok()? {
        Host::Ipv4(v4) => Some(v4.into()),
        Host::Ipv6(v6) => Some(v6.into()),
        Host::Domain(_) => None,
    }
}

/// Tells whether the host of a URL or of a Host header is `localhost` or a loopback address. What else may lead to this
/// machine is not looked up.
pub fn is_loopback_host(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || literal(host).is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_in_each_spelling_that_is_one() {
        for (host, ip) in [
            ("127.0.0.1", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("0177.0.0.1", "127.0.0.1"),
            ("[::1]", "::1"),
            ("[0:0::0:1]", "::1"),
            ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ] {
            assert_eq!(literal(host), Some(ip.parse().unwrap()), "{host}");
        }
        for name in [
            "::1",
            "[::1",
            "::1]",
            "[127.0.0.1]",
            "[fe80::1%25eth0]",
            "a.example",
            "",
            "[]",
        ] {
            assert_eq!(literal(name), None, "{name}");
        }
        for here in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "[::1]"] {
            assert!(is_loopback_host(here), "{here}");
        }
        for elsewhere in [
            "localhost.example",
            "a.localhost",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0",
            "[::]",
            "",
        ] {
            assert!(!is_loopback_host(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn only_addresses_of_the_internet_are_global() {
        for global in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(is_global(global.parse().unwrap()), "{global}");
        }
        for local in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "3fff::1",
            "4000::1",
        ] {
            assert!(!is_global(local.parse().unwrap()), "{local}");
        }
    }
}
