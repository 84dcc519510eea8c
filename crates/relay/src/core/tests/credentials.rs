//! Who is believed: row by row what expires, what is forged, what is repeated.

use super::bed::{Bed, PEER, config, udp};
use crate::Secret;
use crate::core::message::{Message, attribute, method};

#[test]
fn whoever_has_the_password_gets_an_allocation_and_signed_answers() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    let answer = bed.request(&caller, method::ALLOCATE, &[udp()]);
    assert_eq!(answer.code, 0);
    assert_eq!(
        answer.address(attribute::XOR_RELAYED_ADDRESS),
        "198.51.100.1:50001".parse().unwrap()
    );
    assert_eq!(
        answer.address(attribute::XOR_MAPPED_ADDRESS),
        "192.0.2.7:4000".parse().unwrap()
    );
    assert_eq!(answer.lifetime(), 600);
    let message = Message::parse(&answer.bytes).unwrap();
    assert!(message.is_signed_with(&caller.key()));
    assert_eq!(bed.stats().allocations, 1);
}

#[test]
fn a_credential_that_is_expired_foreign_or_edited_is_refused() {
    let mut bed = Bed::new(config());
    let good = bed.caller("192.0.2.7:4000", "ann");
    let now = bed.now().unix;
    let mut expired = good.clone();
    (expired.username, expired.password) = Secret::new("north").issue(now, "ann");
    let mut foreign = good.clone();
    (foreign.username, foreign.password) = Secret::new("south").issue(now + 300, "ann");
    let mut edited = good.clone();
    edited.username = format!("{}:ann", now + 3000);
    let mut other_user = good.clone();
    other_user.username = good.username.replace("ann", "bob");
    let mut no_expiry = good.clone();
    (no_expiry.username, no_expiry.password) = ("ann".into(), Secret::new("north").password("ann"));
    let mut long = good.clone();
    (long.username, long.password) = Secret::new("north").issue(now + 300, &"x".repeat(300));
    for caller in [expired, foreign, edited, other_user, no_expiry, long] {
        let answer = bed.request(&caller, method::ALLOCATE, &[udp()]);
        assert_eq!(answer.code, 401, "{}", caller.username);
        assert!(answer.attribute(attribute::NONCE).is_some());
    }
    assert_eq!(bed.stats().allocations, 0);
    assert_eq!(bed.request(&good, method::ALLOCATE, &[udp()]).code, 0);
}

#[test]
fn the_id_may_be_missing_as_coturn_allows() {
    let mut bed = Bed::new(config());
    let mut caller = bed.caller("192.0.2.7:4000", "ann");
    caller.username = (bed.now().unix + 60).to_string();
    caller.password = Secret::new("north").password(&caller.username);
    bed.allocate(&caller);
}

#[test]
fn a_nonce_is_good_for_its_source_and_ten_minutes() {
    let mut bed = Bed::new(config());
    let mut caller = bed.caller("192.0.2.7:4000", "ann");
    let mut neighbour = bed.caller("192.0.2.7:4001", "ann");
    neighbour.nonce = caller.nonce.clone();
    assert_eq!(
        bed.request(&neighbour, method::ALLOCATE, &[udp()]).code,
        438
    );
    let mut forged = caller.clone();
    forged.nonce[10] ^= 1;
    assert_eq!(bed.request(&forged, method::ALLOCATE, &[udp()]).code, 438);
    forged.nonce = b"f//499k954d6OL34oL9FSTvy64sA".to_vec();
    assert_eq!(bed.request(&forged, method::ALLOCATE, &[udp()]).code, 438);
    bed.allocate(&caller);
    bed.wait(599);
    assert_eq!(bed.refresh(&caller, 600).code, 0);
    bed.wait(1);
    let stale = bed.refresh(&caller, 600);
    assert_eq!(stale.code, 438);
    caller.nonce = stale.attribute(attribute::NONCE).unwrap();
    assert_eq!(bed.refresh(&caller, 600).code, 0);
}

#[test]
fn a_running_allocation_outlives_the_credential_it_was_made_with() {
    let mut bed = Bed::new(config());
    let mut caller = bed.caller("192.0.2.7:4000", "ann");
    bed.allocate(&caller);
    bed.wait(400);
    assert_eq!(bed.refresh(&caller, 600).code, 0);
    assert_eq!(bed.permit(&caller, &[PEER]), 0);
    // A renewed credential of the same user is as good; that of another user is not.
    (caller.username, caller.password) = Secret::new("north").issue(bed.now().unix + 300, "ann");
    assert_eq!(bed.refresh(&caller, 600).code, 0);
    (caller.username, caller.password) = Secret::new("north").issue(bed.now().unix + 300, "bob");
    assert_eq!(bed.refresh(&caller, 600).code, 441);
    assert_eq!(bed.permit(&caller, &[PEER]), 441);
    // What has expired makes no new one.
    (caller.username, caller.password) = Secret::new("north").issue(bed.now().unix - 1, "ann");
    caller.client.from.set_port(4444);
    bed.challenge(&mut caller);
    assert_eq!(bed.request(&caller, method::ALLOCATE, &[udp()]).code, 401);
}

#[test]
fn an_attribute_added_behind_the_signature_changes_nothing() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    let mut bytes = caller.request(method::ALLOCATE, &[udp()]);
    // LIFETIME 3600, and one that would be refused with 420 if it counted.
    for attribute in [
        [0, 0x0d, 0, 4, 0, 0, 0x0e, 0x10],
        [0x7f, 0xff, 0, 4, 1, 2, 3, 4],
    ] {
        bytes.extend(attribute);
        bytes[3] += 8;
    }
    let answer = bed.say(caller.client, &bytes).unwrap();
    assert_eq!((answer.code, answer.lifetime()), (0, 600));
    // The same before the signature is edited content.
    let mut bytes = caller.request(method::ALLOCATE, &[udp()]);
    bytes[20 + 4] = 6;
    assert_eq!(bed.say(caller.client, &bytes).unwrap().code, 401);
}

#[test]
fn an_incomplete_credential_is_a_bad_request() {
    let mut bed = Bed::new(config());
    let caller = bed.caller("192.0.2.7:4000", "ann");
    let mut bytes = caller.request(method::ALLOCATE, &[udp()]);
    // USERNAME becomes an attribute nobody knows.
    bytes[28] = 0xff;
    assert_eq!(bed.say(caller.client, &bytes).unwrap().code, 400);
}
