//! Who is reached through an allocation, and that nobody else is, either way.

use super::bed::{Bed, OTHER_PEER, PEER, SERVER, Sent, channel_data, config};
use crate::core::policy::tests::INTERNAL;
use crate::core::{Config, Input, RelayAddress, Via};

#[test]
fn datagrams_pass_both_ways_by_indication_and_by_channel() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    assert_eq!(bed.permit(&caller, &[PEER]), 0);
    let allocation = bed.open[0];
    let peer = PEER.parse().unwrap();
    assert_eq!(
        bed.send_indication(&caller, PEER, b"one"),
        [Sent::Peer(allocation, peer, b"one".into())]
    );
    // The permission is for the address, whatever the port (RFC 8656 §9).
    assert_eq!(
        bed.send_indication(&caller, "93.184.216.34:6000", b"x")
            .len(),
        1
    );
    bed.peer_says(PEER, b"two");
    let [Sent::Client(to, bytes)] = &bed.fetch()[..] else {
        panic!()
    };
    assert_eq!(
        (*to, &bytes[..2], bytes.ends_with(b"two\0")),
        (caller.client, &[0, 0x17][..], true)
    );
    assert_eq!(bed.bind(&caller, 0x4001, PEER), 0);
    assert_eq!(
        bed.channel_data(&caller, 0x4001, b"three"),
        [Sent::Peer(allocation, peer, b"three".into())]
    );
    bed.peer_says(PEER, b"four");
    assert_eq!(
        bed.fetch(),
        [Sent::Client(caller.client, channel_data(0x4001, b"four"))]
    );
    assert_eq!(bed.stats().relayed_datagrams, 5);
}

#[test]
fn empty_datagrams_of_a_channel_and_broken_ones_do_no_harm() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    bed.bind(&caller, 0x4001, PEER);
    for bytes in [
        &b"\x40"[..],
        b"\x40\x01\x00",
        b"\x40\x01\x00\x05abcd",
        b"\x40\x02\x00\x01a",
        b"\x4f\xff\xff\xff",
        b"\x7f\xff\x00\x00",
    ] {
        assert_eq!(bed.say(caller.client, bytes), None);
        assert_eq!(bed.fetch(), [], "{bytes:?}");
    }
    // Over UDP padding may be there (RFC 8656 §12.5).
    assert_eq!(bed.say(caller.client, b"\x40\x01\x00\x01a\0\0\0"), None);
    assert!(matches!(&bed.fetch()[..], [Sent::Peer(_, _, data)] if data == b"a"));
}

#[test]
fn without_permission_nothing_passes_either_way() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    assert_eq!(bed.bind(&caller, 0x4001, PEER), 0);
    assert_eq!(bed.send_indication(&caller, OTHER_PEER, b"out"), []);
    assert_eq!(bed.channel_data(&caller, 0x4002, b"out"), []);
    bed.peer_says(OTHER_PEER, b"in");
    assert_eq!(bed.fetch(), []);
    assert_eq!(
        (bed.stats().relayed_datagrams, bed.stats().dropped_datagrams),
        (0, 3)
    );
    // A stranger has no channel, and no indication is taken from one.
    let stranger = bed.caller("192.0.2.8:4000", "eve");
    assert_eq!(bed.channel_data(&stranger, 0x4001, b"out"), []);
    assert_eq!(bed.send_indication(&stranger, PEER, b"out"), []);
}

#[test]
fn no_internal_address_is_reached_in_any_spelling_by_any_request() {
    let mut bed = Bed::new(config());
    let ipv4 = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&ipv4);
    let ipv6 = bed.caller("[2a00::7]:4000", "ann");
    let family = (
        super::super::message::attribute::REQUESTED_ADDRESS_FAMILY,
        vec![2, 0, 0, 0],
    );
    assert_eq!(
        bed.request(
            &ipv6,
            super::super::message::method::ALLOCATE,
            &[super::bed::udp(), family]
        )
        .code,
        0
    );
    for address in INTERNAL.iter().chain(&[SERVER, "2001:db8:ffff::1"]) {
        let address: std::net::IpAddr = address.parse().unwrap();
        let peer = std::net::SocketAddr::new(address, 80).to_string();
        for (caller, fine) in [(&ipv4, PEER), (&ipv6, "[2001:4860:4860::8888]:53")] {
            assert_eq!(bed.permit(caller, &[&peer]), 403, "{peer}");
            assert_eq!(bed.permit(caller, &[fine, &peer]), 403, "{peer}");
            assert_eq!(bed.bind(caller, 0x4001, &peer), 403, "{peer}");
            assert_eq!(bed.send_indication(caller, &peer, b"out"), [], "{peer}");
            assert_eq!(bed.channel_data(caller, 0x4001, b"out"), [], "{peer}");
        }
        bed.peer_says(&peer, b"in");
        assert_eq!(bed.fetch(), [], "{peer}");
    }
    assert_eq!(bed.stats().relayed_datagrams, 0);
}

