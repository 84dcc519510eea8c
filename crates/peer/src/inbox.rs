//! Puts received fragments together again, within bounds whatever the other side sends.
//!
//! At most one text or binary message and one Blob are unfinished at a time: a sender keeps each kind in order and interleaves the
//! two (`docs/protocol.md`, "The main channel").

use bytes::{Bytes, BytesMut};
use serde::Deserialize;

use crate::frames::{Frame, Kind};
use crate::message::Message;

/// A message is handed over in memory, so it has a bound.
pub(crate) const MAX_IN_MEMORY: usize = 64 * 1024 * 1024;
/// Bytes of a Blob's header.
const MAX_HEADER: usize = 4_096;
/// Characters of a Blob's type and name.
const MAX_NAME: usize = 255;

/// The code of a `problem` frame.
pub(crate) type Problem = &'static str;

/// Unfinished messages of one channel.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    plain: Option<Unfinished>,
    blob: Option<Unfinished>,
    /// The last message refused in each lane: what of it is still on its way is passed over.
    refused_plain: Option<u32>,
    refused_blob: Option<u32>,
}

#[derive(Debug)]
struct Unfinished {
    id: u32,
    kind: Kind,
    header: Option<BlobHeader>,
    bytes: BytesMut,
}

#[derive(Debug, Deserialize)]
struct BlobHeader {
    size: u64,
    #[serde(rename = "type")]
    media_type: String,
    #[serde(default)]
    name: Option<String>,
}

impl Inbox {
    /// Takes a fragment: frames of kind text, binary, blob and abort. `None` while unfinished.
    pub(crate) fn take(&mut self, kind: Kind, frame: Frame) -> Result<Option<Message>, Problem> {
        if kind == Kind::Abort {
            self.abort(frame.id);
            return Ok(None);
        }
        let blob = kind == Kind::Blob;
        let refused = if blob {
            self.refused_blob
        } else {
            self.refused_plain
        };
        if !frame.first && refused == Some(frame.id) {
            return Ok(None);
        }
        let id = frame.id;
        let lane = if blob {
            &mut self.blob
        } else {
            &mut self.plain
        };
        let result = Self::add(lane, kind, frame);
        if result.is_err() {
            *lane = None;
            *(if blob {
                &mut self.refused_blob
            } else {
                &mut self.refused_plain
            }) = Some(id);
        }
        result
    }

    fn add(
        lane: &mut Option<Unfinished>,
        kind: Kind,
        frame: Frame,
    ) -> Result<Option<Message>, Problem> {
        if frame.first && frame.last && kind != Kind::Blob && lane.is_none() {
            return whole(kind, frame.payload).map(Some); // the common case: no copy
        }
        let unfinished = match (frame.first, lane.as_mut()) {
            (true, Some(_)) => return Err("interleaved"),
            (false, None) => return Err("no-first-fragment"),
            (true, None) => lane.insert(Unfinished::begin(kind, &frame)?),
            (false, Some(unfinished)) if unfinished.id != frame.id || unfinished.kind != kind => {
                return Err("interleaved");
            }
            (false, Some(unfinished)) => unfinished,
        };
        if !(frame.first && kind == Kind::Blob) {
            unfinished.append(&frame.payload)?;
        }
        match lane.take_if(|_| frame.last) {
            Some(finished) => finished.finish().map(Some),
            None => Ok(None),
        }
    }

    fn abort(&mut self, id: u32) {
        self.plain.take_if(|unfinished| unfinished.id == id);
        self.blob.take_if(|unfinished| unfinished.id == id);
    }
}

impl Unfinished {
    fn begin(kind: Kind, frame: &Frame) -> Result<Self, Problem> {
        let header = match kind {
            Kind::Blob => Some(BlobHeader::read(&frame.payload)?),
            _ => None,
        };
        Ok(Self {
            id: frame.id,
            kind,
            header,
            bytes: BytesMut::new(),
        })
    }

    fn append(&mut self, part: &[u8]) -> Result<(), Problem> {
        let length = (self.bytes.len() + part.len()) as u64;
        if self
            .header
            .as_ref()
            .is_some_and(|header| length > header.size)
        {
            return Err("size-mismatch");
        }
        if length > MAX_IN_MEMORY as u64 {
            return Err("message-too-large");
        }
        self.bytes.extend_from_slice(part);
        Ok(())
    }

    fn finish(self) -> Result<Message, Problem> {
        let data = self.bytes.freeze();
        let Some(header) = self.header else {
            return whole(self.kind, data);
        };
        if header.size != data.len() as u64 {
            return Err("size-mismatch");
        }
        Ok(Message::Blob {
            name: header.name,
            media_type: header.media_type,
            data,
        })
    }
}

impl BlobHeader {
    fn read(payload: &[u8]) -> Result<Self, Problem> {
        let header: Option<Self> = (payload.len() <= MAX_HEADER)
            .then(|| serde_json::from_slice(payload).ok())
            .flatten();
        let header = header
            .filter(|header| is_short(&header.media_type, header.name.as_deref()))
            .ok_or("malformed-blob-header")?;
        if header.size > MAX_IN_MEMORY as u64 {
            return Err("message-too-large");
        }
        Ok(header)
    }
}

/// Whether the other side would take the header of this message.
pub(crate) fn fits(message: &Message) -> bool {
    match message {
        Message::Blob {
            name, media_type, ..
        } => is_short(media_type, name.as_deref()),
        _ => true,
    }
}

fn is_short(media_type: &str, name: Option<&str>) -> bool {
    let short = |text: &str| text.encode_utf16().count() <= MAX_NAME;
    short(media_type) && name.is_none_or(short)
}

