//! Where there is no server, or something that is none: an error that says so, within ten seconds, whatever was wanted.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use crate::kit::Person;

/// From the start of the program.
const LIMIT: Duration = Duration::from_secs(10);

/// Does this to everybody who connects; where it listens. The threads end with the test's process.
fn listener(greet: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || listener.incoming().flatten().for_each(greet));
    address
}

/// Every verb, with a code and without; what they said, the address in it replaced.
fn all_fail(server: &str) -> String {
    let link = format!("{server}/#k7fq-9xqm-2p4t");
    let began = Instant::now();
    let starts = [
        vec!["chat", "--server", server],
        vec!["pipe", "--server", server],
        vec!["chat", &link],
        vec!["pipe", "k7fq-9xqm-2p4t", "--server", server],
    ];
    let persons = starts.map(|arguments| Person::start(&arguments));
    let said = persons.map(|mut person| {
        let said = person.exits(1);
        assert!(began.elapsed() < LIMIT, "{server}: {:?}", began.elapsed());
        assert!(person.out.all().is_empty());
        said
    });
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
    let host = server
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    said[0].replace(host, "HOST")
}

#[test]
fn one_that_never_answers() {
    let address = listener(|stream| {
        // Held open, and nothing said.
        thread::spawn(move || (&stream).read_to_end(&mut Vec::new()));
    });
    for scheme in ["http", "https"] {
        assert_eq!(
            all_fail(&format!("{scheme}://{address}")),
            format!(
                "error: the server gave no answer within 9 s\nhint: Something listens at {scheme}://HOST/ but does not speak this \
                 protocol, or a proxy holds WebSockets back.\n"
            )
        );
    }
}

/// As a firewall that drops what comes: the queue of connections is full, and the kernel answers no further one.
#[test]
fn one_that_cannot_even_be_connected_to() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("it listens");
    let address = socket
        .local_addr()
        .expect("bound")
        .as_socket()
        .expect("IPv4");
    let _first = TcpStream::connect(address).expect("the only one that fits");
    let refused = TcpStream::connect_timeout(&address, Duration::from_millis(300));
    refused.expect_err("the queue is full");
    assert!(
        all_fail(&format!("http://{address}"))
            .starts_with("error: the server gave no answer within 9 s\n")
    );
}

#[test]
fn one_that_is_something_else() {
    let closes = listener(drop);
    let resets = listener(|stream| {
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .expect("a socket takes that");
    });
    let page = listener(|mut stream| {
        // Whoever asks is told that there is no such page.
        let _ = stream.read(&mut [0; 4_096]);
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    });
    let shell = listener(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        thread::spawn(move || stream.read_to_end(&mut Vec::new()));
    });
    for (scheme, address, reason) in [
        ("http", closes, "it closed the connection at once"),
        ("http", resets, "it closed the connection at once"),
        (
            "http",
            page,
            "a web server without rooms answered, 404 Not Found",
        ),
        ("http", shell, "what answered is no web server"),
        ("https", shell, "it does not speak TLS"),
    ] {
        let socket = scheme.replace("http", "ws");
        assert_eq!(
            all_fail(&format!("{scheme}://{address}")),
            format!(
                "error: could not reach the server at {socket}://HOST/ws: {reason}\nhint: Is a Crowfly server running at \
                 {scheme}://HOST/? `crowfly serve` starts one; --server names another.\n"
            )
        );
    }
}

/// RFC 6761 §6.4: there is no such name anywhere.
#[test]
fn one_whose_name_nobody_knows() {
    let said = all_fail("http://nowhere.invalid");
    assert!(
        said.starts_with("error: could not reach the server at ws://HOST/ws: "),
        "{said}"
    );
    assert!(
        said.contains("hint: Is a Crowfly server running at http://HOST/?"),
        "{said}"
    );
}
