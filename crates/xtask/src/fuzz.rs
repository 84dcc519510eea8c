//! The fuzzers of `fuzz/`: every target built with coverage counters by the compiler at hand, each run for a while, two at a time.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::run::{Outcome, stream};

/// How long each target runs at most, and all of them together; and each with `--long`.
const SECONDS: u64 = 60;
const SECONDS_IN_ALL: u64 = 240;
const LONG_SECONDS: u64 = 600;
/// At once: as many as the smallest machine has cores.
const AT_ONCE: usize = 2;
/// Building and starting take no longer.
const BUILD: Duration = Duration::from_secs(15 * 60);

/// Builds all targets and runs those whose names contain the filter. Each that ran to its end counts as a test.
pub(crate) fn run(root: &Path, filter: Option<&str>, long: bool) -> Result<Outcome> {
    let targets = targets(root, filter)?;
    // No sanitizer: those need an unstable compiler, and there is no unsafe code for them to watch.
    let mut build = Command::new("cargo");
    build.args(["fuzz", "build", "-s", "none"]);
    println!("  cargo fuzz build -s none");
    let built = stream(root, &mut build, BUILD)?;
    if !built.success {
        return Ok(built);
    }
    let seconds = if long {
        LONG_SECONDS
    } else {
        share(targets.len())
    };
    let mut all = Outcome {
        success: true,
        tests: 0,
    };
    for some in targets.chunks(AT_ONCE) {
        for outcome in together(root, some, seconds)? {
            all.success &= outcome.success;
            all.tests += outcome.tests;
        }
    }
    if all.tests != targets.len() as u64 {
        eprintln!("error: {} of {} targets ran", all.tests, targets.len());
        all.success = false;
    }
    Ok(all)
}

/// Each target's share of the time, where there are so many that a minute each is too long to wait.
fn share(targets: usize) -> u64 {
    let rounds = targets.div_ceil(AT_ONCE).max(1) as u64;
    SECONDS.min(SECONDS_IN_ALL / rounds)
}

fn together(root: &Path, targets: &[String], seconds: u64) -> Result<Vec<Outcome>> {
    let one = |target: &String| {
        let mut command = command(target, seconds);
        stream(root, &mut command, BUILD + Duration::from_secs(seconds))
    };
    println!("  {} for {seconds} s", targets.join(" and "));
    std::thread::scope(|scope| {
        let running: Vec<_> = targets
            .iter()
            .map(|target| scope.spawn(move || one(target)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("running a command does not panic"))
            .collect()
    })
}

fn command(target: &str, seconds: u64) -> Command {
    let mut command = Command::new("cargo");
    command.args(["fuzz", "run", "-s", "none", target, "--"]);
    command.arg(format!("-max_total_time={seconds}"));
    // One input that takes so long is a finding, even on a busy machine; quiet but for findings and the closing figures.
    command.args([
        "-timeout=20",
        "-max_len=4096",
        "-verbosity=0",
        "-print_final_stats=1",
    ]);
    command
}

/// The names of the targets, from their files.
fn targets(root: &Path, filter: Option<&str>) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    let folder = root.join("fuzz/fuzz_targets");
    for entry in folder.read_dir().context("reading fuzz/fuzz_targets")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(".rs") {
            targets.push(name.to_owned());
        }
    }
    targets.retain(|name| filter.is_none_or(|filter| name.contains(filter)));
    targets.sort();
    ensure!(!targets.is_empty(), "no fuzz target of that name");
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn every_target_is_found_and_a_word_chooses() {
        let root = workspace::root();
        let all = targets(&root, None).expect("there are targets");
        for name in [
            "association",
            "binding",
            "frames",
            "headers",
            "hub",
            "message",
            "packet",
        ] {
            assert!(all.iter().any(|target| target == name), "{name} of {all:?}");
        }
        assert_eq!(targets(&root, Some("pack")).expect("one"), ["packet"]);
        assert!(targets(&root, Some("nothing")).is_err());
    }

    #[test]
    fn a_minute_each_as_long_as_all_end_in_time() {
        assert_eq!([1, 2, 8, 9, 16].map(share), [60, 60, 60, 48, 30]);
    }

    #[test]
    fn every_target_is_named_in_the_manifest() {
        let root = workspace::root();
        let manifest =
            std::fs::read_to_string(root.join("fuzz/Cargo.toml")).expect("the manifest is there");
        for target in targets(&root, None).expect("there are targets") {
            assert!(
                manifest.contains(&format!("name = \"{target}\"")),
                "{target}"
            );
        }
    }
}
