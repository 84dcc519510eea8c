//! How long things live (RFC 8656 §3.2, §9, §12), and that nothing is left of them.

use super::bed::{Bed, OTHER_PEER, PEER, Sent, config, udp};
use crate::core::Input;
use crate::core::message::{attribute, method};

#[test]
fn an_allocation_lives_ten_minutes_unless_it_is_refreshed() {
    let mut bed = Bed::new(config());
    let mut caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    bed.wait(599);
    assert_eq!(bed.open.len(), 1);
    assert_eq!(
        bed.refresh(&caller, 0xffff_ffff).lifetime(),
        3600,
        "an hour at most"
    );
    bed.wait(3599);
    assert_eq!(bed.open.len(), 1);
    let stale = bed.refresh(&caller, 1);
    assert_eq!(stale.code, 438);
    caller.nonce = stale.attribute(attribute::NONCE).unwrap();
    assert_eq!(
        bed.refresh(&caller, 1).lifetime(),
        600,
        "ten minutes at least"
    );
    bed.wait(599);
    assert_eq!(bed.open.len(), 1);
    bed.wait(1);
    assert!(bed.open.is_empty());
    assert_eq!((bed.stats().allocations, bed.stats().holders), (0, 0));
    assert_eq!(bed.timeout, None);
}

#[test]
fn a_refresh_of_zero_ends_it_at_once_and_the_client_may_have_another() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    let answer = bed.refresh(&caller, 0);
    assert_eq!((answer.code, answer.lifetime()), (0, 0));
    assert!(bed.open.is_empty());
    assert_eq!(bed.refresh(&caller, 0).code, 437);
    bed.allocate(&caller);
    // The old timer comes and must not end the new one.
    bed.wait(599);
    assert_eq!(bed.open.len(), 1);
}

#[test]
fn what_was_on_its_way_to_an_allocation_that_has_ended_does_not_reach_the_next() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    let ended = bed.open[0];
    assert_eq!(bed.refresh(&caller, 0).code, 0);
    bed.allocate(&caller);
    assert_eq!(bed.permit(&caller, &[PEER]), 0);
    let from = PEER.parse().unwrap();
    bed.input(Input::FromPeer {
        allocation: ended,
        from,
        bytes: b"late",
        segment: 4,
    });
    assert_eq!(bed.fetch(), []);
}

#[test]
fn a_permission_lives_five_minutes_and_using_it_does_not_renew_it() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    assert_eq!(bed.permit(&caller, &[PEER]), 0);
    bed.wait(299);
    assert_eq!(bed.send_indication(&caller, PEER, b"out").len(), 1);
    bed.peer_says(PEER, b"in");
    assert_eq!(bed.fetch().len(), 1);
    bed.wait(1);
    assert_eq!(bed.send_indication(&caller, PEER, b"out"), []);
    bed.peer_says(PEER, b"in");
    assert_eq!(bed.fetch(), []);
    assert_eq!(bed.permit(&caller, &[PEER]), 0);
    assert_eq!(bed.send_indication(&caller, PEER, b"out").len(), 1);
}

#[test]
fn a_channel_lives_ten_minutes_and_its_permission_five() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    assert_eq!(bed.refresh(&caller, 3600).code, 0);
    assert_eq!(bed.bind(&caller, 0x4000, PEER), 0);
    bed.wait(299);
    assert_eq!(bed.channel_data(&caller, 0x4000, b"out").len(), 1);
    bed.wait(1);
    assert_eq!(
        bed.channel_data(&caller, 0x4000, b"out"),
        [],
        "the permission has expired"
    );
    assert_eq!(bed.permit(&caller, &[PEER]), 0);
    assert_eq!(bed.channel_data(&caller, 0x4000, b"out").len(), 1);
    bed.wait(299);
    bed.peer_says(PEER, b"in");
    let [Sent::Client(_, bytes)] = &bed.fetch()[..] else {
        panic!()
    };
    assert_eq!(bytes, b"\x40\x00\x00\x02in");
    assert_eq!(bed.permit(&caller, &[PEER]), 0);
    bed.wait(1);
    assert_eq!(bed.channel_data(&caller, 0x4000, b"out"), []);
    bed.peer_says(PEER, b"in");
    let [Sent::Client(_, bytes)] = &bed.fetch()[..] else {
        panic!()
    };
    assert_eq!(
        bytes[..2],
        [0, 0x17],
        "a Data indication, for there is no channel any more"
    );
}

#[test]
fn an_allocation_ends_with_its_stream() {
    let mut bed = Bed::new(config());
    let mut caller = bed.caller("192.0.2.7:4000", "ann");
    caller.client.via = crate::core::Via::Stream(7);
    bed.allocate(&caller);
    assert!(bed.relay.has_allocation(&caller.client));
    bed.input(Input::Disconnected {
        client: caller.client,
    });
    assert!(bed.open.is_empty() && !bed.relay.has_allocation(&caller.client));
    assert_eq!(bed.stats().holders, 0);
}

