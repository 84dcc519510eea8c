//! What one message costs, from text to text: `cargo bench -p crowfly-server --bench hub`.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use crowfly_protocol::{ClientMessage, PeerId, ServerMessage, SessionId};
use crowfly_server::{
    hub::{Config, ConnectionId, Hub, Input, Output},
    limits::{Quota, Rate},
};
use divan::{Bencher, black_box, counter::BytesCount};
use serde_json::value::RawValue;

fn main() {
    divan::main();
}

/// The parser alone.
#[divan::bench]
fn parse_signal(bencher: Bencher<'_, '_>) {
    let text = signal(0);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench_local(|| ClientMessage::parse(black_box(&text)).is_ok());
}

/// The writer alone.
#[divan::bench]
fn encode_signal(bencher: Bencher<'_, '_>) {
    let payload = RawValue::from_string(payload()).expect("valid JSON");
    let from = PeerId::from_bytes([1; 8]);
    let session = SessionId::from_bytes([0; 16]);
    bencher.bench_local(|| {
        ServerMessage::Signal {
            from,
            session,
            payload: black_box(&payload),
        }
        .encode(None)
    });
}

/// A signal of 1.5 KB through the hub, among so many pairs.
#[divan::bench(args = [1, 5_000])]
fn relay_signal(bencher: Bencher<'_, '_>, pairs: u64) {
    let now = Instant::now();
    let mut hub = hub();
    for pair in 0..pairs {
        pair_up(&mut hub, now, pair);
    }
    let texts = (0..pairs).map(signal).collect::<Vec<_>>();
    let mut turn = 0;
    bencher
        .counter(BytesCount::of_str(&texts[0]))
        .bench_local(|| {
            turn = (turn + 1) % pairs;
            hub.handle_input(
                now,
                Input::Message {
                    connection: ConnectionId(2 * turn),
                    text: &texts[turn as usize],
                },
            );
            drain(&mut hub)
        });
}

/// Everything the hub does for two people: connect, create, join, offer, answer, six candidates each way, leave.
#[divan::bench]
fn whole_pairing(bencher: Bencher<'_, '_>) {
    let now = Instant::now();
    let mut hub = hub();
    let mut pair = 0;
    bencher.bench_local(|| {
        pair += 1;
        pair_up(&mut hub, now, pair);
        let text = signal(pair);
        for _ in 0..7 {
            for side in 0..2 {
                say(&mut hub, now, 2 * pair + side, &text);
            }
        }
        for side in 0..2 {
            say(&mut hub, now, 2 * pair + side, r#"{"type":"leave","id":9}"#);
            hub.handle_input(
                now,
                Input::Disconnected {
                    connection: ConnectionId(2 * pair + side),
                },
            );
            drain(&mut hub);
        }
    });
    assert_eq!(hub.stats().rooms, 0);
}

fn hub() -> Hub {
    // The bench is one source that sends without pause.
    let unlimited = Rate {
        burst: u32::MAX / 2,
        each: Duration::from_nanos(1),
    };
    let config = Config {
        messages: unlimited,
        failed_look_ups: Quota {
            count: u32::MAX,
            window: Duration::from_secs(60),
        },
        max_rooms_per_source: u32::MAX,
        ..Config::default()
    };
    Hub::new(config, [1; 32])
}

fn pair_up(hub: &mut Hub, now: Instant, pair: u64) {
    for side in 0..2 {
        let connection = ConnectionId(2 * pair + side);
        let source = IpAddr::from(Ipv4Addr::LOCALHOST).into();
        hub.handle_input(
            now,
            Input::Connected {
                connection,
                source,
                ice_servers: RawValue::NULL,
            },
        );
        drain(hub);
    }
    say(
        hub,
        now,
        2 * pair,
        &format!(r#"{{"type":"create","id":1,"room":"room-{pair}"}}"#),
    );
    let session = session(pair);
    say(
        hub,
        now,
        2 * pair + 1,
        &format!(r#"{{"type":"join","id":1,"room":"room-{pair}","session":"{session}"}}"#),
    );
}

fn say(hub: &mut Hub, now: Instant, connection: u64, text: &str) {
    hub.handle_input(
        now,
        Input::Message {
            connection: ConnectionId(connection),
            text,
        },
    );
    drain(hub);
}

fn drain(hub: &mut Hub) -> usize {
    let mut sent = 0;
    loop {
        match hub.poll_output() {
            Output::Transmit { text, .. } => sent += black_box(text).len(),
            Output::Timeout(_) => return sent,
            _ => {}
        }
    }
}

fn session(pair: u64) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&pair.to_le_bytes());
    SessionId::from_bytes(bytes)
}

fn signal(pair: u64) -> String {
    let text = format!(
        r#"{{"type":"signal","session":"{}","payload":{}}}"#,
        session(pair),
        payload()
    );
    assert!((1450..1550).contains(&text.len()), "{} bytes", text.len());
    text
}

/// A description as a browser makes it: about fifty lines, each ending in an escaped CRLF.
fn payload() -> String {
    let line = r"a=candidate:1 1 udp 2122260223 192.0.2.2 50\r\n";
    format!(
        r#"{{"kind":"description","description":{{"type":"offer","sdp":"{}"}}}}"#,
        line.repeat(29)
    )
}
