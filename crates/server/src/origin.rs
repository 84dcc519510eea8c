//! Who may open a WebSocket: browser pages by their origin (RFC 6454), other programs by naming the protocol.
//!
//! A page cannot hide or choose its `Origin`, so pages from elsewhere are refused before the upgrade (RFC 6455 §10.2). A request
//! without `Origin` comes from no page; it must ask for the subprotocol [`SUBPROTOCOL`], so that nothing that merely stumbles
//! over the address, nor an old browser that leaves `Origin` out, gets in.

use std::net::IpAddr;

use hyper::http::uri::Authority;

/// What a program that is not a browser page asks for in `Sec-WebSocket-Protocol`; pages may ask for it too.
pub const SUBPROTOCOL: &str = "crowfly.1";

/// A host with an optional port, as in `Host` (RFC 9110 §7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// In lower case; an IPv6 literal keeps its brackets.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl HostPort {
    /// Parses strictly: the host is echoed into headers and messages, so it holds nothing but host characters.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let authority: Authority = text.parse().ok()?;
        let host = authority.host().to_ascii_lowercase();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let literal = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
        let valid = !host.is_empty()
            && host.len() <= 253
            && (literal || host.bytes().all(plain))
            && !text.contains('@');
        // `authority.port_u16()` is none for an empty or impossible port; those are not valid hosts here.
        let port = authority.port_u16();
        let has_port = text.len() > host.len();
        (valid && has_port == port.is_some()).then_some(Self { host, port })
    }

    /// An address, or the name every machine gives itself: names that no foreign DNS entry can claim.
    pub(crate) fn cannot_be_rebound(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok()
            || self.host == "localhost"
            || self.host.ends_with(".localhost")
    }
}

/// The name a server is reached by: a host without a port, an IPv6 literal in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(String);

/// Not a host name or address, or more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host is a name or an address without a port, an IPv6 address in brackets")]
pub struct InvalidHost;

impl std::str::FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        match HostPort::parse(text) {
            Some(HostPort { host, port: None }) => Ok(Self(host)),
            _ => Err(InvalidHost),
        }
    }
}

impl Host {
    /// In lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An origin of a web page: scheme, host and port, the default port written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

/// `http` or `https`, a host, and nothing behind it but a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin is http://host or https://host, with a port or without, and no path")]
pub struct InvalidOrigin;

impl std::str::FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let (scheme, authority) = text.split_once("://").ok_or(InvalidOrigin)?;
        let scheme = scheme.to_ascii_lowercase();
        let default = default_port(&scheme).ok_or(InvalidOrigin)?;
        let HostPort { host, port } = HostPort::parse(authority).ok_or(InvalidOrigin)?;
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or(default),
        })
    }
}

impl Origin {
    /// Whether a page of this origin was loaded from the server that `host` names. The scheme is not compared: behind a proxy
    /// that ends TLS the server cannot know its own.
    pub(crate) fn is_same_host(&self, host: &HostPort) -> bool {
        self.host == host.host && Some(self.port) == host.port.or(default_port(&self.scheme))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_hold_nothing_but_a_host() {
        for (text, host, port) in [
            ("localhost:8080", "localhost", Some(8080)),
            ("Crowfly.Example", "crowfly.example", None),
            ("[::1]:80", "[::1]", Some(80)),
            ("[2001:DB8::1]", "[2001:db8::1]", None),
            ("127.0.0.1", "127.0.0.1", None),
        ] {
            assert_eq!(
                HostPort::parse(text),
                Some(HostPort {
                    host: host.into(),
                    port
                }),
                "{text}"
            );
        }
        for text in [
            "",
            ":80",
            "a:",
            "a:99999",
            "a;script-src *",
            "user@host",
            "a,b",
            "[::1",
            "[zz]",
            "a/b",
            "a b",
        ] {
            assert_eq!(HostPort::parse(text), None, "{text}");
        }
    }

    #[test]
    fn same_host_means_host_and_port() {
        let host = |text| HostPort::parse(text).unwrap();
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        assert!(origin("http://localhost:8080").is_same_host(&host("localhost:8080")));
        assert!(origin("https://crowfly.example").is_same_host(&host("crowfly.example")));
        assert!(origin("https://crowfly.example").is_same_host(&host("crowfly.example:443")));
        assert!(origin("http://LOCALHOST").is_same_host(&host("localhost:80")));
        assert!(!origin("http://localhost:8081").is_same_host(&host("localhost:8080")));
        assert!(!origin("http://127.0.0.1:8080").is_same_host(&host("localhost:8080")));
        assert!(!origin("http://crowfly.example").is_same_host(&host("crowfly.example:443")));
        for text in ["null", "file://", "http://a/b", "ftp://a", "localhost"] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin), "{text}");
        }
        assert_eq!(
            "Crowfly.Example".parse::<Host>().unwrap().as_str(),
            "crowfly.example"
        );
        for text in ["crowfly.example:443", "https://crowfly.example", "", "a\"b"] {
            assert_eq!(text.parse::<Host>(), Err(InvalidHost), "{text}");
        }
    }

    #[test]
    fn only_names_can_be_rebound() {
        for (text, safe) in [
            ("localhost:1", true),
            ("app.localhost", true),
            ("[::1]:1", true),
            ("127.0.0.1", true),
            ("localhost.evil.example", false),
            ("evil.example:80", false),
        ] {
            assert_eq!(
                HostPort::parse(text).unwrap().cannot_be_rebound(),
                safe,
                "{text}"
            );
        }
    }
}
