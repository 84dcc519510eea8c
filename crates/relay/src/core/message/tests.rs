//! The reader and the writer against RFC 5769 and against what is not STUN.

use md5::{Digest, Md5};

use super::*;

const TRANSACTION: &str = "b7e7a701bc34d686fa87dfae";
const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap()
}

/// RFC 5769 §2.1.
fn sample_request() -> Vec<u8> {
    hex(
        "000100582112a442b7e7a701bc34d686fa87dfae 802200105354554e207465737420636c69656e74 002400046e0001ff
         80290008932ff9b151263b36 000600096576746a3a68367659202020 000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004e57a3bcf",
    )
}

/// RFC 5769 §2.2.
fn ipv4_response() -> Vec<u8> {
    hex(
        "0101003c2112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220 002000080001a147e112a643
         000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004c07d4c96",
    )
}

/// RFC 5769 §2.3.
fn ipv6_response() -> Vec<u8> {
    hex(
        "010100482112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220
         002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9 00080014a382954e4be67bf11784c97c8292c275bfe3ed41 80280004c8fb0b4c",
    )
}

/// RFC 5769 §2.4.
fn long_term_request() -> Vec<u8> {
    hex(
        "000100602112a44278ad3433c6ad72c029da412e 00060012e3839ee38388e383aae38383e382afe382b90000
         0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341 0014000b6578616d706c652e6f726700
         00080014f67024656dd64a3e02b8e0712e85c9a28ca89666",
    )
}

#[test]
fn the_vectors_of_rfc_5769_are_read() {
    for (bytes, class, mapped) in [
        (sample_request(), Class::Request, None),
        (ipv4_response(), Class::Success, Some("192.0.2.1:32853")),
        (
            ipv6_response(),
            Class::Success,
            Some("[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
        ),
    ] {
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.class, message.method), (class, method::BINDING));
        assert_eq!(message.transaction.to_vec(), hex(TRANSACTION));
        assert!(message.is_signed_with(PASSWORD));
        assert!(!message.is_signed_with(b"VOkJxbRl1RmTxUk/WvJxBT"));
        let address = message.attribute(attribute::XOR_MAPPED_ADDRESS);
        assert_eq!(
            address.and_then(|value| message.address(value)),
            mapped.map(|mapped| mapped.parse().unwrap())
        );
    }
    let bytes = sample_request();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(
        message.attribute(attribute::USERNAME),
        Some(&b"evtj:h6vY"[..])
    );
}

#[test]
fn the_long_term_vector_of_rfc_5769_is_written_byte_for_byte() {
    let key: Key = Md5::digest("マトリックス:example.org:TheMatrIX").into();
    let bytes = long_term_request();
    let message = Message::parse(&bytes).unwrap();
    assert!(message.is_signed_with(&key));
    let mut written = Vec::new();
    let mut writer = Writer::start(
        &mut written,
        Class::Request,
        method::BINDING,
        message.transaction,
    );
    for (kind, value) in message.attributes() {
        writer.attribute(kind, value);
    }
    writer.finish_signed(&key);
    assert_eq!(written, bytes);
}

#[test]
fn addresses_are_written_as_they_are_read() {
    let transaction = *b"transactions";
    for address in [
        "192.0.2.1:32853",
        "[2001:db8::7]:1",
        "0.0.0.0:0",
        "[::]:65535",
    ] {
        let address: SocketAddr = address.parse().unwrap();
        let mut bytes = Vec::new();
        let mut writer = Writer::start(&mut bytes, Class::Success, method::ALLOCATE, transaction);
        writer.address(attribute::XOR_RELAYED_ADDRESS, address);
        writer.finish();
        let message = Message::parse(&bytes).unwrap();
        let value = message.attribute(attribute::XOR_RELAYED_ADDRESS).unwrap();
        assert_eq!(message.address(value), Some(address));
    }
}

#[test]
fn every_class_and_method_comes_back() {
    for class in [
        Class::Request,
        Class::Indication,
        Class::Success,
        Class::Error,
    ] {
        for method in 0..0x1000 {
            let mut bytes = Vec::new();
            Writer::start(&mut bytes, class, method, [7; 12]).finish();
            let message = Message::parse(&bytes).unwrap();
            assert_eq!((message.class, message.method), (class, method));
        }
    }
}

#[test]
fn what_follows_message_integrity_is_not_there() {
    // The unsigned attribute is added before FINGERPRINT is, as an attacker on the way would.
    let signed = long_term_request();
    let mut bytes = signed.clone();
    bytes.extend(hex("000d000400000000"));
    bytes[3] += 8;
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.attribute(attribute::LIFETIME), None);
    assert_eq!(message.not_understood().count(), 0);
    let key: Key = Md5::digest("マトリックス:example.org:TheMatrIX").into();
    assert!(message.is_signed_with(&key));
}

#[test]
fn what_is_not_stun_is_nothing() {
    let good = sample_request();
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    for bytes in [
        vec![],
        b"hello".to_vec(),
        good[..19].to_vec(),
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0; 4]].concat(),
        changed(0, 0x40),
        changed(0, 0x80),
        changed(3, 0x59),
        changed(4, 0x22),
        // An attribute longer than what is left.
        changed(23, 0xff),
        // FINGERPRINT no longer fits.
        changed(30, b'x'),
    ] {
        assert!(Message::parse(&bytes).is_none(), "{bytes:?}");
    }
}

/// The same messages through another implementation.
#[test]
fn stun_types_reads_what_is_written_and_writes_what_is_read() {
    use stun_types::attribute::{ErrorCode, Nonce, Realm};
    use stun_types::message::{IntegrityAlgorithm, LongTermCredentials, MessageWriteVec};
    use stun_types::prelude::*;

    let credentials = LongTermCredentials::new("user".into(), "pass".into());
    let credentials = credentials.to_key("crowfly".into()).into();
    let key: Key = Md5::digest("user:crowfly:pass").into();
    let mut bytes = Vec::new();
    let mut writer = Writer::start(&mut bytes, Class::Error, method::ALLOCATE, [9; 12]);
    writer.error(401, "Unauthenticated");
    writer.attribute(attribute::REALM, b"crowfly");
    writer.attribute(attribute::NONCE, b"abc");
    writer.finish_signed(&key);
    let theirs = stun_types::message::Message::from_bytes(&bytes).unwrap();
    assert_eq!(theirs.attribute::<ErrorCode>().unwrap().code(), 401);
    assert_eq!(theirs.attribute::<Realm>().unwrap().realm(), "crowfly");
    assert_eq!(theirs.attribute::<Nonce>().unwrap().nonce(), "abc");
    assert!(theirs.validate_integrity(&credentials).is_ok());

    let mut request = stun_types::message::Message::builder_request(
        stun_types::message::BINDING,
        MessageWriteVec::new(),
    );
    request
        .add_attribute(&Realm::new("crowfly").unwrap())
        .unwrap();
    request
        .add_message_integrity(&credentials, IntegrityAlgorithm::Sha1)
        .unwrap();
    request.add_fingerprint().unwrap();
    let bytes = request.finish();
    let ours = Message::parse(&bytes).unwrap();
    assert_eq!(ours.attribute(attribute::REALM), Some(&b"crowfly"[..]));
    assert!(ours.is_signed_with(&key));
}
