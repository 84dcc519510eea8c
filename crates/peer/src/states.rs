//! The states of one pairing, named as browsers name them.

use crate::trace::{Role, Stage};

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// As the W3C document and the trace write it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

states! {
    /// RTCSignalingState (W3C WebRTC §4.3.1).
    SignalingState {
        /// Nothing is being negotiated.
        Stable = "stable",
        /// An own offer waits for its answer.
        HaveLocalOffer = "have-local-offer",
        /// An offer of the other side waits for our answer.
        HaveRemoteOffer = "have-remote-offer",
        /// It is over.
        Closed = "closed",
    }
}

states! {
    /// RTCIceGatheringState (W3C WebRTC §5.6.1).
    GatheringState {
        /// Not begun.
        New = "new",
        /// Addresses are being found.
        Gathering = "gathering",
        /// All that there are have been found.
        Complete = "complete",
    }
}

states! {
    /// RTCIceConnectionState (W3C WebRTC §4.3.4).
    IceState {
        /// Nothing to check yet.
        New = "new",
        /// Pairs of candidates are being checked.
        Checking = "checking",
        /// A path works, others are still being checked.
        Connected = "connected",
        /// A path works, and all others were checked.
        Completed = "completed",
        /// No path works.
        Failed = "failed",
        /// It is over.
        Closed = "closed",
    }
}

states! {
    /// RTCPeerConnectionState (W3C WebRTC §4.3.3).
    ConnectionState {
        /// Nothing has happened.
        New = "new",
        /// ICE or DTLS is under way.
        Connecting = "connecting",
        /// ICE and DTLS are up.
        Connected = "connected",
        /// One of them failed.
        Failed = "failed",
        /// It is over.
        Closed = "closed",
    }
}

states! {
    /// RTCDataChannelState of the main channel (W3C WebRTC §6.2), and `none` before it exists.
    ChannelState {
        /// There is no main channel yet.
        None = "none",
        /// Waits for the connection.
        Connecting = "connecting",
        /// Messages go and come.
        Open = "open",
        /// It is over.
        Closed = "closed",
    }
}

states! {
    /// Whether anything is heard on the main channel.
    Liveness {
        /// The channel is not open.
        Unknown = "unknown",
        /// Something was heard lately.
        Alive = "alive",
        /// Nothing has been heard for a few seconds.
        Silent = "silent",
    }
}

/// All of them at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStates {
    /// How far descriptions are.
    pub signaling: SignalingState,
    /// How far own candidates are.
    pub gathering: GatheringState,
    /// How far the search for a path is.
    pub ice: IceState,
    /// The connection as a whole.
    pub connection: ConnectionState,
    /// The main channel.
    pub channel: ChannelState,
    /// Whether the other side is heard.
    pub liveness: Liveness,
}

impl PeerStates {
    /// Before there is a connection, a fresh one's states hold.
    pub(crate) const INITIAL: Self = Self {
        signaling: SignalingState::Stable,
        gathering: GatheringState::New,
        ice: IceState::New,
        connection: ConnectionState::New,
        channel: ChannelState::None,
        liveness: Liveness::Unknown,
    };

    /// What differs from before: the name in the trace, from, to, and the stage of `docs/handshake.md` it belongs to.
    pub(crate) fn changes(
        &self,
        before: &Self,
        role: Role,
    ) -> Vec<(&'static str, &'static str, &'static str, Stage)> {
        let own = Some(if role == Role::Peer1 { 1 } else { 3 });
        let settled = Some(if role == Role::Peer1 { 5 } else { 3 });
        let signaling = match self.signaling {
            SignalingState::HaveLocalOffer | SignalingState::HaveRemoteOffer => own,
            _ => settled,
        };
        let channel = if self.channel == ChannelState::Connecting {
            own
        } else {
            Some(5)
        };
        let all = [
            (
                "signalingState",
                before.signaling.as_str(),
                self.signaling.as_str(),
                signaling,
            ),
            (
                "iceGatheringState",
                before.gathering.as_str(),
                self.gathering.as_str(),
                own,
            ),
            (
                "iceConnectionState",
                before.ice.as_str(),
                self.ice.as_str(),
                Some(5),
            ),
            (
                "connectionState",
                before.connection.as_str(),
                self.connection.as_str(),
                Some(5),
            ),
            (
                "channelState",
                before.channel.as_str(),
                self.channel.as_str(),
                channel,
            ),
            (
                "liveness",
                before.liveness.as_str(),
                self.liveness.as_str(),
                None,
            ),
        ];
        // States that are no part of a handshake, but of what comes after it.
        let afterwards = |to: &str| matches!(to, "failed" | "closed");
        all.into_iter()
            .filter(|(_, from, to, _)| from != to)
            .map(|(name, from, to, stage)| {
                (name, from, to, if afterwards(to) { None } else { stage })
            })
            .collect()
    }
}