#[test]
fn a_repeated_allocate_gets_the_same_answer_and_another_is_refused() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    let bytes = caller.request(method::ALLOCATE, &[udp()]);
    let first = bed.say(caller.client, &bytes).unwrap();
    assert_eq!(first.code, 0);
    assert_eq!(bed.say(caller.client, &bytes).unwrap(), first);
    assert_eq!(bed.request(&caller, method::ALLOCATE, &[udp()]).code, 437);
    assert_eq!(bed.open.len(), 1);
}

#[test]
fn without_a_port_there_is_no_allocation_and_nothing_is_left() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.no_ports = true;
    assert_eq!(bed.request(&caller, method::ALLOCATE, &[udp()]).code, 508);
    assert_eq!((bed.stats().allocations, bed.stats().holders), (0, 0));
    bed.no_ports = false;
    bed.allocate(&caller);
}

#[test]
fn a_channel_number_has_one_peer_and_a_peer_one_number() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    assert_eq!(bed.bind(&caller, 0x4000, PEER), 0);
    assert_eq!(bed.bind(&caller, 0x4000, PEER), 0);
    assert_eq!(bed.bind(&caller, 0x4000, OTHER_PEER), 400);
    assert_eq!(bed.bind(&caller, 0x4001, PEER), 400);
    assert_eq!(bed.bind(&caller, 0x7ffe, OTHER_PEER), 0);
    for number in [0, 0x3fff, 0x7fff, 0x8000, 0xffff] {
        assert_eq!(bed.bind(&caller, number, "2.2.2.2:1"), 400, "{number:x}");
    }
}

#[test]
fn requests_that_make_no_sense_are_told_so() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    let family = |family| (attribute::REQUESTED_ADDRESS_FAMILY, vec![family, 0, 0, 0]);
    let even = |flags| (attribute::EVEN_PORT, vec![flags]);
    let token = (attribute::RESERVATION_TOKEN, vec![1; 8]);
    for (attributes, code) in [
        (vec![], 400),
        (
            vec![(attribute::REQUESTED_TRANSPORT, vec![6, 0, 0, 0])],
            442,
        ),
        (vec![udp(), family(3)], 440),
        (vec![udp(), family(2)], 440),
        (vec![udp(), even(0x80)], 508),
        (vec![udp(), token.clone()], 508),
        (vec![udp(), token, even(0)], 400),
        (vec![udp(), (attribute::LIFETIME, vec![1])], 400),
        (vec![udp(), (0x7abc, vec![])], 420),
    ] {
        let answer = bed.request(&caller, method::ALLOCATE, &attributes);
        assert_eq!(answer.code, code, "{attributes:?}");
        if code == 420 {
            assert_eq!(
                answer.attribute(attribute::UNKNOWN_ATTRIBUTES).unwrap(),
                [0x7a, 0xbc]
            );
        }
    }
    assert_eq!(bed.permit(&caller, &[PEER]), 437, "there is no allocation");
    let odd = bed.request(
        &caller,
        method::ALLOCATE,
        &[udp(), even(0), (attribute::DONT_FRAGMENT, vec![])],
    );
    assert_eq!(odd.address(attribute::XOR_RELAYED_ADDRESS).port() % 2, 0);
    assert_eq!(bed.permit(&caller, &[]), 400);
    assert_eq!(bed.permit(&caller, &["[2001:4860:4860::8888]:53"]), 443);
    assert_eq!(
        bed.request(&caller, method::REFRESH, &[family(2)]).code,
        443
    );
    assert_eq!(bed.request(&caller, method::CHANNEL_BIND, &[]).code, 400);
}

#[test]
fn ipv6_clients_have_ipv6_allocations_and_both_families_are_two() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("[2a00::7]:4000", "ann");
    let family = (attribute::REQUESTED_ADDRESS_FAMILY, vec![2, 0, 0, 0]);
    let answer = bed.request(&caller, method::ALLOCATE, &[udp(), family]);
    assert_eq!(
        answer.address(attribute::XOR_RELAYED_ADDRESS).ip(),
        caller.client.to
    );
    assert_eq!(bed.permit(&caller, &["[2001:4860:4860::8888]:53"]), 0);
    let sent = bed.send_indication(&caller, "[2001:4860:4860::8888]:53", b"out");
    assert!(
        matches!(&sent[..], [Sent::Peer(_, to, data)] if to.is_ipv6() && data == b"out"),
        "{sent:?}"
    );
    let caller = bed.caller("192.0.2.7:4000", "bob");
    let both = (attribute::ADDITIONAL_ADDRESS_FAMILY, vec![2, 0, 0, 0]);
    let answer = bed.request(&caller, method::ALLOCATE, &[udp(), both]);
    assert!(answer.address(attribute::XOR_RELAYED_ADDRESS).is_ipv4());
    assert_eq!(
        answer.attribute(attribute::ADDRESS_ERROR_CODE).unwrap(),
        [2, 0, 4, 40]
    );
}
