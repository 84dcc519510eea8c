//! One allocation: a relayed address, who may be reached through it, and for how long.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::auth::Proof;
use super::message::Transaction;
use super::policy::Verdict;
use super::{Client, Limits};

/// RFC 8656 §9: a permission's lifetime is not the client's to choose.
pub(super) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// RFC 8656 §12.
pub(super) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// RFC 8656 §3.2.
pub(super) const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);
/// RFC 8656 §7.2 recommends an hour at most.
pub(super) const LONGEST_LIFETIME: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) generation: u32,
    pub(super) client: Client,
    pub(super) proof: Proof,
    /// That of the Allocate, so that a repeated one is known.
    pub(super) transaction: Transaction,
    /// What peers see; port 0 until the socket is open.
    pub(super) relayed: SocketAddr,
    pub(super) lifetime: Duration,
    pub(super) expires: Instant,
    /// When its earliest timer comes.
    pub(super) armed: Instant,
    /// The Allocate asked for a second address of the other family.
    pub(super) wants_both: bool,
    /// Rows in the accounts.
    pub(super) user: usize,
    pub(super) source: usize,
    permissions: Vec<Permission>,
    channels: Vec<Channel>,
}

#[derive(Debug)]
struct Permission {
    ip: IpAddr,
    expires: Instant,
    /// The address is this machine's own: reached within the process only.
    own: bool,
}

#[derive(Debug, Clone, Copy)]
struct Channel {
    number: u16,
    peer: SocketAddr,
    expires: Instant,
}

impl Allocation {
    #[expect(
        clippy::too_many_arguments,
        reason = "an allocation's beginning, in one place"
    )]
    pub(super) fn new(
        now: Instant,
        generation: u32,
        client: Client,
        proof: Proof,
        transaction: Transaction,
        relayed: IpAddr,
        lifetime: Duration,
        (user, source): (usize, usize),
    ) -> Self {
        Self {
            generation,
            client,
            proof,
            transaction,
            relayed: SocketAddr::new(relayed, 0),
            lifetime,
            expires: now + lifetime,
            armed: now + lifetime,
            wants_both: false,
            user,
            source,
            permissions: Vec::new(),
            channels: Vec::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.relayed.port() != 0
    }

    /// Installs or renews a permission; false when there are too many.
    pub(super) fn permit(
        &mut self,
        now: Instant,
        limits: &Limits,
        ip: IpAddr,
        verdict: Verdict,
    ) -> bool {
        let expires = now + PERMISSION_LIFETIME;
        let own = verdict == Verdict::Own;
        if let Some(known) = self.permissions.iter_mut().find(|known| known.ip == ip) {
            *known = Permission { ip, expires, own };
            return true;
        }
        if self.permissions.len() >= limits.permissions {
            self.permissions.retain(|known| known.expires > now);
        }
        let room = self.permissions.len() < limits.permissions;
        if room {
            self.permissions.push(Permission { ip, expires, own });
        }
        room
    }

    /// How many of these addresses have no permission yet.
    pub(super) fn has_room_for(&self, now: Instant, limits: &Limits, ips: &[IpAddr]) -> bool {
        let live = |known: &&Permission| known.expires > now;
        let known = self.permissions.iter().filter(live).count();
        let has = |ip: &IpAddr| {
            self.permissions
                .iter()
                .filter(live)
                .any(|known| known.ip == *ip)
        };
        let mut new: Vec<&IpAddr> = ips.iter().filter(|ip| !has(ip)).collect();
        new.sort_unstable();
        new.dedup();
        known + new.len() <= limits.permissions
    }

    /// Whether this address may be sent to and heard from, and if it is an own one.
    pub(super) fn permission(&self, now: Instant, ip: IpAddr) -> Option<Verdict> {
        let found = self.permissions.iter().find(|known| known.ip == ip)?;
        let verdict = if found.own {
            Verdict::Own
        } else {
            Verdict::Allowed
        };
        (found.expires > now).then_some(verdict)
    }

    /// Binds a channel, or renews its binding (RFC 8656 §12.2); the error code where that is not possible.
    pub(super) fn bind(
        &mut self,
        now: Instant,
        limits: &Limits,
        number: u16,
        peer: SocketAddr,
    ) -> Result<(), u16> {
        self.channels.retain(|channel| channel.expires > now);
        let expires = now + CHANNEL_LIFETIME;
        let full = self.channels.len() >= limits.channels;
        let same = |channel: &&mut Channel| channel.number == number || channel.peer == peer;
        match self.channels.iter_mut().find(same) {
            Some(channel) if channel.number == number && channel.peer == peer => {
                channel.expires = expires;
                Ok(())
            }
            Some(_) => Err(400),
            None if full => Err(508),
            None => {
                self.channels.push(Channel {
                    number,
                    peer,
                    expires,
                });
                Ok(())
            }
        }
    }

    pub(super) fn peer_of(&self, now: Instant, number: u16) -> Option<SocketAddr> {
        let live = |channel: &&Channel| channel.number == number && channel.expires > now;
        Some(self.channels.iter().find(live)?.peer)
    }

    pub(super) fn channel_of(&self, now: Instant, peer: SocketAddr) -> Option<u16> {
        let live = |channel: &&Channel| channel.peer == peer && channel.expires > now;
        Some(self.channels.iter().find(live)?.number)
    }
}
