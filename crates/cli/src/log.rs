//! The log: to stderr, as much as `--log` asks for.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

/// What to log, in the syntax of `tracing`'s `EnvFilter`.
#[derive(Debug, Clone)]
pub(crate) struct Filter(String);

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        EnvFilter::builder()
            .parse(text)
            .map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

/// Starts logging for the whole process.
pub(crate) fn start(Filter(filter): Filter) {
    let filter = EnvFilter::builder().parse_lossy(filter);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}
