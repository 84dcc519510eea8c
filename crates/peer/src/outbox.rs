//! Messages waiting to leave, cut into frames as there is room. No channel, no clock: the owner asks for the next frame.
//!
//! Two lanes: text and binary messages in the order they were sent, and Blobs in theirs. Frames are taken from the lanes in turn,
//! so a line of chat does not wait for a file.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::frames::{self, FIRST, HEADER, Kind, LAST};
use crate::message::Message;

/// The two lanes.
#[derive(Debug)]
pub(crate) struct Outbox {
    lanes: [VecDeque<Outgoing>; 2],
    turn: usize,
    next_id: u32,
    bytes: usize,
}

#[derive(Debug)]
struct Outgoing {
    id: u32,
    kind: Kind,
    /// Precedes the bytes of a Blob, in a frame of its own.
    header: Option<Bytes>,
    data: Bytes,
    begun: bool,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            lanes: [VecDeque::new(), VecDeque::new()],
            turn: 0,
            next_id: 1,
            bytes: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }

    /// Bytes of messages that have not left.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Queues a message.
    pub(crate) fn put(&mut self, message: Message) {
        let id = self.next_id;
        self.next_id = id.checked_add(1).unwrap_or(1);
        let (lane, kind, header, data) = match message {
            Message::Text(text) => (0, Kind::Text, None, Bytes::from(text)),
            Message::Binary(data) => (0, Kind::Binary, None, data),
            Message::Blob {
                name,
                media_type,
                data,
            } => (
                1,
                Kind::Blob,
                Some(blob_header(name.as_deref(), &media_type, data.len())),
                data,
            ),
        };
        self.bytes += data.len();
        self.lanes[lane].push_back(Outgoing {
            id,
            kind,
            header,
            data,
            begun: false,
        });
    }

    /// The next frame of at most so many bytes.
    pub(crate) fn take(&mut self, most: usize) -> Option<Bytes> {
        for _ in 0..self.lanes.len() {
            let turn = self.turn;
            self.turn = (turn + 1) % self.lanes.len();
            let lane = &mut self.lanes[turn];
            let Some(message) = lane.front_mut() else {
                continue;
            };
            let before = message.data.len();
            let (frame, done) = message.next(most);
            self.bytes -= before - message.data.len();
            if done {
                lane.pop_front();
            }
            return Some(frame);
        }
        None
    }

    /// The other side will not have this message: what is left of it is not sent.
    pub(crate) fn refused(&mut self, id: u32) {
        for lane in &mut self.lanes {
            if let Some(at) = lane.iter().position(|message| message.id == id) {
                if let Some(message) = lane.remove(at) {
                    self.bytes -= message.data.len();
                }
                return;
            }
        }
    }
}

impl Outgoing {
    fn next(&mut self, most: usize) -> (Bytes, bool) {
        let first = if self.begun { 0 } else { FIRST };
        self.begun = true;
        let part = match self.header.take() {
            Some(header) => header,
            None => self.data.split_to(self.data.len().min(most - HEADER)),
        };
        let done = self.data.is_empty();
        let last = if done { LAST } else { 0 };
        (frames::write(self.kind, first | last, self.id, &part), done)
    }
}

