//! Where a chat is read and written: a terminal with line editing, or plain lines.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result};
use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc;

use crate::output;

/// Lines typed ahead at most.
const LINES: usize = 64;
const PROMPT: &str = "> ";

/// What was typed.
#[derive(Debug)]
pub(super) enum Line {
    Text(String),
    /// Ctrl-C, Ctrl-D, or the end of a file.
    End,
}

/// See the module.
pub(super) enum Screen {
    Terminal(Mutex<Box<dyn ExternalPrinter + Send>>),
    Plain,
}

impl Screen {
    /// Begins to read lines.
    pub(super) fn open() -> Result<(Self, mpsc::Receiver<Line>)> {
        let (typed, lines) = mpsc::channel(LINES);
        if !(io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal())
        {
            thread::spawn(move || read_plain(&typed));
            return Ok((Self::Plain, lines));
        }
        let mut editor = DefaultEditor::new().context("could not take over the terminal")?;
        let printer = editor
            .create_external_printer()
            .context("could not take over the terminal")?;
        thread::spawn(move || read_edited(editor, &typed));
        Ok((Self::Terminal(Mutex::new(Box::new(printer))), lines))
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// What the other side wrote.
    pub(super) fn message(&self, text: &str) {
        match self {
            Self::Terminal(_) => self.print(&format!("\u{1b}[1mthem\u{1b}[0m  {}", harmless(text))),
            Self::Plain => {
                // Where nobody reads stdout any more, the next line to send finds that out.
                let _ = writeln!(io::stdout().lock(), "{text}");
            }
        }
    }

    /// What happens.
    pub(super) fn status(&self, text: &str) {
        match self {
            Self::Terminal(_) => self.print(&format!("\u{1b}[2m{}\u{1b}[0m", harmless(text))),
            Self::Plain => output::line(&harmless(text)),
        }
    }

    fn print(&self, text: &str) {
        if let Self::Terminal(printer) = self
            && let Ok(mut printer) = printer.lock()
        {
            // The editor is gone where this fails, and the chat is about to end.
            let _ = printer.print(format!("{text}\n"));
        }
    }
}

fn read_plain(typed: &mpsc::Sender<Line>) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if typed.blocking_send(Line::Text(line)).is_err() {
            return;
        }
    }
    let _ = typed.blocking_send(Line::End);
}

fn read_edited(mut editor: DefaultEditor, typed: &mpsc::Sender<Line>) {
    loop {
        let line = match editor.readline(PROMPT) {
            Ok(line) => {
                // A history that is full forgets by itself.
                let _ = editor.add_history_entry(&line);
                Line::Text(line)
            }
            Err(ReadlineError::Signal(_)) => continue, // the window has another size
            Err(_) => Line::End,
        };
        let ended = matches!(line, Line::End);
        if typed.blocking_send(line).is_err() || ended {
            return;
        }
    }
}

/// Text that cannot move the cursor, change colours or turn the reading direction of what stands around it.
fn harmless(text: &str) -> String {
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
