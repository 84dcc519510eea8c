//! What the two ends of a pipe say to each other, `docs/protocol.md`, "The pipe channel".

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) const LABEL: &str = "pipe";
pub(super) const PROTOCOL: &str = "crowfly-pipe.1";
/// Bytes that may be on their way and not written out over there.
pub(super) const WINDOW: u64 = 8 << 20;
/// For the other side to say why it closed the channel, where it leaves as a whole.
pub(super) const REASON: Duration = Duration::from_secs(1);
/// For the other side to take note of the channel's end.
pub(super) const CLOSING: Duration = Duration::from_secs(3);

/// A text message of the pipe channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Control {
    /// So many bytes were written out here.
    Read { total: u64 },
    /// The stream has ended; it had so many bytes.
    End { total: u64 },
    /// Nobody reads here any more.
    Closed,
}

impl Control {
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn write(self) -> String {
        serde_json::to_string(&self).expect("numbers and a tag")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for control in [
            Control::Read { total: 7 },
            Control::End { total: 0 },
            Control::Closed,
        ] {
            assert_eq!(Control::read(&control.write()), Some(control));
        }
        assert_eq!(
            Control::End { total: 3 }.write(),
            r#"{"type":"end","total":3}"#
        );
        assert_eq!(Control::read("caw"), None);
    }
}
