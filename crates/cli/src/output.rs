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

fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
