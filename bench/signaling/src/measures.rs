//! The measures. Each starts a server of its own, so that none inherits another's state.

use std::time::{Duration, Instant};

use crate::{
    net::{Driver, Net},
    server::{Server, own_processor_time},
};

pub mod memory;
pub mod messages;
pub mod pairings;
pub mod slow_reader;

/// Bytes of JSON in the payload of a description, and of each message where only their number counts.
const PAYLOAD: usize = 1500;

/// How much of something was done.
pub struct Throughput {
    pub per_second: f64,
    /// Part of its core that the server, and the generator, had in use. A server below 1 was not the bottleneck.
    pub server_load: f64,
    pub generator_load: f64,
}

/// Lets the measure run in for a second, then counts for `length`.
fn throughput<D: Driver>(
    server: &Server,
    net: &mut Net,
    driver: &mut D,
    length: Duration,
    count: fn(&D) -> u64,
) -> anyhow::Result<Throughput> {
    net.run_for(driver, Duration::from_secs(1))?;
    let (counted, server_before, own_before, begun) = (
        count(driver),
        server.processor_time()?,
        own_processor_time()?,
        Instant::now(),
    );
    net.run_for(driver, length)?;
    let took = begun.elapsed().as_secs_f64();
    Ok(Throughput {
        per_second: (count(driver) - counted) as f64 / took,
        server_load: (server.processor_time()? - server_before).as_secs_f64() / took,
        generator_load: (own_processor_time()? - own_before).as_secs_f64() / took,
    })
}
