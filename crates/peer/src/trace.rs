//! The trace: what one peer did and saw during one pairing, in order, with monotonic times. `docs/trace.md` defines it.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use crowfly_protocol::SessionId;
use serde::Serialize;
use serde_json::{Map, Value};

/// Records kept; beyond it the oldest go.
const CAPACITY: usize = 10_000;

/// One's own part in a pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// Joined last, and offers.
    Peer1,
    /// Waited, and answers.
    Peer2,
}

impl Role {
    /// As the trace and the documents write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer1 => "PEER1",
            Self::Peer2 => "PEER2",
        }
    }
}

/// What kind of thing a record tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Call,
    Event,
    State,
    Send,
    Receive,
    Message,
    Note,
}

/// A stage of `docs/handshake.md`, or none.
pub(crate) type Stage = Option<u8>;

/// Small things that belong to a record.
pub(crate) type Detail = Map<String, Value>;

/// Makes a [`Detail`]: `detail! { "bytes" => 5 }`.
macro_rules! detail {
    ($($key:literal => $value:expr),* $(,)?) => {{
        let mut map = $crate::trace::Detail::new();
        $(map.insert($key.to_owned(), serde_json::json!($value));)*
        map
    }};
}
pub(crate) use detail;

#[derive(Debug, Serialize)]
struct Record {
    t: f64,
    peer: Role,
    stage: Stage,
    kind: Kind,
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<f64>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    detail: Detail,
}

#[derive(Serialize)]
struct Header<'a> {
    format: &'a str,
    version: u32,
    session: String,
    peer: Role,
    began: String,
    dropped: u64,
}

/// One peer's record of one pairing.
#[derive(Debug)]
pub(crate) struct Trace {
    session: SessionId,
    role: Role,
    records: VecDeque<Record>,
    dropped: u64,
    concluded: bool,
    origin: Instant,
    began: SystemTime,
}

impl Trace {
    /// `began` is wall-clock time at `now`.
    pub(crate) fn new(session: SessionId, role: Role, now: Instant, began: SystemTime) -> Self {
        Self {
            session,
            role,
            records: VecDeque::new(),
            dropped: 0,
            concluded: false,
            origin: now,
            began,
        }
    }

    /// The handshake is over: what follows belongs to no stage of it.
    pub(crate) fn conclude(&mut self) {
        self.concluded = true;
    }

    pub(crate) fn note(
        &mut self,
        now: Instant,
        stage: Stage,
        kind: Kind,
        name: &'static str,
        detail: Detail,
    ) {
        self.keep(now, stage, kind, name, None, detail);
    }

    /// A step that a browser has as a call; here it ends when it has begun.
    pub(crate) fn call(&mut self, now: Instant, stage: Stage, name: &'static str, detail: Detail) {
        self.keep(now, stage, Kind::Call, name, Some(0.0), detail);
    }

    /// JSON Lines: a header, then a record a line.
    pub(crate) fn to_json_lines(&self) -> String {
        let header = Header {
            format: "crowfly-trace",
            version: 1,
            session: self.session.to_string(),
            peer: self.role,
            began: rfc3339(self.began),
            dropped: self.dropped,
        };
        let mut lines =
            serde_json::to_string(&header).expect("a header is made of texts and numbers");
        lines.push('\n');
        for record in &self.records {
            lines += &serde_json::to_string(record).expect("a record's keys are texts");
            lines.push('\n');
        }
        lines
    }

    fn keep(
        &mut self,
        now: Instant,
        stage: Stage,
        kind: Kind,
        name: &'static str,
        ms: Option<f64>,
        detail: Detail,
    ) {
        if self.records.len() == CAPACITY {
            self.records.pop_front();
            self.dropped += 1;
        }
        self.records.push_back(Record {
            t: milliseconds(now.duration_since(self.origin)),
            peer: self.role,
            stage: if self.concluded { None } else { stage },
            kind,
            name,
            ms,
            detail,
        });
    }
}

/// To the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// `2026-11-22T08:04:44.143Z` (RFC 3339), for times after 1970.
fn rfc3339(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        since.subsec_millis()
    )
}

/// Days since 1970-01-01 as a date of the Gregorian calendar: eras of 400 years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_format_of_the_document() {
        let now = Instant::now();
        let began = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_334_684_143);
        let mut trace = Trace::new(SessionId::from_bytes([0; 16]), Role::Peer1, now, began);
        trace.call(now, Some(1), "createOffer", Detail::new());
        let later = now + Duration::from_micros(14_400);
        trace.note(
            later,
            Some(1),
            Kind::Send,
            "signal:offer",
            detail! { "bytes" => 5 },
        );
        trace.conclude();
        trace.note(later, Some(5), Kind::Message, "sent", Detail::new());
        let text = trace.to_json_lines();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                r#"{"format":"crowfly-trace","version":1,"session":"AAAAAAAAAAAAAAAAAAAAAA","peer":"PEER1","began":"2026-11-22T08:04:44.143Z","dropped":0}"#,
                r#"{"t":0.0,"peer":"PEER1","stage":1,"kind":"call","name":"createOffer","ms":0.0}"#,
                r#"{"t":14.4,"peer":"PEER1","stage":1,"kind":"send","name":"signal:offer","detail":{"bytes":5}}"#,
                r#"{"t":14.4,"peer":"PEER1","stage":null,"kind":"message","name":"sent"}"#,
            ]
        );
    }

    #[test]
    fn keeps_the_newest() {
        let now = Instant::now();
        let mut trace = Trace::new(
            SessionId::from_bytes([0; 16]),
            Role::Peer2,
            now,
            SystemTime::UNIX_EPOCH,
        );
        for _ in 0..CAPACITY + 3 {
            trace.note(now, None, Kind::Note, "resent", Detail::new());
        }
        assert_eq!((trace.records.len(), trace.dropped), (CAPACITY, 3));
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
    }
}
