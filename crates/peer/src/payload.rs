//! Payloads of `signal`: what peers tell each other through the server, checked before anything acts on it.
//! `docs/protocol.md`, "Payloads".

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::description::Kind;

/// A description is about 700 bytes for data channels alone; the wire's own limit is 64 KiB.
const MAX_SDP: usize = 60_000;
const MAX_CANDIDATE: usize = 1_024;
const MAX_BATCH: usize = 128;
/// Characters of what a refusal is about.
const MAX_ABOUT: usize = 64;

/// One payload, either way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Payload {
    Description {
        kind: Kind,
        sdp: String,
    },
    /// One candidate, a batch and the end of candidates are one kind here: a list that may be complete.
    Candidates {
        candidates: Vec<Candidate>,
        complete: bool,
    },
    Goodbye,
    Steps,
    Silent,
    Problem {
        code: String,
        about: String,
    },
}

/// RTCIceCandidateInit (W3C WebRTC §4.8.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Candidate {
    pub(crate) candidate: String,
    #[serde(default)]
    pub(crate) sdp_mid: Option<String>,
    #[serde(default, rename = "sdpMLineIndex")]
    pub(crate) sdp_m_line_index: Option<u16>,
    #[serde(default)]
    pub(crate) username_fragment: Option<String>,
}

/// Why a payload was not taken: the code of the `problem` to answer with, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) about: String,
}

#[derive(Deserialize)]
struct Head {
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct Description {
    #[serde(rename = "type")]
    kind: String,
    sdp: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Wire {
    Description {
        description: Description,
    },
    Candidate {
        candidate: Candidate,
    },
    Candidates {
        candidates: Vec<Candidate>,
        #[serde(default)]
        complete: bool,
    },
    EndOfCandidates {},
    Goodbye {},
    Steps {},
    Silent {},
    Problem {
        code: String,
        #[serde(default)]
        about: String,
    },
}

const KINDS: [&str; 8] = [
    "description",
    "candidate",
    "candidates",
    "end-of-candidates",
    "goodbye",
    "steps",
    "silent",
    "problem",
];

impl Payload {
    /// Reads what the other side sent.
    pub(crate) fn read(text: &str) -> Result<Self, Refusal> {
        let malformed = |about: &str| Refusal {
            code: "malformed-payload",
            about: shorten(about),
        };
        let Head { kind } = serde_json::from_str(text).map_err(|_| malformed(""))?;
        if !KINDS.contains(&kind.as_str()) {
            return Err(Refusal {
                code: "unknown-kind",
                about: shorten(&kind),
            });
        }
        let wire = serde_json::from_str(text).map_err(|_| malformed(&kind))?;
        Self::check(wire).ok_or_else(|| malformed(&kind))
    }

    /// The text of it.
    pub(crate) fn write(&self) -> Box<RawValue> {
        let wire = match self.clone() {
            Self::Description { kind, sdp } => Wire::Description {
                description: Description {
                    kind: kind.as_str().to_owned(),
                    sdp,
                },
            },
            Self::Candidates {
                candidates,
                complete,
            } => Wire::of(candidates, complete),
            Self::Goodbye => Wire::Goodbye {},
            Self::Steps => Wire::Steps {},
            Self::Silent => Wire::Silent {},
            Self::Problem { code, about } => Wire::Problem { code, about },
        };
        serde_json::value::to_raw_value(&wire).expect("payloads are made of texts and numbers")
    }

    /// Its name in the trace.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Description {
                kind: Kind::Offer, ..
            } => "signal:offer",
            Self::Description {
                kind: Kind::Answer, ..
            } => "signal:answer",
            Self::Candidates { candidates, .. } if candidates.is_empty() => {
                "signal:end-of-candidates"
            }
            Self::Candidates {
                candidates,
                complete: false,
            } if candidates.len() == 1 => "signal:candidate",
            Self::Candidates { .. } => "signal:candidates",
            Self::Goodbye => "signal:goodbye",
            Self::Steps => "signal:steps",
            Self::Silent => "signal:silent",
            Self::Problem { .. } => "signal:problem",
        }
    }

    fn check(wire: Wire) -> Option<Self> {
        Some(match wire {
            Wire::Description {
                description: Description { kind, sdp },
            } => {
                let kind = match kind.as_str() {
                    "offer" => Kind::Offer,
                    "answer" => Kind::Answer,
                    _ => return None,
                };
                if sdp.len() > MAX_SDP {
                    return None;
                }
                Self::Description { kind, sdp }
            }
            Wire::Candidate { candidate } => Self::candidates(vec![candidate], false)?,
            Wire::Candidates {
                candidates,
                complete,
            } => Self::candidates(candidates, complete)?,
            Wire::EndOfCandidates {} => Self::Candidates {
                candidates: Vec::new(),
                complete: true,
            },
            Wire::Goodbye {} => Self::Goodbye,
            Wire::Steps {} => Self::Steps,
            Wire::Silent {} => Self::Silent,
            Wire::Problem { code, about } => Self::Problem {
                code: shorten(&code),
                about: shorten(&about),
            },
        })
    }

    fn candidates(candidates: Vec<Candidate>, complete: bool) -> Option<Self> {
        let fits = |candidate: &Candidate| candidate.candidate.len() <= MAX_CANDIDATE;
        let bounded = candidates.len() <= MAX_BATCH && candidates.iter().all(fits);
        bounded.then_some(Self::Candidates {
            candidates,
            complete,
        })
    }
}

