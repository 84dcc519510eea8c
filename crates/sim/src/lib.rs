//! Tests only: a virtual clock, and links between machines that know no socket; and the same links between real sockets ([`Impairer`]).
//!
//! A [`Network`] holds [`Machine`]s and the [`Link`]s between them and moves time from event to event, so ten seconds of a
//! gigabit path take as long as the machines need to handle a million datagrams. Everything random comes from one seed; a test
//! that fails prints it. [`LinkStats`] say what a link did to the traffic: a test of loss proves that there was loss.
//!
//! ```
//! use crowfly_sim::{Link, Loss, Machine, Network};
//! use std::time::{Duration, Instant};
//!
//! /// Answers every datagram with the same.
//! struct Echo(usize);
//!
//! impl Machine for Echo {
//!     fn handle_datagram(&mut self, _now: Instant, _datagram: &[u8]) {
//!         self.0 += 1;
//!     }
//!     fn handle_timeout(&mut self, _now: Instant) {}
//!     fn poll(&mut self, _now: Instant, transmit: &mut dyn FnMut(&[u8])) -> Option<Instant> {
//!         transmit(b"once more");
//!         None
//!     }
//! }
//!
//! let mut network = Network::new(7);
//! let (a, b) = (network.add_machine(Echo(0)), network.add_machine(Echo(0)));
//! let link = Link::new().rate(10_000_000).delay(Duration::from_millis(20)).loss(Loss::Random(0.01));
//! let there = network.add_link(link.clone());
//! let back = network.add_link(link);
//! network.connect(a, b, &[there], &[back]);
//! network.update(a, |_, _| ()); // the first datagram
//! network.run_for(Duration::from_secs(10));
//! assert!(network.machine(b).0 > 0);
//! ```

mod impairer;
mod link;
mod loss;
mod network;
mod wire;

pub use impairer::Impairer;
pub use link::{Link, LinkStats};
pub use loss::Loss;
pub use network::{LinkId, Machine, Network, NodeId, seed};
