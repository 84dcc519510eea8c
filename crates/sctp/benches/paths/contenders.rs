//! Who runs, and with what windows.

use crowfly_sctp::{CongestionControl, Role};

use super::stacks::dcsctp::Dcsctp;
use super::stacks::ours::Ours;
use super::stacks::rtc::Rtc;
use super::stacks::{Setup, Stack};

/// Enough for a gigabit and 50 ms, twice.
const LARGE_WINDOW: usize = 16 << 20;

/// A stack in the race.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Receive windows to try; the better result counts. The rivals do worse with large ones on some paths and with their own on others.
    pub(crate) windows: &'static [usize],
    /// What it says is buffered includes what is in flight.
    pub(crate) counts_flight: bool,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Ours(CongestionControl),
    Dcsctp,
    Rtc,
}

pub(crate) static ALL: &[Contender] = &[OURS, CUBIC, DCSCTP, RTC];

pub(crate) const OURS: Contender = Contender {
    name: "ours",
    title: "ours (BBR)",
    windows: &[LARGE_WINDOW],
    counts_flight: false,
    kind: Kind::Ours(CongestionControl::Bbr),
};

pub(crate) const CUBIC: Contender = Contender {
    name: "cubic",
    title: "ours (CUBIC)",
    kind: Kind::Ours(CongestionControl::Cubic),
    ..OURS
};

pub(crate) const DCSCTP: Contender = Contender {
    name: "dcsctp",
    title: "dcsctp",
    windows: &[5 << 20, LARGE_WINDOW],
    counts_flight: false,
    kind: Kind::Dcsctp,
};

const RTC: Contender = Contender {
    name: "rtc",
    title: "rtc-sctp",
    windows: &[1 << 20, LARGE_WINDOW],
    counts_flight: true,
    kind: Kind::Rtc,
};

impl Contender {
    pub(crate) fn make(&self, role: Role, window: usize, seed: u64) -> Box<dyn Stack> {
        let mut setup = Setup {
            window,
            seed,
            ..Setup::new(role)
        };
        match self.kind {
            Kind::Ours(congestion) => {
                setup.congestion = congestion;
                setup.zero_checksum = true;
                setup.interleaving = true;
                Box::new(Ours::new(setup))
            }
            Kind::Dcsctp => Box::new(Dcsctp::new(setup)),
            Kind::Rtc => Box::new(Rtc::new(setup)),
        }
    }
}
