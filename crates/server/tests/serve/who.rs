//! Who may open a WebSocket, and under which names the server answers.

use crowfly_server::Config;

use crate::kit::{TestServer, config};

#[test]
fn pages_are_let_in_by_their_origin_and_programs_by_the_protocol() {
    let origins = vec!["https://friend.example".parse().unwrap()];
    let server = TestServer::start(Config {
        origins,
        ..config()
    });
    let own = format!("http://{}", server.address);
    let protocol = ("sec-websocket-protocol", "chat, crowfly.1");
    for (headers, expected) in [
        (vec![("origin", own.as_str())], None),
        (vec![("origin", &own), protocol], None),
        (vec![("origin", "https://friend.example")], None),
        (vec![protocol], None),
        (vec![], Some(403)),
        (vec![("sec-websocket-protocol", "chat")], Some(403)),
        (vec![("origin", "http://127.0.0.1:1"), protocol], Some(403)),
        (vec![("origin", "http://localhost"), protocol], Some(403)),
        (
            vec![("origin", "http://friend.example"), protocol],
            Some(403),
        ),
        (
            vec![("origin", "https://friend.example.evil.example"), protocol],
            Some(403),
        ),
        (vec![("origin", "null"), protocol], Some(403)),
        (vec![("origin", ""), protocol], Some(403)),
    ] {
        assert_eq!(server.upgrade(&headers).err(), expected, "{headers:?}");
    }
}

#[test]
fn no_foreign_name_can_be_pointed_at_a_loopback_server() {
    let public_host = Some("crowfly.example".parse().unwrap());
    let server = TestServer::start(Config {
        public_host,
        ..config()
    });
    let port = server.address.port();
    for (host, expected) in [
        (format!("localhost:{port}"), 200),
        (format!("127.0.0.1:{port}"), 200),
        (format!("[::1]:{port}"), 200),
        (format!("app.localhost:{port}"), 200),
        ("Crowfly.Example".to_owned(), 200),
        (format!("evil.example:{port}"), 421),
        ("a b".to_owned(), 400),
        ("x;script-src *".to_owned(), 400),
        (String::new(), 400),
    ] {
        assert_eq!(
            server.request("GET", "/healthz", &[("host", &host)]).status,
            expected,
            "{host}"
        );
    }
    let rebound = [("host", "evil.example"), ("origin", "http://evil.example")];
    assert_eq!(server.upgrade(&rebound).err(), Some(421));
    assert_eq!(
        server.raw("GET /healthz HTTP/1.0\r\n\r\n").status,
        400,
        "no Host at all"
    );
}

#[test]
fn what_is_no_handshake_of_this_protocol_is_refused() {
    let server = TestServer::start(config());
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-protocol", "crowfly.1"),
    ];
    assert_eq!(server.get("/ws").status, 426);
    assert_eq!(
        server.request("GET", "/ws", &upgrade).status,
        400,
        "no key, no version"
    );
    let old = [
        &upgrade[..],
        &[
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "8"),
        ],
    ]
    .concat();
    assert_eq!(server.request("GET", "/ws", &old).status, 400);
}
