//! The STUN server and how clients are told of it.

use std::net::UdpSocket;

use crowfly_server::{Config, IceServers};

use crate::kit::{PATIENCE, TestServer, config};

const REQUEST: [u8; 20] = *b"\x00\x01\x00\x00\x21\x12\xa4\x42transactions";

#[test]
fn a_client_learns_its_own_address() {
    let server = TestServer::start(config());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(&REQUEST, server.stun.unwrap()).unwrap();
    let mut answer = [0; 100];
    let length = client.recv(&mut answer).unwrap();
    // RFC 8489 §14.2: XOR-MAPPED-ADDRESS, the port and address xored with the magic cookie.
    let port = u16::from_be_bytes([answer[26], answer[27]]) ^ 0x2112;
    assert_eq!(
        (length, &answer[..2], &answer[20..24]),
        (32, &[1, 1][..], &[0, 0x20, 0, 8][..])
    );
    assert_eq!(port, client.local_addr().unwrap().port());
    // The count may come a moment after the answer.
    while !server
        .get("/metrics")
        .text()
        .contains("crowfly_stun_requests_total 1\n")
    {}
}

#[test]
fn clients_are_told_the_server_under_the_name_they_used() {
    let told = |config: Config, host: &str| {
        let server = TestServer::start(config);
        let mut client = server.connect(&[("host", host)]).unwrap();
        let welcome = client.hear();
        (
            welcome["iceServers"].to_string(),
            server.stun.map_or(0, |address| address.port()),
        )
    };
    let (json, port) = told(config(), "localhost:8080");
    assert_eq!(json, format!(r#"[{{"urls":["stun:localhost:{port}"]}}]"#));
    let (json, port) = told(config(), "[::1]");
    assert_eq!(json, format!(r#"[{{"urls":["stun:[::1]:{port}"]}}]"#));
    let public_host = Some("crowfly.example".parse().unwrap());
    let (json, port) = told(
        Config {
            public_host,
            ..config()
        },
        "127.0.0.1",
    );
    assert_eq!(
        json,
        format!(r#"[{{"urls":["stun:crowfly.example:{port}"]}}]"#)
    );
    let (json, _) = told(
        Config {
            relay_listen: None,
            ..config()
        },
        "localhost",
    );
    assert_eq!(json, "[]");
    let fixed = r#"[{"urls":["stun:stun.example"]}]"#;
    let (json, _) = told(
        Config {
            ice_servers: IceServers::Fixed(serde_json::from_str(fixed).unwrap()),
            ..config()
        },
        "localhost",
    );
    assert_eq!(json, fixed);
}
