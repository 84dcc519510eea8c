//! Session descriptions with a data channel in them and nothing else: RFC 8866 SDP in the profile of RFC 8841, 8842 and 8839.
//!
//! What a stranger sends is read into [`Description`], which holds only what the handshake needs; what we write is one
//! `m=application` section in the order browsers write theirs.

use std::fmt::{self, Write};

use bytes::Bytes;
use data_encoding::BASE64;

/// Without `a=max-message-size` a peer takes this much (RFC 8841 §6.1).
const DEFAULT_MAX_MESSAGE_SIZE: u64 = 65_536;
/// The longest `ice-ufrag` and `ice-pwd` (RFC 8839 §5.4).
const MAX_CREDENTIAL: usize = 256;
/// Candidates of a description, and bytes of each; more than an honest peer has.
const MAX_CANDIDATES: usize = 256;
const MAX_CANDIDATE: usize = 1_024;

/// Whether a description asks or replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Offer,
    Answer,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
        }
    }
}

/// Who speaks first in DTLS: `a=setup` (RFC 8842 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    /// Either will do; only in an offer.
    ActPass,
    /// The DTLS client.
    Active,
    /// The DTLS server.
    Passive,
}

/// SHA-256 over a DTLS certificate (RFC 8122 §5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(crate) [u8; 32]);

/// What a description says that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) ice_ufrag: String,
    pub(crate) ice_pwd: String,
    /// Those by SHA-256; any of them may be the one (RFC 8122 §5).
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) setup: Setup,
    pub(crate) sctp_port: u16,
    /// Largest message its writer takes, bytes; 0 is any size.
    pub(crate) max_message_size: u64,
    pub(crate) mid: String,
    /// The writer's SCTP INIT chunk (SNAP): where both descriptions carry one, SCTP needs no handshake on the wire.
    pub(crate) sctp_init: Option<Bytes>,
    /// As in `candidate:…`, not looked at yet.
    pub(crate) candidates: Vec<String>,
    /// `a=end-of-candidates` (RFC 8838 §8.2): no more will come.
    pub(crate) complete: bool,
}

/// Why a description cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// Not a session description at all.
    #[error("could not read the session description")]
    Malformed,
    /// A section that is not a data channel, or none that is.
    #[error("the session description is not for data channels alone")]
    NotDataOnly,
    /// `ice-ufrag` or `ice-pwd` is missing or not as RFC 8839 has it.
    #[error("the session description has no usable ICE credentials")]
    NoCredentials,
    /// No SHA-256 fingerprint.
    #[error("the session description has no SHA-256 fingerprint")]
    NoFingerprint,
    /// `setup`, `sctp-port` or another attribute holds what it may not.
    #[error("the session description has an attribute that makes no sense")]
    BadAttribute,
}

impl Description {
    /// Reads what the other side sent.
    pub(crate) fn parse(sdp: &str, kind: Kind) -> Result<Self, DescriptionError> {
        let session =
            sdp_types::Session::parse(sdp.as_bytes()).map_err(|_| DescriptionError::Malformed)?;
        let [media] = session.medias.as_slice() else {
            return Err(DescriptionError::NotDataOnly);
        };
        // A section with port 0 is offered not to be used, or refused (RFC 3264 §5.1, §6).
        if media.port == 0
            || media.media != "application"
            || !media.proto.ends_with("/DTLS/SCTP")
            || media.fmt != "webrtc-datachannel"
        {
            return Err(DescriptionError::NotDataOnly);
        }
        // An attribute of the section stands before one of the session (RFC 8839 §5.4, RFC 8122 §5).
        let values = |name: &'static str| {
            let (of_media, of_session) = (&media.attributes, &session.attributes);
            let named = move |list: &'_ [sdp_types::Attribute]| -> Vec<String> {
                let matching = list.iter().filter(|attribute| attribute.attribute == name);
                matching
                    .map(|attribute| attribute.value.clone().unwrap_or_default())
                    .collect()
            };
            let own = named(of_media);
            if own.is_empty() {
                named(of_session)
            } else {
                own
            }
        };
        let first = |name| values(name).into_iter().next();
        let credential = |name, least| {
            first(name)
                .filter(|text| is_credential(text, least))
                .ok_or(DescriptionError::NoCredentials)
        };
        Ok(Self {
            ice_ufrag: credential("ice-ufrag", 4)?,
            ice_pwd: credential("ice-pwd", 22)?,
            fingerprints: read_fingerprints(&values("fingerprint"))?,
            setup: read_setup(first("setup").as_deref(), kind)?,
            sctp_port: number(first("sctp-port"), 5000)?,
            max_message_size: number(first("max-message-size"), DEFAULT_MAX_MESSAGE_SIZE)?,
            mid: first("mid")
                .filter(|mid| is_token(mid))
                .unwrap_or_else(|| "0".to_owned()),
            sctp_init: first("sctp-init")
                .and_then(|init| BASE64.decode(init.as_bytes()).ok())
                .map(Bytes::from),
            candidates: values("candidate")
                .into_iter()
                .filter(|value| value.len() <= MAX_CANDIDATE)
                .take(MAX_CANDIDATES)
                .map(|value| format!("candidate:{value}"))
                .collect(),
            complete: media.has_attribute("end-of-candidates"),
        })
    }

    /// The text of it; `version` grows with every description of one connection (RFC 8866 §5.2).
    pub(crate) fn write(&self, session_id: u64, version: u64) -> String {
        let mut sdp = String::with_capacity(700);
        self.write_to(&mut sdp, session_id, version)
            .expect("writing to a String never fails");
        sdp
    }

    fn write_to(&self, sdp: &mut String, session_id: u64, version: u64) -> fmt::Result {
        let mid = &self.mid;
        write!(
            sdp,
            "v=0\r\no=- {session_id} {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\n"
        )?;
        // Port 9 and no address: the candidates say where (RFC 8840 §4.1.1).
        write!(
            sdp,
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
        )?;
        for candidate in &self.candidates {
            write!(sdp, "a={candidate}\r\n")?;
        }
        if self.complete {
            write!(sdp, "a=end-of-candidates\r\n")?;
        }
        write!(
            sdp,
            "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=ice-options:trickle\r\n",
            self.ice_ufrag, self.ice_pwd
        )?;
        for fingerprint in &self.fingerprints {
            write!(sdp, "a=fingerprint:sha-256 {fingerprint}\r\n")?;
        }
        write!(
            sdp,
            "a=setup:{}\r\na=mid:{mid}\r\na=sctp-port:{}\r\n",
            self.setup.as_str(),
            self.sctp_port
        )?;
        write!(sdp, "a=max-message-size:{}\r\n", self.max_message_size)?;
        if let Some(init) = &self.sctp_init {
            write!(sdp, "a=sctp-init:{}\r\n", BASE64.encode(init))?;
        }
        Ok(())
    }
}

