//! Lines from a script to somebody, and theirs on stdout.

use serde_json::Value;

use crate::kit::{Person, Server};

#[test]
fn lines_go_both_ways_and_stdout_holds_nothing_else() {
    let server = Server::start();
    let [mut waits, mut joins] = Person::pair("chat", &server);
    let long = "Krähe ".repeat(100_000);
    joins.say(&format!("caw\n{long}\n"));
    waits.say("kroah\n\n");
    waits.out.text(&format!("caw\n{long}\n"));
    joins.out.text("kroah\n");
    joins.end_stdin();
    joins.exits(0);
    let said = waits.exits(0);
    assert!(said.contains("the other side left"), "{said}");
    assert_eq!(waits.out.all(), format!("caw\n{long}\n").into_bytes());
    assert_eq!(joins.out.all(), b"kroah\n", "empty lines are not sent");
}

/// `echo caw | crowfly chat`: the line waits for somebody, arrives, and is the end of it.
/// A program reads what people read: where the room is, who comes, what is said, how it ends.
#[test]
fn everything_that_happens_can_be_had_as_json() {
    let server = Server::start();
    let mut waits = Person::start(&["chat", "--json", "--server", &server.url]);
    let first: Value = line(&waits.out.text("\n"), 0);
    assert_eq!(first["type"], "room");
    let link = first["link"].as_str().expect("a link");
    let mut joins = Person::start(&["chat", link]);
    joins.say("two\\n lines?\n");
    joins.err.text("connected directly");
    waits.say("one\n");
    joins.out.text("one\n");
    joins.end_stdin();
    joins.exits(0);
    assert_eq!(waits.exits(0), "", "nothing for people");
    let said = String::from_utf8(waits.out.all()).expect("JSON is UTF-8");
    let types: Vec<Value> = (0..said.lines().count())
        .map(|number| line(&said, number)["type"].clone())
        .collect();
    assert_eq!(types, ["room", "peer", "connected", "message", "left"]);
    assert_eq!(line(&said, 2)["remoteType"], "host");
    assert_eq!(line(&said, 2)["verified"], "code");
    assert_eq!(line(&said, 3)["text"], "two\\n lines?");
    assert_eq!(line(&said, 4)["reason"], "goodbye");
}

fn line(text: &str, number: usize) -> Value {
    let line = text.lines().nth(number).expect("so many lines");
    serde_json::from_str(line).expect("an object a line")
}

#[test]
fn what_was_said_before_anybody_came_is_not_lost() {
    let server = Server::start();
    let (mut waits, link) = Person::create("chat", &server);
    waits.say("caw\n");
    waits.end_stdin();
    let mut joins = Person::start(&["chat", &link]);
    joins.out.text("caw\n");
    waits.exits(0);
    joins.exits(0);
    assert_eq!(joins.out.all(), b"caw\n");
}

#[test]
fn the_conversation_goes_on_without_the_server() {
    let server = Server::start();
    let [mut waits, mut joins] = Person::pair("chat", &server);
    server.kill();
    for person in [&waits, &joins] {
        person.err.text("the conversation goes on without it");
    }
    for number in 0..100 {
        waits.say(&format!("{number} to you\n"));
        joins.say(&format!("{number} and back\n"));
    }
    joins.out.text("99 to you\n");
    waits.out.text("99 and back\n");
    joins.end_stdin();
    joins.exits(0);
    let said = waits.exits(0);
    assert!(said.contains("the other side left"), "{said}");
}

#[test]
fn a_code_that_names_no_room_is_an_error_with_a_hint() {
    let server = Server::start();
    for code in ["k7fq-9xqm-2p4t", "nest"] {
        let mut person = Person::start(&["chat", code, "--server", &server.url]);
        let said = person.exits(1);
        assert!(said.starts_with("error: the server refused: "), "{said}");
        assert!(said.contains("\nhint: "), "{said}");
        assert!(person.out.all().is_empty());
    }
}

#[test]
fn a_code_need_not_be_on_the_command_line() {
    let server = Server::start();
    let (mut waits, _) = Person::create("chat", &server);
    let mut joins = Person::with_code(&["chat", "--server", &server.url], &waits.code());
    for person in [&waits, &joins] {
        person.err.text("verified by code");
    }
    joins.say("caw\n");
    waits.out.text("caw\n");
}

#[test]
fn another_code_is_told_to_both_and_the_third_one_closes_the_room() {
    let server = Server::start();
    let (mut waits, _) = Person::create("chat", &server);
    let code = waits.code();
    let (room, last) = code.rsplit_once('-').expect("words");
    let other = format!("{room}-{}", if last == "acorn" { "gizmo" } else { "acorn" });
    for _ in 0..3 {
        let mut joins = Person::with_code(&["chat", "--server", &server.url], &other);
        let said = joins.exits(1);
        assert!(said.contains("does not share this secret"), "{said}");
        waits.err.text("somebody came who did not know the code");
    }
    let said = waits.exits(1);
    assert!(
        said.contains("three came who did not know the code"),
        "{said}"
    );
}

#[test]
fn a_third_is_refused_and_the_two_do_not_notice() {
    let server = Server::start();
    let (waits, link) = Person::create("chat", &server);
    let mut joins = Person::start(&["chat", &link]);
    joins.err.text("connected directly");
    let mut third = Person::start(&["chat", &link]);
    let said = third.exits(1);
    assert!(
        said.contains("hint: Two are in this room already"),
        "{said}"
    );
    joins.say("still here\n");
    waits.out.text("still here\n");
}

#[test]
fn where_nobody_reads_it_ends_quietly_and_well() {
    let server = Server::start();
    let mut waits = Person::unread(&["chat", "--server", &server.url]);
    let link = waits.link();
    let mut joins = Person::start(&["chat", &link]);
    joins.err.text("connected directly");
    waits.close_stdout();
    joins.say("caw\n");
    let said = waits.exits(0);
    assert!(!said.contains("error"), "{said}");
    joins.exits(0);
}

#[test]
fn an_interrupt_is_a_goodbye() {
    for signal in ["INT", "TERM"] {
        let server = Server::start();
        let [mut waits, mut joins] = Person::pair("chat", &server);
        joins.signal(signal);
        joins.exits(0);
        let said = waits.exits(0);
        assert!(said.contains("the other side left"), "{said}");
    }
}
