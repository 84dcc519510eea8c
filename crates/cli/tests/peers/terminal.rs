//! `crowfly chat` at a terminal: lines are edited, what strangers write cannot take it over, and it is given back as it was.

use std::fs::File;
use std::io::Write;
use std::num::NonZero;
use std::process::{Command, Stdio};

use nix::pty::{Winsize, openpty};
use nix::sys::termios::tcgetattr;

use crate::kit::{Heard, Person, Process, Server};

const ROWS: NonZero<u16> = NonZero::new(50).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(100).unwrap();

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
            ws_row: ROWS.get(),
            ws_col: COLUMNS.get(),
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

    /// What one sees: the screen's lines, without the spaces behind them.
    fn screen(&self) -> Vec<String> {
        let mut screen = vt100::Parser::new(ROWS, COLUMNS, 0);
        screen.process(&self.shown.so_far());
        screen.screen().rows(0, COLUMNS.get()).collect()
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
    let link = shown.lines().find_map(|line| line.strip_prefix("link  "));
    let link = link.expect("a link").trim();
    assert_eq!(scan(&person.screen()), link, "by a telephone's camera");
    let mut script = Person::start(&["chat", link]);
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
/// Without the server nobody can come, and nobody is told otherwise.
#[test]
fn a_room_without_its_server_is_not_called_open() {
    let server = Server::start();
    let mut person = Terminal::start(&["chat", "--server", &server.url]);
    let shown = person.shown.text("waiting for somebody to join");
    let link = shown.lines().find_map(|line| line.strip_prefix("link  "));
    let mut script = Person::start(&["chat", link.expect("a link").trim()]);
    person.shown.text("connected directly");
    server.kill();
    person.shown.text("the server is lost");
    script.end_stdin();
    script.exits(0);
    let shown = person
        .shown
        .text("the room is open again when the server is back");
    assert!(!shown.contains("still open"), "{shown}");
    person.press("\u{3}");
    person.exits(0);
}

/// What the picture on a screen says to a camera: half blocks are light, all else is dark.
fn scan(screen: &[String]) -> String {
    let pixel = |x: usize, y: usize| -> u8 {
        let lit = screen.get(y / 2).and_then(|line| line.chars().nth(x));
        match lit {
            Some('\u{2588}') => 255,
            Some('\u{2580}') if y.is_multiple_of(2) => 255,
            Some('\u{2584}') if !y.is_multiple_of(2) => 255,
            _ => 0,
        }
    };
    // As large as a camera sees it.
    const SCALE: usize = 4;
    let (width, height) = (usize::from(COLUMNS.get()), screen.len() * 2);
    let mut picture =
        rqrr::PreparedImage::prepare_from_greyscale(width * SCALE, height * SCALE, |x, y| {
            pixel(x / SCALE, y / SCALE)
        });
    let codes = picture.detect_grids();
    let [code] = codes.as_slice() else {
        panic!("{} codes on\n{}", codes.len(), screen.join("\n"));
    };
    code.decode().expect("it can be read").1
}
