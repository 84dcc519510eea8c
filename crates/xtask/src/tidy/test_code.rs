//! Rules for tests: all of them run, and none of them waits for time to pass.

use super::Violation;
use super::files::File;
use super::text::has_word;

/// A skipped test is a hole, a lone one hides the others.
pub(crate) fn no_skips(file: &File) -> Vec<Violation> {
    let words: &[&str] = if file.is_rust() {
        &["#[ignore", "#[cfg_attr(ignore"]
    } else if file.is_javascript() && file.tests_start().is_some() {
        &[
            ".only(",
            ".skip(",
            ".todo(",
            "only: true",
            "skip: true",
            "todo: true",
            "t.skip",
            "t.todo",
        ]
    } else {
        return vec![];
    };
    find(file, 0, words, "every test runs")
}

/// Waiting a fixed time is slow when all is well and wrong when the machine is busy: wait for what shall happen.
pub(crate) fn no_sleeps(file: &File) -> Vec<Violation> {
    let Some(start) = file.tests_start() else {
        return vec![];
    };
    if file.is_rust() {
        return find(
            file,
            start,
            &["sleep(", "sleep_until("],
            "wait for an event, not for time to pass",
        );
    }
    if !file.is_javascript() {
        return vec![];
    }
    let named = find(
        file,
        start,
        &["waitForTimeout(", "timers/promises"],
        "wait for an event, not for time to pass",
    );
    let lines = file.code().lines().enumerate();
    let promised =
        lines.filter(|(_, line)| has_word(line, "Promise") && has_word(line, "setTimeout"));
    let promised = promised
        .map(|(line, _)| file.violation(line, "a sleep: wait for an event, not for time to pass"));
    named.into_iter().chain(promised).collect()
}

fn find(file: &File, start: usize, words: &[&str], why: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (number, (code, text)) in file
        .code()
        .lines()
        .zip(file.text.lines())
        .enumerate()
        .skip(start)
    {
        // A module's name is a string and blanked in the code; only imports may be looked up in the text.
        let line = if code.trim_start().starts_with("import") {
            text
        } else {
            code
        };
        for word in words.iter().filter(|word| line.contains(**word)) {
            violations.push(file.violation(number, format!("`{word}`: {why}")));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_and_lone_tests_are_found() {
        let found = |path, text| no_skips(&File::new(path, text)).len();
        assert_eq!(
            found(
                "crates/a/src/b.rs",
                "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n"
            ),
            1
        );
        assert_eq!(found("web/test/a.test.js", "test.only('a', () => {});"), 1);
        assert_eq!(
            found("web/test/a.test.js", "test('a', { skip: true }, () => {});"),
            1
        );
        assert_eq!(
            found("web/test/a.test.js", "test('never .only(', () => {});"),
            0
        );
    }

    #[test]
    fn sleeps_in_tests_are_found() {
        let found = |path, text| no_sleeps(&File::new(path, text)).len();
        assert_eq!(found("crates/a/tests/b.rs", "thread::sleep(SECOND);"), 1);
        assert_eq!(found("crates/a/src/b.rs", "thread::sleep(SECOND);"), 0);
        assert_eq!(
            found(
                "crates/a/src/b.rs",
                "//! B.\n#[cfg(test)]\nmod tests {\ntokio::time::sleep(a).await;\n}\n"
            ),
            1
        );
        assert_eq!(
            found(
                "web/test/a.test.js",
                "await new Promise((done) => setTimeout(done, 100));"
            ),
            1
        );
        assert_eq!(
            found(
                "web/test/a.test.js",
                "import { setTimeout } from 'node:timers/promises';"
            ),
            1
        );
        assert_eq!(
            found(
                "web/test/a.test.js",
                "const limit = setTimeout(fail, 1000);"
            ),
            0
        );
    }
}
