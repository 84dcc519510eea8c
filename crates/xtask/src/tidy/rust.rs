//! Rules for Rust files.

use super::Violation;
use super::files::File;
use super::text::has_word;

/// Every file begins by saying what it is.
pub(crate) fn module_doc(file: &File) -> Vec<Violation> {
    if !file.is_rust() || file.text.starts_with("//!") {
        return vec![];
    }
    vec![file.violation(0, "begins without a module doc (`//!`)")]
}

/// Rust names what is returned (C-GETTER of the API guidelines).
pub(crate) fn no_get(file: &File) -> Vec<Violation> {
    if !file.is_rust() {
        return vec![];
    }
    let named = file
        .code()
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("fn get_"));
    named
        .map(|(line, _)| file.violation(line, "`get_` in a name"))
        .collect()
}

/// Files that are state machines or plain data: a driver hands them the time and carries out what they ask.
const SANS_IO: [&str; 5] = [
    "crates/protocol/src/",
    "crates/sctp/src/",
    "crates/server/src/hub",
    "crates/peer/src/session",
    "crates/relay/src/core",
];

/// What only drivers may name.
const IO: [&str; 16] = [
    "Instant::now",
    "SystemTime::now",
    "tokio",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "thread",
    "async",
    "await",
    "Mutex",
    "RwLock",
    "Condvar",
    "mpsc",
    "fs",
    "env",
    "Command",
];

pub(crate) fn sans_io(file: &File) -> Vec<Violation> {
    if !file.is_rust() || !SANS_IO.iter().any(|start| file.path.starts_with(start)) {
        return vec![];
    }
    let end = file.tests_start().unwrap_or(usize::MAX);
    let mut violations = Vec::new();
    for (number, line) in file
        .code()
        .lines()
        .enumerate()
        .take_while(|(number, _)| *number < end)
    {
        for word in IO.iter().filter(|word| has_word(line, word)) {
            violations.push(file.violation(
                number,
                format!("`{word}` in a sans-IO file; a driver owns it"),
            ));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_module_doc_is_found() {
        assert_eq!(module_doc(&File::new("a.rs", "use std::fmt;\n")).len(), 1);
        assert_eq!(
            module_doc(&File::new("a.rs", "//! A.\nuse std::fmt;\n")),
            []
        );
    }

    #[test]
    fn a_getter_name_is_found() {
        assert_eq!(no_get(&File::new("a.rs", "fn get_room() {}\n")).len(), 1);
        assert_eq!(
            no_get(&File::new("a.rs", "fn room() {} // not fn get_room\n")),
            []
        );
    }

    #[test]
    fn a_clock_socket_task_or_lock_in_the_hub_is_found() {
        let found = |path, text| sans_io(&File::new(path, text)).len();
        for bad in [
            "let now = Instant::now();",
            "use tokio::net::UdpSocket;",
            "std::sync::Mutex::new(1)",
            "async fn a() {}",
        ] {
            assert!(found("crates/server/src/hub.rs", bad) > 0, "{bad}");
            assert!(found("crates/protocol/src/code.rs", bad) > 0, "{bad}");
            assert_eq!(found("crates/server/src/signaling.rs", bad), 0, "{bad}");
        }
        let tested = "fn a(now: Instant) {} // Instant::now\n#[cfg(test)]\nmod tests {\nlet now = Instant::now();\n}\n";
        assert_eq!(found("crates/server/src/hub.rs", tested), 0);
    }
}
