//! Whom the relay talks to for its clients.
//!
//! A relay stands inside a network and sends what strangers ask it to. So everything that is not an ordinary public address is
//! refused, in every spelling; the lists are IANA's registries of special-purpose addresses, not what somebody happened to attack.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What may be done with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    Denied,
    /// An address of this machine: only the ports of living allocations are reached, and those without leaving the process.
    Own,
}

#[derive(Debug)]
pub(super) struct Policy {
    allow: Vec<IpNet>,
    lan: bool,
    own: HashSet<IpAddr>,
}

/// Not reachable, not public, or not one host (RFC 6890 and IANA's IPv4 registry).
const SPECIAL_V4: [(Ipv4Addr, u8); 14] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved, broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Within 2000::/3, which alone is public: protocol assignments (Teredo, benchmarking, ORCHID), documentation, and 6to4, which has an
/// IPv4 address inside. All the rest of IPv6, `::`, mapped, compatible and NAT64 addresses among it, lies outside of 2000::/3.
const SPECIAL_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

impl Policy {
    pub(super) fn new(allow: Vec<IpNet>, lan: bool) -> Self {
        Self {
            allow,
            lan,
            own: HashSet::new(),
        }
    }

    /// Adds an address of this machine.
    pub(super) fn add_own(&mut self, address: IpAddr) {
        self.own.insert(address.to_canonical());
    }

    /// An IPv4 address in IPv6 spelling is never what a client of ours means, and what a filter forgets: it is denied as it stands.
    pub(super) fn judge(&self, address: IpAddr) -> Verdict {
        if self.allow.iter().any(|network| network.contains(&address)) {
            Verdict::Allowed
        } else if self.own.contains(&address) {
            Verdict::Own
        } else if is_public(address) || self.lan && is_private(address) {
            Verdict::Allowed
        } else {
            Verdict::Denied
        }
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4
            .iter()
            .any(|(network, length)| v4(*network, *length).contains(&address)),
        IpAddr::V6(address) => {
            address.segments()[0] >> 13 == 1
                && !SPECIAL_V6
                    .iter()
                    .any(|(network, length)| v6(*network, *length).contains(&address))
        }
    }
}

/// What a home network has (RFC 1918, RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

fn v4(network: Ipv4Addr, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(network, length)
}

fn v6(network: Ipv6Addr, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(network, length)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Each network's first and last address, and addresses in the middle of it that have a name.
    pub(in super::super) const INTERNAL: [&str; 62] = [
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.1.2.3",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.1.1",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "::ffff:93.184.216.34",
        "::ffff:0.0.0.0",
        "::127.0.0.1",
        "::10.1.2.3",
        "64:ff9b::",
        "64:ff9b::7f00:1",
        "64:ff9b::a01:203",
        "64:ff9b:1::1",
        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        "100::1",
        "2001::1",
        "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "2002::",
        "2002:7f00:1::",
        "2002:a01:203::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00::1",
        "fd00:ec2::254",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ];

    fn judged(policy: &Policy, address: &str) -> Verdict {
        policy.judge(address.parse().unwrap())
    }

    #[test]
    fn what_is_not_public_is_denied_in_every_spelling() {
        let policy = Policy::new(vec![], false);
        for address in INTERNAL {
            assert_eq!(judged(&policy, address), Verdict::Denied, "{address}");
        }
        for address in [
            "1.0.0.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2003::1",
            "2a00::1",
            "3ffe:ffff::1",
        ] {
            assert_eq!(judged(&policy, address), Verdict::Allowed, "{address}");
        }
    }

    #[test]
    fn home_networks_are_reached_when_told_and_nothing_else_with_them() {
        let policy = Policy::new(vec![], true);
        for address in INTERNAL {
            let private = ["10.", "172.", "192.168.", "fc", "fd"]
                .iter()
                .any(|start| address.starts_with(start));
            let expected = if private {
                Verdict::Allowed
            } else {
                Verdict::Denied
            };
            assert_eq!(judged(&policy, address), expected, "{address}");
        }
    }

    #[test]
    fn own_addresses_go_before_the_home_network_and_an_exception_before_all() {
        let mut policy = Policy::new(vec!["10.1.0.0/16".parse().unwrap()], true);
        for own in [
            "192.168.1.5",
            "10.1.0.5",
            "93.184.216.34",
            "::ffff:10.2.0.5",
        ] {
            policy.add_own(own.parse().unwrap());
        }
        assert_eq!(judged(&policy, "192.168.1.5"), Verdict::Own);
        assert_eq!(judged(&policy, "93.184.216.34"), Verdict::Own);
        assert_eq!(judged(&policy, "10.2.0.5"), Verdict::Own);
        assert_eq!(judged(&policy, "::ffff:93.184.216.34"), Verdict::Denied);
        assert_eq!(judged(&policy, "10.1.0.5"), Verdict::Allowed);
        assert_eq!(judged(&policy, "192.168.1.6"), Verdict::Allowed);
    }
}
