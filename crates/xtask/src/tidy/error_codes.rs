//! The error codes are one list: in Rust, in the table of `docs/protocol.md`, and in the hints of the JavaScript client.

use std::collections::BTreeSet;

use crowfly_protocol::ErrorCode;

use super::Violation;
use super::files::File;

const DOCUMENT: &str = "docs/protocol.md";
const JAVASCRIPT: &str = "web/client/errors.js";

pub(crate) fn check(files: &[File]) -> Vec<Violation> {
    let codes: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let file = |path: &str| files.iter().find(|file| file.path == path);
    let Some(document) = file(DOCUMENT) else {
        return vec![Violation {
            path: DOCUMENT.into(),
            line: 1,
            message: "is gone, and it is the protocol".into(),
        }];
    };
    let mut violations = table_differs(document, &codes);
    violations.extend(
        file(JAVASCRIPT)
            .into_iter()
            .flat_map(|hints| unknown_hints(hints, document)),
    );
    violations
}

/// The table's codes against those of the program.
fn table_differs(document: &File, codes: &BTreeSet<&str>) -> Vec<Violation> {
    let (line, documented) = table(&document.text);
    let differ =
        |first: &BTreeSet<&str>, second: &BTreeSet<&str>, message: &str| -> Vec<Violation> {
            first
                .difference(second)
                .map(|code| document.violation(line, format!("`{code}` {message}")))
                .collect()
        };
    let mut violations = differ(&documented, codes, "is no code of the program");
    violations.extend(differ(
        codes,
        &documented,
        "is missing in the table of errors",
    ));
    violations
}

/// The codes in the first column of the table headed `| code |`, and the line of its head.
fn table(text: &str) -> (usize, BTreeSet<&str>) {
    let head = text
        .lines()
        .position(|line| line.starts_with("| code |"))
        .unwrap_or(0);
    let rows = text
        .lines()
        .skip(head)
        .take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    (
        head,
        cells
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect(),
    )
}

/// Hints for what the server says must be about something the protocol has: their keys stand between the comment that
/// names the protocol and the next one.
fn unknown_hints(hints: &File, document: &File) -> Vec<Violation> {
    let lines =
        hints.text.lines().enumerate().skip_while(|(_, line)| {
            !line.contains(&format!("// The signaling server, {DOCUMENT}"))
        });
    let lines = lines
        .skip(1)
        .take_while(|(_, line)| !line.trim_start().starts_with("//") && line.trim() != "});");
    let keys = lines.filter_map(|(number, line)| {
        Some((number, line.split_once(": \"")?.0.trim().trim_matches('"')))
    });
    let unknown = keys.filter(|(_, key)| !document.text.contains(&format!("`{key}`")));
    unknown
        .map(|(number, key)| hints.violation(number, format!("`{key}` is not in {DOCUMENT}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(extra: &str) -> File {
        let codes: Vec<_> = ErrorCode::ALL
            .iter()
            .map(|code| format!("| `{code}` | meaning |\n"))
            .collect();
        File::new(
            DOCUMENT,
            format!(
                "# P\n\n| code | meaning |\n|---|---|\n{}{extra}\n",
                codes.concat()
            ),
        )
    }

    fn hints(key: &str) -> File {
        let text = format!(
            "// The signaling server, {DOCUMENT}\n  \"{key}\": \"Do x.\",\n  // Others\n  \"else\": \"Do y.\",\n"
        );
        File::new(JAVASCRIPT, text)
    }

    #[test]
    fn lists_that_agree_pass() {
        assert_eq!(check(&[document(""), hints("room-full")]), []);
    }

    #[test]
    fn a_code_in_one_list_only_is_found() {
        assert_eq!(check(&[document("| `room-haunted` | meaning |")]).len(), 1);
        let without = document("").text.replace("| `room-full` | meaning |\n", "");
        assert_eq!(check(&[File::new(DOCUMENT, without)]).len(), 1);
        assert_eq!(check(&[document(""), hints("room-haunted")]).len(), 1);
        assert_eq!(check(&[]).len(), 1);
    }
}
