//! Running one part of the check: its output passes through as it comes, and the runner's closing lines are counted.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// It exited with 0 in time.
    pub(crate) success: bool,
    /// Tests executed, by the runner's own closing lines.
    pub(crate) tests: u64,
}

/// Runs a command to its end or its limit. Its output is passed on line by line.
pub(crate) fn stream(root: &Path, command: &mut Command, limit: Duration) -> Result<Outcome> {
    command
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command
        .spawn()
        .with_context(|| format!("running {}", command.get_program().display()))?;
    let (sender, counts) = channel();
    let stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");
    forward(stdout, std::io::stdout(), sender.clone());
    forward(stderr, std::io::stderr(), sender);
    let success = wait(child, limit)?;
    Ok(Outcome {
        success,
        tests: sum(&counts),
    })
}

/// Passes lines on and sends what each says about tests; ends with the stream.
fn forward(
    from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    counts: Sender<u64>,
) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(mut line) = line else { return };
            line.push(b'\n');
            // A reader that went away must not stop the tests.
            let _ = to.write_all(&line);
            let _ = to.flush();
            if let Some(tests) = tests_executed(&String::from_utf8_lossy(&line)) {
                let _ = counts.send(tests);
            }
        }
    });
}

/// The sum of all counts once both streams have ended. Something left running may hold them open: after 10 s of silence
/// that is said, and what was counted holds.
fn sum(counts: &Receiver<u64>) -> u64 {
    let mut sum = 0;
    loop {
        match counts.recv_timeout(Duration::from_secs(10)) {
            Ok(tests) => sum += tests,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return sum,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                eprintln!("warning: a process left behind still holds the output");
                return sum;
            }
        }
    }
}

/// Waits for the exit; ends the child at the limit, which is a failure.
fn wait(mut child: Child, limit: Duration) -> Result<bool> {
    let id = child.id();
    let (sender, exit) = channel();
    let start = Instant::now();
    let waiter = thread::spawn(move || {
        let status = child.wait();
        let _ = sender.send(());
        status
    });
    if exit.recv_timeout(limit).is_err() {
        eprintln!(
            "error: not done after {} s, ending it",
            start.elapsed().as_secs()
        );
        // SIGTERM, so that test runners end what they started.
        let _ = Command::new("kill").arg(id.to_string()).status();
    }
    let status = waiter
        .join()
        .expect("the waiter does not panic")
        .context("waiting for the command")?;
    Ok(status.success() && start.elapsed() <= limit)
}

/// The number of tests in a closing line of cargo test, nextest, libFuzzer (one a target) or node's runner.
fn tests_executed(line: &str) -> Option<u64> {
    let line = without_colours(line);
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("test result: ") {
        let rest = rest.split_once(". ")?.1;
        return Some(number_before(rest, " passed")? + number_before(rest, " failed").unwrap_or(0));
    }
    if line.starts_with("Summary [") {
        return number_before(line, " tests run").or_else(|| number_before(line, " test run"));
    }
    if let Some((passed, rest)) = line.split_once(" passed, ")
        && let (Ok(passed), Some(failed)) = (passed.parse::<u64>(), rest.strip_suffix(" failed"))
    {
        return Some(passed + failed.parse::<u64>().ok()?);
    }
    // libFuzzer says so once, at the end of its time.
    if let Some(inputs) = line.strip_prefix("stat::number_of_executed_units:") {
        return (inputs.trim().parse::<u64>().ok()? > 0).then_some(1);
    }
    let count = |name: &str| {
        line.strip_prefix("ℹ ")
            .or(line.strip_prefix("# "))?
            .strip_prefix(name)?
            .parse()
            .ok()
    };
    // node counts skipped tests among `tests`; only what ran counts here.
    count("pass ").or_else(|| count("fail "))
}

/// The integer that stands right before `word`.
fn number_before(line: &str, word: &str) -> Option<u64> {
    let digits = line[..line.find(word)?]
        .rsplit(|c: char| !c.is_ascii_digit())
        .next()?;
    digits.parse().ok()
}

/// The line without ANSI colour sequences.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_closing_lines_of_the_runners() {
        let cases = [
            (
                "test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.1s",
                Some(13),
            ),
            (
                "     Summary [   0.004s] 9 tests run: 9 passed, 2 skipped",
                Some(9),
            ),
            (
                "     Summary [   0.004s] 1 test run: 1 passed, 0 skipped",
                Some(1),
            ),
            ("\u{1b}[34mℹ pass 7\u{1b}[39m", Some(7)),
            ("ℹ fail 2", Some(2)),
            ("ℹ tests 9", None),
            ("# pass 3", Some(3)),
            ("158 passed, 89 failed", Some(247)),
            ("stat::number_of_executed_units: 90210", Some(1)),
            ("stat::number_of_executed_units: 0", None),
            ("running 12 tests", None),
        ];
        for (line, expected) in cases {
            assert_eq!(tests_executed(line), expected, "{line}");
        }
    }

    #[test]
    fn a_command_that_fails_is_a_failure() {
        let outcome = |script: &str, limit| {
            let mut command = Command::new("sh");
            stream(Path::new("/"), command.args(["-c", script]), limit).expect("sh runs")
        };
        let minute = Duration::from_secs(60);
        assert_eq!(
            outcome("echo 'ℹ pass 2'; echo 'ℹ pass 3' >&2", minute),
            Outcome {
                success: true,
                tests: 5
            }
        );
        assert_eq!(
            outcome("echo 'ℹ pass 2'; exit 3", minute),
            Outcome {
                success: false,
                tests: 2
            }
        );
        // `exec`, so that the signal reaches what waits.
        assert!(!outcome("exec tail -f /dev/null", Duration::from_millis(50)).success);
    }
}
