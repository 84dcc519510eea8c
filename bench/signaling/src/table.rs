//! The table that is printed: a measure a row, a server a column, and their ratio. As a measure ends, its single rounds are printed.

use std::fmt;

use crate::{dialect::Dialect, measures::Throughput};

pub struct Table {
    names: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(dialects: &[Dialect]) -> Self {
        let names = dialects.iter().map(|dialect| match dialect {
            Dialect::Crowfly => "crowfly",
            Dialect::PeerJs => "peer (PeerJS)",
        });
        Self {
            names: names.collect(),
            rows: vec![],
        }
    }

    /// Something of which more is better. Loads tell who was the bottleneck.
    pub fn throughput(&mut self, name: &str, rows: &[Vec<Throughput>]) {
        for (server, rounds) in self.names.iter().zip(rows) {
            let rounds = rounds.iter().map(|round| {
                format!(
                    "{:.0} (server {:.0} %, generator {:.0} %)",
                    round.per_second,
                    round.server_load * 100.0,
                    round.generator_load * 100.0
                )
            });
            println!(
                "{name}, {server}: {}",
                rounds.collect::<Vec<_>>().join(", ")
            );
        }
        let rate = medians(rows, |round| round.per_second);
        self.push(
            name,
            rate.iter().map(|median| format!("{median:.0}")),
            ratio(&rate, false),
        );
        let cost = medians(rows, |round| round.server_load / round.per_second * 1e6);
        self.push(
            "… server's processor time each, µs",
            cost.iter().map(|median| format!("{median:.1}")),
            ratio(&cost, true),
        );
    }

    /// Something of which less is better.
    pub fn less<T>(&mut self, name: &str, rows: &[Vec<T>], value: impl Fn(&T) -> f64) {
        for (server, rounds) in self.names.iter().zip(rows) {
            let rounds = rounds.iter().map(|round| format!("{:.2}", value(round)));
            println!(
                "{name}, {server}: {}",
                rounds.collect::<Vec<_>>().join(", ")
            );
        }
        let medians = medians(rows, value);
        self.push(
            name,
            medians.iter().map(|median| format!("{median:.2}")),
            ratio(&medians, true),
        );
    }

    /// Something that is no number: the last round's, with all rounds printed.
    pub fn words<T>(&mut self, name: &str, rows: &[Vec<T>], words: impl Fn(&T) -> String) {
        for (server, rounds) in self.names.iter().zip(rows) {
            println!(
                "{name}, {server}: {}",
                rounds.iter().map(&words).collect::<Vec<_>>().join("; ")
            );
        }
        self.push(
            name,
            rows.iter().filter_map(|rounds| rounds.last()).map(&words),
            String::new(),
        );
    }

    fn push(&mut self, name: &str, cells: impl Iterator<Item = String>, ratio: String) {
        self.rows.push(
            [name.to_owned()]
                .into_iter()
                .chain(cells)
                .chain([ratio])
                .collect(),
        );
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| measure | {} | ours is |", self.names.join(" | "))?;
        writeln!(f, "|---{}|---|", "|---".repeat(self.names.len()))?;
        self.rows
            .iter()
            .try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

fn medians<T>(rows: &[Vec<T>], value: impl Fn(&T) -> f64) -> Vec<f64> {
    rows.iter()
        .map(|rounds| median(rounds.iter().map(&value).collect()))
        .collect()
}

/// How many times better the first is.
fn ratio(medians: &[f64], less_is_better: bool) -> String {
    match medians {
        [ours, theirs] if less_is_better => format!("{:.2}× less", theirs / ours),
        [ours, theirs] => format!("{:.2}×", ours / theirs),
        _ => String::new(),
    }
}
