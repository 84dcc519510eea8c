//! Where a chat is read and written: a terminal with line editing, or plain lines.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use tokio::io::{AsyncWriteExt, Stdout};
use tokio::sync::mpsc;

use super::news::{self, News};
use crate::output::{self, harmless};

/// Lines typed ahead at most.
const LINES: usize = 64;
const PROMPT: &str = "> ";
/// The prompt is wiped, and pasted text is not marked any more (`ESC [ ? 2004`, as the editor asked for).
const LEAVE_EDITING: &[u8] = b"\r\x1b[K\x1b[?2004l";

/// What was typed.
#[derive(Debug)]
pub(super) enum Line {
    Text(String),
    /// Ctrl-C, Ctrl-D, or the end of a file.
    End,
}

/// See the module.
pub(super) enum Screen {
    Terminal {
        printer: Mutex<Box<dyn ExternalPrinter + Send>>,
        /// As it was before the editor took it over; the editor's thread sits in a read when the chat ends elsewhere.
        before: Option<Termios>,
    },
    Plain {
        stdout: Stdout,
        /// A person reads what nobody can type to: escape codes must not reach the terminal there either.
        watched: bool,
    },
    Json {
        stdout: Stdout,
    },
}

impl Screen {
    /// Begins to read lines.
    pub(super) fn open(json: bool) -> Result<(Self, mpsc::Receiver<Line>)> {
        let (typed, lines) = mpsc::channel(LINES);
        if json {
            thread::spawn(move || read_plain(&typed));
            let stdout = tokio::io::stdout();
            return Ok((Self::Json { stdout }, lines));
        }
        if !(io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal())
        {
            thread::spawn(move || read_plain(&typed));
            let (stdout, watched) = (tokio::io::stdout(), io::stdout().is_terminal());
            return Ok((Self::Plain { stdout, watched }, lines));
        }
        let before = tcgetattr(io::stdin()).ok();
        let mut editor = DefaultEditor::new().context("could not take over the terminal")?;
        let printer = editor
            .create_external_printer()
            .context("could not take over the terminal")?;
        thread::spawn(move || read_edited(editor, &typed));
        let printer: Box<dyn ExternalPrinter + Send> = Box::new(printer);
        let printer = Mutex::new(printer);
        Ok((Self::Terminal { printer, before }, lines))
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal { .. })
    }

    /// What the other side wrote. An error of kind [`io::ErrorKind::BrokenPipe`] says that nobody reads here any more.
    pub(super) async fn message(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Terminal { .. } => {
                self.print(&format!("\u{1b}[1mthem\u{1b}[0m  {}", harmless(text)));
                Ok(())
            }
            Self::Plain {
                stdout,
                watched: true,
            } => write(stdout, &harmless(text)).await,
            Self::Plain { stdout, .. } => write(stdout, text).await,
            Self::Json { stdout } => write(stdout, &news::message(text).to_string()).await,
        }
    }

    /// What happens. Fails as [`Self::message`] does.
    pub(super) async fn tell(&mut self, news: &News) -> io::Result<()> {
        match self {
            Self::Terminal { .. } => self.status(&news.words()),
            Self::Plain { .. } => output::line(&news.words()),
            Self::Json { stdout } => return write(stdout, &news.json().to_string()).await,
        }
        Ok(())
    }

    /// A person sees that it is over; others see the end of the stream.
    pub(super) fn left(&self) {
        if self.is_terminal() {
            self.status("left");
        }
    }

    fn status(&self, text: &str) {
        self.print(&format!("\u{1b}[2m{}\u{1b}[0m", harmless(text)));
    }

    fn print(&self, text: &str) {
        if let Self::Terminal { printer, .. } = self
            && let Ok(mut printer) = printer.lock()
        {
            // The editor is gone where this fails, and the chat is about to end.
            let _ = printer.print(format!("{text}\n"));
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Self::Terminal {
            before: Some(before),
            ..
        } = self
        {
            // A terminal that is gone needs nothing back.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
            let _ = io::stdout().lock().write_all(LEAVE_EDITING);
            let _ = io::stdout().lock().flush();
        }
    }
}

async fn write(stdout: &mut Stdout, line: &str) -> io::Result<()> {
    stdout.write_all(format!("{line}\n").as_bytes()).await?;
    stdout.flush().await
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
