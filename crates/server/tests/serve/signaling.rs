//! Rooms over real sockets. What the hub decides is tested with the hub; here it counts that it arrives.

use std::io::Write;
use std::net::TcpStream;

use tungstenite::Message;

use crate::kit::{SESSION, TestServer, config, pair, signal};

#[test]
fn what_one_peer_signals_the_other_gets_byte_for_byte() {
    let server = TestServer::start(config());
    let (mut waiting, mut joining, _) = pair(&server);
    let (mut stranger, _) = server.greeted();
    // Spaces, escapes and order of keys are the peers' business.
    let payload = r#"{"kind" : "description", "sdp":"\u00e4\r\n", "a":[1, 2.50]}"#;
    joining.say(&signal(payload));
    assert!(
        waiting
            .hear_text()
            .ends_with(&format!(r#""payload":{payload}}}"#))
    );
    waiting.say(&signal(r#"{"kind":"goodbye"}"#));
    assert!(
        joining
            .hear_text()
            .ends_with(r#""payload":{"kind":"goodbye"}}"#)
    );
    // The stranger's next message is the answer to its own, so nothing of theirs reached it.
    stranger.say(r#"{"type":"leave","id":9}"#);
    assert_eq!(stranger.hear()["code"], "not-in-room");
}

#[test]
fn a_burst_arrives_whole_and_in_order() {
    let server = TestServer::start(config());
    let (mut waiting, mut joining, _) = pair(&server);
    for number in 0..100 {
        joining
            .socket
            .write(Message::text(signal(&number.to_string())))
            .unwrap();
    }
    joining.socket.flush().unwrap();
    for number in 0..100 {
        assert_eq!(waiting.hear()["payload"], number);
    }
}

#[test]
fn join_and_offer_may_come_with_the_upgrade_request() {
    let server = TestServer::start(config());
    let (mut waiting, _) = server.greeted();
    waiting.say(r#"{"type":"create","id":1,"room":"Küche 7"}"#);
    assert_eq!(waiting.hear()["room"], "küche-7");
    let join = format!(r#"{{"type":"join","id":1,"room":"küche-7","session":"{SESSION}"}}"#);
    let mut bytes =
        b"GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
          sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
          sec-websocket-protocol: crowfly.1\r\n\r\n"
            .to_vec();
    for text in [join, signal(r#"{"kind":"offer"}"#)] {
        // Masked with zeros, which leave it as it is.
        bytes.extend([0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0]);
        bytes.extend(text.as_bytes());
    }
    let mut joining = TcpStream::connect(server.address).unwrap();
    joining.write_all(&bytes).unwrap();
    assert_eq!(waiting.hear()["type"], "peer-joined");
    assert_eq!(waiting.hear()["payload"]["kind"], "offer");
}

#[test]
fn binary_is_refused_and_the_connection_goes_on() {
    let server = TestServer::start(config());
    let (mut client, _) = server.greeted();
    client.socket.send(Message::binary(vec![1, 2, 3])).unwrap();
    assert_eq!(client.hear()["code"], "binary-message");
    client.say(r#"{"type":"create","id":1}"#);
    assert_eq!(client.hear()["type"], "created");
}

#[test]
fn a_socket_that_ends_is_told_to_the_other_peer() {
    let server = TestServer::start(config());
    let (mut waiting, joining, _) = pair(&server);
    drop(joining);
    assert_eq!(waiting.hear()["type"], "peer-offline");
}

#[test]
fn closing_is_answered_with_the_same_code() {
    let server = TestServer::start(config());
    let (mut client, _) = server.greeted();
    let code = tungstenite::protocol::frame::coding::CloseCode::Normal;
    client
        .socket
        .close(Some(tungstenite::protocol::CloseFrame {
            code,
            reason: "done".into(),
        }))
        .unwrap();
    assert_eq!(client.hear_close(), (1000, String::new()));
}
