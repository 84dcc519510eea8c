//! The binary `crowfly`.
//!
//! One file a verb. stdout is for data only; everything a person reads goes to stderr. Exit codes: 0 done, 1 failed, 2 usage.

mod chat;
mod config;
mod log;
mod meet;
mod output;
mod pipe;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Direct connections between two people or programs, as the crow flies.
#[derive(Debug, Parser)]
#[command(
    name = "crowfly",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Args {
    #[command(subcommand)]
    verb: Verb,

    /// What to log, as `level` or `target=level,…`; addresses and names are never logged
    #[arg(
        long,
        global = true,
        display_order = 1000,
        env = "CROWFLY_LOG",
        value_name = "FILTER",
        default_value = "warn",
        hide_env_values = true
    )]
    log: log::Filter,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the server: signaling, STUN and the page, all in one
    Serve(Box<serve::Args>),
    /// Talk to somebody, in a browser or a terminal
    Chat(chat::Args),
    /// Connect stdin to the other side's stdout, and back
    Pipe(meet::Args),
}

fn main() -> ExitCode {
    let Args { verb, log } = Args::parse();
    log::start(log);
    let done = match verb {
        Verb::Serve(args) => serve::run(*args),
        Verb::Chat(args) => chat::run(args),
        Verb::Pipe(args) => pipe::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
