//! Words for people, on stderr.

use std::fmt;
use std::io::{self, Write};

/// What to try, attached to an error as its outermost context by [`hint`].
#[derive(Debug)]
struct Hint {
    text: String,
}

impl fmt::Display for Hint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Adds to an error what its reader can try.
pub(crate) fn hint(error: impl Into<anyhow::Error>, text: impl Into<String>) -> anyhow::Error {
    error.into().context(Hint { text: text.into() })
}

/// Prints an error, what caused it, and what to try.
pub(crate) fn error(error: &anyhow::Error) {
    let hint = error.downcast_ref::<Hint>();
    let mut causes = error.chain().skip(usize::from(hint.is_some()));
    let mut text = String::new();
    if let Some(first) = causes.next() {
        text = format!("error: {first}\n");
    }
    for cause in causes {
        text += &format!("  cause: {cause}\n");
    }
    if let Some(hint) = hint {
        text += &format!("hint: {hint}\n");
    }
    say(&text);
}

/// Prints a line for people. Where nobody reads stderr, nothing is lost.
pub(crate) fn line(text: &str) {
    say(&format!("{text}\n"));
}

/// Text that cannot move the cursor, change colours or turn the reading direction of what stands around it.
pub(crate) fn harmless(text: &str) -> String {
    let spoils = |character: char| {
        (character.is_control() && character != '\n' && character != '\t')
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|character| {
            if spoils(character) {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

/// A part of it may be a server's word, or the other side's.
fn say(text: &str) {
    let _ = io::stderr().lock().write_all(harmless(text).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_codes_do_not_reach_the_terminal() {
        assert_eq!(
            harmless("a\u{1b}[2Jb\r\u{9b}0m\u{202e}c"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}0m\u{fffd}c"
        );
        assert_eq!(harmless("Krähe\n\tcaw"), "Krähe\n\tcaw");
    }
}