impl Wire {
    fn of(mut candidates: Vec<Candidate>, complete: bool) -> Self {
        match (candidates.len(), complete) {
            (0, _) => Self::EndOfCandidates {},
            (1, false) => Self::Candidate {
                candidate: candidates.remove(0),
            },
            _ => Self::Candidates {
                candidates,
                complete,
            },
        }
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_ABOUT).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn reads_and_writes_every_fixture() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/fixtures");
        let mut seen = 0;
        for entry in fs::read_dir(folder).expect("the fixtures") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            if !name.starts_with("payload-") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a fixture");
            let payload =
                Payload::read(&text).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
            let written: serde_json::Value =
                serde_json::from_str(payload.write().get()).expect("json");
            let fixture: serde_json::Value = serde_json::from_str(&text).expect("json");
            assert_eq!(written, fixture, "{name}");
            seen += 1;
        }
        assert_eq!(seen, 9);
    }

    #[test]
    fn refuses_by_code() {
        let code = |text: &str| Payload::read(text).unwrap_err().code;
        assert_eq!(code("7"), "malformed-payload");
        assert_eq!(code(r#"{"kind":"weather"}"#), "unknown-kind");
        assert_eq!(code(r#"{"kind":"candidate"}"#), "malformed-payload");
        assert_eq!(
            code(r#"{"kind":"description","description":{"type":"pranswer","sdp":""}}"#),
            "malformed-payload"
        );
        let long = format!(
            r#"{{"kind":"candidate","candidate":{{"candidate":"{}"}}}}"#,
            "x".repeat(1025)
        );
        assert_eq!(code(&long), "malformed-payload");
    }

    #[test]
    fn whatever_is_read_is_within_bounds_and_reads_the_same_again() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/fixtures");
        let honest: Vec<String> = fs::read_dir(folder)
            .expect("the fixtures")
            .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
            .filter(|text| text.contains("\"kind\""))
            .collect();
        let mut random = fastrand::Rng::with_seed(7);
        let (mut read, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let text = &honest[random.usize(..honest.len())];
            match Payload::read(&crate::mutate::text(&mut random, text)) {
                Ok(payload) => {
                    assert_eq!(
                        Payload::read(payload.write().get()).as_ref(),
                        Ok(&payload),
                        "{payload:?}"
                    );
                    read += 1;
                }
                Err(Refusal { code, about }) => {
                    assert!(["malformed-payload", "unknown-kind"].contains(&code));
                    assert!(about.chars().count() <= MAX_ABOUT);
                    refused += 1;
                }
            }
        }
        assert!(read > 100 && refused > 100, "{read} and {refused}");
    }

    #[test]
    fn a_batch_has_an_end() {
        let one = r#"{"candidate":"x"}"#;
        let batch = |count: usize| {
            let list = vec![one; count].join(",");
            Payload::read(&format!(r#"{{"kind":"candidates","candidates":[{list}]}}"#)).is_ok()
        };
        assert!(batch(MAX_BATCH) && !batch(MAX_BATCH + 1));
    }
}
