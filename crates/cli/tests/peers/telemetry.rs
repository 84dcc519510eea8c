//! Who else is told of a conversation? Nobody: every socket that a program holds is listed here, and what it leads to.

use std::collections::{HashMap, HashSet};
use std::fs;

use crate::kit::{Person, Server};

/// What the kernel says of one socket.
#[derive(Debug, PartialEq, Eq)]
struct Socket {
    kind: &'static str,
    /// As `/proc/net` writes it: address and port in hexadecimal.
    remote: String,
}

/// Every socket of a process; those of the kinds below that lead nowhere outside have no remote end.
fn sockets(pid: u32) -> Vec<Socket> {
    let mut known: HashMap<String, Socket> = HashMap::new();
    for kind in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"] {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{kind}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let remote = fields[2].to_owned();
            known.insert(fields[9].to_owned(), Socket { kind, remote });
        }
    }
    let unix = fs::read_to_string(format!("/proc/{pid}/net/unix")).expect("a table");
    for line in unix.lines().skip(1) {
        let inode = line.split_whitespace().nth(6).expect("an inode");
        let remote = String::new();
        known.insert(
            inode.to_owned(),
            Socket {
                kind: "unix",
                remote,
            },
        );
    }
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("a process");
    let links = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    // One may be held by several handles.
    let inodes: HashSet<String> = links
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?;
            Some(inode.strip_suffix(']')?.to_owned())
        })
        .collect();
    let of = |inode: String| {
        let socket = known.remove(&inode);
        socket.unwrap_or_else(|| panic!("socket {inode} is of another kind"))
    };
    inodes.into_iter().map(of).collect()
}

#[test]
fn every_socket_of_a_session_leads_to_the_server_or_to_the_other_side() {
    let server = Server::start();
    let port: u16 = server
        .url
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let [mut waits, joins] = Person::pair("chat", &server);
    waits.say("caw\n");
    joins.out.text("caw\n");
    for person in [&waits, &joins] {
        let sockets = sockets(person.pid());
        let tcp: Vec<&Socket> = sockets
            .iter()
            .filter(|socket| socket.kind.starts_with("tcp"))
            .collect();
        let [signaling] = tcp[..] else {
            panic!("one connection to the server: {sockets:?}")
        };
        // 127.0.0.1, as the kernel writes it.
        assert_eq!(signaling.remote, format!("0100007F:{port:04X}"));
        // A path is checked by ICE, packet by packet: no UDP socket is tied to an address. What leaves them goes to candidates of the other
        // side and to the STUN server named by ours, `web/test/e2e` and `crates/peer`.
        let udp = sockets
            .iter()
            .filter(|socket| socket.kind.starts_with("udp"));
        assert!(udp.clone().count() >= 1, "{sockets:?}");
        for socket in udp {
            assert!(
                socket.remote.trim_start_matches('0').starts_with(':'),
                "{socket:?}"
            );
        }
        assert!(
            sockets.iter().all(|socket| !socket.kind.starts_with("raw")),
            "{sockets:?}"
        );
    }
}
