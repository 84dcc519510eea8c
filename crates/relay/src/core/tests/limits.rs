//! Greed: what one user, one source and everybody together can have.

use super::bed::{Bed, PEER, client, config, udp};
use crate::core::message::{attribute, method};
use crate::core::{Config, Limits};

#[test]
fn a_thousand_allocations_of_one_user_are_as_many_as_the_limit_and_every_port_returns() {
    let mut bed = Bed::new(config());
    let mut held = Vec::new();
    for attempt in 0..1000u16 {
        // Its own source each, so that the limit met is the user's.
        let from = format!("5.5.{}.{}:4000", attempt >> 8, attempt & 0xff);
        let caller = bed.caller(&from, "greedy");
        let even = (attribute::EVEN_PORT, vec![0]);
        let attributes = if attempt % 3 == 0 {
            vec![udp(), even]
        } else {
            vec![udp()]
        };
        match bed.request(&caller, method::ALLOCATE, &attributes).code {
            0 => held.push(caller),
            code => assert_eq!(code, 486),
        }
        // Dropped and tried again: what is given back can be had again, and no more.
        if attempt % 50 == 49 {
            let given_back = held.pop().unwrap();
            assert_eq!(bed.refresh(&given_back, 0).code, 0);
        }
        assert!(bed.open.len() <= 32);
    }
    assert_eq!(bed.open.len(), held.len());
    let other = bed.caller("6.6.6.6:4000", "modest");
    bed.allocate(&other);
    bed.wait(600);
    assert!(bed.open.is_empty());
    assert_eq!((bed.stats().allocations, bed.stats().holders), (0, 0));
}

#[test]
fn a_source_has_a_limit_whatever_users_it_invents_and_an_ipv6_network_is_one_source() {
    let limits = Limits {
        allocations_per_source: 5,
        ..Limits::default()
    };
    let mut bed = Bed::new(Config { limits, ..config() });
    let family = (attribute::REQUESTED_ADDRESS_FAMILY, vec![2, 0, 0, 0]);
    let mut codes = Vec::new();
    for host in 0..8 {
        let caller = bed.caller(&format!("[2a00::{host:x}]:4000"), &format!("user{host}"));
        codes.push(
            bed.request(&caller, method::ALLOCATE, &[udp(), family.clone()])
                .code,
        );
    }
    assert_eq!(codes, [0, 0, 0, 0, 0, 486, 486, 486]);
    let caller = bed.caller("[2a00:0:0:1::1]:4000", "user1");
    assert_eq!(
        bed.request(&caller, method::ALLOCATE, &[udp(), family])
            .code,
        0
    );
}

#[test]
fn all_together_have_a_limit() {
    let limits = Limits {
        allocations: 3,
        ..Limits::default()
    };
    let mut bed = Bed::new(Config { limits, ..config() });
    let mut codes = Vec::new();
    for host in 0..4 {
        let caller = bed.caller(&format!("5.5.5.{host}:4000"), &format!("user{host}"));
        codes.push(bed.request(&caller, method::ALLOCATE, &[udp()]).code);
    }
    assert_eq!(codes, [0, 0, 0, 508]);
    assert_eq!(bed.stats().over_limit, 1);
}

#[test]
fn ten_peers_and_no_more_and_a_request_is_granted_whole_or_not_at_all() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    let peers: Vec<String> = (0..11).map(|host| format!("8.8.8.{host}:1")).collect();
    let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
    assert_eq!(bed.permit(&caller, &peers), 508);
    assert_eq!(bed.send_indication(&caller, "8.8.8.0:1", b"out"), []);
    assert_eq!(bed.permit(&caller, &peers[..9]), 0);
    assert_eq!(
        bed.permit(&caller, &peers[8..]),
        508,
        "two new ones do not fit"
    );
    assert_eq!(bed.permit(&caller, &peers[9..10]), 0);
    assert_eq!(bed.permit(&caller, &peers[10..]), 508);
    assert_eq!(bed.bind(&caller, 0x4000, peers[10]), 508);
    assert_eq!(
        bed.permit(&caller, &peers[..10]),
        0,
        "renewing is always possible"
    );
    bed.wait(300);
    assert_eq!(
        bed.permit(&caller, &peers[10..]),
        0,
        "expired ones make room"
    );
}

#[test]
fn channels_have_a_limit() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    let codes: Vec<u16> = (0..34)
        .map(|port| bed.bind(&caller, 0x4000 + port, &format!("8.8.8.8:{}", port + 1)))
        .collect();
    assert_eq!((codes[31], codes[32], codes[33]), (0, 508, 508));
}

#[test]
fn a_user_and_a_source_have_their_bytes_a_second() {
    let limits = Limits {
        user_bytes_a_second: 1000,
        source_bytes_a_second: 1500,
        ..Limits::default()
    };
    let mut bed = Bed::new(Config { limits, ..config() });
    let ann = bed.caller("192.0.2.7:4000", "ann");
    let bob = bed.caller("192.0.2.7:4001", "bob");
    let eve = bed.caller("192.0.2.9:4001", "eve");
    for caller in [&ann, &bob, &eve] {
        bed.allocate(caller);
        assert_eq!(bed.bind(caller, 0x4000, PEER), 0);
    }
    let passed = |bed: &mut Bed, caller| {
        (0..20)
            .filter(|_| !bed.channel_data(caller, 0x4000, &[1; 100]).is_empty())
            .count()
    };
    assert_eq!(passed(&mut bed, &ann), 10);
    assert_eq!(passed(&mut bed, &bob), 5, "they share a source");
    assert_eq!(passed(&mut bed, &eve), 10);
    bed.peer_says(PEER, &[1; 100]);
    assert_eq!(bed.fetch(), [], "what comes in counts, too");
    bed.wait(1);
    bed.peer_says(PEER, &[1; 100]);
    assert_eq!(bed.fetch().len(), 1);
    assert_eq!(passed(&mut bed, &eve), 9);
}

#[test]
fn many_refreshes_leave_few_timers() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    for round in 0..500 {
        assert_eq!(
            bed.refresh(&caller, if round % 2 == 0 { 3600 } else { 600 })
                .code,
            0
        );
        assert!(bed.relay.timers.len() <= 2);
    }
    assert_eq!(bed.relay.by_client.len(), 1);
    assert!(bed.relay.has_allocation(&client("192.0.2.7:4000")));
}
