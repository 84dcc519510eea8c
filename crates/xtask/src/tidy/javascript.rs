//! Rules for the browser's files.

use super::Violation;
use super::files::File;

/// Every file begins by saying what it is.
pub(crate) fn comment_first(file: &File) -> Vec<Violation> {
    let first = file
        .text
        .lines()
        .find(|line| !line.starts_with("#!"))
        .unwrap_or_default();
    if !file.is_javascript() || first.starts_with("//") || first.starts_with("/*") {
        return vec![];
    }
    vec![file.violation(0, "begins without a comment that says what it is")]
}

/// Names that belong to the page. The client runs in any window or worker.
const DOM: [&str; 12] = [
    "document",
    "window",
    "localStorage",
    "sessionStorage",
    "history",
    "HTMLElement",
    "Element",
    "customElements",
    "alert",
    "confirm",
    "prompt",
    "requestAnimationFrame",
];

pub(crate) fn client_without_dom(file: &File) -> Vec<Violation> {
    // The address of the page is the one thing the default server follows from.
    forbid(
        file,
        "web/client/",
        &DOM,
        "in the client, which knows no DOM",
    )
}

const WEBRTC: [&str; 6] = [
    "RTCPeerConnection",
    "RTCDataChannel",
    "RTCIceCandidate",
    "RTCSessionDescription",
    "WebSocket",
    "webkitRTCPeerConnection",
];

pub(crate) fn app_without_webrtc(file: &File) -> Vec<Violation> {
    forbid(
        file,
        "web/app/",
        &WEBRTC,
        "in the page; only the client touches it",
    )
}

/// Names `words` may not appear in the code, comments and texts aside, of files below `folder`. A property of some object
/// that happens to have the name is meant only when the object is global.
fn forbid(file: &File, folder: &str, words: &[&str], why: &str) -> Vec<Violation> {
    if !file.path.ends_with(".js") || !file.path.starts_with(folder) {
        return vec![];
    }
    let mut violations = Vec::new();
    for (number, line) in file.code().lines().enumerate() {
        for word in words.iter().filter(|word| names_global(line, word)) {
            violations.push(file.violation(number, format!("`{word}` {why}")));
        }
    }
    violations
}

/// Whether `word` stands there for the global of that name: not `.word`, except of the global object, nor `word:`.
fn names_global(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == '#';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        let global = ["...", "globalThis.", "self.", "window."];
        let property =
            before.ends_with('.') && !global.iter().any(|object| before.ends_with(object));
        !property && !before.ends_with(part) && !after.starts_with(part) && !after.starts_with(':')
    })
}

/// Relative paths end in `.js`, as browsers fetch them; each folder imports only what its place allows.
pub(crate) fn imports(file: &File) -> Vec<Violation> {
    if !file.path.ends_with(".js") || !file.path.starts_with("web/") {
        return vec![];
    }
    let mut violations = Vec::new();
    for (number, path) in import_paths(file) {
        if let Some(message) = refusal(&file.path, path) {
            violations.push(file.violation(number, message));
        }
    }
    violations
}

fn refusal(from: &str, path: &str) -> Option<String> {
    let relative = path.starts_with("./") || path.starts_with("../");
    let absolute = path.starts_with('/');
    if (relative || absolute) && !path.ends_with(".js") {
        return Some(format!("import path `{path}` does not end in .js"));
    }
    let inside = |folder: &str| {
        relative && resolve(from, path).is_some_and(|target| target.starts_with(folder))
    };
    if from.starts_with("web/client/") && !inside("web/client/") {
        return Some(format!(
            "the client imports only its own files, not `{path}`"
        ));
    }
    let door = resolve(from, path).as_deref() == Some("web/client/index.js");
    if from.starts_with("web/app/") && !inside("web/app/") && !door {
        return Some(format!(
            "the page imports its own files and ../client/index.js, not `{path}`"
        ));
    }
    None
}

/// `path` as seen from the folder of `from`.
fn resolve(from: &str, path: &str) -> Option<String> {
    if let Some(path) = path.strip_prefix('/') {
        return Some(format!("web/{path}"));
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            other => parts.push(other),
        }
    }
    Some(parts.join("/"))
}

