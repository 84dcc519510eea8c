//! What must hold of `Host`, `Origin` and `X-Forwarded-For`, whatever they say. Used by the fuzz target and by the tests of the server,
//! both of which have the modules `forwarded` and `origin` beside this one.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{HeaderMap, HeaderValue};
use ipnet::IpNet;

use super::forwarded::{X_FORWARDED_FOR, client_address, contains};
use super::origin::{Host, HostPort, Origin};

/// The first line is a `Host`, the second an `Origin`, the others are `X-Forwarded-For`. Panics when a promise is broken.
pub(crate) fn read(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut text = || std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let host = read_host(text());
    read_origin(text(), host.as_ref());
    let values: Vec<_> = lines
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
        .collect();
    read_forwarded(&values);
}

/// A host is echoed into headers and messages.
fn read_host(text: &str) -> Option<HostPort> {
    let parsed = HostPort::parse(text);
    assert_eq!(
        text.parse::<Host>().is_ok(),
        parsed.as_ref().is_some_and(|host| host.port.is_none())
    );
    let host = parsed?;
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    assert!(host.host.bytes().all(harmless), "{text:?}");
    assert!(!host.host.bytes().any(|byte| byte.is_ascii_uppercase()));
    assert!((1..=253).contains(&host.host.len()));
    let _ = host.cannot_be_rebound();
    let port = host
        .port
        .map_or_else(String::new, |port| format!(":{port}"));
    let again = HostPort::parse(&format!("{}{port}", host.host));
    assert_eq!(again.as_ref(), Some(&host), "{text:?}");
    Some(host)
}

/// A page is of the server it was loaded from, and of no other.
fn read_origin(text: &str, host: Option<&HostPort>) {
    if let Some(host) = host {
        let port = host
            .port
            .map_or_else(String::new, |port| format!(":{port}"));
        let own: Origin = format!("http://{}{port}", host.host)
            .parse()
            .expect("a host makes an origin");
        assert!(own.is_same_host(host));
        if let Ok(other) = text.parse::<Origin>()
            && other.is_same_host(host)
        {
            let (_, authority) = text.split_once("://").expect("it has a scheme");
            let named = HostPort::parse(authority).expect("it was parsed before");
            assert_eq!(named.host, host.host, "{text:?}");
        }
    }
}

fn read_forwarded(values: &[HeaderValue]) {
    let trusted: [IpNet; 1] = ["10.0.0.0/8".parse().expect("a network")];
    let [proxy, stranger] = ["10.0.0.1:1", "192.0.2.9:1"]
        .map(|address| address.parse::<SocketAddr>().expect("an address"));
    let headers = |first: Option<&'static str>| {
        let first = first.map(HeaderValue::from_static);
        let mut headers = HeaderMap::new();
        for value in first.into_iter().chain(values.iter().cloned()) {
            headers.append(X_FORWARDED_FOR, value);
        }
        headers
    };
    let plain = headers(None);
    assert_eq!(
        client_address(&trusted, stranger, &plain),
        (stranger, false),
        "a stranger is believed nothing"
    );
    let (client, named) = client_address(&trusted, proxy, &plain);
    assert!(named);
    if contains(&trusted, client.ip()) {
        return;
    }
    let written = values.iter().filter_map(|value| value.to_str().ok());
    let all = written.collect::<Vec<_>>().join(",");
    assert!(names(&all, client.ip()), "{client} is not in {all:?}");
    for forged in ["203.0.113.1", "10.0.0.7", "", "nonsense, ,"] {
        let (again, _) = client_address(&trusted, proxy, &headers(Some(forged)));
        assert_eq!(again, client, "what the client wrote before counts");
    }
}

/// Whether one of the words is this address, with a port or without.
fn names(all: &str, address: IpAddr) -> bool {
    all.split(',').map(str::trim).any(|word| {
        let bare = word.trim_start_matches('[').trim_end_matches(']');
        bare.parse() == Ok(address)
            || word
                .parse::<SocketAddr>()
                .is_ok_and(|socket| socket.ip() == address)
    })
}
