//! Room codes: a room and four words, as one person tells them to another. `docs/protocol.md`, "Codes and links".

use std::{fmt, sync::LazyLock};

use unicode_normalization::UnicodeNormalization;

use crate::{RoomName, secret::RoomKey};

/// Words of a code.
pub const WORDS_IN_CODE: usize = 4;

/// In the order of the list, which is sorted. The list is that of the Electronic Frontier Foundation, CC BY 3.0 US.
static WORDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("words.txt").lines().collect());

/// A room and its four words.
///
/// `Debug` tells nothing: a code is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct RoomCode {
    room: RoomName,
    words: [&'static str; WORDS_IN_CODE],
}

/// A text that begins like a code and is none; says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCode {
    /// Too few words, or too many.
    #[error("a code has four words behind its room, this one has {found}")]
    WordCount {
        /// How many there are.
        found: usize,
    },
    /// A word that is not of the list.
    #[error("the {} word is none of the words that codes are made of", ordinal(*.place))]
    UnknownWord {
        /// Which word it is, from 0.
        place: usize,
        /// The word of the list that is meant, probably.
        suggestion: Option<&'static str>,
    },
}

impl RoomCode {
    /// Reads a code as it was typed: letters in any case, anything between the parts that is neither letter nor digit. `None` when the
    /// text does not begin like a code, which is a drawn name with something behind it: then it may be a room's name.
    ///
    /// # Errors
    ///
    /// [`InvalidCode`] says what is wrong. Such a text must not be taken for the name of an open room.
    pub fn parse(text: &str) -> Option<Result<Self, InvalidCode>> {
        if text.len() > RoomName::MAX_BYTES {
            return None;
        }
        let text = text.nfkc().collect::<String>().to_lowercase();
        let parts: Vec<&str> = text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|part| !part.is_empty())
            .collect();
        if parts.len() < 4 {
            return None;
        }
        let name = parts[..3].join("-").replace(['i', 'l'], "1");
        let room = RoomName::parse(&name.replace('o', "0")).ok()?;
        room.is_drawn().then(|| Self::with_words(room, &parts[3..]))
    }

    fn with_words(room: RoomName, parts: &[&str]) -> Result<Self, InvalidCode> {
        let found = parts.len();
        let parts: [&str; WORDS_IN_CODE] = parts
            .try_into()
            .map_err(|_| InvalidCode::WordCount { found })?;
        let mut words = [""; WORDS_IN_CODE];
        for (place, part) in parts.into_iter().enumerate() {
            let at = WORDS
                .binary_search(&part)
                .map_err(|_| InvalidCode::UnknownWord {
                    place,
                    suggestion: suggest(part),
                })?;
            words[place] = WORDS[at];
        }
        Ok(Self { room, words })
    }

    /// The code of a drawn room, its words drawn from 32 random bits each: the odds of two words differ by less than two in a million.
    /// `None` when the name was chosen: a code must not be mistaken for a name.
    pub fn drawn(room: RoomName, random: [u32; WORDS_IN_CODE]) -> Option<Self> {
        let word = |bits: u32| WORDS[((u64::from(bits) * WORDS.len() as u64) >> 32) as usize];
        room.is_drawn().then(|| Self {
            room,
            words: random.map(word),
        })
    }

    /// Which room.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// The key of the room. Takes as long as 600,000 rounds of PBKDF2 take.
    pub fn stretch(&self) -> RoomKey {
        RoomKey::stretch(&self.room, &self.words.join("-"))
    }

    /// The code itself, a secret.
    pub fn reveal(&self) -> String {
        format!("{}-{}", self.room.as_str(), self.words.join("-"))
    }
}

impl fmt::Debug for RoomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomCode(redacted)")
    }
}

fn ordinal(place: usize) -> &'static str {
    ["first", "second", "third", "fourth"]
        .get(place)
        .copied()
        .unwrap_or("last")
}

/// The first word of the list with the fewest mistakes, which are at most two and fewer than half of what was typed.
fn suggest(typed: &str) -> Option<&'static str> {
    let typed = typed.as_bytes();
    if typed.len() > 16 {
        return None;
    }
    let (mistakes, word) = WORDS
        .iter()
        .map(|word| (distance(typed, word.as_bytes()), *word))
        .min_by_key(|&(mistakes, _)| mistakes)?;
    (mistakes <= 2 && 2 * mistakes < typed.len()).then_some(word)
}

/// Letters wrong, missing, too many, or two neighbours exchanged (optimal string alignment).
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut rows = vec![vec![0; other.len() + 1]; one.len() + 1];
    rows[0] = (0..=other.len()).collect();
    for i in 1..=one.len() {
        rows[i][0] = i;
        for j in 1..=other.len() {
            let wrong = usize::from(one[i - 1] != other[j - 1]);
            let mut least = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + wrong);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_holds_no_separator() {
        assert_eq!(WORDS.len(), 7772);
        assert!(WORDS.is_sorted());
        assert!(
            WORDS
                .iter()
                .all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
        );
    }

    #[test]
    fn every_word_can_be_drawn_and_read_again() {
        let room = RoomName::drawn(7);
        let step = (1_u64 << 32).div_ceil(7772) as u32;
        let mut seen = std::collections::HashSet::new();
        for number in 0..7772_u32 {
            let bits = number.saturating_mul(step);
            let code = RoomCode::drawn(room.clone(), [bits, 0, u32::MAX, bits]).unwrap();
            assert_eq!(RoomCode::parse(&code.reveal()), Some(Ok(code.clone())));
            seen.insert(code.words[0]);
        }
        assert!(seen.len() > 7760, "{}", seen.len());
        assert_eq!(
            RoomCode::drawn(RoomName::parse("kitchen").unwrap(), [0; 4]),
            None
        );
    }

    #[test]
    fn a_code_is_not_shown() {
        let code = RoomCode::drawn(RoomName::drawn(7), [0; 4]).unwrap();
        assert_eq!(format!("{code:?}"), "RoomCode(redacted)");
    }
}
