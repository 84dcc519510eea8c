//! Rules for every text file: its length, its words, and what belongs to one machine only.

use super::Violation;
use super::files::File;

/// Beyond this a file is split by concept, or its module doc says why not.
const LINES: usize = 600;

/// The words that give the reason.
const REASON: &str = "Long because";

/// Generated files have the length they have.
const GENERATED: [&str; 2] = ["Cargo.lock", "package-lock.json"];

pub(crate) fn length(file: &File) -> Vec<Violation> {
    let lines = file.text.lines().count();
    let code = file.is_rust()
        || file.is_javascript()
        || file.path.ends_with(".css")
        || file.path.ends_with(".html");
    let reasoned = file.text.lines().take(40).any(|line| line.contains(REASON));
    if !code || lines <= LINES || reasoned {
        return vec![];
    }
    vec![file.violation(
        LINES,
        format!("{lines} lines; split it by concept, or say in the module doc `{REASON} …`"),
    )]
}

/// Words the design does not use, and those it uses instead.
const WORDS: [(&str, &str); 5] = [
    ("signalling", "signaling"),
    ("signalled", "signaled"),
    ("lobby", "room"),
    ("initiator", "joiner, offerer or PEER1"),
    ("lobbies", "rooms"),
];

pub(crate) fn words(file: &File) -> Vec<Violation> {
    if names_what_it_forbids(file) {
        return vec![];
    }
    let mut violations = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let lower = line.to_lowercase();
        for (word, instead) in WORDS.iter().filter(|(word, _)| lower.contains(word)) {
            violations.push(file.violation(number, format!("`{word}`: say {instead}")));
        }
    }
    violations
}

/// Paths and package sources that exist on one machine only.
pub(crate) fn machine(file: &File) -> Vec<Violation> {
    if names_what_it_forbids(file) {
        return vec![];
    }
    let mut violations = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let path = ["/work/", "/root/", "/home/", "/Users/"]
            .iter()
            .find(|path| starts_a_path(line, path));
        violations.extend(
            path.map(|path| file.violation(number, format!("`{path}`: a path of one machine"))),
        );
        if GENERATED.iter().any(|name| file.path.ends_with(name)) && foreign_source(line) {
            violations
                .push(file.violation(number, "a package from elsewhere than crates.io or npm"));
        }
    }
    violations
}

/// The path begins here, it is not the end of a longer one or of a URL.
fn starts_a_path(line: &str, path: &str) -> bool {
    let before = line.find(path).map(|at| &line[..at]);
    before.is_some_and(|before| {
        !before.ends_with(|c: char| c.is_alphanumeric() || ".-_/}*$)".contains(c))
    })
}

/// A lock file's line that names where a package comes from, and it is not the public registry.
fn foreign_source(line: &str) -> bool {
    let line = line.trim();
    let source = line.starts_with("source = ") || line.starts_with("\"resolved\":");
    let public = [
        "registry+https://github.com/rust-lang/crates.io-index",
        "https://registry.npmjs.org/",
    ];
    source
        && !public
            .iter()
            .any(|start| line.contains(&format!("\"{start}")))
}

/// This folder's rules name what they forbid.
fn names_what_it_forbids(file: &File) -> bool {
    file.path.starts_with("crates/xtask/src/tidy/")
}

/// Whether `word` stands in the line on its own, not as part of a longer name.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_needs_a_reason() {
        let long = "//! A.\n".to_owned() + &"\n".repeat(600);
        assert_eq!(length(&File::new("a.rs", long.as_str())).len(), 1);
        assert_eq!(
            length(&File::new(
                "a.rs",
                format!("//! Long because of a table.\n{long}")
            )),
            []
        );
        assert_eq!(length(&File::new("a.md", long.as_str())), []);
        assert_eq!(length(&File::new("a.rs", "//! A.\n")), []);
    }

    #[test]
    fn words_of_other_houses_are_found() {
        assert_eq!(
            words(&File::new("a.md", "The Signalling server keeps a lobby.")).len(),
            2
        );
        assert_eq!(
            words(&File::new("a.md", "The signaling server keeps a room.")),
            []
        );
    }

    #[test]
    fn paths_and_sources_of_one_machine_are_found() {
        let found = |path, text| machine(&File::new(path, text)).len();
        assert_eq!(found("a.md", "see /root/notes"), 1);
        assert_eq!(found("a.js", "const folder = '/home/ann/crowfly';"), 1);
        assert_eq!(
            found(
                "a.md",
                "https://example.org/home/ and web/work/ and ${x}/root/"
            ),
            0
        );
        assert_eq!(
            found(
                "Cargo.lock",
                "source = \"registry+https://packages.example/index\""
            ),
            1
        );
        assert_eq!(
            found(
                "Cargo.lock",
                "source = \"registry+https://github.com/rust-lang/crates.io-index\""
            ),
            0
        );
        assert_eq!(
            found(
                "web/package-lock.json",
                "  \"resolved\": \"https://packages.example/a.tgz\","
            ),
            1
        );
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("a Mutex<u8>", "Mutex"));
        assert!(!has_word("a MutexLike", "Mutex"));
        assert!(!has_word("my_fs", "fs"));
    }
}
