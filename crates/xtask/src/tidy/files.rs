//! The tracked files, as the rules see them.

use std::cell::OnceCell;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Violation;
use super::source::{self, Language};
use crate::workspace;

/// One tracked file.
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    /// Empty when it is not text.
    pub(crate) text: String,
    code: OnceCell<String>,
}

impl File {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        File {
            path: path.into(),
            text: text.into(),
            code: OnceCell::new(),
        }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_javascript(&self) -> bool {
        [".js", ".mjs", ".cjs", ".ts"]
            .iter()
            .any(|ending| self.path.ends_with(ending))
    }

    pub(crate) fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// The text with comments and the insides of strings blanked, line for line and column for column.
    pub(crate) fn code(&self) -> &str {
        self.code.get_or_init(|| {
            if self.is_rust() {
                source::blank(&self.text, Language::Rust)
            } else if self.is_javascript() {
                source::blank(&self.text, Language::JavaScript)
            } else {
                self.text.clone()
            }
        })
    }

    /// The line, from 0, at which test code begins: from the top for test files, else at the unit tests below.
    pub(crate) fn tests_start(&self) -> Option<usize> {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let whole = ["tests/", "test/", "benches/"]
            .iter()
            .any(|folder| self.path.contains(folder))
            || ["tests.rs", "test.rs", ".test.js"]
                .iter()
                .any(|ending| name.ends_with(ending));
        if whole {
            return Some(0);
        }
        if !self.is_rust() {
            return None;
        }
        let lines: Vec<&str> = self.code().lines().collect();
        // `#[cfg(test)] mod tests;` names another file and starts nothing here.
        lines.windows(2).position(|pair| {
            pair[0].trim() == "#[cfg(test)]"
                && pair[1].contains("mod ")
                && pair[1].trim_end().ends_with('{')
        })
    }

    pub(crate) fn violation(&self, line: usize, message: impl Into<String>) -> Violation {
        Violation {
            path: self.path.clone(),
            line: line + 1,
            message: message.into(),
        }
    }
}

/// Every file git tracks or would add.
pub(crate) fn tracked(root: &Path) -> Result<Vec<File>> {
    let list = workspace::output(
        root,
        "git",
        &["ls-files", "--cached", "--others", "--exclude-standard"],
    )?;
    let mut files = Vec::new();
    for path in list.lines() {
        // A file removed and not yet committed is gone; a picture is there to be linked to, and has no text.
        if let Ok(bytes) = fs::read(root.join(path)) {
            files.push(File::new(
                path,
                String::from_utf8(bytes).unwrap_or_default(),
            ));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_code_starts_at_the_unit_tests_or_at_the_top() {
        let unit = File::new(
            "crates/a/src/b.rs",
            "//! B.\nfn b() {}\n#[cfg(test)]\nmod tests {\n}\n",
        );
        assert_eq!(unit.tests_start(), Some(2));
        let other_file = File::new(
            "crates/a/src/b.rs",
            "//! B.\n#[cfg(test)]\nmod tests;\nfn b() {}\n",
        );
        assert_eq!(other_file.tests_start(), None);
        assert_eq!(File::new("crates/a/tests/b.rs", "").tests_start(), Some(0));
        assert_eq!(File::new("web/test/b.test.js", "").tests_start(), Some(0));
        assert_eq!(File::new("web/client/b.js", "").tests_start(), None);
    }
}
