//! Path MTU discovery with probes (DPLPMTUD, RFC 8899), as a machine of its own.
//!
//! Packets begin at the size that passes every path WebRTC knows ([`BASE`]). Probes, which are HEARTBEATs padded with PAD chunks
//! (RFC 8899 §6.2.1), look for more: the largest size first, as most paths carry it, then by bisection. A probe carries no data,
//! so its loss costs nothing and says nothing of congestion (§3, item 7). Ten minutes after a search a path is searched again.
//! If full packets cease to arrive while the path is not known to be dead, the size falls back to the base and the search begins
//! anew (§4.3, black hole).
//!
//! A chunk that has its TSN is never cut anew, so one that was sent too large for a path that has shrunk since arrives only if
//! the datagram may be fragmented on the way: drivers set "don't fragment" on probes at most.
//!
//! Sizes are of SCTP packets, common header included, and multiples of four, to which chunks are padded anyway.

use std::time::{Duration, Instant};

/// 1280, less IPv6, UDP and DTLS, as libwebrtc has it: 1191, rounded down to a multiple of four.
pub(crate) const BASE: usize = 1188;

/// MAX_PROBES: so often a size is tried before it is taken for too large (RFC 8899 §5.1.2).
const MAX_PROBES: u32 = 3;
/// PROBE_TIMER is at least this (RFC 8899 §5.1.1).
const LEAST_PROBE_TIMER: Duration = Duration::from_secs(1);
/// PMTU_RAISE_TIMER.
const RAISE_TIMER: Duration = Duration::from_secs(600);
/// What is gained by less than this is not worth a probe.
const STEP: usize = 16;
/// Full packets lost so often in separate rounds, and none arrived: a black hole.
const BLACK_HOLE: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A probe of `size` is to be sent, for the `tries`th time.
    Due { size: usize, tries: u32 },
    /// It is on its way, and lost if not acknowledged in time.
    Waiting {
        size: usize,
        tries: u32,
        until: Instant,
    },
    /// Nothing larger passes; try again then.
    Complete { raise_at: Instant },
    /// Nothing larger is wanted.
    Disabled,
}

/// What size packets may have, and what is being tried.
#[derive(Debug)]
pub(crate) struct PathMtu {
    base: usize,
    most: usize,
    size: usize,
    /// The smallest size known not to pass, or just above the largest wanted.
    refuted: usize,
    state: State,
    /// Rounds in a row that lost full packets and saw none arrive.
    losses: u32,
}

impl PathMtu {
    /// Begin at `base`, look for up to `most`; equal, or less, for no search at all.
    pub(crate) fn new(base: usize, most: usize) -> Self {
        let (base, most) = (base & !3, most & !3);
        let mut path = Self {
            base,
            most,
            size: base,
            refuted: 0,
            state: State::Disabled,
            losses: 0,
        };
        path.search();
        path
    }

