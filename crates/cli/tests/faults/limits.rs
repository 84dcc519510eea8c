//! The defaults behind every row: tests shorten them, nobody else does.

use crowfly_server::Config;

/// `docs/protocol.md` promises them to whoever writes a client.
#[test]
fn the_defaults_are_those_of_the_protocol() {
    let Config {
        sockets, hub, http, ..
    } = Config::default();
    let rate = 1.0 / hub.messages.each.as_secs_f64();
    let per_minute =
        60 * u64::from(hub.failed_look_ups.count) / hub.failed_look_ups.window.as_secs();
    let promised = [
        format!("message size | {} bytes", with_commas(sockets.max_message)),
        format!(
            "from the first byte of a message, or of a frame between messages, to its last | {} s",
            sockets.message_timeout.as_secs_f64()
        ),
        format!("queued to a slow reader | {} MiB", sockets.max_queued >> 20),
        format!(
            "a connection sits in no room | {} s",
            hub.join_timeout.as_secs_f64()
        ),
        format!(
            "ping interval, answer expected within | {} s, {} s",
            sockets.ping_interval.as_secs_f64(),
            sockets.ping_timeout.as_secs_f64()
        ),
        format!(
            "messages of one connection | {rate} a second, bursts of {}",
            hub.messages.burst
        ),
        format!("failed look-ups of one source | {per_minute} a minute"),
        format!(
            "connections of one source | {}",
            with_commas(http.max_connections_per_source as usize)
        ),
        format!(
            "a lost peer's seat is kept | {} s",
            hub.seat_kept.as_secs_f64()
        ),
        format!(
            "rooms of one source, rooms in all | {}, {}",
            with_commas(hub.max_rooms_per_source as usize),
            with_commas(hub.max_rooms)
        ),
    ];
    let document = include_str!("../../../../docs/protocol.md");
    for row in promised {
        assert!(
            document.contains(&format!("\n| {row} |")),
            "not in docs/protocol.md: {row}"
        );
    }
    // Rows 2 and 4 of the faults: a slow head is cut off after ten seconds, a dead network is noticed after 33 at most.
    assert_eq!(http.header_timeout.as_secs_f64(), 10.0);
    let noticed = sockets.ping_interval + sockets.ping_timeout;
    assert_eq!(noticed.as_secs_f64(), 33.0);
}

fn with_commas(number: usize) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1_000, number % 1_000),
    }
}
