//! Whom a proxy says it speaks for: `X-Forwarded-For`, believed from trusted addresses only.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address, and whether a trusted proxy named it. Of the addresses in `X-Forwarded-For` the last one counts that is
/// not a trusted proxy itself: whatever stands before it, the client may have made up.
pub(crate) fn client_address(
    trusted: &[IpNet],
    peer: SocketAddr,
    headers: &HeaderMap,
) -> (SocketAddr, bool) {
    if !contains(trusted, peer.ip()) {
        return (peer, false);
    }
    let hops = headers
        .get_all(X_FORWARDED_FOR)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut client = peer.ip();
    for hop in hops.collect::<Vec<_>>().into_iter().rev() {
        // A proxy that writes something else than addresses is not understood: the last address understood counts.
        let Some(address) = forwarded_address(hop.trim()) else {
            break;
        };
        client = address;
        if !contains(trusted, address) {
            break;
        }
    }
    (SocketAddr::new(client, 0), true)
}

/// An IPv4 address in IPv6 dress (RFC 4291 §2.5.5.2) is the IPv4 address.
pub(crate) fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// Proxies write an address bare, or with a port, IPv6 then in brackets.
fn forwarded_address(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(hop);
    bare.parse()
        .or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use crate::any_headers;

    /// What such headers are made of, more often than not.
    fn text() -> impl Strategy<Value = String> {
        let words = prop::sample::select(vec![
            "192.0.2.1",
            "10.0.0.1",
            "[2001:db8::1]",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "localhost",
            "example.org",
            "http://",
            "https://",
            ":",
            ":80",
            ":65536",
            ",",
            ", ",
            " ",
            "[",
            "]",
            "@",
            "/",
            "%",
            "unknown",
            "\n",
            "\n",
        ]);
        let part = prop_oneof![4 => words.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
        vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_header_breaks_a_promise(text in text()) {
            any_headers::read(text.as_bytes());
        }

        #[test]
        fn nor_do_any_bytes(bytes in vec(any::<u8>(), 0..100)) {
            any_headers::read(&bytes);
        }
    }
}
