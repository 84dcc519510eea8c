//! kill -9 of one side: the other says so within seconds, with the server and without it.

use std::time::{Duration, Instant};

use crate::kit::{Person, Server};

/// What the other side is told soon enough.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_process_that_dies_is_missed_while_the_server_is_there() {
    for verb in ["chat", "pipe"] {
        let server = Server::start();
        for survivor in [0, 1] {
            let mut pair = Person::pair(verb, &server);
            pair[1 - survivor].signal("KILL");
            let died = Instant::now();
            let said = pair[survivor].exits(1);
            assert!(said.contains("error: the other side vanished"), "{said}");
            assert!(died.elapsed() < SOON, "{verb}: {:?}", died.elapsed());
        }
    }
}

/// Whether it is dead or in a tunnel nobody can say: silence is told, and believed to be the end later.
#[test]
fn a_process_that_dies_is_missed_without_the_server() {
    for verb in ["chat", "pipe"] {
        let server = Server::start();
        let [waits, joins] = Person::pair(verb, &server);
        server.kill();
        for person in [&waits, &joins] {
            person.err.text("the server is lost");
        }
        joins.signal("KILL");
        let died = Instant::now();
        waits.err.text("nothing is heard from the other side");
        assert!(died.elapsed() < SOON, "{verb}: {:?}", died.elapsed());
    }
}

/// A process that was stopped, as a laptop that was closed: it is missed and found again, and nothing is lost.
#[test]
fn who_was_asleep_is_heard_again() {
    let server = Server::start();
    let [mut waits, joins] = Person::pair("chat", &server);
    joins.signal("STOP");
    waits.err.text("nothing is heard from the other side");
    waits.say("caw\n");
    joins.signal("CONT");
    joins.out.text("caw\n");
    waits.err.text("the other side is heard again");
}
