//! What the tests need besides Rust and Node: found, installed where that is allowed, else named with the command to run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Node that has the test runner and the language the tests are written in.
const NODE: u32 = 20;

/// Something a part of the check cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Rustfmt,
    Clippy,
    CargoDeny,
    CargoFuzz,
    CargoCyclonedx,
    Cxx,
    Node,
    NpmPackages,
    Chromium,
    Firefox,
    Python,
}

impl Need {
    pub(crate) const ALL: [Need; 10] = [
        Need::Rustfmt,
        Need::Clippy,
        Need::CargoDeny,
        Need::CargoFuzz,
        Need::Cxx,
        Need::Node,
        Need::NpmPackages,
        Need::Chromium,
        Need::Firefox,
        Need::Python,
    ];

    fn is_there(self, root: &Path) -> bool {
        match self {
            Need::Rustfmt => answers("cargo", &["fmt", "--version"]),
            Need::Clippy => answers("cargo", &["clippy", "--version"]),
            Need::CargoDeny => answers("cargo", &["deny", "--version"]),
            Need::CargoFuzz => answers("cargo", &["fuzz", "--version"]),
            Need::CargoCyclonedx => answers("cargo", &["cyclonedx", "--version"]),
            // libFuzzer is built from its source.
            Need::Cxx => answers("c++", &["--version"]),
            Need::Node => {
                node_version().is_some_and(|version| version >= NODE)
                    && answers("npm", &["--version"])
            }
            Need::NpmPackages => packages_are_current(root).unwrap_or(false),
            Need::Chromium => chromium().is_some(),
            Need::Firefox => firefox().is_some(),
            // Debian packs what makes virtual environments apart.
            Need::Python => answers(
                "python3",
                &[
                    "-c",
                    "import ensurepip, sys; assert sys.version_info >= (3, 11)",
                ],
            ),
        }
    }

    /// The commands that install it, one after the other; none where a person has to choose.
    fn recipe(self) -> Vec<Vec<&'static str>> {
        let apt = |packages: &[&'static str]| {
            vec![
                vec!["apt-get", "update"],
                [
                    &["apt-get", "install", "--yes", "--no-install-recommends"],
                    packages,
                ]
                .concat(),
            ]
        };
        match self {
            Need::Rustfmt => vec![vec!["rustup", "component", "add", "rustfmt"]],
            Need::Clippy => vec![vec!["rustup", "component", "add", "clippy"]],
            Need::CargoDeny => vec![vec!["cargo", "install", "--locked", "cargo-deny"]],
            Need::CargoFuzz => vec![vec!["cargo", "install", "--locked", "cargo-fuzz"]],
            Need::CargoCyclonedx => vec![vec!["cargo", "install", "--locked", "cargo-cyclonedx"]],
            Need::Cxx => apt(&["g++"]),
            Need::Node => vec![],
            Need::NpmPackages => vec![vec!["npm", "ci", "--prefix", "web"]],
            // Without recommended packages there are neither fonts nor the sandbox that users other than root need.
            Need::Chromium => apt(&["chromium", "chromium-sandbox", "fonts-liberation"]),
            Need::Firefox => apt(&["firefox-esr", "fonts-liberation"]),
            Need::Python => apt(&["python3", "python3-venv"]),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Need::Rustfmt => "rustfmt",
            Need::Clippy => "clippy",
            Need::CargoDeny => "cargo-deny",
            Need::CargoFuzz => "cargo-fuzz",
            Need::CargoCyclonedx => "cargo-cyclonedx",
            Need::Cxx => "a C++ compiler",
            Need::Node => "Node 20 or newer, with npm",
            Need::NpmPackages => "the npm packages of web/",
            Need::Chromium => "Chromium",
            Need::Firefox => "Firefox",
            Need::Python => "Python 3.11 or newer, with venv",
        }
    }
}

/// Installs what is lacking; an error names everything that could not be had, with the command for each.
pub(crate) fn run(root: &Path, needs: &[Need]) -> Result<()> {
    let mut missing = Vec::new();
    for &need in needs {
        if need.is_there(root) {
            println!("✔ {}", need.name());
            continue;
        }
        println!("▶ installing {}", need.name());
        if let Err(error) = install(root, need) {
            eprintln!("✖ {}: {error:#}", need.name());
            missing.push(need);
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        bail!("{}", advice(&missing))
    }
}

fn install(root: &Path, need: Need) -> Result<()> {
    let recipe = need.recipe();
    if recipe.is_empty() {
        bail!("cannot be installed from here");
    }
    for command in recipe {
        let command = as_root_if_needed(&command)?;
        let status = Command::new(command[0])
            .args(&command[1..])
            .current_dir(root)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("running {}", command[0]))?;
        if !status.success() {
            bail!("`{}` failed", command.join(" "));
        }
    }
    if need == Need::NpmPackages {
        fs::copy(root.join(LOCK), root.join(INSTALLED))
            .context("noting which packages were installed")?;
    }
    if need.is_there(root) {
        Ok(())
    } else {
        bail!("installed, and still not found")
    }
}

/// apt needs root, or sudo that asks no password.
fn as_root_if_needed<'a>(command: &[&'a str]) -> Result<Vec<&'a str>> {
    if command[0] != "apt-get" || answers("sh", &["-c", "[ $(id -u) = 0 ]"]) {
        return Ok(command.to_vec());
    }
    if answers("sudo", &["-n", "true"]) {
        return Ok([&["sudo", "-n"], command].concat());
    }
    bail!("needs root, and sudo asks for a password");
}

fn advice(missing: &[Need]) -> String {
    let mut advice = String::from("missing:");
    for need in missing {
        let recipe: Vec<String> = need
            .recipe()
            .iter()
            .map(|command| command.join(" "))
            .collect();
        let how = match need {
            Need::Node => "install it from your distribution or nodejs.org".to_owned(),
            _ => format!("`{}`", recipe.join(" && ")),
        };
        advice += &format!("\n  {}: {how}", need.name());
    }
    advice
}

/// The Chromium to drive: `CHROMIUM_BIN`, else the first known name in `PATH`.
pub(crate) fn chromium() -> Option<PathBuf> {
    browser(
        "CHROMIUM_BIN",
        &["chromium", "chromium-browser", "google-chrome"],
    )
}

/// The Firefox to drive: `FIREFOX_BIN`, else the first known name in `PATH`.
pub(crate) fn firefox() -> Option<PathBuf> {
    browser("FIREFOX_BIN", &["firefox-esr", "firefox"])
}

fn browser(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(PathBuf::from(path)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let candidates = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

const LOCK: &str = "web/package-lock.json";
const INSTALLED: &str = "web/node_modules/.installed-lock.json";

/// The packages installed are those of the lock file as it is now.
fn packages_are_current(root: &Path) -> Result<bool> {
    Ok(fs::read(root.join(LOCK))? == fs::read(root.join(INSTALLED))?)
}

fn node_version() -> Option<u32> {
    let version = workspace::output(Path::new("/"), "node", &["--version"]).ok()?;
    version
        .trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

fn answers(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_every_missing_thing_and_its_command() {
        let advice = advice(&[Need::Firefox, Need::CargoDeny, Need::Node]);
        assert!(
            advice.contains("Firefox: `apt-get update && apt-get install --yes"),
            "{advice}"
        );
        assert!(
            advice.contains("cargo-deny: `cargo install --locked cargo-deny`"),
            "{advice}"
        );
        assert!(advice.contains("Node 20"), "{advice}");
    }
}
