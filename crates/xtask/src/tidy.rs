//! The house rules as a check: what `ARCHITECTURE.md` and `CONTRIBUTING.md` ask for and a machine can see.
//!
//! Every rule is a function from the tracked files to the places where it is broken, with a test that shows it failing.

use std::fmt;
use std::path::Path;

use anyhow::Result;

mod arrows;
mod documents;
mod error_codes;
mod files;
mod javascript;
mod rust;
mod source;
mod test_code;
mod text;

use files::File;

/// A place where a rule is broken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// A rule that looks at one file after the other.
type Rule = fn(&File) -> Vec<Violation>;

const RULES: [Rule; 12] = [
    rust::module_doc,
    rust::no_get,
    rust::sans_io,
    javascript::comment_first,
    javascript::imports,
    javascript::client_without_dom,
    javascript::app_without_webrtc,
    test_code::no_skips,
    test_code::no_sleeps,
    text::length,
    text::words,
    text::machine,
];

/// Checks the repository; prints each violation. True when there is none.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let files = files::tracked(root)?;
    let mut violations = Vec::new();
    for rule in RULES {
        violations.extend(files.iter().flat_map(rule));
    }
    violations.extend(arrows::check(root)?);
    violations.extend(documents::links(&files));
    violations.extend(error_codes::check(&files));
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    println!(
        "tidy: {} rules, {} files, {} violations",
        RULES.len() + 3,
        files.len(),
        violations.len()
    );
    Ok(violations.is_empty())
}