    /// The size of a full packet.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// When [`Self::handle_timeout`] is due; a probe that is due goes with the next packets.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until, .. } => Some(until),
            State::Complete { raise_at } => Some(raise_at),
            State::Due { .. } | State::Disabled => None,
        }
    }

    /// The size of a probe to be sent now, if one is. `timeout`: how long an answer takes at most, by what is known of the path.
    pub(crate) fn poll_probe(&mut self, now: Instant, timeout: Duration) -> Option<usize> {
        let State::Due { size, tries } = self.state else {
            return None;
        };
        self.state = State::Waiting {
            size,
            tries,
            until: now + timeout.max(LEAST_PROBE_TIMER),
        };
        Some(size)
    }

    /// A probe of this size was acknowledged. Returns whether the size of full packets changed.
    pub(crate) fn probe_acked(&mut self, now: Instant, size: usize) -> bool {
        // An answer counts however late it comes, but not one to a size never asked for.
        if size <= self.size || size > self.most {
            return false;
        }
        self.size = size;
        self.losses = 0;
        self.refuted = self.refuted.max(size + 4);
        self.advance(now);
        true
    }

    /// A probe is overdue, or it is time to look again.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Waiting { size, tries, until } if until <= now => {
                if tries < MAX_PROBES {
                    self.state = State::Due {
                        size,
                        tries: tries + 1,
                    };
                } else {
                    self.refuted = self.refuted.min(size);
                    self.advance(now);
                }
            }
            State::Complete { raise_at } if raise_at <= now => self.search(),
            _ => {}
        }
    }

    /// A packet of this size arrived: so large ones pass.
    pub(crate) fn packet_acked(&mut self, size: usize) {
        if size > self.base {
            self.losses = 0;
        }
    }

    /// A packet of this size was lost; call it once a round, or at each timeout. Returns whether the size of full packets changed.
    pub(crate) fn packet_lost(&mut self, size: usize) -> bool {
        if size <= self.base || self.size == self.base {
            return false;
        }
        self.losses += 1;
        if self.losses < BLACK_HOLE {
            return false;
        }
        self.size = self.base;
        self.search();
        true
    }

    /// Look for the largest size from here on.
    fn search(&mut self) {
        self.losses = 0;
        self.refuted = self.most + 4;
        self.state = if self.size + 4 > self.most {
            State::Disabled
        } else {
            State::Due {
                size: self.most,
                tries: 1,
            }
        };
    }

    /// The next size to try lies in the middle between what passes and what does not.
    fn advance(&mut self, now: Instant) {
        let next = ((self.size + self.refuted) / 2) & !3;
        self.state = if self.refuted - self.size <= STEP {
            State::Complete {
                raise_at: now + RAISE_TIMER,
            }
        } else {
            State::Due {
                size: next,
                tries: 1,
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1432;
    const ANSWER: Duration = Duration::from_millis(50);

    /// A path that carries packets up to `limit`, watched until its machine wants nothing for a minute. Returns the probes sent.
    fn discover(path: &mut PathMtu, now: &mut Instant, limit: usize) -> Vec<usize> {
        let mut probes = Vec::new();
        loop {
            if let Some(size) = path.poll_probe(*now, ANSWER * 3) {
                probes.push(size);
                if size <= limit {
                    *now += ANSWER;
                    assert!(path.probe_acked(*now, size));
                }
                continue;
            }
            match path.deadline() {
                Some(at) if at < *now + Duration::from_secs(60) => {
                    *now = at;
                    path.handle_timeout(at);
                }
                _ => return probes,
            }
        }
    }

    #[test]
    fn a_clean_path_takes_one_probe() {
        let (mut path, mut now) = (PathMtu::new(BASE, MOST), Instant::now());
        assert_eq!(discover(&mut path, &mut now, 1500), [MOST]);
        assert_eq!(path.size(), MOST);
    }

    #[test]
    fn every_limit_is_found_to_within_a_step() {
        for limit in BASE..=MOST + 4 {
            let (mut path, mut now) = (PathMtu::new(BASE, MOST), Instant::now());
            let began = now;
            let probes = discover(&mut path, &mut now, limit);
            let best = limit.min(MOST);
            assert!(
                path.size() <= best && path.size() + STEP + 4 > best,
                "{} for {limit}",
                path.size()
            );
            assert!(
                probes.len() <= 3 * 5 && now - began < Duration::from_secs(20),
                "{probes:?}"
            );
            assert!(probes.iter().all(|size| size % 4 == 0));
        }
    }

    #[test]
    fn a_lost_probe_is_tried_again_before_it_is_believed() {
        let (mut path, mut now) = (PathMtu::new(BASE, MOST), Instant::now());
        for _ in 0..MAX_PROBES - 1 {
            assert_eq!(path.poll_probe(now, ANSWER), Some(MOST));
            assert_eq!(path.poll_probe(now, ANSWER), None, "one at a time");
            now += LEAST_PROBE_TIMER;
            path.handle_timeout(now);
        }
        assert_eq!(path.poll_probe(now, ANSWER), Some(MOST));
        assert!(path.probe_acked(now + ANSWER, MOST));
        assert_eq!(path.size(), MOST);
    }

    #[test]
    fn what_was_too_large_is_tried_again_after_ten_minutes() {
        let (mut path, mut now) = (PathMtu::new(BASE, MOST), Instant::now());
        discover(&mut path, &mut now, 1300);
        assert!(path.size() < 1300);
        now += RAISE_TIMER;
        path.handle_timeout(now);
        discover(&mut path, &mut now, 1500);
        assert_eq!(path.size(), MOST);
    }

    #[test]
    fn a_black_hole_leads_back_to_the_base_and_to_a_new_search() {
        let (mut path, mut now) = (PathMtu::new(BASE, MOST), Instant::now());
        discover(&mut path, &mut now, 1500);
        path.packet_lost(MOST);
        path.packet_lost(MOST);
        path.packet_acked(MOST);
        assert!(!path.packet_lost(MOST), "one got through between");
        assert!(!path.packet_lost(MOST));
        assert!(
            !path.packet_lost(600),
            "small packets are lost for other reasons"
        );
        assert!(path.packet_lost(MOST));
        assert_eq!(path.size(), BASE);
        discover(&mut path, &mut now, 1250);
        assert!((1250 - STEP - 4..=1250).contains(&path.size()));
    }

    #[test]
    fn answers_nobody_asked_for_change_nothing() {
        let (mut path, now) = (PathMtu::new(BASE, MOST), Instant::now());
        assert!(!path.probe_acked(now, 9000));
        assert!(!path.probe_acked(now, BASE));
        assert_eq!(path.size(), BASE);
        let mut fixed = PathMtu::new(BASE, BASE);
        assert_eq!(fixed.poll_probe(now, ANSWER), None);
        assert_eq!(fixed.deadline(), None);
    }
}
