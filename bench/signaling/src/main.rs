//! The signaling benchmark: our server beside PeerJS's, same measures, same run, one core each; the generator has the other.
//!
//! Rounds alternate, ours first; the table shows medians. `docs/performance.md` tells what the figures mean.

mod crowd;
mod dialect;
mod frames;
mod measures;
mod net;
mod server;
mod table;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context;
use lexopt::prelude::*;

use crate::{
    dialect::Dialect,
    measures::{memory, messages, pairings, slow_reader},
    server::{Limits, Programs, Server},
    table::{Table, median},
};

const HELP: &str = "\
signaling-bench [--rounds 5] [--seconds 5] [--crowfly PATH] [--peerjs PATH] [--only ours|peerjs] [MEASURE ...]

Measures: messages pairings memory slow-reader cold-start; without any, all of them.
PATHs: the release binary of crowfly, and node_modules/peer/dist/bin/peerjs.js";

struct Options {
    programs: Programs,
    rounds: usize,
    length: Duration,
    dialects: Vec<Dialect>,
    measures: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let Some(options) = options()? else {
        println!("{HELP}");
        return Ok(());
    };
    server::prepare()?;
    let mut table = Table::new(&options.dialects);
    for measure in &options.measures {
        match measure.as_str() {
            "messages" => messages(&options, &mut table)?,
            "pairings" => {
                let rows = options.alternate(|dialect| {
                    pairings::measure(&options.programs, dialect, options.length)
                })?;
                table.throughput("whole pairings/s", &rows);
            }
            "memory" => memory(&options, &mut table)?,
            "slow-reader" => slow_reader(&options, &mut table)?,
            "cold-start" => cold_start(&options, &mut table)?,
            other => anyhow::bail!("no such measure: {other}\n\n{HELP}"),
        }
    }
    println!(
        "\nmedians of {} rounds, alternating; {} s each\n\n{table}",
        options.rounds,
        options.length.as_secs()
    );
    Ok(())
}

fn messages(options: &Options, table: &mut Table) -> anyhow::Result<()> {
    for window in [1, 8] {
        let rows = options.alternate(|dialect| {
            messages::measure(&options.programs, dialect, window, options.length)
        })?;
        table.throughput(
            &format!("relayed 1.5 KB messages/s, {window} on their way"),
            &rows,
        );
    }
    Ok(())
}

fn memory(options: &Options, table: &mut Table) -> anyhow::Result<()> {
    let rows = options.alternate(|dialect| memory::measure(&options.programs, dialect))?;
    table.less("idle server, MiB", &rows, |row| {
        row.idle as f64 / f64::from(1 << 20)
    });
    table.less(
        &format!("KiB a client, {} clients", memory::CLIENTS),
        &rows,
        |row| row.per_client / 1024.0,
    );
    Ok(())
}

fn slow_reader(options: &Options, table: &mut Table) -> anyhow::Result<()> {
    let rows = options.alternate(|dialect| slow_reader::measure(&options.programs, dialect))?;
    table.less("a reader that never reads, KiB", &rows, |row| {
        row.growth as f64 / 1024.0
    });
    table.words("… closed after, with", &rows, |row| {
        match (&row.closed_after, &row.close) {
            (None, _) => "never".into(),
            (Some(sent), None) => format!(
                "{:.1} MiB, no close frame",
                *sent as f64 / f64::from(1 << 20)
            ),
            (Some(sent), Some((code, reason))) => format!(
                "{:.1} MiB, {code} `{reason}`",
                *sent as f64 / f64::from(1 << 20)
            ),
        }
    });
    Ok(())
}

fn cold_start(options: &Options, table: &mut Table) -> anyhow::Result<()> {
    let rows = options.alternate(|dialect| {
        let starts = (0..20).map(|_| {
            Ok(
                Server::start(&options.programs, dialect, Limits::AsShipped)?
                    .1
                    .as_secs_f64()
                    * 1000.0,
            )
        });
        Ok(median(starts.collect::<anyhow::Result<Vec<_>>>()?))
    })?;
    table.less(
        "exec → first 200 on /, ms (median of 20 a round)",
        &rows,
        |row| *row,
    );
    let size = fs::metadata(&options.programs.crowfly)
        .context("cannot read the binary's size")?
        .len();
    println!("binary: {:.2} MiB", size as f64 / f64::from(1 << 20));
    Ok(())
}

impl Options {
    /// Every round measures each server once; what they yield, by server.
    fn alternate<T>(
        &self,
        measure: impl Fn(Dialect) -> anyhow::Result<T>,
    ) -> anyhow::Result<Vec<Vec<T>>> {
        let mut rows: Vec<Vec<T>> = self.dialects.iter().map(|_| vec![]).collect();
        for round in 0..self.rounds {
            for (row, dialect) in rows.iter_mut().zip(&self.dialects) {
                row.push(
                    measure(*dialect)
                        .with_context(|| format!("{dialect:?}, round {}", round + 1))?,
                );
            }
        }
        Ok(rows)
    }
}

/// `None`: help was asked for.
fn options() -> anyhow::Result<Option<Options>> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut options = Options {
        programs: Programs {
            crowfly: here.join("../../target/release/crowfly"),
            peerjs: here.join("../node_modules/peer/dist/bin/peerjs.js"),
        },
        rounds: 5,
        length: Duration::from_secs(5),
        dialects: vec![Dialect::Crowfly, Dialect::PeerJs],
        measures: vec![],
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => options.rounds = parser.value()?.parse()?,
            Long("seconds") => options.length = Duration::from_secs(parser.value()?.parse()?),
            Long("crowfly") => options.programs.crowfly = parser.value()?.into(),
            Long("peerjs") => options.programs.peerjs = parser.value()?.into(),
            Long("only") => {
                let ours = parser.value()? == "ours";
                options.dialects = vec![if ours {
                    Dialect::Crowfly
                } else {
                    Dialect::PeerJs
                }];
            }
            Long("help") => return Ok(None),
            Value(measure) => options.measures.push(measure.string()?),
            _ => return Err(argument.unexpected().into()),
        }
    }
    if options.measures.is_empty() {
        options.measures = [
            "messages",
            "pairings",
            "memory",
            "slow-reader",
            "cold-start",
        ]
        .map(String::from)
        .into();
    }
    Ok(Some(options))
}
