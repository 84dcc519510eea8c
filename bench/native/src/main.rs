//! The native peer beside the fastest rival, over real sockets of one machine: two processes a pair, the same measures, the same run.
//!
//! Rounds alternate, ours first; the table shows medians. `docs/performance.md` tells what the figures mean.

mod child;
mod first_byte;
mod impair;
mod measures;
mod ours;
mod pair;
mod rival;
mod table;

use std::time::Duration;

use anyhow::bail;
use lexopt::prelude::*;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::child::{Measure, Role};
use crate::ours::Lane;
use crate::rival::Tuning;
use crate::table::Table;

const HELP: &str = "\
native-bench [--rounds 5] [--seconds 3] [--only STACK]... [MEASURE ...]

Measures: bulk ping-pong setup; without any, these three. paths: bulk over an emulated path.
first-byte: `crowfly pipe LINK`, of the release binary or --crowfly PATH.
Stacks: ours (a channel), ours-main (Peer::send), rtc.
--rtc-mtu and --rtc-window set the rival's packets and window.";

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    Ours(Lane),
    Rtc,
}

impl Stack {
    const ALL: [Self; 3] = [Self::Ours(Lane::Channel), Self::Ours(Lane::Main), Self::Rtc];

    pub fn word(self) -> &'static str {
        match self {
            Self::Ours(Lane::Channel) => "ours",
            Self::Ours(Lane::Main) => "ours-main",
            Self::Rtc => "rtc",
        }
    }

    fn parse(word: &str) -> anyhow::Result<Self> {
        match Self::ALL.into_iter().find(|stack| stack.word() == word) {
            Some(stack) => Ok(stack),
            None => bail!("no such stack: {word}\n\n{HELP}"),
        }
    }
}

pub struct Options {
    pub rounds: usize,
    pub length: Duration,
    pub stacks: Vec<Stack>,
    pub measures: Vec<String>,
    pub tuning: Tuning,
    /// One core each.
    pub pin: bool,
    /// The binary.
    pub crowfly: String,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("peer") {
        return peer(&arguments.collect::<Vec<_>>());
    }
    let Some(options) = options()? else {
        println!("{HELP}");
        return Ok(());
    };
    let mut table = Table::new(&options.stacks);
    for measure in &options.measures {
        match measure.as_str() {
            "bulk" => measures::bulk(&options, &mut table)?,
            "ping-pong" => measures::ping_pong(&options, &mut table)?,
            "setup" => measures::setup(&options, &mut table)?,
            "paths" => measures::paths(&options, &mut table)?,
            "first-byte" => measures::first_byte(&options)?,
            other => bail!("no such measure: {other}\n\n{HELP}"),
        }
    }
    println!(
        "\nmedians of {} rounds, alternating; {} s each\n\n{table}",
        options.rounds,
        options.length.as_secs_f64()
    );
    Ok(())
}

fn options() -> anyhow::Result<Option<Options>> {
    let mut options = Options {
        rounds: 5,
        length: Duration::from_secs(3),
        stacks: Vec::new(),
        measures: Vec::new(),
        pin: false,
        crowfly: "../../target/release/crowfly".to_owned(),
        tuning: Tuning {
            mtu: 1432,
            window: 1 << 20,
            spin: Duration::ZERO,
        },
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => options.rounds = parser.value()?.parse()?,
            Long("seconds") => {
                options.length = Duration::from_secs_f64(parser.value()?.parse()?);
            }
            Long("only") => options
                .stacks
                .push(Stack::parse(&parser.value()?.string()?)?),
            Long("rtc-mtu") => options.tuning.mtu = parser.value()?.parse()?,
            Long("rtc-spin") => {
                options.tuning.spin = Duration::from_micros(parser.value()?.parse()?);
            }
            Long("crowfly") => options.crowfly = parser.value()?.string()?,
            Long("pin") => options.pin = true,
            Long("rtc-window") => options.tuning.window = parser.value()?.parse()?,
            Long("help") | Short('h') => return Ok(None),
            Value(measure) => options.measures.push(measure.string()?),
            _ => return Err(argument.unexpected().into()),
        }
    }
    if options.stacks.is_empty() {
        options.stacks = Stack::ALL.to_vec();
    }
    if options.measures.is_empty() {
        options.measures = ["bulk", "ping-pong", "setup"].map(str::to_owned).to_vec();
    }
    Ok(Some(options))
}

/// What the generator starts: `STACK ROLE MEASURE SECONDS PIN MTU WINDOW SPIN`.
fn peer(arguments: &[String]) -> anyhow::Result<()> {
    let [stack, role, measure, seconds, pin, mtu, window, spin] = arguments else {
        bail!("eight arguments, not {}", arguments.len());
    };
    let role = match role.as_str() {
        "offer" => Role::Offer,
        _ => Role::Answer,
    };
    let (measure, length) = (
        Measure::parse(measure)?,
        Duration::from_secs_f64(seconds.parse()?),
    );
    if pin == "true" {
        let mut core = CpuSet::new();
        core.set(usize::from(role == Role::Answer));
        sched_setaffinity(None, &core)?;
    }
    match Stack::parse(stack)? {
        Stack::Ours(lane) => ours::run(role, measure, length, lane),
        Stack::Rtc => {
            let tuning = Tuning {
                mtu: mtu.parse()?,
                window: window.parse()?,
                spin: Duration::from_micros(spin.parse()?),
            };
            rival::run(role, measure, length, tuning)
        }
    }
}
