//! What operators can watch, in the OpenMetrics text format that Prometheus reads.
//!
//! For operators only: answered to the addresses of [`Config::metrics_from`](crate::Config::metrics_from), which is this machine
//! unless configured, and never to a request that came through a proxy. Counts only; nothing here names a room or an address.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// `Content-Type` of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: u16,
}

/// All counters of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: Gauge,
    pub(crate) rooms: Gauge,
    pub(crate) pairings: Counter,
    pub(crate) relayed: Counter,
    pub(crate) stun: Counter,
    pub(crate) stun_ignored: Counter,
    received: Counter,
    sent: Counter,
    refusals: Family<Code, Counter>,
    closes: Family<Reason, Counter>,
    requests: Family<Status, Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("crowfly");
        let connections = Gauge::default();
        registry.register(
            "connections",
            "Open WebSocket connections",
            connections.clone(),
        );
        let rooms = Gauge::default();
        registry.register("rooms", "Rooms in use", rooms.clone());
        let pairings = counter(&mut registry, "pairings", "Pairings of two peers begun");
        let relayed = counter(
            &mut registry,
            "signals_relayed",
            "Signaling messages handed to the other seat",
        );
        let stun = counter(
            &mut registry,
            "stun_requests",
            "STUN binding requests answered",
        );
        let stun_ignored = counter(
            &mut registry,
            "stun_ignored",
            "Datagrams left unanswered: not STUN, or over the rate",
        );
        let received = bytes_counter(&mut registry, "received", "Bytes received over WebSockets");
        let sent = bytes_counter(&mut registry, "sent", "Bytes sent over WebSockets");
        let refusals = Family::default();
        registry.register(
            "refusals",
            "Requests answered with an error, by its code",
            refusals.clone(),
        );
        let closes = Family::default();
        registry.register(
            "closes",
            "WebSocket connections ended, by the reason of the server's close",
            closes.clone(),
        );
        let requests = Family::default();
        registry.register(
            "http_requests",
            "HTTP requests answered, by status",
            requests.clone(),
        );
        Arc::new(Self {
            registry,
            connections,
            rooms,
            pairings,
            relayed,
            stun,
            stun_ignored,
            received,
            sent,
            refusals,
            closes,
            requests,
        })
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received.inc_by(bytes as u64);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.inc_by(bytes);
    }

    pub(crate) fn refused(&self, code: &'static str) {
        self.refusals.get_or_create(&Code { code }).inc();
    }

    /// Counts a connection that ended; no reason: the client went by itself.
    pub(crate) fn closed(&self, reason: Option<&'static str>) {
        let reason = match reason {
            None => "client",
            Some("") => "protocol-violation",
            Some(reason) => reason,
        };
        self.closes.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn answered(&self, status: u16) {
        self.requests.get_or_create(&Status { status }).inc();
    }

    /// Everything, in OpenMetrics text format 1.0.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.registry).expect("a String takes every write");
        text
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::<u64, AtomicU64>::default();
    registry.register(name, help, counter.clone());
    counter
}

fn bytes_counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::<u64, AtomicU64>::default();
    registry.register_with_unit(name, help, Unit::Bytes, counter.clone());
    counter
}
