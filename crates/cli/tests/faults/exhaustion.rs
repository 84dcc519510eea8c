//! Row 64: more sockets than there are descriptors.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::kit::process::{self, Waited};
use crate::kit::{Approach, Bystanders, Client, Pace, Pair, Server, alone, note, room, sized};

/// How much of the time a server must rest that has no descriptor left and is asked for more all the time. One that spins never
/// does; an honest one rests nine tenths, less where it waits for a busy machine to let it run.
const RESTS: f64 = 0.1;

/// Descriptors for the bystanders, one pair, and the server's own files.
const SPARE: usize = 64;

#[test]
fn out_of_descriptors_it_serves_whom_it_has_and_accepts_again() {
    let _turn = alone();
    // The other ends of these sockets are here.
    rlimit::increase_nofile_limit(u64::MAX).expect("a limit");
    let sockets = sized(2_000, 10_000);
    let limit = sockets + SPARE;
    let server = Server::start_with_descriptors("", limit);
    let bystanders = Bystanders::start(&server);
    let mut pair = Pair::meet(server.address);
    let mut held: Vec<_> = (0..sockets)
        .map(|number| {
            let mut client = from(number).connect(server.address);
            // Or it would be closed for not joining meanwhile.
            room::create(&mut client);
            client
        })
        .collect();
    let waited = Waited::of(server.id());
    let busy_so_far = || process::processor_time(server.id()) + waited.so_far();
    let mut rested: f64 = 0.0;
    bystanders.assert_undisturbed(|| {
        let knocking: Vec<_> = (0..2 * SPARE)
            .map(|number| from(sockets + number).knock(server.address))
            .collect();
        server.wait_for_descriptors(|open| open >= limit);
        let (begun, busy) = (Instant::now(), busy_so_far());
        let mut pace = Pace::every(Duration::from_millis(50));
        while begun.elapsed() < Duration::from_secs(1) {
            drop(from(sockets).knock(server.address));
            pace.tick();
        }
        let busy = busy_so_far() - busy;
        rested = rested.max(1.0 - busy.as_secs_f64() / begun.elapsed().as_secs_f64());
        pair.assert_talking();
        drop(knocking);
    });
    note(&format!(
        "with all {limit} descriptors in use it rested {:.0} % of the time",
        rested * 100.0
    ));
    assert!(rested > RESTS, "rested {:.0} % of the time", rested * 100.0);
    // Those who wait are let in as soon as others go.
    let mut waiting: Vec<Client> = (0..2 * SPARE)
        .map(|number| from(sockets + number).knock(server.address))
        .collect();
    server.wait_for_descriptors(|open| open >= limit);
    drop(held.split_off(sockets / 2));
    for client in &mut waiting {
        assert_eq!(client.response_head().map(|(status, _)| status), Some(101));
        client.receive_type("welcome");
    }
    pair.assert_talking();
    // Said, but not over and over: two lines at the start, and one a minute.
    let log = server.log();
    assert!((3..10).contains(&log.lines().count()), "{log}");
}

/// Sources enough that none reaches its own limit.
fn from(number: usize) -> Approach {
    let host = u8::try_from(1 + number / 900).expect("few enough");
    Approach::default().from(Ipv4Addr::new(127, 0, 2, host))
}
