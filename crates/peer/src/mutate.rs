//! Tests only: what a stranger could have sent, made of what somebody honest sends.

use fastrand::Rng;

/// A text with a few places changed: characters dropped, doubled, swapped for others that mean something, or cut off.
pub(crate) fn text(random: &mut Rng, honest: &str) -> String {
    const MEANING: [char; 16] = [
        '"', '{', '}', '[', ']', ':', ',', '0', '9', '-', ' ', '\r', '\n', '=', '\u{0}', 'ü',
    ];
    let mut characters: Vec<char> = honest.chars().collect();
    for _ in 0..random.usize(1..6) {
        if characters.is_empty() {
            break;
        }
        let at = random.usize(..characters.len());
        match random.u8(..5) {
            0 => drop(characters.remove(at)),
            1 => characters.insert(at, characters[at]),
            2 => characters[at] = MEANING[random.usize(..MEANING.len())],
            3 => characters.truncate(at),
            _ => {
                let from = random.usize(..=at);
                let piece = characters[from..at].to_vec();
                characters.splice(at..at, piece);
            }
        }
    }
    characters.into_iter().collect()
}

/// Bytes with a few places changed.
pub(crate) fn bytes(random: &mut Rng, honest: &[u8]) -> Vec<u8> {
    let mut bytes = honest.to_vec();
    for _ in 0..random.usize(1..6) {
        if bytes.is_empty() {
            break;
        }
        let at = random.usize(..bytes.len());
        match random.u8(..4) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, random.u8(..)),
            2 => bytes[at] = random.u8(..),
            _ => bytes.truncate(at),
        }
    }
    bytes
}
