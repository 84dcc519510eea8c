//! `cargo xtask test`: the parts of the whole check, in order, with a line and a duration each and a closing table.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::run::{Outcome, stream};
use crate::setup::{self, Need};
use crate::{fuzz, tidy, workspace};

/// Beyond this a part hangs: the whole check takes less.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Said on the command line, for all parts.
pub(crate) struct Options {
    pub(crate) filter: Option<String>,
    pub(crate) repeat: u32,
    pub(crate) long: bool,
    pub(crate) screenshots: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            filter: None,
            repeat: 1,
            long: false,
            screenshots: false,
        }
    }
}

/// Parts that are asked for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Lint,
    Rust,
    Fuzz,
    Js,
    E2e,
    Rfc6455,
}

impl Group {
    /// The groups that a word on the command line means; all without one.
    pub(crate) fn select(word: Option<&str>) -> Result<Vec<Group>> {
        Ok(match word {
            None => vec![
                Group::Lint,
                Group::Rust,
                Group::Fuzz,
                Group::Js,
                Group::E2e,
                Group::Rfc6455,
            ],
            Some("lint") => vec![Group::Lint],
            Some("rust") => vec![Group::Rust],
            Some("fuzz") => vec![Group::Fuzz],
            Some("js") => vec![Group::Js],
            Some("e2e") => vec![Group::E2e],
            Some("rfc6455") => vec![Group::Rfc6455],
            Some(other) => {
                bail!("no such group of tests: {other} (lint, rust, fuzz, js, e2e, rfc6455)")
            }
        })
    }

    fn parts(self) -> &'static [Part] {
        match self {
            Group::Lint => &[Part::Fmt, Part::Clippy, Part::Deny, Part::Tidy],
            Group::Rust => &[Part::RustTests, Part::DocTests],
            Group::Fuzz => &[Part::Fuzz],
            Group::Js => &[Part::Tsc, Part::TscTests, Part::NodeTests],
            Group::E2e => &[Part::ReleaseBuild, Part::Examples, Part::E2e],
            Group::Rfc6455 => &[Part::Autobahn],
        }
    }

    fn needs(self) -> &'static [Need] {
        match self {
            Group::Lint => &[Need::Rustfmt, Need::Clippy, Need::CargoDeny],
            Group::Rust => &[Need::Coturn],
            Group::Fuzz => &[Need::CargoFuzz, Need::Cxx],
            Group::Js => &[Need::Node, Need::NpmPackages],
            Group::E2e => &[
                Need::Node,
                Need::NpmPackages,
                Need::Chromium,
                Need::Firefox,
                Need::Python,
                Need::Aiortc,
            ],
            Group::Rfc6455 => &[Need::Python],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Fmt,
    Clippy,
    Deny,
    Tidy,
    RustTests,
    DocTests,
    Fuzz,
    Tsc,
    TscTests,
    NodeTests,
    ReleaseBuild,
    Examples,
    E2e,
    Autobahn,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Fmt => "fmt",
            Part::Clippy => "clippy",
            Part::Deny => "deny",
            Part::Tidy => "tidy",
            Part::RustTests => "rust tests",
            Part::DocTests => "doc tests",
            Part::Fuzz => "fuzz",
            Part::Tsc => "tsc",
            Part::TscTests => "tsc of tests",
            Part::NodeTests => "node tests",
            Part::ReleaseBuild => "release build",
            Part::Examples => "examples",
            Part::E2e => "e2e",
            Part::Autobahn => "autobahn",
        }
    }

    /// Parts that run tests; executing none is a failure, since it would pass for ever. The workspace may have no doc
    /// test, and a filter leaves some runners empty.
    fn must_execute_tests(self) -> bool {
        matches!(
            self,
            Part::RustTests | Part::Fuzz | Part::NodeTests | Part::E2e | Part::Autobahn
        )
    }

    fn repeats(self) -> bool {
        self.must_execute_tests() && self != Part::Fuzz
    }

    fn run(self, root: &Path, options: &Options) -> Result<Outcome> {
        let mut command = match self {
            Part::Tidy => {
                return Ok(Outcome {
                    success: tidy::run(root)?,
                    tests: 0,
                });
            }
            Part::Fuzz => return fuzz::run(root, options.filter.as_deref(), options.long),
            Part::Fmt => cargo(&["fmt", "--all", "--check"]),
            Part::Clippy => cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ]),
            // Advisories need a database that is not in the package registries.
            Part::Deny => cargo(&["deny", "--locked", "check", "licenses", "bans", "sources"]),
            Part::RustTests => rust_tests(options),
            Part::DocTests => doc_tests(options),
            Part::Tsc => tsc(root, "web/tsconfig.json")?,
            Part::TscTests => tsc(root, "web/test/e2e/tsconfig.json")?,
            Part::NodeTests => node_tests(root, "web/test", &[], options)?,
            // The binary, and the server that lies for the sake of the browsers' tests.
            Part::ReleaseBuild => cargo(&[
                "build",
                "--release",
                "--locked",
                "--package",
                "crowfly",
                "--package",
                "crowfly-peer",
                "--bins",
                "--example",
                "lying_server",
            ]),
            Part::Examples => cargo(&["build", "--locked", "-p", "crowfly-peer", "--examples"]),
            Part::E2e => e2e(root, options)?,
            Part::Autobahn => {
                let mut command = Command::new("python3");
                command.arg("crates/server/tests/autobahn/run.py");
                command
            }
        };
        let shown: Vec<_> = command
            .get_args()
            .map(|argument| argument.to_string_lossy())
            .collect();
        println!("  {} {}", command.get_program().display(), shown.join(" "));
        stream(root, &mut command, LIMIT)
    }
}