fn blob_header(name: Option<&str>, media_type: &str, size: usize) -> Bytes {
    let mut header = serde_json::json!({ "size": size, "type": media_type });
    if let Some(name) = name {
        header["name"] = name.into();
    }
    Bytes::from(header.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::Inbox;

    #[test]
    fn what_is_cut_here_is_joined_there() {
        let text: String = "Krähe ".repeat(1_000);
        let blob = Message::Blob {
            name: None,
            media_type: "image/png".into(),
            data: Bytes::from(vec![7; 5_000]),
        };
        let sent = [
            Message::Text(text),
            blob,
            Message::Binary(Bytes::new()),
            Message::Text("x".into()),
        ];
        let mut outbox = Outbox::new();
        sent.iter().cloned().for_each(|message| outbox.put(message));
        let mut inbox = Inbox::default();
        let mut received = Vec::new();
        while let Some(bytes) = outbox.take(1_000) {
            assert!(bytes.len() <= 1_000);
            let frame = frames::read(&bytes).expect("a frame");
            let kind = frame.kind.expect("a kind of this version");
            received.extend(inbox.take(kind, frame).expect("no fault"));
        }
        assert!(outbox.is_empty() && outbox.bytes() == 0);
        assert_eq!(received.len(), 4);
        assert!(sent.iter().all(|message| received.contains(message)));
    }

    #[test]
    fn what_the_other_side_refused_stops() {
        let mut outbox = Outbox::new();
        outbox.put(Message::Binary(Bytes::from(vec![0; 100])));
        outbox.put(Message::Text("next".into()));
        outbox.take(55).expect("a first fragment");
        outbox.refused(1);
        let frame = frames::read(&outbox.take(55).expect("the next")).expect("a frame");
        assert_eq!((frame.id, outbox.is_empty()), (2, true));
    }

    #[test]
    fn any_messages_pass_any_frame_sizes_each_lane_in_order() {
        for seed in 0..60 {
            let mut random = fastrand::Rng::with_seed(seed);
            let sent: Vec<Message> = (0..random.usize(1..9))
                .map(|_| any_message(&mut random))
                .collect();
            let mut outbox = Outbox::new();
            sent.iter().cloned().for_each(|message| outbox.put(message));
            let (mut inbox, mut received) = (Inbox::default(), Vec::new());
            // A Blob's header is one frame, and no shorter than it is.
            while let Some(bytes) = outbox.take(random.usize(64..70_000)) {
                let frame = frames::read(&bytes).expect("a frame");
                let kind = frame.kind.expect("a kind of this version");
                received.extend(inbox.take(kind, frame).expect("no fault"));
            }
            assert_eq!(outbox.bytes(), 0, "SEED={seed}");
            for blobs in [false, true] {
                let lane = |messages: &[Message]| -> Vec<Message> {
                    let of_lane =
                        |message: &&Message| matches!(message, Message::Blob { .. }) == blobs;
                    messages.iter().filter(of_lane).cloned().collect()
                };
                assert_eq!(lane(&received), lane(&sent), "SEED={seed}");
            }
        }
    }

    fn any_message(random: &mut fastrand::Rng) -> Message {
        let size = if random.u8(..3) == 0 {
            random.usize(..200_000)
        } else {
            random.usize(..40)
        };
        let data: Bytes = (0..size).map(|_| random.u8(..)).collect();
        match random.u8(..3) {
            0 => {
                let letters = ["a", "ü", "\u{1f426}", "\n", "\u{feff}"];
                Message::Text((0..size).map(|_| letters[random.usize(..5)]).collect())
            }
            1 => Message::Binary(data),
            _ => Message::Blob {
                name: (random.bool()).then(|| "ü\u{0}\"".repeat(random.usize(..50))),
                media_type: "x/y".into(),
                data,
            },
        }
    }

    #[test]
    fn a_line_of_text_does_not_wait_for_a_film() {
        let mut outbox = Outbox::new();
        outbox.put(Message::Blob {
            name: None,
            media_type: String::new(),
            data: vec![0; 3 << 20].into(),
        });
        outbox.take(65_536).expect("the film's header");
        outbox.put(Message::Text("hello".into()));
        let kinds = [outbox.take(65_536), outbox.take(65_536)]
            .map(|bytes| frames::read(&bytes.expect("a frame")).and_then(|frame| frame.kind));
        assert!(kinds.contains(&Some(Kind::Text)));
    }

    #[test]
    fn ids_begin_again_at_one() {
        let mut outbox = Outbox::new();
        outbox.next_id = u32::MAX;
        outbox.put(Message::Text("last".into()));
        outbox.put(Message::Text("first".into()));
        let ids: Vec<u32> = std::iter::from_fn(|| outbox.take(64))
            .filter_map(|bytes| Some(frames::read(&bytes)?.id))
            .collect();
        assert_eq!(ids, [u32::MAX, 1]);
    }
}
