//! Where things lie: the repository, its tracked files, the target directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The repository's root, two levels above this crate.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/xtask lies two levels deep")
        .to_path_buf()
}

/// What a quiet command prints; an error with its stderr when it fails.
pub(crate) fn output(root: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output()
        .with_context(|| format!("running {program}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} {}: {}",
        arguments.join(" "),
        errors.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `cargo metadata` of the workspace members alone.
pub(crate) fn metadata(root: &Path) -> Result<serde_json::Value> {
    let json = output(
        root,
        "cargo",
        &[
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ],
    )?;
    serde_json::from_str(&json).context("reading cargo metadata")
}

/// The directory cargo builds into.
pub(crate) fn target_directory(root: &Path) -> Result<PathBuf> {
    let metadata = metadata(root)?;
    let path = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(path))
}