fn whole(kind: Kind, data: Bytes) -> Result<Message, Problem> {
    if kind == Kind::Binary {
        return Ok(Message::Binary(data));
    }
    match String::from_utf8(data.into()) {
        Ok(text) => Ok(Message::Text(text)),
        Err(_) => Err("malformed-text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{self, FIRST, LAST};

    fn take(
        inbox: &mut Inbox,
        kind: Kind,
        flags: u8,
        id: u32,
        payload: &[u8],
    ) -> Result<Option<Message>, Problem> {
        let frame = frames::read(&frames::write(kind, flags, id, payload)).expect("a frame");
        inbox.take(kind, frame)
    }

    #[test]
    fn joins_a_text_cut_within_a_character() {
        let mut inbox = Inbox::default();
        assert_eq!(take(&mut inbox, Kind::Text, FIRST, 1, &[0xc3]), Ok(None));
        assert_eq!(
            take(&mut inbox, Kind::Text, LAST, 1, &[0xbc]),
            Ok(Some(Message::Text("ü".into())))
        );
    }

    #[test]
    fn a_line_of_text_may_pass_a_blob() {
        let mut inbox = Inbox::default();
        let header = br#"{"size":3,"type":"text/plain","name":"a.txt"}"#;
        assert_eq!(take(&mut inbox, Kind::Blob, FIRST, 1, header), Ok(None));
        assert_eq!(
            take(&mut inbox, Kind::Text, FIRST | LAST, 2, b"hi"),
            Ok(Some(Message::Text("hi".into())))
        );
        let blob = Message::Blob {
            name: Some("a.txt".into()),
            media_type: "text/plain".into(),
            data: Bytes::from_static(b"abc"),
        };
        assert_eq!(
            take(&mut inbox, Kind::Blob, LAST, 1, b"abc"),
            Ok(Some(blob))
        );
    }

    #[test]
    fn names_each_fault_and_passes_over_the_rest_of_it() {
        let mut inbox = Inbox::default();
        assert_eq!(
            take(&mut inbox, Kind::Text, LAST, 1, b"x"),
            Err("no-first-fragment")
        );
        assert_eq!(take(&mut inbox, Kind::Text, FIRST, 2, b"x"), Ok(None));
        assert_eq!(
            take(&mut inbox, Kind::Text, FIRST, 3, b"x"),
            Err("interleaved")
        );
        assert_eq!(take(&mut inbox, Kind::Text, LAST, 3, b"x"), Ok(None));
        assert_eq!(
            take(&mut inbox, Kind::Text, FIRST | LAST, 4, &[0xff]),
            Err("malformed-text")
        );
        assert_eq!(
            take(&mut inbox, Kind::Blob, FIRST, 5, b"{}"),
            Err("malformed-blob-header")
        );
        assert_eq!(
            take(&mut inbox, Kind::Blob, FIRST, 6, br#"{"size":1,"type":""}"#),
            Ok(None)
        );
        assert_eq!(
            take(&mut inbox, Kind::Blob, LAST, 6, b"xy"),
            Err("size-mismatch")
        );
        assert_eq!(
            take(
                &mut inbox,
                Kind::Blob,
                FIRST,
                7,
                br#"{"size":99999999999,"type":""}"#
            ),
            Err("message-too-large")
        );
        assert_eq!(take(&mut inbox, Kind::Blob, 0, 7, b"xy"), Ok(None));
    }

    #[test]
    fn a_message_given_up_makes_room_for_the_next() {
        let mut inbox = Inbox::default();
        assert_eq!(take(&mut inbox, Kind::Text, FIRST, 1, b"x"), Ok(None));
        assert_eq!(take(&mut inbox, Kind::Abort, 0, 1, b""), Ok(None));
        assert_eq!(
            take(&mut inbox, Kind::Text, FIRST | LAST, 2, b"y"),
            Ok(Some(Message::Text("y".into())))
        );
    }

    #[test]
    fn no_more_is_kept_than_a_message_may_have() {
        let mut inbox = Inbox::default();
        let part = vec![0; 1 << 20];
        let mut kept = 0;
        let problem = loop {
            let flags = if kept == 0 { FIRST } else { 0 };
            match take(&mut inbox, Kind::Binary, flags, 1, &part) {
                Ok(None) => kept += part.len(),
                other => break other,
            }
        };
        assert_eq!((problem, kept), (Err("message-too-large"), MAX_IN_MEMORY));
        assert!(inbox.plain.is_none(), "it is let go of");
    }

    #[test]
    fn any_frames_in_any_order_are_taken_or_named_as_a_fault() {
        const KINDS: [Kind; 4] = [Kind::Text, Kind::Binary, Kind::Blob, Kind::Abort];
        let mut random = fastrand::Rng::with_seed(7);
        let mut inbox = Inbox::default();
        let header = br#"{"size":5,"type":"text/plain","name":"a.txt"}"#;
        let (mut whole, mut faults) = (0, 0);
        for _ in 0..100_000 {
            let kind = KINDS[random.usize(..KINDS.len())];
            let flags = [0, FIRST, LAST, FIRST | LAST][random.usize(..4)];
            let payload = match random.u8(..4) {
                0 => header.to_vec(),
                1 => crate::mutate::bytes(&mut random, header),
                _ => vec![random.u8(..); random.usize(..6)],
            };
            match take(&mut inbox, kind, flags, random.u32(1..4), &payload) {
                Ok(Some(message)) => {
                    assert!(fits(&message));
                    whole += 1;
                }
                Ok(None) => {}
                Err(_) => faults += 1,
            }
        }
        assert!(whole > 1_000 && faults > 1_000, "{whole} and {faults}");
    }
}
