//! What the binary is made of, for whoever has to know: a CycloneDX list of every crate in it with its version and licence.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::setup::{self, Need};
use crate::workspace;

/// What the tool is told to call its files: it writes one beside every manifest of the workspace.
const NAME: &str = "crowfly.cdx";
/// The crate of the binary.
const BINARY: &str = "crates/cli";

/// Writes `target/crowfly.cdx.json`.
pub(crate) fn run(root: &Path, install: bool) -> Result<bool> {
    if install {
        setup::run(root, &[Need::CargoCyclonedx])?;
    }
    let written = generate(root);
    let text = written.and_then(|()| {
        let path = beside(root, BINARY);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    });
    tidy_up(root)?;
    let text = without_paths(&text?, root);
    let count = components(&text)?;
    let target = workspace::target_directory(root)?.join(format!("{NAME}.json"));
    fs::write(&target, text).with_context(|| format!("writing {}", target.display()))?;
    println!("{count} crates in {}", target.display());
    Ok(true)
}

fn generate(root: &Path) -> Result<()> {
    let manifest = format!("{BINARY}/Cargo.toml");
    let arguments = [
        "cyclonedx",
        "--manifest-path",
        &manifest,
        "--format",
        "json",
        "--spec-version",
        "1.5",
        "--override-filename",
        NAME,
    ];
    workspace::output(root, "cargo", &arguments).map(drop)
}

fn tidy_up(root: &Path) -> Result<()> {
    for folder in ["crates", "."] {
        for entry in root.join(folder).read_dir()? {
            let path = entry?.path().join(format!("{NAME}.json"));
            if path.exists() {
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            }
        }
    }
    Ok(())
}

fn beside(root: &Path, folder: &str) -> PathBuf {
    root.join(folder).join(format!("{NAME}.json"))
}

/// References name our own crates by where they lie, which is this machine's business.
fn without_paths(text: &str, root: &Path) -> String {
    text.replace(&format!("file://{}", root.display()), "file://")
}

/// How many there are; an error when it is no list of ours.
fn components(text: &str) -> Result<usize> {
    let list: serde_json::Value = serde_json::from_str(text).context("reading the list")?;
    let components = list["components"].as_array().context("it lists nothing")?;
    let server = |component: &serde_json::Value| component["name"] == "crowfly-server";
    ensure!(
        components.iter().any(server),
        "it lists none of our own crates"
    );
    let nameless = |component: &&serde_json::Value| {
        component["version"].as_str().is_none() || component["purl"].as_str().is_none()
    };
    let nameless = components.iter().filter(nameless).count();
    ensure!(nameless == 0, "{nameless} crates without a version");
    Ok(components.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_ours_or_without_versions_is_none() {
        let ours = r#"{"components":[{"name":"crowfly-server","version":"0.1.0","purl":"pkg:cargo/crowfly-server@0.1.0"}]}"#;
        assert_eq!(components(ours).expect("a list"), 1);
        for bad in [
            "",
            "{}",
            r#"{"components":[]}"#,
            &ours.replace("server", "x"),
            &ours.replace(r#""version":"0.1.0","#, ""),
        ] {
            assert!(components(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn this_machines_folders_stay_here() {
        let text = r#""path+file:///ann/crowfly/crates/cli#crowfly@0.1.0""#;
        assert_eq!(
            without_paths(text, Path::new("/ann/crowfly")),
            r#""path+file:///crates/cli#crowfly@0.1.0""#
        );
    }
}
