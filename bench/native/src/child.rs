//! One peer in a process of its own: what both stacks share. It speaks to the generator by lines, a word and what belongs to it.

use std::io::{BufRead, Write, stdin, stdout};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::time::{ClockId, clock_gettime};

/// Bytes of a message in bulk.
pub const MESSAGE: usize = 16 * 1024;
/// Bytes of a message that is thrown back.
pub const BALL: usize = 64;
/// How long a transfer runs before it is measured.
pub const WARM_UP: Duration = Duration::from_millis(500);

/// Who offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Offer,
    Answer,
}

/// What is done with the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The offerer sends messages of 16 KiB without end.
    Bulk,
    /// The offerer throws 64 bytes, the answerer throws them back.
    PingPong,
    /// Opened, no more.
    Setup,
}

impl Measure {
    pub fn parse(word: &str) -> anyhow::Result<Self> {
        Ok(match word {
            "bulk" => Self::Bulk,
            "ping-pong" => Self::PingPong,
            "setup" => Self::Setup,
            other => bail!("no such measure: {other}"),
        })
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::PingPong => "ping-pong",
            Self::Setup => "setup",
        }
    }
}

/// Says a line to the generator.
pub fn say(word: &str, about: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{word} {about}")?;
    out.flush()?;
    Ok(())
}

/// The next line of the generator; `None` when it has no more.
pub fn hear() -> anyhow::Result<Option<String>> {
    let mut line = String::new();
    let read = stdin().lock().read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end().to_owned()))
}

/// The next line, which is to come.
pub fn hear_one() -> anyhow::Result<String> {
    hear()?.context("the generator went away")
}

/// Counts what happens within a stretch of time, and the processor time of this process meanwhile.
pub struct Window {
    begins: Instant,
    ends: Instant,
    began: Option<(Instant, f64)>,
    over: bool,
    count: u64,
}

impl Window {
    /// From a moment after now, for so long.
    pub fn new(length: Duration) -> Self {
        let begins = Instant::now() + WARM_UP;
        Self {
            begins,
            ends: begins + length,
            began: None,
            over: false,
            count: 0,
        }
    }

    /// So much happened. When it is over the figures are said.
    pub fn add(&mut self, now: Instant, amount: u64) -> anyhow::Result<()> {
        if now < self.begins || self.over {
            return Ok(());
        }
        let (began, processor) = *self.began.get_or_insert_with(|| (now, processor_time()));
        self.count += amount;
        if now < self.ends {
            return Ok(());
        }
        self.over = true;
        let (seconds, processor) = (
            now.duration_since(began).as_secs_f64(),
            processor_time() - processor,
        );
        say("RESULT", &format!("{} {seconds} {processor}", self.count))
    }
}

/// Seconds of the processor this process has used.
pub fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
