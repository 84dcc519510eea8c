//! Takes whole-line comments and indentation out of scripts and styles: what is left stands in the line where it stood.
//!
//! Both are a third of what a page would have to load, and a reader has the source. Only comments that begin a line go, and no text runs
//! over lines; `test/e2e/served.test.js` holds the tokens of every script served against those of its source.

/// A comment that says something to the browser, here: to compile a script's functions when it is loaded, not when somebody joins.
const HINT: &str = "//# ";

/// The text without indentation and comments that begin a line. Line numbers stay, so an error still names the line of the source.
pub(crate) fn whole_line_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.lines() {
        let mut rest = line;
        loop {
            if inside {
                let Some(end) = rest.find("*/") else {
                    rest = "";
                    break;
                };
                rest = &rest[end + 2..];
                inside = false;
            }
            let trimmed = rest.trim_start();
            if trimmed.starts_with("//") {
                rest = if trimmed.starts_with(HINT) {
                    trimmed
                } else {
                    ""
                };
                break;
            }
            let Some(comment) = trimmed.strip_prefix("/*") else {
                break;
            };
            inside = true;
            rest = comment;
        }
        kept.push_str(rest.trim());
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::whole_line_comments;

    #[test]
    fn code_stays_in_its_line() {
        let text = "/**\n * A doc.\n */\n    let a = 1; // kept\n  // gone\n/** @type {B} */ b;\n/* x */ /* y */ c;\nd(/** @type {E} */ (e));\n";
        let kept = "\n\n\nlet a = 1; // kept\n\nb;\nc;\nd(/** @type {E} */ (e));\n";
        assert_eq!(whole_line_comments(text), kept);
    }

    #[test]
    fn what_the_browser_reads_stays() {
        let text = "/** A doc. */\n//# allFunctionsCalledOnLoad\n// gone\n";
        let kept = "\n//# allFunctionsCalledOnLoad\n\n";
        assert_eq!(whole_line_comments(text), kept);
    }

    #[test]
    fn what_only_looks_like_a_comment_stays() {
        for text in [
            "const url = \"https://x\";\n",
            "a /* b */ c;\n",
            "x = y // z\n",
            "*/\n",
            "",
        ] {
            assert_eq!(whole_line_comments(text), text);
        }
    }
}