/// The paths of static and dynamic imports and re-exports, with their lines. Types in comments are left alone.
fn import_paths(file: &File) -> Vec<(usize, &str)> {
    let mut paths = Vec::new();
    for (number, (line, code)) in file.text.lines().zip(file.code().lines()).enumerate() {
        // The code has the quotes, the text has what is between them; columns are the same.
        let starts = ["from ", "import ", "import("]
            .iter()
            .filter_map(|word| find_word(code, word));
        for start in starts {
            let rest: String = code.chars().skip(start).collect();
            if let Some(quote) = rest.strip_prefix(['"', '\'', '`']) {
                let offset: usize = line.chars().take(start + 1).map(char::len_utf8).sum();
                let length = quote.find(['"', '\'', '`']).unwrap_or(0);
                paths.extend(line.get(offset..offset + length).map(|path| (number, path)));
            }
        }
    }
    paths
}

/// The character column behind `word`, if it is there as a word.
fn find_word(code: &str, word: &str) -> Option<usize> {
    let at = code.find(word)?;
    let clean = !code[..at].ends_with(|c: char| c.is_alphanumeric() || "_$.".contains(c));
    clean.then(|| code[..at].chars().count() + word.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_comment_is_found() {
        assert_eq!(
            comment_first(&File::new("web/a.js", "import './b.js';\n")).len(),
            1
        );
        assert_eq!(
            comment_first(&File::new("web/a.js", "#!/usr/bin/env node\n// A.\n")),
            []
        );
    }

    #[test]
    fn the_dom_in_the_client_is_found() {
        let found = |path, text| client_without_dom(&File::new(path, text)).len();
        for bad in [
            "document.title = 1;",
            "new window.URL('')",
            "globalThis.localStorage.x",
            "f(...history)",
            "alert('x')",
        ] {
            assert!(found("web/client/a.js", bad) > 0, "{bad}");
            assert_eq!(found("web/app/a.js", bad), 0, "{bad}");
        }
        for good in [
            "this.window.size",
            "{ window: 4 }",
            "'document'",
            "// document",
            "this.#history",
            "documents(1)",
        ] {
            assert_eq!(found("web/client/a.js", good), 0, "{good}");
        }
    }

    #[test]
    fn webrtc_in_the_page_is_found() {
        let found = |text| app_without_webrtc(&File::new("web/app/a.js", text)).len();
        assert_eq!(found("const pc = new RTCPeerConnection();"), 1);
        assert_eq!(found("new globalThis.WebSocket(url)"), 1);
        assert_eq!(
            found("const hint = 'new RTCPeerConnection()'; /** @type {RTCDataChannel} */"),
            0
        );
    }

    #[test]
    fn wrong_imports_are_found() {
        let found = |path, text| imports(&File::new(path, text)).len();
        let bad = [
            ("web/app/a.js", "import { a } from './b';"),
            ("web/app/a.js", "import { a } from '../client/room.js';"),
            (
                "web/app/a.js",
                "const a = await import('../client/room.js');",
            ),
            ("web/app/a.js", "import axe from \"axe-core\";"),
            (
                "web/app/view/a.js",
                "import { a } from '../../client/room.js';",
            ),
            ("web/client/a.js", "export { a } from '../app/b.js';"),
            ("web/client/a.js", "import fs from 'node:fs';"),
            ("web/test/a.test.js", "import { a } from '../client/b';"),
        ];
        for (path, text) in bad {
            assert_eq!(found(path, text), 1, "{path}: {text}");
        }
        let good = [
            ("web/app/a.js", "import { a } from './view/b.js';"),
            (
                "web/app/a.js",
                "import { createRoom } from '../client/index.js';",
            ),
            (
                "web/app/a.js",
                "import { createRoom } from '/client/index.js';",
            ),
            (
                "web/app/view/a.js",
                "import { a } from '../../client/index.js';",
            ),
            (
                "web/client/a.js",
                "import { a } from './b.js'; /** @type {import('./types').A} */",
            ),
            ("web/test/a.test.js", "import test from 'node:test';"),
        ];
        for (path, text) in good {
            assert_eq!(found(path, text), 0, "{path}: {text}");
        }
    }
}
