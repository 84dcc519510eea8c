//! coturn's own client through our relay, over each transport.

use std::net::SocketAddr;
use std::process::Command;

use crate::kit::{Relay, SECRET};

/// A thousand messages each way between two clients of the relay, none lost.
///
/// `-c`: without a second port for RTCP, which nobody has used since ICE bundles; `-z`: milliseconds from message to message.
fn thousand(server: SocketAddr, transport: &[&str]) {
    let output = Command::new("turnutils_uclient")
        .args(transport)
        .args(["-c", "-y", "-m", "1", "-n", "1000", "-l", "501", "-z", "2"])
        .args(["-W", SECRET, "-u", "ann", "-p", &server.port().to_string()])
        .arg(server.ip().to_string())
        .output()
        .expect("`cargo xtask setup` installs coturn");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    for wanted in [
        "tot_send_msgs=2000, tot_recv_msgs=2000",
        "Total lost packets 0 (0.000000%)",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
}

#[test]
fn coturns_client_loses_nothing_over_udp() {
    thousand(Relay::start(&[]).turn, &[]);
}

#[test]
fn coturns_client_loses_nothing_over_tcp() {
    thousand(Relay::start(&[]).turn, &["-t"]);
}

#[test]
fn coturns_client_loses_nothing_over_tls() {
    thousand(Relay::start(&[]).tls, &["-t", "-S"]);
}

/// `-x`: an IPv6 allocation. The server listens for both families at one socket, as on a machine that has both.
#[test]
fn coturns_client_loses_nothing_over_ipv6() {
    let relay = Relay::at("[::]:0", &[]);
    let mut at = relay.turn;
    at.set_ip(std::net::Ipv6Addr::LOCALHOST.into());
    thousand(at, &["-x"]);
    at.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    thousand(at, &["-t"]);
}
