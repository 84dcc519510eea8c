//! STUN and TURN in the server, and how clients are told of them.

use std::net::UdpSocket;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crowfly_server::relay::{RelayConfig, Secret};
use crowfly_server::{Config, IceServers};
use serde_json::{Value, json};

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
        let port = server.stun.map_or(0, |address| address.port());
        (welcome["iceServers"].clone(), port)
    };
    let public_host = Some("crowfly.example".parse().unwrap());
    let elsewhere = Config {
        public_host,
        ..config()
    };
    for (config, host, named) in [
        (config(), "localhost:8080", "localhost"),
        (config(), "[::1]", "[::1]"),
        (elsewhere, "127.0.0.1", "crowfly.example"),
    ] {
        let (servers, port) = told(config, host);
        assert_eq!(
            servers[0],
            json!({ "urls": [format!("stun:{named}:{port}")] })
        );
        let udp = format!("turn:{named}:{port}?transport=udp");
        let tcp = format!("turn:{named}:{port}?transport=tcp");
        assert_eq!(servers[1]["urls"], json!([udp, tcp]));
    }
    let no_turn = RelayConfig {
        turn: false,
        ..RelayConfig::default()
    };
    let stun_only = Config {
        relay: no_turn,
        ..config()
    };
    let (servers, port) = told(stun_only, "localhost");
    assert_eq!(
        servers,
        json!([{ "urls": [format!("stun:localhost:{port}")] }])
    );
    let nowhere = Config {
        relay_listen: None,
        ..config()
    };
    assert_eq!(told(nowhere, "localhost").0, json!([]));
    let fixed = json!([{ "urls": ["stun:stun.example"] }]);
    let elsewhere = Config {
        ice_servers: IceServers::Fixed(serde_json::from_value(fixed.clone()).unwrap()),
        ..config()
    };
    assert_eq!(told(elsewhere, "localhost").0, fixed);
}

#[test]
fn newer_credentials_come_before_the_old_ones_expire_for_as_long_as_a_client_is_there() {
    let relay = RelayConfig {
        credential_lifetime: Duration::from_secs(2),
        ..RelayConfig::default()
    };
    let server = TestServer::start(Config { relay, ..config() });
    let (mut client, welcome) = server.greeted();
    let expiry = |message: &Value| {
        let username = message["iceServers"][1]["username"].as_str().unwrap();
        username.split_once(':').unwrap().0.parse::<u64>().unwrap()
    };
    let mut last = expiry(&welcome);
    for _ in 0..3 {
        let renewed = client.hear();
        assert_eq!(renewed["type"], "ice-servers");
        assert_eq!(
            renewed["iceServers"][1]["urls"],
            welcome["iceServers"][1]["urls"]
        );
        assert!(expiry(&renewed) > last);
        last = expiry(&renewed);
    }
}

#[test]
fn each_client_has_credentials_of_its_own_that_are_good_for_five_minutes() {
    let secret = Secret::new("shared");
    let relay = RelayConfig {
        secret: Some(secret.clone()),
        ..RelayConfig::default()
    };
    let server = TestServer::start(Config { relay, ..config() });
    let credentials = || {
        let (_client, welcome) = server.greeted();
        let turn = &welcome["iceServers"][1];
        let text = |name: &str| turn[name].as_str().unwrap().to_owned();
        (text("username"), text("credential"))
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let (ann, bob) = (credentials(), credentials());
    assert_ne!(ann.0, bob.0);
    let (expiry, id) = ann.0.split_once(':').unwrap();
    let expiry: u64 = expiry.parse().unwrap();
    assert!(
        (now + 300..now + 310).contains(&expiry),
        "{expiry} at {now}"
    );
    assert_eq!(secret.issue(expiry, id), ann);
}