#[test]
fn two_clients_of_the_relay_reach_each_other_and_nothing_else_at_its_address() {
    let mut bed = Bed::new(config());
    let ann = bed.caller("192.0.2.7:4000", "ann");
    let bob = bed.caller("192.0.2.8:4000", "bob");
    let (at_ann, at_bob) = (
        bed.allocate(&ann).to_string(),
        bed.allocate(&bob).to_string(),
    );
    // Port 22 of the relay is no allocation, nor is a port that was one.
    assert_eq!(bed.permit(&ann, &["198.51.100.1:22"]), 403);
    assert_eq!(bed.permit(&ann, &[&at_bob]), 0);
    assert_eq!(
        bed.send_indication(&ann, &at_bob, b"early"),
        [],
        "bob has given no permission"
    );
    assert_eq!(bed.bind(&bob, 0x4001, &at_ann), 0);
    let sent = bed.send_indication(&ann, &at_bob, b"hello");
    assert_eq!(
        sent,
        [Sent::Client(bob.client, channel_data(0x4001, b"hello"))]
    );
    let sent = bed.channel_data(&bob, 0x4001, b"back");
    assert!(
        matches!(&sent[..], [Sent::Client(to, bytes)] if *to == ann.client && bytes[..2] == [0, 0x17]),
        "{sent:?}"
    );
    assert_eq!(
        bed.send_indication(&ann, "198.51.100.1:22", b"out"),
        [],
        "the permission is for living allocations"
    );
    // From outside nobody has this address: it is forged.
    bed.peer_says(&at_ann, b"forged");
    assert_eq!(bed.fetch(), []);
    assert_eq!(bed.refresh(&bob, 0).code, 0);
    assert_eq!(bed.send_indication(&ann, &at_bob, b"gone"), []);
}

#[test]
fn the_address_that_others_see_may_be_another_than_the_machine_has() {
    let address = RelayAddress {
        bind: "10.0.0.5".parse().unwrap(),
        public: "93.184.216.1".parse().unwrap(),
    };
    let mut bed = Bed::new(Config {
        addresses: vec![address],
        lan: true,
        ..config()
    });
    let ann = bed.caller("192.0.2.7:4000", "ann");
    let bob = bed.caller("192.0.2.8:4000", "bob");
    let (at_ann, at_bob) = (bed.allocate(&ann), bed.allocate(&bob));
    assert_eq!(at_ann.ip(), address.public);
    assert_eq!(bed.permit(&ann, &["10.0.0.5:22"]), 403);
    assert_eq!(bed.permit(&ann, &["93.184.216.1:22"]), 403);
    assert_eq!(
        bed.permit(&ann, &["10.0.0.6:22"]),
        0,
        "the home network was allowed"
    );
    assert_eq!(bed.bind(&ann, 0x4001, &at_bob.to_string()), 0);
    assert_eq!(bed.bind(&bob, 0x4001, &at_ann.to_string()), 0);
    assert_eq!(
        bed.channel_data(&ann, 0x4001, b"hi"),
        [Sent::Client(bob.client, channel_data(0x4001, b"hi"))]
    );
}

#[test]
fn an_address_the_machine_has_is_not_reached_even_if_it_is_public() {
    let mut bed = Bed::new(config());
    bed.input(Input::OwnAddresses(&[PEER
        .parse::<std::net::SocketAddr>()
        .unwrap()
        .ip()]));
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    assert_eq!(bed.permit(&caller, &[PEER]), 403);
    assert_eq!(bed.permit(&caller, &[OTHER_PEER]), 0);
}

#[test]
fn channel_data_is_padded_over_a_stream_and_only_there() {
    let mut bed = Bed::new(config());
    let mut caller = bed.caller("192.0.2.7:4000", "ann");
    caller.client.via = Via::Stream(1);
    bed.allocate(&caller);
    bed.bind(&caller, 0x4001, PEER);
    for (data, padding) in [(&b"1"[..], 3), (b"12", 2), (b"123", 1), (b"1234", 0)] {
        bed.peer_says(PEER, data);
        let expected = [channel_data(0x4001, data), vec![0; padding]].concat();
        assert_eq!(bed.fetch(), [Sent::Client(caller.client, expected)]);
    }
}

#[test]
fn a_burst_goes_on_as_a_burst() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    bed.bind(&caller, 0x4001, PEER);
    let burst: Vec<u8> = (0..8)
        .flat_map(|number| channel_data(0x4001, &[number; 1100]))
        .collect();
    let now = bed.now();
    bed.relay.handle_input(
        now,
        Input::FromClient {
            client: caller.client,
            bytes: &burst,
            segment: 1104,
        },
    );
    let crate::core::Output::ToPeer { bytes, segment, .. } = bed.relay.poll_output() else {
        panic!()
    };
    assert_eq!((bytes.len(), segment), (8800, 1100));
    assert!(
        bytes
            .chunks(1100)
            .enumerate()
            .all(|(number, data)| data == [number as u8; 1100])
    );
}
