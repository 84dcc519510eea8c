//! The developers' commands: `cargo xtask help` lists them.
//!
//! `cargo xtask test` is the whole check, from a bare Debian with Rust and Node; `.ci/run` is nothing else.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command that talks to people

use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

mod fuzz;
mod parts;
mod run;
mod sbom;
mod setup;
mod tidy;
mod workspace;

const HELP: &str = "\
cargo xtask test [GROUP] [FILTER] [options]   everything, or one group: lint, rust, fuzz, js, e2e, rfc6455
cargo xtask setup                             installs what the tests need, or says how to
cargo xtask tidy                              the house rules alone
cargo xtask sbom                              what the binary is made of: target/crowfly.cdx.json (CycloneDX)

  GROUP          lint: fmt, clippy, deny, tidy; rust: unit, integration and doc tests;
                 fuzz: every target of fuzz/, two at a time, 60 s each or four minutes in all;
                 js: tsc and node tests; e2e: Chromium and Firefox against the release binary;
                 rfc6455: the Autobahn suite against the WebSocket code of /ws
  FILTER         rust: part of a test's name; fuzz: of a target's; js, e2e: part of a file's name, else of a test's name
  --repeat N     run the tests N times, stop at the first failure
  --long         the full-size runs (1 GiB transfers, ten minutes a fuzz target)
  --screenshots  e2e writes its pictures to target/screenshots
  --no-setup     install nothing, take what is there
";

fn main() -> ExitCode {
    match command() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command of the arguments; false when a check failed and has said so.
fn command() -> Result<bool> {
    let mut parser = lexopt::Parser::from_env();
    let mut words = Vec::new();
    let mut options = parts::Options::default();
    let mut install = true;
    while let Some(argument) = parser.next()? {
        match argument {
            Value(word) => words.push(word.string()?),
            Long("repeat") => options.repeat = parser.value()?.parse()?,
            Long("long") => options.long = true,
            Long("screenshots") => options.screenshots = true,
            Long("no-setup") => install = false,
            Short('h') | Long("help") => words.insert(0, "help".into()),
            other => return Err(other.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let root = workspace::root();
    match words[..] {
        ["test", ref rest @ ..] if rest.len() <= 2 => {
            let groups = parts::Group::select(rest.first().copied())?;
            options.filter = rest.get(1).map(ToString::to_string);
            parts::test(&root, &groups, &options, install)
        }
        ["setup"] => setup::run(&root, &setup::Need::ALL).map(|()| true),
        ["tidy"] => tidy::run(&root),
        ["sbom"] => sbom::run(&root, install),
        [] | ["help", ..] => {
            print!("{HELP}");
            Ok(true)
        }
        _ => bail!(
            "no such command: {}; see `cargo xtask help`",
            words.join(" ")
        ),
    }
}
