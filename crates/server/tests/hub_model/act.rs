//! What can happen, and how often.

use proptest::{collection::vec, prelude::*};

/// One thing that happens. Numbers are taken modulo what there is to choose from.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Connect {
        source: u8,
    },
    Cut {
        who: usize,
    },
    Create {
        who: usize,
        name: Option<usize>,
    },
    Join {
        who: usize,
        name: usize,
        session: u8,
        ticket: Option<usize>,
        then_signal: bool,
    },
    Signal {
        who: usize,
        session: Option<u8>,
    },
    Leave {
        who: usize,
    },
    Reject {
        who: usize,
        session: Option<u8>,
        busy: bool,
    },
    Ping {
        who: usize,
    },
    Destroy {
        who: usize,
    },
    Resume {
        who: usize,
        ticket: usize,
        name: Option<usize>,
        with_session: bool,
    },
    /// Two come back to one pairing, as after an outage.
    BothResume {
        who: usize,
        ticket: usize,
    },
    Garbage {
        who: usize,
    },
    Binary {
        who: usize,
    },
    /// `late`: the driver slept through the timeouts in between.
    Pass {
        milliseconds: u64,
        late: bool,
    },
}

/// Whom an act makes sense for.
#[derive(Clone, Copy)]
pub(crate) enum Wish {
    Anybody,
    Standing,
    Seated,
}

/// Things that happen one after the other.
pub(crate) fn histories() -> impl Strategy<Value = Vec<Act>> {
    vec(act(), 1..200)
}

fn act() -> impl Strategy<Value = Act> {
    let who = || any::<usize>();
    let session = || 0..8_u8;
    prop_oneof![
        7 => (0..3_u8).prop_map(|source| Act::Connect { source }),
        4 => who().prop_map(|who| Act::Cut { who }),
        6 => (who(), prop::option::of(0..3_usize)).prop_map(|(who, name)| Act::Create { who, name }),
        14 => (who(), any::<usize>(), session(), prop::option::weighted(0.3, any::<usize>()), any::<bool>()).prop_map(
            |(who, name, session, ticket, then_signal)| Act::Join { who, name, session, ticket, then_signal }
        ),
        20 => (who(), prop::option::weighted(0.1, session())).prop_map(|(who, session)| Act::Signal { who, session }),
        3 => who().prop_map(|who| Act::Leave { who }),
        3 => (who(), prop::option::weighted(0.2, session()), any::<bool>())
            .prop_map(|(who, session, busy)| Act::Reject { who, session, busy }),
        2 => who().prop_map(|who| Act::Destroy { who }),
        1 => who().prop_map(|who| Act::Ping { who }),
        10 => (who(), any::<usize>(), prop::option::weighted(0.2, any::<usize>()), any::<bool>()).prop_map(
            |(who, ticket, name, with_session)| Act::Resume { who, ticket, name, with_session }
        ),
        4 => (who(), any::<usize>()).prop_map(|(who, ticket)| Act::BothResume { who, ticket }),
        1 => who().prop_map(|who| Act::Garbage { who }),
        1 => who().prop_map(|who| Act::Binary { who }),
        8 => (prop_oneof![0..1_000_u64, 1_000..12_000_u64, Just(20_000), Just(70_000)], any::<bool>())
            .prop_map(|(milliseconds, late)| Act::Pass { milliseconds, late }),
    ]
}
