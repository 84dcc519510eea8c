//! What operators can watch, in the OpenMetrics text format that Prometheus reads.
//!
//! For operators only: answered to the addresses of [`Config::metrics_from`](crate::Config::metrics_from), which is this machine
//! unless configured, and never to a request that came through a proxy. Counts only; nothing here names a room or an address.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

use crate::relay::Counts;

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
    received: Counter,
    sent: Counter,
    refusals: Family<Code, Counter>,
    closes: Family<Reason, Counter>,
    requests: Family<Status, Counter>,
}

impl Metrics {
    pub(crate) fn new(relay: Option<Counts>) -> Arc<Self> {
        let mut registry = Registry::with_prefix("crowfly");
        if let Some(counts) = relay {
            registry.register_collector(Box::new(Relay(counts)));
        }
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

/// What the relay has counted; it counts by itself and is asked.
struct Relay(Counts);

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relay")
    }
}

impl Collector for Relay {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(counts) = self;
        let stats = counts();
        let gauge = ConstGauge::new(stats.allocations as i64);
        gauge.encode(encoder.encode_descriptor(
            "relay_allocations",
            "TURN allocations that live",
            None,
            MetricType::Gauge,
        )?)?;
        for (name, help, value) in [
            (
                "stun_requests",
                "STUN binding requests answered",
                stats.bindings,
            ),
            (
                "stun_ignored",
                "Datagrams left unanswered: not STUN or TURN, or over the rate",
                stats.ignored,
            ),
            ("relay_allocated", "TURN allocations made", stats.allocated),
            (
                "relay_unauthenticated",
                "TURN requests without a credential that holds, first requests among them",
                stats.unauthenticated,
            ),
            (
                "relay_denied",
                "TURN requests for addresses that are not reached",
                stats.denied,
            ),
            (
                "relay_over_limit",
                "TURN requests refused because of a limit",
                stats.over_limit,
            ),
            (
                "relay_datagrams",
                "Datagrams relayed",
                stats.relayed_datagrams,
            ),
            (
                "relay_payload",
                "Bytes relayed, without TURN's own",
                stats.relayed_bytes,
            ),
            (
                "relay_dropped",
                "Datagrams not relayed: without permission, or over the rate",
                stats.dropped_datagrams,
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        Ok(())
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
