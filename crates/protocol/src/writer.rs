//! Writes one JSON object in one pass into one allocation.

use serde_json::value::RawValue;

use crate::{PeerId, RequestId, SessionId, Token};

/// One JSON object being written; every method adds a field.
pub(crate) struct Object(String);

impl Object {
    /// `{"type":…,"id":…`, with room for `more` bytes beyond what every message needs.
    pub(crate) fn new(kind: &'static str, id: Option<RequestId>, more: usize) -> Self {
        let mut text = String::with_capacity(BASE_CAPACITY + more);
        text.push_str("{\"type\":\"");
        text.push_str(kind);
        text.push('"');
        Self(text).optional(id, |object, id| object.number("id", id.into()))
    }

    /// Adds what `add` writes, if there is a value.
    pub(crate) fn optional<T>(self, value: Option<T>, add: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => add(self, value),
            None => self,
        }
    }

    pub(crate) fn number(mut self, name: &'static str, number: u64) -> Self {
        use std::fmt::Write;
        self.name(name);
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{number}");
        self
    }

    /// A string that has nothing to escape: a code, an id, a room name.
    pub(crate) fn plain(mut self, name: &'static str, value: &str) -> Self {
        debug_assert!(
            !value.contains(|character: char| character < ' ' || matches!(character, '"' | '\\'))
        );
        self.name(name);
        self.0.push('"');
        self.0.push_str(value);
        self.0.push('"');
        self
    }

    /// A string for people, escaped.
    pub(crate) fn text(mut self, name: &'static str, value: &str) -> Self {
        self.name(name);
        self.0.push_str(&serde_json::Value::from(value).to_string());
        self
    }

    pub(crate) fn raw(mut self, name: &'static str, value: &RawValue) -> Self {
        self.name(name);
        self.0.push_str(value.get());
        self
    }

    pub(crate) fn null(mut self, name: &'static str) -> Self {
        self.name(name);
        self.0.push_str("null");
        self
    }

    pub(crate) fn peer(self, name: &'static str, peer: &PeerId) -> Self {
        self.quoted(name, |text| peer.append_to(text))
    }

    pub(crate) fn session(self, session: &SessionId) -> Self {
        self.quoted("session", |text| session.append_to(text))
    }

    pub(crate) fn token(self, token: &Token) -> Self {
        self.quoted("token", |text| token.append_to(text))
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn quoted(mut self, name: &'static str, write: impl FnOnce(&mut String)) -> Self {
        self.name(name);
        self.0.push('"');
        write(&mut self.0);
        self.0.push('"');
        self
    }

    fn name(&mut self, name: &'static str) {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
    }
}

/// Type, id, and the ids of a peer and a session: a relayed signal fits, with little to spare.
const BASE_CAPACITY: usize = 112;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_people_is_escaped() {
        let text = Object::new("error", RequestId::new(7), 0)
            .text("message", "a \"quote\",\n\\ and \u{1}")
            .end();
        assert_eq!(
            text,
            r#"{"type":"error","id":7,"message":"a \"quote\",\n\\ and \u0001"}"#
        );
    }
}