/// Installs, runs every part of the groups even when one fails, and closes with a table. True when all passed.
pub(crate) fn test(
    root: &Path,
    groups: &[Group],
    options: &Options,
    install: bool,
) -> Result<bool> {
    let start = Instant::now();
    let mut results = Vec::new();
    if install {
        let wanted = |need: &Need| groups.iter().any(|group| group.needs().contains(need));
        let needs: Vec<Need> = Need::ALL.into_iter().filter(wanted).collect();
        println!("▶ setup");
        setup::run(root, &needs)?;
        results.push(Line {
            name: "setup",
            passed: true,
            tests: 0,
            time: start.elapsed(),
        });
    }
    for part in groups.iter().flat_map(|group| group.parts()) {
        results.push(run_part(*part, root, options));
    }
    let passed = results.iter().all(|line| line.passed);
    print!("{}", table(&results, start.elapsed()));
    Ok(passed)
}

fn run_part(part: Part, root: &Path, options: &Options) -> Line {
    let start = Instant::now();
    let runs = if part.repeats() { options.repeat } else { 1 };
    let mut line = Line {
        name: part.name(),
        passed: true,
        tests: 0,
        time: Duration::ZERO,
    };
    for run in 1..=runs {
        let which = if runs > 1 {
            format!(" ({run} of {runs})")
        } else {
            String::new()
        };
        println!("\n▶ {}{which}", part.name());
        let outcome = part.run(root, options).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Outcome {
                success: false,
                tests: 0,
            }
        });
        line.tests += outcome.tests;
        line.passed = outcome.success;
        if outcome.success && part.must_execute_tests() && outcome.tests == 0 {
            eprintln!("error: {} executed no test", part.name());
            line.passed = false;
        }
        if !line.passed {
            break;
        }
    }
    line.time = start.elapsed();
    println!(
        "{} {} {:.1} s",
        if line.passed { "✔" } else { "✖" },
        line.name,
        line.time.as_secs_f64()
    );
    line
}

/// One row of the closing table.
struct Line {
    name: &'static str,
    passed: bool,
    tests: u64,
    time: Duration,
}

fn table(lines: &[Line], total: Duration) -> String {
    let mut table = String::from("\npart            result   tests     time\n");
    for line in lines {
        let result = if line.passed { "ok" } else { "FAILED" };
        let tests = if line.tests > 0 {
            line.tests.to_string()
        } else {
            String::new()
        };
        table += &format!(
            "{:<15} {result:<6} {tests:>7} {:>6.1} s\n",
            line.name,
            line.time.as_secs_f64()
        );
    }
    let tests: u64 = lines.iter().map(|line| line.tests).sum();
    table
        + &format!(
            "{:<15} {:<6} {tests:>7} {:>6.1} s\n",
            "all",
            "",
            total.as_secs_f64()
        )
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments);
    command
}

