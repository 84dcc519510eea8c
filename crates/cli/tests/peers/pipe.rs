//! Bytes through, both ways, to the last one; and what is said when that cannot be.

use std::time::{Duration, Instant};

use crate::kit::{Person, Server};

/// Nothing that compresses or repeats: a block in the wrong place shows.
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| random.u8(..)).collect()
}

#[test]
fn bytes_go_both_ways_and_stdout_holds_nothing_else() {
    let server = Server::start();
    let [mut waits, mut joins] = Person::pair("pipe", &server);
    // More than the window of 8 MiB, and not whole blocks.
    let (there, back) = (bytes(1, 20_000_003), bytes(2, 3_000_001));
    joins.write_and_end(there.clone());
    waits.write_and_end(back.clone());
    assert!(waits.out.all() == there && joins.out.all() == back);
    for person in [&mut waits, &mut joins] {
        let said = person.exits(0);
        assert!(!said.contains("error"), "{said}");
    }
}

#[test]
fn nothing_is_a_stream_too() {
    let server = Server::start();
    let [mut waits, mut joins] = Person::pair("pipe", &server);
    joins.end_stdin();
    waits.end_stdin();
    for person in [&mut waits, &mut joins] {
        person.exits(0);
        assert!(person.out.all().is_empty());
    }
}

/// A program in between may read nothing before it has written all: the two directions do not wait for each other.
#[test]
fn a_stdout_that_nobody_reads_yet_holds_the_other_direction_back_by_nothing() {
    let server = Server::start();
    let mut waits = Person::unread(&["pipe", "--server", &server.url]);
    let link = waits.link();
    let mut joins = Person::start(&["pipe", &link]);
    let (there, back) = (bytes(3, 20_000_000), bytes(4, 6_000_000));
    joins.write_and_end(back.clone());
    waits.write_and_end(there.clone());
    assert!(joins.out.until("all of it", |out| out.len() == there.len()) == there);
    waits.read();
    assert!(waits.out.all() == back);
    waits.exits(0);
    joins.exits(0);
}

#[test]
fn the_server_may_die_in_the_middle() {
    let server = Server::start();
    let [mut waits, mut joins] = Person::pair("pipe", &server);
    let (first, second) = (bytes(5, 1_000_000), bytes(6, 3_000_000));
    joins.write(&first).expect("it reads");
    waits
        .out
        .until("the first part", |out| out.len() == first.len());
    server.kill();
    for person in [&waits, &joins] {
        person
            .err
            .text("the server is lost; the pipe goes on without it");
    }
    joins.write_and_end(second.clone());
    waits.write_and_end(second.clone());
    assert!(waits.out.all() == [first, second.clone()].concat());
    assert!(joins.out.all() == second);
    waits.exits(0);
    joins.exits(0);
}

/// Row 13. None of the transfers can be through when the server is stopped: nobody reads them, and more was written than is sent ahead.
#[test]
fn twenty_transfers_outlive_a_sigterm() {
    let server = Server::start();
    let mut pairs: Vec<_> = (0..20)
        .map(|number| {
            let mut waits = Person::unread(&["pipe", "--server", &server.url]);
            let mut joins = Person::start(&["pipe", &waits.link()]);
            let data = bytes(100 + number, 9_000_000);
            waits.end_stdin();
            joins.write_and_end(data.clone());
            (waits, joins, data)
        })
        .collect();
    for (waits, joins, _) in &pairs {
        for person in [waits, joins] {
            person.err.text("connected directly");
        }
    }
    let overheard = server.overhear();
    let begun = Instant::now();
    let status = server.terminate();
    assert!(status.success(), "{status}");
    assert!(
        begun.elapsed() <= Duration::from_secs(30),
        "stopped after {:?}",
        begun.elapsed()
    );
    let heard = overheard.join().expect("it is read");
    assert!(
        heard.ends_with(b"\x88\x0f\x03\xe9shutting-down"),
        "{}",
        String::from_utf8_lossy(&heard)
    );
    for (waits, joins, _) in &mut pairs {
        for person in [&*waits, joins] {
            person
                .err
                .text("the server is lost; the pipe goes on without it");
        }
        waits.read();
    }
    for (mut waits, mut joins, data) in pairs {
        assert!(waits.out.all() == data);
        for person in [&mut waits, &mut joins] {
            let said = person.exits(0);
            assert!(!said.contains("error"), "{said}");
        }
    }
}

#[test]
fn who_stops_reading_ends_it_quietly_and_well() {
    let server = Server::start();
    let mut waits = Person::unread(&["pipe", "--server", &server.url]);
    let link = waits.link();
    let mut joins = Person::start(&["pipe", &link]);
    waits.end_stdin();
    waits.close_stdout();
    joins.write_and_end(bytes(7, 30_000_000));
    for person in [&mut waits, &mut joins] {
        let said = person.exits(0);
        assert!(!said.contains("error"), "{said}");
    }
}

#[test]
fn an_interrupt_is_a_failure_on_both_sides() {
    let server = Server::start();
    let [mut waits, mut joins] = Person::pair("pipe", &server);
    joins.say("half of ");
    waits.out.text("half of ");
    joins.signal("INT");
    assert!(joins.exits(1).contains("error: interrupted"));
    let said = waits.exits(1);
    assert!(
        said.contains("error: the other side left before everything was through"),
        "{said}"
    );
    assert_eq!(waits.out.all(), b"half of ");
}

#[test]
fn a_process_that_is_killed_is_noticed() {
    let server = Server::start();
    let [waits, mut joins] = Person::pair("pipe", &server);
    waits.signal("KILL");
    let said = joins.exits(1);
    assert!(said.contains("before everything was through"), "{said}");
}

#[test]
fn who_runs_no_pipe_is_no_end_of_one() {
    let server = Server::start();
    let (mut chats, link) = Person::create("chat", &server);
    let mut pipes = Person::start(&["pipe", &link]);
    let said = pipes.exits(1);
    assert!(said.contains("runs none"), "{said}");
    chats.err.text("chat takes text only");
    chats.exits(0);
    assert!(chats.out.all().is_empty());
}
