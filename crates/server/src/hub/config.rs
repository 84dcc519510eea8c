//! The hub's limits, `docs/protocol.md`.

use std::time::Duration;

use crate::limits::{Quota, Rate};

/// Every limit that concerns rooms. The defaults are those of `docs/protocol.md`.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long a connection may sit in no room.
    pub join_timeout: Duration,
    /// How long the seat of a lost peer is kept.
    pub seat_kept: Duration,
    /// Messages of one connection.
    pub messages: Rate,
    /// Look-ups of one source that found no seat to take: refused, or answered with a room made of a chosen name.
    pub failed_look_ups: Quota,
    /// Rooms in all.
    pub max_rooms: usize,
    /// Rooms made by one source.
    pub max_rooms_per_source: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            join_timeout: Duration::from_secs(10),
            seat_kept: Duration::from_secs(20),
            messages: Rate {
                burst: 200,
                each: Duration::from_millis(10),
            },
            failed_look_ups: Quota {
                count: 20,
                window: Duration::from_secs(60),
            },
            max_rooms: 100_000,
            max_rooms_per_source: 1_000,
        }
    }
}
