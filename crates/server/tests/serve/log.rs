//! Nothing private is logged, however much is logged.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use crate::kit::{SESSION, TestServer, config, pair, signal};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[test]
fn a_whole_scenario_leaves_no_address_name_or_payload_in_the_log() {
    let log = Log::default();
    // For every thread: the server has one of its own.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .init();
    let server = TestServer::start(config());
    let (mut waiting, mut joining, room) = pair(&server);
    joining.say(&signal(
        r#"{"kind":"candidate","candidate":"a=fingerprint canary 10.20.30.40"}"#,
    ));
    waiting.hear();
    joining.say(r#"{"type":"create","room":"canary-room"}"#);
    joining.hear();
    joining
        .say(r#"{"type":"resume","id":7,"room":"canary-room","token":"Y2FuYXJ5Y2FuYXJ5Y2FuYQ"}"#);
    joining.hear();
    drop(joining);
    waiting.hear();
    let _ = server.request(
        "GET",
        "/canary",
        &[
            ("x-forwarded-for", "10.20.30.40"),
            ("origin", "http://canary.example"),
        ],
    );
    server.stopped();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        text.contains("connected") && text.contains("request refused"),
        "the log was on:\n{text}"
    );
    for private in [
        "127.0.0.1",
        "10.20.30.40",
        "canary",
        &room,
        SESSION,
        "Y2FuYXJ5",
        "fingerprint",
    ] {
        assert!(!text.contains(private), "{private} in\n{text}");
    }
}
