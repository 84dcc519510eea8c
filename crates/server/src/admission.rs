//! How many connections may be open: altogether, and of one source.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::config::HttpLimits;
use crate::limits::{Connections, Source};

/// Connections over the limit that are still told so with 503 or 429. Beyond, they are dropped without a word.
const TOLD: usize = 256;

/// Counts open connections.
#[derive(Debug)]
pub(crate) struct Admission {
    max_connections: usize,
    open: Mutex<Open>,
    /// Told when the last connection ends.
    emptied: Notify,
}

#[derive(Debug)]
struct Open {
    all: usize,
    /// How many of them are only being told that they are too many.
    refused: usize,
    by_source: Connections,
}

/// Why a connection is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The server is full: 503.
    Full,
    /// Its source has too many: 429.
    Source,
}

impl Admission {
    pub(crate) fn new(limits: &HttpLimits) -> Arc<Self> {
        let open = Open {
            all: 0,
            refused: 0,
            by_source: Connections::new(limits.max_connections_per_source),
        };
        Arc::new(Self {
            max_connections: limits.max_connections,
            open: Mutex::new(open),
            emptied: Notify::new(),
        })
    }

    /// Counts a new connection, and its source as far as it is known yet. `None`: drop it. A refused one holds a permit, too, while
    /// it is told so.
    pub(crate) fn connect(
        self: &Arc<Self>,
        source: Option<Source>,
    ) -> Option<(Permit, Option<Refusal>)> {
        let mut open = self.open();
        let refusal = if open.all - open.refused >= self.max_connections {
            Some(Refusal::Full)
        } else if source.is_some_and(|source| !open.by_source.open(source)) {
            Some(Refusal::Source)
        } else {
            None
        };
        if refusal.is_some() {
            if open.refused == TOLD {
                return None;
            }
            open.refused += 1;
        }
        open.all += 1;
        let counted = source.filter(|_| refusal.is_none());
        Some((self.permit(counted, Some(refusal.is_some())), refusal))
    }

    /// Counts a connection under the source that a trusted proxy named.
    pub(crate) fn name_source(self: &Arc<Self>, source: Source) -> Result<Permit, Refusal> {
        let counted = self.open().by_source.open(source);
        if counted {
            Ok(self.permit(Some(source), None))
        } else {
            Err(Refusal::Source)
        }
    }

    fn permit(self: &Arc<Self>, source: Option<Source>, connection: Option<bool>) -> Permit {
        Permit {
            admission: Arc::clone(self),
            source,
            connection,
        }
    }

    /// Resolves when no connection is open.
    pub(crate) async fn none_left(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.open().all == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place held while a connection is open.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    /// Under whom it is counted.
    source: Option<Source>,
    /// Whether it is a connection of its own, and then whether it is a refused one.
    connection: Option<bool>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.admission.open();
        if let Some(source) = self.source {
            open.by_source.close(source);
        }
        if let Some(refused) = self.connection {
            open.all -= 1;
            open.refused -= usize::from(refused);
            if open.all == 0 {
                self.admission.emptied.notify_waiters();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn admission(max_connections: usize, max_connections_per_source: u32) -> Arc<Admission> {
        Admission::new(&HttpLimits {
            max_connections,
            max_connections_per_source,
            ..HttpLimits::default()
        })
    }

    fn source(text: &str) -> Option<Source> {
        Some(text.parse::<IpAddr>().unwrap().into())
    }

    #[test]
    fn places_are_given_back() {
        let admission = admission(10, 2);
        let first = admission.connect(source("192.0.2.1")).unwrap();
        let second = admission.connect(source("192.0.2.1")).unwrap();
        assert_eq!((first.1, second.1), (None, None));
        assert_eq!(
            admission.connect(source("192.0.2.1")).unwrap().1,
            Some(Refusal::Source)
        );
        assert_eq!(
            admission
                .name_source(source("192.0.2.1").unwrap())
                .unwrap_err(),
            Refusal::Source
        );
        assert_eq!(admission.connect(source("192.0.2.2")).unwrap().1, None);
        drop(first);
        assert_eq!(admission.connect(source("192.0.2.1")).unwrap().1, None);
        drop(second);
        let open = admission.open();
        assert_eq!((open.all, open.refused), (0, 0), "nothing leaks");
    }

    #[test]
    fn a_flood_is_told_for_a_while_and_then_dropped() {
        let admission = admission(1, 10_000);
        let held: Vec<_> = (0..=TOLD)
            .map(|_| admission.connect(None).unwrap())
            .collect();
        assert!(
            held[1..]
                .iter()
                .all(|(_, refusal)| *refusal == Some(Refusal::Full))
        );
        assert!(admission.connect(None).is_none());
    }
}
