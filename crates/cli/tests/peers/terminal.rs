//! `crowfly chat` at a terminal: lines are edited, what strangers write cannot take it over, and it is given back as it was.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use nix::pty::{Winsize, openpty};
use nix::sys::termios::tcgetattr;

use crate::kit::{Heard, Person, Process, Server};

/// A terminal of 100 columns with the program at it.
struct Terminal {
    process: Process,
    keys: File,
    /// The program's end of it, as it would be of the shell that started the program.
    shell: File,
    shown: Heard,
}

impl Terminal {
    fn start(arguments: &[&str]) -> Self {
        let size = Winsize {
            ws_row: 50,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let ends = openpty(&size, None).expect("a terminal");
        let (keys, shell) = (File::from(ends.master), File::from(ends.slave));
        let end = || Stdio::from(shell.try_clone().expect("one more handle"));
        // A session of its own, to which this is the terminal: that is where a code is asked for.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_crowfly")])
            .args(arguments)
            .env("TERM", "xterm")
            .env_remove("CROWFLY_SERVER")
            .env_remove("CROWFLY_CODE")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the program starts");
        let shown = Heard::default();
        shown.listen(keys.try_clone().expect("one more handle"));
        Self {
            process: Process(child),
            keys,
            shell,
            shown,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal");
    }

    fn exits(mut self, code: i32) -> File {
        let status = self.process.0.wait().expect("it ends");
        assert_eq!(status.code(), Some(code));
        self.shell
    }
}

#[test]
fn a_person_and_a_script_talk_and_control_d_is_the_end() {
    let server = Server::start();
    let mut person = Terminal::start(&["chat", "--server", &server.url]);
    let shown = person.shown.text("waiting for somebody to join");
    assert!(shown.contains("\u{2588}"), "a picture of the link");
    let link = shown.lines().find_map(|line| line.strip_prefix("link  "));
    let mut script = Person::start(&["chat", link.expect("a link").trim()]);
    person.shown.text("connected directly");
    person.press("caw\r");
    script.out.text("caw\n");
    script.say("kroah\u{1b}[2J\u{7}\n");
    let shown = person.shown.text("kroah");
    assert!(!shown.contains("\u{1b}[2J"), "{shown:?}");
    person.press("\u{4}");
    person.exits(0);
    script.exits(0);
}

#[test]
fn the_terminal_is_given_back_as_it_was_however_it_ends() {
    let server = Server::start();
    for end in ["control-c", "TERM"] {
        let mut person = Terminal::start(&["chat", "--server", &server.url]);
        let before = tcgetattr(&person.shell).expect("a terminal");
        person.shown.text("> ");
        assert_ne!(
            tcgetattr(&person.shell).expect("a terminal"),
            before,
            "the editor has taken it over"
        );
        match end {
            "control-c" => person.press("\u{3}"),
            signal => person.process.signal(signal),
        }
        let shell = person.exits(0);
        assert_eq!(tcgetattr(&shell).expect("a terminal"), before, "{end}");
    }
}

#[test]
fn a_code_is_asked_for() {
    let server = Server::start();
    let (mut script, _) = Person::create("chat", &server);
    let mut person = Terminal::start(&["chat", "-", "--server", &server.url]);
    person.shown.text("code or link: ");
    person.press(&format!("{}\r", script.code()));
    person.shown.text("verified by code");
    script.say("caw\n");
    person.shown.text("caw");
    person.press("\u{4}");
    person.exits(0);
}