impl Setup {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ActPass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// ice-char (RFC 8839 §5.1) and a length of RFC 8839 §5.4.
fn is_credential(text: &str, least: usize) -> bool {
    (least..=MAX_CREDENTIAL).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

/// What goes back into an answer as it came must not hold a line break or a space (RFC 8866 §9, token).
fn is_token(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn read_fingerprints(values: &[String]) -> Result<Vec<Fingerprint>, DescriptionError> {
    let by_sha256 = values.iter().filter_map(|value| {
        let (function, digits) = value.split_once(' ')?;
        function.eq_ignore_ascii_case("sha-256").then_some(digits)
    });
    let mut fingerprints = Vec::new();
    for digits in by_sha256.take(8) {
        let bytes: Option<Vec<u8>> = digits
            .trim()
            .split(':')
            .map(|pair| (pair.len() == 2).then(|| u8::from_str_radix(pair, 16).ok())?)
            .collect();
        let digest = bytes.and_then(|bytes| bytes.try_into().ok());
        fingerprints.push(Fingerprint(digest.ok_or(DescriptionError::NoFingerprint)?));
    }
    if fingerprints.is_empty() {
        return Err(DescriptionError::NoFingerprint);
    }
    Ok(fingerprints)
}

fn read_setup(value: Option<&str>, kind: Kind) -> Result<Setup, DescriptionError> {
    match (value, kind) {
        (Some("actpass"), Kind::Offer) => Ok(Setup::ActPass),
        (Some("active"), _) => Ok(Setup::Active),
        (Some("passive"), _) => Ok(Setup::Passive),
        _ => Err(DescriptionError::BadAttribute),
    }
}

fn number<T: std::str::FromStr>(
    value: Option<String>,
    otherwise: T,
) -> Result<T, DescriptionError> {
    value.map_or(Ok(otherwise), |text| {
        text.trim()
            .parse()
            .map_err(|_| DescriptionError::BadAttribute)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Chromium 156 wrote it.
    const CHROMIUM: &str = "v=0\r\no=- 5196718105387206113 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        a=extmap-allow-mixed\r\na=msid-semantic: WMS\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
        c=IN IP4 0.0.0.0\r\na=ice-ufrag:8s6o\r\na=ice-pwd:aCVnz6bYXwVLpJxSVDfIyXTV\r\na=ice-options:trickle\r\n\
        a=fingerprint:sha-256 4E:FF:0A:3C:D8:4B:1A:24:6B:2D:2A:4B:37:9B:E6:8B:0C:A6:8C:45:2E:9E:8E:95:FF:51:A5:23:14:A3:D8:F6\r\n\
        a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";

    /// As Firefox ESR 140 wrote it: the fingerprint stands at the session.
    const FIREFOX: &str = "v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 6349217520153829135 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
        a=fingerprint:sha-256 4E:FF:0A:3C:D8:4B:1A:24:6B:2D:2A:4B:37:9B:E6:8B:0C:A6:8C:45:2E:9E:8E:95:FF:51:A5:23:14:A3:D8:F6\r\n\
        a=group:BUNDLE 0\r\na=ice-options:trickle\r\na=msid-semantic:WMS *\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=sendrecv\r\n\
        a=ice-pwd:4fb0a8c5cd1d2a9d0e93f5ecb13e9c22\r\na=ice-ufrag:5a8d3c1e\r\na=mid:0\r\na=setup:active\r\n\
        a=sctp-port:5000\r\na=max-message-size:1073741823\r\n";

    #[test]
    fn reads_what_chromium_offers() {
        let offer = Description::parse(CHROMIUM, Kind::Offer).expect("an offer");
        assert_eq!(offer.ice_ufrag, "8s6o");
        assert_eq!(offer.setup, Setup::ActPass);
        assert_eq!(offer.fingerprints[0].0[..2], [0x4e, 0xff]);
        assert_eq!((offer.sctp_port, offer.max_message_size), (5000, 262_144));
    }

    #[test]
    fn reads_what_firefox_answers() {
        let answer = Description::parse(FIREFOX, Kind::Answer).expect("an answer");
        assert_eq!(answer.setup, Setup::Active);
        assert_eq!(answer.fingerprints.len(), 1);
        assert_eq!(answer.max_message_size, 1_073_741_823);
    }

    #[test]
    fn reads_back_what_it_writes() {
        let description = Description {
            ice_ufrag: "abcd".into(),
            ice_pwd: "0123456789012345678901".into(),
            fingerprints: vec![Fingerprint([7; 32])],
            setup: Setup::Passive,
            sctp_port: 5000,
            max_message_size: 262_144,
            mid: "data".into(),
            sctp_init: Some(Bytes::from_static(&[1, 2, 3])),
            candidates: vec!["candidate:1 1 udp 2130706431 192.0.2.2 50000 typ host".into()],
            complete: true,
        };
        let text = description.write(17, 2);
        assert_eq!(Description::parse(&text, Kind::Answer), Ok(description));
    }

    #[test]
    fn refuses_what_it_cannot_use() {
        let refused = |text: String, kind| Description::parse(&text, kind).unwrap_err();
        assert_eq!(
            refused("hello".into(), Kind::Offer),
            DescriptionError::Malformed
        );
        assert_eq!(
            refused(CHROMIUM.replace("application", "audio"), Kind::Offer),
            DescriptionError::NotDataOnly
        );
        assert_eq!(
            refused(
                CHROMIUM.replace("a=ice-pwd:aCV", "a=ice-pwd:a V"),
                Kind::Offer
            ),
            DescriptionError::NoCredentials
        );
        assert_eq!(
            refused(CHROMIUM.replace("sha-256", "sha-1"), Kind::Offer),
            DescriptionError::NoFingerprint
        );
        assert_eq!(
            refused(CHROMIUM.replace(" 4E:FF", " 4E"), Kind::Offer),
            DescriptionError::NoFingerprint
        );
        assert_eq!(
            refused(CHROMIUM.replace("actpass", "holdconn"), Kind::Offer),
            DescriptionError::BadAttribute
        );
        // An answer chooses (RFC 8842 §5.3).
        assert_eq!(
            refused(CHROMIUM.into(), Kind::Answer),
            DescriptionError::BadAttribute
        );
    }

    #[test]
    fn a_section_that_is_refused_is_no_channel() {
        let refused = CHROMIUM.replace("application 9", "application 0");
        assert_eq!(
            Description::parse(&refused, Kind::Offer),
            Err(DescriptionError::NotDataOnly)
        );
    }

    #[test]
    fn keeps_no_more_candidates_than_an_honest_peer_has() {
        let line = "a=candidate:1 1 udp 1 192.0.2.2 50000 typ host\r\n";
        let long = format!("a=candidate:{}\r\n", "x".repeat(2_000));
        let text = format!("{CHROMIUM}{long}{}", line.repeat(1_000));
        let offer = Description::parse(&text, Kind::Offer).expect("an offer");
        assert_eq!(offer.candidates.len(), MAX_CANDIDATES);
        assert!(offer.candidates.iter().all(|text| text.len() < 100));
    }

    #[test]
    fn whatever_is_read_can_be_written_without_a_line_of_its_own() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut read = 0;
        for round in 0..20_000 {
            let (honest, kind) = if round % 2 == 0 {
                (CHROMIUM, Kind::Offer)
            } else {
                (FIREFOX, Kind::Answer)
            };
            let text = crate::mutate::text(&mut random, honest);
            let Ok(description) = Description::parse(&text, kind) else {
                continue;
            };
            read += 1;
            let written = description.write(1, 1);
            let lines = 17 + description.candidates.len() + description.fingerprints.len() - 1;
            let lines = lines
                - usize::from(!description.complete)
                - usize::from(description.sctp_init.is_none());
            assert_eq!(written.lines().count(), lines, "{text}");
            assert_eq!(
                Description::parse(&written, kind).as_ref(),
                Ok(&description),
                "{text}"
            );
        }
        assert!(read > 1_000, "{read} were read at all");
    }
}
