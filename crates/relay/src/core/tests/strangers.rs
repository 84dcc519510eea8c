//! What somebody gets who has proved nothing: little, seldom, and nothing is kept.

use super::bed::{Bed, bare_allocate, client, config};
use crate::core::message::{Message, attribute, method};
use crate::core::{Client, Config, Input};

const BINDING: [u8; 20] = [
    0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
];

#[test]
fn a_binding_request_learns_its_address_and_nothing_else() {
    for (from, seen, length) in [
        ("192.0.2.7:4000", "192.0.2.7:4000", 32),
        ("[2001:db8::7]:4000", "[2001:db8::7]:4000", 44),
        ("[::ffff:192.0.2.7]:4000", "192.0.2.7:4000", 32),
    ] {
        let answer = Bed::new(config()).say(client(from), &BINDING).unwrap();
        assert_eq!(answer.code, 0);
        assert_eq!(
            answer.address(attribute::XOR_MAPPED_ADDRESS),
            seen.parse().unwrap()
        );
        assert_eq!(
            answer.bytes.len(),
            length,
            "the shortest answer there is: 1.6 times the request for IPv4"
        );
        assert_eq!(
            answer.bytes[8..20],
            BINDING[8..20],
            "the transaction id comes back"
        );
    }
}

#[test]
fn the_shortest_allocate_is_answered_with_two_and_a_half_times_its_bytes_at_most() {
    let mut bed = Bed::new(config());
    let request = bare_allocate();
    let answer = bed.say(client("192.0.2.7:4000"), &request).unwrap();
    assert_eq!(
        (request.len(), answer.code, answer.bytes.len()),
        (28, 401, 68)
    );
    // Whatever else is asked without proof in fewer bytes meets silence.
    for method in [
        method::ALLOCATE,
        method::REFRESH,
        method::CREATE_PERMISSION,
        method::CHANNEL_BIND,
    ] {
        let mut short = BINDING;
        short[1] = method as u8;
        assert_eq!(bed.say(client("192.0.2.7:4000"), &short), None);
        assert_eq!(bed.fetch(), []);
    }
}

#[test]
fn a_source_that_asks_too_often_meets_silence_and_others_do_not() {
    let mut bed = Bed::new(config());
    for request in [&BINDING[..], &bare_allocate()] {
        let answered = (0..200).filter(|port| {
            bed.say(client(&format!("192.0.2.7:{}", 4000 + port)), request)
                .is_some()
        });
        assert_eq!(answered.count(), 50);
        assert!(bed.say(client("192.0.2.8:4000"), request).is_some());
    }
    bed.wait(1);
    assert!(bed.say(client("192.0.2.7:4000"), &BINDING).is_some());
}

#[test]
fn whoever_has_proved_who_they_are_is_not_held_up_by_their_neighbours() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    for _ in 0..100 {
        bed.say(client("192.0.2.7:4001"), &bare_allocate());
    }
    bed.allocate(&caller);
}

#[test]
fn twenty_thousand_forged_sources_leave_nothing_behind() {
    let mut bed = Bed::new(config());
    let request = bare_allocate();
    for host in 0..20_000u32 {
        let from =
            std::net::SocketAddr::from((std::net::Ipv4Addr::from_bits(0x0505_0000 + host), 4000));
        let client = Client {
            from,
            ..client("192.0.2.7:4000")
        };
        bed.input(Input::FromClient {
            client,
            bytes: &request,
            segment: 28,
        });
        bed.sent.clear();
    }
    assert_eq!(
        (bed.stats().allocations, bed.stats().holders, bed.timeout),
        (0, 0, None)
    );
    assert_eq!(
        (bed.relay.by_client.capacity(), bed.relay.timers.capacity()),
        (0, 0)
    );
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
}

#[test]
fn everything_else_meets_silence() {
    let mut indication = BINDING;
    indication[1] = 0x11;
    let mut response = BINDING;
    response[0] = 1;
    let mut no_cookie = BINDING;
    no_cookie[4] = 0;
    let mut bed = Bed::new(config());
    for bytes in [
        &indication[..],
        &response,
        &no_cookie,
        &BINDING[..19],
        b"hello",
        &[0xff; 1500],
        &[0x40; 30],
    ] {
        assert_eq!(bed.say(client("192.0.2.7:4000"), bytes), None, "{bytes:?}");
        assert_eq!(bed.fetch(), []);
    }
    assert_eq!(bed.stats().ignored, 7);
}

#[test]
fn without_a_secret_there_is_stun_and_nothing_else() {
    let mut bed = Bed::new(Config {
        secret: None,
        ..config()
    });
    assert_eq!(bed.say(client("192.0.2.7:4000"), &bare_allocate()), None);
    let answer = bed.say(client("192.0.2.7:4000"), &BINDING).unwrap();
    assert!(Message::parse(&answer.bytes).is_some());
}
