//! Arrows between crates point down only.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Violation;
use crate::workspace;

/// What each crate of ours may depend on, of ours. The developers' commands may see everything.
const ALLOWED: [(&str, &[&str]); 8] = [
    (
        "crowfly",
        &["crowfly-server", "crowfly-peer", "crowfly-web"],
    ),
    ("crowfly-server", &["crowfly-protocol", "crowfly-relay"]),
    ("crowfly-peer", &["crowfly-protocol", "crowfly-sctp"]),
    ("crowfly-protocol", &[]),
    ("crowfly-relay", &[]),
    ("crowfly-sctp", &[]),
    ("crowfly-sim", &[]),
    ("crowfly-web", &[]),
];

const UNBOUND: [&str; 1] = ["xtask"];

/// Holds the workspace's dependencies, those of builds included, against the list.
pub(crate) fn check(root: &Path) -> Result<Vec<Violation>> {
    violations(&workspace::metadata(root)?)
}

fn violations(metadata: &Value) -> Result<Vec<Violation>> {
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata has no packages")?;
    let mut violations = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        if UNBOUND.contains(&name) {
            continue;
        }
        let violation = |message| Violation {
            path: format!("{name}/Cargo.toml"),
            line: 1,
            message,
        };
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            violations.push(violation(
                "a crate without a place in tidy's list of arrows".to_owned(),
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let other = dependency["name"].as_str().unwrap_or_default();
            let ours = dependency["path"].is_string();
            // Tests may drive what lies beside them: the server's tests need no page, the binary's need everything.
            let for_tests = dependency["kind"] == "dev";
            if ours && !for_tests && !allowed.contains(&other) {
                violations.push(violation(format!("{name} may not depend on {other}")));
            }
        }
    }
    Ok(violations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, dependency: &str, kind: &Value) -> Value {
        let dependency =
            serde_json::json!({ "name": dependency, "path": "/somewhere", "kind": kind });
        serde_json::json!({ "packages": [{ "name": name, "dependencies": [dependency] }] })
    }

    #[test]
    fn an_arrow_that_points_up_is_found() {
        let check = |name, dependency, kind| {
            violations(&sample(name, dependency, &kind)).expect("the sample has packages")
        };
        assert_eq!(check("crowfly", "crowfly-server", Value::Null), []);
        assert_eq!(
            check("crowfly-protocol", "crowfly-server", "dev".into()),
            []
        );
        assert_eq!(
            check("crowfly-protocol", "crowfly-server", Value::Null).len(),
            1
        );
        assert_eq!(
            check("crowfly-server", "crowfly-web", "build".into()).len(),
            1
        );
        assert_eq!(check("crowfly-sim", "crowfly-sctp", Value::Null).len(), 1);
        assert_eq!(check("crowfly-new", "crowfly-web", Value::Null).len(), 1);
    }
}
