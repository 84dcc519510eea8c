//! What paths with loss, delay and short queues make of ours and of the rivals, in virtual time.
//!
//! ```sh
//! cargo bench -p crowfly-sctp --bench paths                       # everything; takes minutes, the rivals are slow
//! cargo bench -p crowfly-sctp --bench paths -- --write            # … and into docs/performance.md
//! cargo bench -p crowfly-sctp --bench paths -- --only ours,cubic --link wi-fi --detail
//! ```
//!
//! `--only` takes names of contenders (`ours`, `cubic`, `dcsctp`, `rtc`), `--link` a part of a row's name or its number,
//! `--seed` and `--seconds` numbers; `--detail` prints what the path and ours did every 100 ms.

#![allow(clippy::print_stdout, reason = "a table for people")]

#[path = "../../tests/stacks/mod.rs"]
mod stacks;

mod contenders;
mod fairness;
mod rows;
mod table;

use std::time::Duration;

/// What the command line asks for.
struct Arguments {
    only: Vec<String>,
    link: Option<String>,
    seed: u64,
    seconds: u64,
    detail: bool,
    write: bool,
}

impl Arguments {
    fn parse() -> Self {
        let mut parsed = Self {
            only: Vec::new(),
            link: None,
            seed: 1,
            seconds: 9,
            detail: false,
            write: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().expect("a value after the option");
            match argument.as_str() {
                "--only" => parsed.only = value().split(',').map(str::to_owned).collect(),
                "--link" => parsed.link = Some(value().to_lowercase()),
                "--seed" => parsed.seed = value().parse().expect("a number"),
                "--seconds" => parsed.seconds = value().parse().expect("a number"),
                "--detail" => parsed.detail = true,
                "--write" => parsed.write = true,
                // Cargo says so to every benchmark.
                "--bench" => {}
                other => panic!("unknown option {other}"),
            }
        }
        parsed
    }

    fn wants(&self, contender: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == contender)
    }

    fn wants_row(&self, number: usize, name: &str) -> bool {
        let chosen = |link: &String| match link.parse::<usize>() {
            Ok(chosen) => chosen == number,
            Err(_) => name.to_lowercase().contains(link),
        };
        self.link.as_ref().is_none_or(chosen)
    }
}

fn main() {
    let arguments = Arguments::parse();
    let time = Duration::from_secs(arguments.seconds);
    let mut table = table::Table::default();
    for (number, row) in (1..).zip(rows::rows()) {
        if !arguments.wants_row(number, row.name) {
            continue;
        }
        for contender in contenders::ALL {
            if arguments.wants(contender.name) {
                let result = rows::measure(&row, contender, arguments.seed, time, arguments.detail);
                println!(
                    "{number} {:44} {:7} {}",
                    row.name,
                    contender.name,
                    result.line()
                );
                table.add(&row, contender, &result);
            }
        }
    }
    fairness::run(&arguments, &mut table);
    println!("\n{}", table.markdown());
    if arguments.write {
        table.write();
    }
}
