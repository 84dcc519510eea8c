//! Room names: what people type, brought to one spelling.

use std::{fmt, str::FromStr, sync::Arc};

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// The name of a room, in the one spelling the server uses. Cheap to clone.
///
/// `Debug` tells only its length: names of rooms do not belong into logs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RoomName(Arc<str>);

/// A text that cannot name a room; says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRoomName {
    /// Nothing is left once outer white space is gone.
    #[error("a room name cannot be empty")]
    Empty,
    /// More than [`RoomName::MAX_CHARS`] characters, or more than [`RoomName::MAX_BYTES`] bytes as given.
    #[error("a room name has at most 64 characters")]
    TooLong,
    /// The first character is not a letter or digit.
    #[error("a room name begins with a letter or digit")]
    Beginning,
    /// A character that is not a letter, digit, combining mark, `-` or `_`, or one that cannot be seen.
    #[error("a room name has letters, digits, - and _ only, not U+{:04X}", u32::from(*.0))]
    Character(char),
}

impl RoomName {
    /// Characters a name may have.
    pub const MAX_CHARS: usize = 64;
    /// Bytes looked at; a longer text is refused unread. NFKC shortens, so this is more than 64 characters need.
    pub const MAX_BYTES: usize = 1024;

    /// Brings a text to the one spelling: NFKC, lower case, outer white space dropped, runs of it inside become one `-`.
    ///
    /// # Errors
    ///
    /// [`InvalidRoomName`] says which rule of `docs/protocol.md` the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidRoomName> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidRoomName::TooLong);
        }
        let name = if is_normal_ascii(text) {
            text.to_owned()
        } else {
            normalise(text)
        };
        let first = name.chars().next().ok_or(InvalidRoomName::Empty)?;
        if let Some(character) = name.chars().find(|&character| !is_allowed(character)) {
            return Err(InvalidRoomName::Character(character));
        }
        if !is_letter_or_digit(first) {
            return Err(InvalidRoomName::Beginning);
        }
        if name.chars().count() > Self::MAX_CHARS {
            return Err(InvalidRoomName::TooLong);
        }
        Ok(Self(name.into()))
    }

    /// The name drawn from the low 60 of these random bits: twelve symbols of Crockford's base32 in lower case, as
    /// `k7fq-9xqm-2p4t`.
    pub fn drawn(random: u64) -> Self {
        let symbol = |place: u32| char::from(CROCKFORD[(random >> (5 * place)) as usize & 31]);
        let group = |first: u32| (first..first + 4).map(symbol).collect::<String>();
        Self([group(0), group(4), group(8)].join("-").into())
    }

    /// Whether this is the shape of a name drawn by a server, which cannot be chosen: who knows it was given it.
    pub fn is_drawn(&self) -> bool {
        self.0.len() == 14
            && self.0.bytes().enumerate().all(|(place, byte)| match place {
                4 | 9 => byte == b'-',
                _ => CROCKFORD.contains(&byte),
            })
    }

    /// The name itself. It is a secret when it was drawn.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoomName {
    type Err = InvalidRoomName;

    fn from_str(text: &str) -> Result<Self, InvalidRoomName> {
        Self::parse(text)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomName({} characters)", self.0.chars().count())
    }
}

/// Crockford's base32 without i, l, o and u.
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Most names, and all that were normalised before, need no second look.
fn is_normal_ascii(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

fn normalise(text: &str) -> String {
    // Lower case can leave what NFKC composes (J and U+030C have no one character, j and U+030C have), so NFKC comes twice.
    let lower = text.nfkc().collect::<String>().to_lowercase();
    let composed = lower.nfkc().collect::<String>();
    composed.split_whitespace().collect::<Vec<_>>().join("-")
}

fn is_allowed(character: char) -> bool {
    match character {
        '-' | '_' => true,
        _ if is_invisible(character) => false,
        _ => {
            is_letter_or_digit(character)
                || character.general_category_group() == GeneralCategoryGroup::Mark
        }
    }
}

fn is_letter_or_digit(character: char) -> bool {
    character.general_category_group() == GeneralCategoryGroup::Letter
        || character.general_category() == GeneralCategory::DecimalNumber
}

/// Letters and marks that are Default_Ignorable_Code_Point (UAX #44): two names that look the same must be the same.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_name_holds_sixty_bits() {
        assert_eq!(RoomName::drawn(0).as_str(), "0000-0000-0000");
        assert_eq!(RoomName::drawn(u64::MAX).as_str(), "zzzz-zzzz-zzzz");
        let one_bit_each = (0..60).map(|bit| RoomName::drawn(1 << bit).0);
        let different = one_bit_each.collect::<std::collections::HashSet<_>>();
        assert_eq!(different.len(), 60);
        assert_eq!(RoomName::drawn(1 << 60), RoomName::drawn(0));
    }

    #[test]
    fn a_drawn_name_is_known_by_its_shape() {
        for random in [0, 0x0123_4567_89ab_cdef, u64::MAX] {
            let name = RoomName::drawn(random);
            assert!(name.is_drawn());
            assert_eq!(RoomName::parse(name.as_str()), Ok(name));
        }
        for chosen in [
            "k7fq-9xqm-2p4",   // a symbol short
            "k7fq-9xqm-2p4tt", // a symbol long
            "k7fq09xqm-2p4t",
            "k7fq-9xqm02p4t",
            "k7f-q9xqm-2p4t",
            "k7fq-9xqm-2p4u", // u is no symbol
            "k7fq-9xqm-2p4é",
            "kitchen",
        ] {
            assert!(!RoomName::parse(chosen).unwrap().is_drawn(), "{chosen}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said() {
        use InvalidRoomName::{Beginning, Character, Empty, TooLong};
        for (text, wrong) in [
            ("", Empty),
            (" \n", Empty),
            ("-a", Beginning),
            ("\u{301}a", Beginning),
            ("a/b", Character('/')),
            ("a\u{202e}b", Character('\u{202e}')),
            (&"a".repeat(65), TooLong),
            (&"é".repeat(65), TooLong),
            (&" ".repeat(RoomName::MAX_BYTES + 1), TooLong),
        ] {
            assert_eq!(RoomName::parse(text), Err(wrong), "{text:?}");
        }
        assert_eq!(
            InvalidRoomName::Character('\u{202e}').to_string(),
            "a room name has letters, digits, - and _ only, not U+202E"
        );
    }

    #[test]
    fn a_name_is_not_shown() {
        let shown = format!("{:?}", RoomName::parse("küche").unwrap());
        assert_eq!(shown, "RoomName(5 characters)");
    }
}
