//! Reads one JSON object in one pass, whatever the order of its fields, before anyone asks what they mean.
//!
//! A message has a dozen known fields at most. Each is kept as the shape it had, strings borrowed from the text, payloads as
//! their raw text, everything unknown skipped. So a wrong shape can be named precisely, a request's `id` is known even when
//! the rest is broken, and no intermediate tree is built.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{ErrorCode, RequestId, RoomName};

/// Why a text is not a message: what an `error` answer says about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ParseError {
    /// The stable code.
    pub code: ErrorCode,
    /// For people. Holds nothing the sender wrote but names of fields and single characters.
    pub message: Cow<'static, str>,
    /// The id of the request, when one could be read.
    pub id: Option<RequestId>,
}

/// The fields of one message, by name.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    fields: [Field<'a>; KEYS.len()],
    twice: Option<Key>,
}

#[derive(Debug, Clone, Default)]
enum Field<'a> {
    #[default]
    Absent,
    Null,
    Text(Cow<'a, str>),
    Number(u64),
    Raw(&'a RawValue),
    /// A shape no field has: a fraction, a negative number, a boolean, an array, an object.
    Other,
}

macro_rules! keys {
    ($($name:ident = $text:literal,)*) => {
        /// The fields some message has.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Key {
            $($name,)*
        }

        const KEYS: &[&str] = &[$($text,)*];

        impl Key {
            fn from_text(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

keys! {
    Type = "type",
    Id = "id",
    Room = "room",
    Session = "session",
    Token = "token",
    Payload = "payload",
    Reason = "reason",
    Peer = "peer",
    From = "from",
    Detail = "detail",
    Code = "code",
    Message = "message",
    Protocol = "protocol",
    IceServers = "iceServers",
}

impl<'a> Frame<'a> {
    /// Reads the text whole: one object, known fields at most once, nothing behind it.
    pub(crate) fn read(text: &'a str) -> Result<Self, ParseError> {
        let mut frame = Self {
            fields: Default::default(),
            twice: None,
        };
        let mut json = serde_json::Deserializer::from_str(text);
        let read = FrameSeed(&mut frame)
            .deserialize(&mut json)
            .and_then(|()| json.end());
        if let Err(error) = read {
            let message = format!("not one JSON object, see column {}", error.column());
            return Err(frame.malformed(message.into()));
        }
        if let Some(key) = frame.twice {
            return Err(frame.malformed(format!("`{}` is given twice", key.name()).into()));
        }
        if !matches!(frame.field(Key::Type), Field::Text(_)) {
            return Err(frame.malformed("`type` must be a string".into()));
        }
        Ok(frame)
    }

    /// The `type` of the message.
    pub(crate) fn kind(&self) -> &str {
        match self.field(Key::Type) {
            Field::Text(kind) => kind,
            _ => "",
        }
    }

    pub(crate) fn id(&self) -> Result<Option<RequestId>, ParseError> {
        match self.field(Key::Id) {
            Field::Absent | Field::Null => Ok(None),
            _ => self
                .readable_id()
                .map(Some)
                .ok_or_else(|| self.invalid(Key::Id, "must be an integer from 0 to 2^53-1")),
        }
    }

    /// A string that `T` parses, such as an id.
    pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(&self, key: Key) -> Result<T, ParseError> {
        self.text(key)?
            .parse()
            .map_err(|error: T::Err| self.invalid(key, &format!("is {error}")))
    }

    /// The same, where `null` or nothing may stand.
    pub(crate) fn parsed_or_none<T: FromStr<Err: fmt::Display>>(
        &self,
        key: Key,
    ) -> Result<Option<T>, ParseError> {
        if self.is_none(key) {
            Ok(None)
        } else {
            self.parsed(key).map(Some)
        }
    }

    pub(crate) fn room(&self) -> Result<RoomName, ParseError> {
        RoomName::parse(self.text(Key::Room)?)
            .map_err(|error| self.error(ErrorCode::InvalidRoomName, error.to_string().into()))
    }

    pub(crate) fn text(&self, key: Key) -> Result<&str, ParseError> {
        match self.field(key) {
            Field::Text(text) => Ok(text),
            _ => Err(self.invalid(key, "must be a string")),
        }
    }

    pub(crate) fn number(&self, key: Key) -> Result<u64, ParseError> {
        match self.field(key) {
            Field::Number(number) => Ok(*number),
            _ => Err(self.invalid(key, "must be an integer")),
        }
    }

    pub(crate) fn raw(&self, key: Key) -> Result<&'a RawValue, ParseError> {
        match self.field(key) {
            Field::Raw(raw) => Ok(raw),
            _ => Err(self.invalid(key, "is missing")),
        }
    }

    pub(crate) fn is_none(&self, key: Key) -> bool {
        matches!(self.field(key), Field::Absent | Field::Null)
    }

    pub(crate) fn unknown_type(&self) -> ParseError {
        self.error(
            ErrorCode::UnknownType,
            "this version has no such type".into(),
        )
    }

    pub(crate) fn invalid(&self, key: Key, problem: &str) -> ParseError {
        self.error(
            ErrorCode::InvalidField,
            format!("`{}` {problem}", key.name()).into(),
        )
    }

    fn malformed(&self, message: Cow<'static, str>) -> ParseError {
        self.error(ErrorCode::MalformedMessage, message)
    }

    fn error(&self, code: ErrorCode, message: Cow<'static, str>) -> ParseError {
        ParseError {
            code,
            message,
            id: self.readable_id(),
        }
    }

    fn readable_id(&self) -> Option<RequestId> {
        match self.field(Key::Id) {
            Field::Number(number) => RequestId::new(*number),
            _ => None,
        }
    }

    fn field(&self, key: Key) -> &Field<'a> {
        &self.fields[key as usize]
    }

    /// A field given twice has no value: nobody can say which was meant.
    fn set(&mut self, key: Key, value: Field<'a>) {
        let field = &mut self.fields[key as usize];
        if matches!(field, Field::Absent) {
            *field = value;
        } else {
            *field = Field::Other;
            self.twice = Some(key);
        }
    }
}

impl Key {
    fn name(self) -> &'static str {
        KEYS[self as usize]
    }
}

/// Fills a frame that outlives a failure, so that what was read before it is not lost.
struct FrameSeed<'f, 'a>(&'f mut Frame<'a>);

impl<'a> DeserializeSeed<'a> for FrameSeed<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for FrameSeed<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(KeySeed)? {
            match key {
                Some(key @ (Key::Payload | Key::IceServers)) => {
                    let raw = map.next_value::<&RawValue>()?;
                    self.0.set(key, Field::Raw(raw));
                }
                Some(key) => {
                    let field = map.next_value_seed(FieldSeed)?;
                    self.0.set(key, field);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct KeySeed;

impl<'a> DeserializeSeed<'a> for KeySeed {
    type Value = Option<Key>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Option<Key>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Option<Key>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<Key>, E> {
        Ok(Key::from_text(text))
    }
}

struct FieldSeed;

impl<'a> DeserializeSeed<'a> for FieldSeed {
    type Value = Field<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Field<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for FieldSeed {
    type Value = Field<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Field<'a>, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Field<'a>, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Field<'a>, E> {
        Ok(Field::Number(number))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Field<'a>, E> {
        Ok(Field::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Field<'a>, E> {
        Ok(Field::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Field<'a>, E> {
        Ok(Field::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Field<'a>, E> {
        Ok(Field::Null)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<Field<'a>, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut entries: A) -> Result<Field<'a>, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}