/// nextest where it is installed, for its limit on a single test; the same tests by cargo itself where it is not.
fn rust_tests(options: &Options) -> Command {
    let nextest = Command::new("cargo")
        .args(["nextest", "--version"])
        .output();
    let mut command = if nextest.is_ok_and(|output| output.status.success()) {
        cargo(&[
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
            "--no-tests=pass",
        ])
    } else {
        cargo(&[
            "test",
            "--workspace",
            "--all-targets",
            "--no-fail-fast",
            "--locked",
        ])
    };
    command.args(&options.filter);
    long(&mut command, options);
    command
}

fn doc_tests(options: &Options) -> Command {
    let mut command = cargo(&["test", "--workspace", "--doc", "--locked"]);
    command.args(&options.filter);
    command
}

fn tsc(root: &Path, project: &str) -> Result<Command> {
    let compiler = root.join("web/node_modules/.bin/tsc");
    ensure!(
        compiler.exists(),
        "web/node_modules has no tsc: `cargo xtask setup`"
    );
    let mut command = Command::new(compiler);
    command.args(["-p", project]);
    Ok(command)
}

/// The `*.test.js` files of a folder under node's own runner.
fn node_tests(root: &Path, folder: &str, how: &[&str], options: &Options) -> Result<Command> {
    let mut files = Vec::new();
    for entry in root
        .join(folder)
        .read_dir()
        .with_context(|| format!("reading {folder}"))?
    {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.js") {
            files.push(path);
        }
    }
    files.sort();
    let mut command = Command::new("node");
    // Node 20 writes TAP to anything but a terminal unless told otherwise.
    command.args(["--test", "--test-reporter=spec"]).args(how);
    if let Some(filter) = &options.filter {
        let named = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().contains(filter))
        };
        if files.iter().any(named) {
            files.retain(named);
        } else {
            command.args(["--test-name-pattern", filter]);
        }
    }
    ensure!(!files.is_empty(), "{folder} has no test file");
    long(&mut command, options);
    command.args(
        files
            .iter()
            .map(|path| path.strip_prefix(root).unwrap_or(path)),
    );
    Ok(command)
}

/// One file after the other: two browsers fill two cores.
fn e2e(root: &Path, options: &Options) -> Result<Command> {
    let target = workspace::target_directory(root)?;
    let mut command = node_tests(root, "web/test/e2e", &["--test-concurrency=1"], options)?;
    command.env("CROWFLY_BIN", target.join("release/crowfly"));
    command.env(
        "CHROMIUM_BIN",
        setup::chromium().context("no Chromium: `cargo xtask setup`")?,
    );
    command.env(
        "FIREFOX_BIN",
        setup::firefox().context("no Firefox: `cargo xtask setup`")?,
    );
    command.env("CROWFLY_EXAMPLES", target.join("debug/examples"));
    command.env("AIORTC_PYTHON", setup::aiortc(root));
    if options.screenshots {
        command.env("CROWFLY_SCREENSHOTS", target.join("screenshots"));
    }
    Ok(command)
}

/// Tests that have a full size read this variable.
const LONG: &str = "CROWFLY_LONG";

fn long(command: &mut Command, options: &Options) {
    if options.long {
        command.env(LONG, "1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_selects_a_group_and_none_selects_all() {
        assert_eq!(
            Group::select(Some("js")).expect("js is a group"),
            [Group::Js]
        );
        assert_eq!(Group::select(None).expect("no word is fine").len(), 6);
        assert!(Group::select(Some("jss")).is_err());
    }

    #[test]
    fn the_table_tells_what_failed() {
        let line = |name, passed, tests| Line {
            name,
            passed,
            tests,
            time: Duration::from_millis(1500),
        };
        let table = table(
            &[line("fmt", true, 0), line("e2e", false, 12)],
            Duration::from_secs(3),
        );
        assert!(
            table.contains("e2e             FAILED      12    1.5 s"),
            "{table}"
        );
        assert!(
            table.contains("all                         12    3.0 s"),
            "{table}"
        );
    }
}
