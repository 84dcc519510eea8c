//! What is measured, and of what the figures are made.

use std::cell::RefCell;

use crowfly_sim::{Link, LinkStats};

use crate::child::Measure;
use crate::impair::Path;
use crate::pair::{Process, Seen, introduce};
use crate::table::{Table, median};
use crate::{Options, Stack, first_byte, impair, rival};

/// Connections whose setup is timed, in each round.
const SETUPS: usize = 50;
/// Runs of `crowfly pipe`.
const FIRST_BYTES: usize = 20;

/// MB/s of messages of 16 KiB, and what both processes take of the processor for a gigabyte.
pub fn bulk(options: &Options, table: &mut Table) -> anyhow::Result<()> {
    let rows = alternate(options, |stack| transfer(options, stack, Measure::Bulk))?;
    let rate = |(_, receiver): &(Seen, Seen)| receiver.rate() / 1e6;
    let cost = |(sender, receiver): &(Seen, Seen)| {
        let shares = sender.processor / sender.seconds + receiver.processor / receiver.seconds;
        shares / (receiver.rate() / 1e9)
    };
    let half = |seen: fn(&(Seen, Seen)) -> Seen| {
        move |both: &(Seen, Seen)| {
            let seen = seen(both);
            seen.processor / seen.seconds
        }
    };
    table.row("MB/s, 16 KiB", &rows, rate, 0);
    table.row("CPU-s/GB, both", &rows, cost, 2);
    table.row("sender's cores", &rows, half(|both| both.0), 2);
    table.row("receiver's cores", &rows, half(|both| both.1), 2);
    Ok(())
}

/// Round trips a second of 64 bytes, one on its way.
pub fn ping_pong(options: &Options, table: &mut Table) -> anyhow::Result<()> {
    let rows = alternate(options, |stack| transfer(options, stack, Measure::PingPong))?;
    table.row("round trips/s, 64 B", &rows, |(sender, _)| sender.rate(), 0);
    let cost = |(sender, receiver): &(Seen, Seen)| {
        let shares = sender.processor / sender.seconds + receiver.processor / receiver.seconds;
        shares / sender.rate() * 1e6
    };
    table.row("CPU-µs a round trip, both", &rows, cost, 1);
    Ok(())
}

/// Milliseconds from the offer received to the channel open, where it was received.
pub fn setup(options: &Options, table: &mut Table) -> anyhow::Result<()> {
    let rows = alternate(options, |stack| setups(options, stack))?;
    for (name, at) in [("median", 0.5), ("90th percentile", 0.9)] {
        let name = format!("offer received → open, ms, {name} of {SETUPS}");
        table.row(
            &name,
            &rows,
            |times| times[(times.len() as f64 * at) as usize],
            2,
        );
    }
    Ok(())
}

/// MB/s over paths that delay, lose and queue, and what the path did to the packets.
pub fn paths(options: &Options, table: &mut Table) -> anyhow::Result<()> {
    for (name, link) in impair::paths() {
        let rows = alternate(options, |stack| over(options, stack, link.clone()))?;
        table.row(
            &format!("MB/s, {name}"),
            &rows,
            |(seen, _)| seen.rate() / 1e6,
            2,
        );
        let lost = |(_, stats): &(Seen, LinkStats)| {
            stats.dropped() as f64 / stats.offered.max(1) as f64 * 100.0
        };
        table.row("… of the sender's packets lost, %", &rows, lost, 2);
    }
    Ok(())
}

/// Milliseconds until the first byte is there.
pub fn first_byte(options: &Options) -> anyhow::Result<()> {
    let mut times = first_byte::measure(&options.crowfly, FIRST_BYTES)?;
    times.sort_by(f64::total_cmp);
    println!(
        "crowfly pipe LINK, process start → first byte, ms of {FIRST_BYTES}: median {:.0}, least {:.0}, most {:.0}",
        median(times.clone()),
        times[0],
        times[times.len() - 1]
    );
    Ok(())
}

fn alternate<T>(
    options: &Options,
    mut one: impl FnMut(Stack) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<Vec<T>>> {
    let mut rows: Vec<Vec<T>> = options.stacks.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.rounds {
        for (stack, row) in options.stacks.iter().zip(&mut rows) {
            row.push(one(*stack)?);
        }
    }
    Ok(rows)
}

fn start(options: &Options, stack: Stack, measure: Measure, role: &str) -> anyhow::Result<Process> {
    Process::start(&[
        stack.word().to_owned(),
        role.to_owned(),
        measure.word().to_owned(),
        options.length.as_secs_f64().to_string(),
        options.pin.to_string(),
        options.tuning.mtu.to_string(),
        options.tuning.window.to_string(),
        options.tuning.spin.as_micros().to_string(),
    ])
}

/// What the sender and the receiver saw.
fn transfer(options: &Options, stack: Stack, measure: Measure) -> anyhow::Result<(Seen, Seen)> {
    let mut offers = start(options, stack, measure, "offer")?;
    let mut answers = start(options, stack, measure, "answer")?;
    introduce(&mut offers, &mut answers, |text, _| Ok(text.to_owned()))?;
    let seen = (offers.seen()?, answers.seen()?);
    eprintln!(
        "{} {}: {:.1} a second, {:.2} and {:.2} cores",
        stack.word(),
        measure.word(),
        match measure {
            Measure::Bulk => seen.1.rate() / 1e6,
            _ => seen.0.rate(),
        },
        seen.0.processor / seen.0.seconds,
        seen.1.processor / seen.1.seconds
    );
    Ok(seen)
}

/// Bulk over a path: what the receiver saw, and what the path did.
fn over(options: &Options, stack: Stack, link: Link) -> anyhow::Result<(Seen, LinkStats)> {
    let mut offers = start(options, stack, Measure::Bulk, "offer")?;
    let mut answers = start(options, stack, Measure::Bulk, "answer")?;
    let path = RefCell::new(Path::new(rival::address())?);
    introduce(&mut offers, &mut answers, |text, from| {
        path.borrow_mut().disguise(text, from)
    })?;
    let running = path.into_inner().run(link)?;
    let seen = answers.seen()?;
    let stats = running.stop()?;
    eprintln!(
        "{}: {:.2} MB/s, {} of {} packets lost",
        stack.word(),
        seen.rate() / 1e6,
        stats.dropped(),
        stats.offered
    );
    Ok((seen, stats))
}

/// The times, sorted.
fn setups(options: &Options, stack: Stack) -> anyhow::Result<Vec<f64>> {
    let mut offers = start(options, stack, Measure::Setup, "offer")?;
    let mut answers = start(options, stack, Measure::Setup, "answer")?;
    let mut times = Vec::new();
    for _ in 0..SETUPS {
        offers.say("go")?;
        introduce(&mut offers, &mut answers, |text, _| Ok(text.to_owned()))?;
        let micros: f64 = answers.hear("OPEN")?.parse()?;
        offers.hear("OPEN")?;
        times.push(micros / 1e3);
        for process in [&mut offers, &mut answers] {
            process.say("leave")?;
        }
        for process in [&mut offers, &mut answers] {
            process.hear("LEFT")?;
        }
    }
    times.sort_by(f64::total_cmp);
    eprintln!("{} setup: {:.2} ms", stack.word(), times[SETUPS / 2]);
    Ok(times)
}
