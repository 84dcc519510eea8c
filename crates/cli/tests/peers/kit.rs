//! A server, and somebody at a program: what is said on stderr and stdout is read as it comes, and waited for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// What has not come by then does not come: the other side's death takes longest to be believed, 28 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kills its process in the end.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended by itself where this fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.0.id());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.expect("a shell").success());
    }
}

/// `crowfly serve` on a free port.
pub(crate) struct Server {
    process: Process,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let any = format!("{}:0", Ipv4Addr::LOCALHOST);
        let mut child = Command::new(env!("CARGO_BIN_EXE_crowfly"))
            .args(["serve", "--listen", &any, "--relay-listen", &any])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let first = lines.next().expect("a line").expect("text");
        // Goes on reading, so that the server never waits for us.
        thread::spawn(move || lines.for_each(drop));
        let url = first.strip_prefix("Crowfly is at ").expect("where it is");
        Self {
            url: url.to_owned(),
            process: Process(child),
        }
    }

    /// As a crash does.
    pub(crate) fn kill(mut self) {
        self.process.0.kill().expect("it runs");
        self.process.0.wait().expect("it ends");
    }

    /// As a service manager stops it; how it ended.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.process.signal("TERM");
        self.process.0.wait().expect("it ends")
    }

    /// Connects a bare WebSocket, and gives all that the server says on it until it hangs up.
    pub(crate) fn overhear(&self) -> thread::JoinHandle<Vec<u8>> {
        let address = self.url.trim_start_matches("http://").trim_end_matches('/');
        let mut socket = TcpStream::connect(address).expect("a connection");
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: crowfly.1\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).expect("it is taken");
        let mut said = vec![0];
        socket.read_exact(&mut said).expect("an answer");
        thread::spawn(move || {
            // It may end with a reset: what was said before is what matters.
            let _ = socket.read_to_end(&mut said);
            said
        })
    }
}

/// What one stream has said so far.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Said>);

#[derive(Default)]
struct Said {
    /// Up to now, and whether it has ended.
    so_far: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Heard {
    pub(crate) fn listen(&self, mut stream: impl Read + Send + 'static) {
        let (heard, mut block) = (self.clone(), vec![0; 1 << 16]);
        thread::spawn(move || {
            loop {
                let count = stream.read(&mut block).unwrap_or(0);
                let Said { so_far, changed } = &*heard.0;
                let mut said = so_far.lock().expect("no reader panics");
                said.0.extend_from_slice(&block[..count]);
                said.1 = count == 0;
                changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
    }

    /// Everything, once the stream has ended or this is so.
    pub(crate) fn until(&self, what: &str, done: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let Said { so_far, changed } = &*self.0;
        let said = so_far.lock().expect("no reader panics");
        let waiting = |said: &mut (Vec<u8>, bool)| !said.1 && !done(&said.0);
        let (said, _) = changed
            .wait_timeout_while(said, PATIENCE, waiting)
            .expect("no reader panics");
        assert!(
            done(&said.0),
            "{what} did not come: {}",
            String::from_utf8_lossy(&said.0)
        );
        said.0.clone()
    }

    pub(crate) fn so_far(&self) -> Vec<u8> {
        self.0.so_far.lock().expect("no reader panics").0.clone()
    }

    pub(crate) fn text(&self, wanted: &str) -> String {
        let has = |said: &[u8]| String::from_utf8_lossy(said).contains(wanted);
        String::from_utf8_lossy(&self.until(wanted, has)).into_owned()
    }

    /// All of it, after its end.
    pub(crate) fn all(&self) -> Vec<u8> {
        let Said { so_far, changed } = &*self.0;
        let said = so_far.lock().expect("no reader panics");
        let (said, _) = changed
            .wait_timeout_while(said, PATIENCE, |said| !said.1)
            .expect("no reader panics");
        assert!(said.1, "it has not ended");
        said.0.clone()
    }
}

/// `crowfly chat` or `crowfly pipe`, not at a terminal.
pub(crate) struct Person {
    process: Process,
    stdin: Option<ChildStdin>,
    pub(crate) out: Heard,
    pub(crate) err: Heard,
}

impl Person {
    /// Whose stdout is read all the time.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut person = Self::unread(arguments);
        person.read();
        person
    }

    /// With this in `CROWFLY_CODE`.
    pub(crate) fn with_code(arguments: &[&str], code: &str) -> Self {
        let mut person = Self::spawn(arguments, Some(code));
        person.read();
        person
    }

    /// Whose stdout nobody reads yet.
    pub(crate) fn unread(arguments: &[&str]) -> Self {
        Self::spawn(arguments, None)
    }

    fn spawn(arguments: &[&str], code: Option<&str>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_crowfly"))
            .args(arguments)
            .env_remove("CROWFLY_SERVER")
            .env_remove("CROWFLY_CODE")
            .envs(code.map(|code| ("CROWFLY_CODE", code)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let err = Heard::default();
        err.listen(child.stderr.take().expect("piped"));
        Self {
            stdin: child.stdin.take(),
            process: Process(child),
            out: Heard::default(),
            err,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    pub(crate) fn read(&mut self) {
        let stdout = self.process.0.stdout.take().expect("nobody reads it yet");
        self.out.listen(stdout);
    }

    /// Nobody will read its stdout.
    pub(crate) fn close_stdout(&mut self) {
        drop(self.process.0.stdout.take().expect("nobody reads it yet"));
    }

    /// Makes a room; who it is, and the room's link.
    pub(crate) fn create(verb: &str, server: &Server) -> (Self, String) {
        let mut person = Self::unread(&[verb, "--server", &server.url]);
        let link = person.link();
        person.read();
        (person, link)
    }

    /// Of the room it made.
    pub(crate) fn code(&mut self) -> String {
        let said = self.err.text("waiting for somebody to join\n");
        let code = said.lines().find_map(|line| line.strip_prefix("code  "));
        code.expect("a code").to_owned()
    }

    /// Of the room it made.
    pub(crate) fn link(&mut self) -> String {
        let said = self.err.text("waiting for somebody to join\n");
        let link = said.lines().find_map(|line| line.strip_prefix("link  "));
        link.expect("a link").to_owned()
    }

    /// Two who are connected: who made the room, and who joined.
    pub(crate) fn pair(verb: &str, server: &Server) -> [Self; 2] {
        let (waits, link) = Self::create(verb, server);
        let joins = Self::start(&[verb, &link]);
        for person in [&waits, &joins] {
            person.err.text("connected directly");
        }
        [waits, joins]
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.write(text.as_bytes()).expect("it reads");
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> std::io::Result<()> {
        self.stdin.as_mut().expect("it is open").write_all(data)
    }

    /// Writes all of it and then the end, in a thread of its own.
    pub(crate) fn write_and_end(&mut self, data: Vec<u8>) -> thread::JoinHandle<()> {
        let mut stdin = self.stdin.take().expect("it is open");
        thread::spawn(move || {
            // Who ends early does not read all of it.
            let _ = stdin.write_all(&data);
        })
    }

    pub(crate) fn end_stdin(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    pub(crate) fn exit(&mut self) -> ExitStatus {
        // All of stderr has been said when its reader has seen the end.
        self.err.all();
        self.process.0.wait().expect("it ends")
    }

    /// Ends with this exit code; what stderr said.
    pub(crate) fn exits(&mut self, code: i32) -> String {
        let said = String::from_utf8_lossy(&self.err.all()).into_owned();
        assert_eq!(self.exit().code(), Some(code), "{said}");
        said
    }
}
