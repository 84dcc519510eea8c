//! Two processes that connect to each other, and what they say of it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};

/// What one of the two measured.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Bytes, or round trips.
    pub count: f64,
    pub seconds: f64,
    /// Of the processor.
    pub processor: f64,
}

impl Seen {
    pub fn rate(self) -> f64 {
        self.count / self.seconds
    }
}

/// One of the two.
pub struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// This program again, as a peer.
    pub fn start(arguments: &[String]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("peer")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("its stdin")?;
        let output = BufReader::new(child.stdout.take().context("its stdout")?);
        Ok(Self {
            child,
            input,
            output,
        })
    }

    pub fn say(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    /// The rest of the next line, which begins with this word.
    pub fn hear(&mut self, word: &str) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        match line.trim_end_matches('\n').split_once(' ') {
            Some((first, rest)) if first == word => Ok(rest.to_owned()),
            _ => bail!("{word} was to come, not {line:?}"),
        }
    }

    pub fn seen(&mut self) -> anyhow::Result<Seen> {
        let line = self.hear("RESULT")?;
        let numbers: Result<Vec<f64>, _> = line.split(' ').map(str::parse).collect();
        match numbers?[..] {
            [count, seconds, processor] => Ok(Seen {
                count,
                seconds,
                processor,
            }),
            _ => bail!("three numbers were to come, not {line:?}"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its end is ours to cause; where it has ended by itself these say so, and that is no news.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Carries the descriptions; `between` may change who is said to be where.
pub fn introduce(
    offers: &mut Process,
    answers: &mut Process,
    between: impl Fn(&str, usize) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let offer = offers.hear("OFFER")?;
    answers.say(&between(&offer, 0)?)?;
    let answer = answers.hear("ANSWER")?;
    offers.say(&between(&answer, 1)?)
}
