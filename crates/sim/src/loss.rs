//! What a link loses: nothing, packets at random, or bursts of them.

use fastrand::Rng;

/// How packets get lost on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// None is lost.
    #[default]
    None,
    /// Every packet with the same probability, whatever befell the one before.
    Random(f64),
    /// In bursts: the chain of Gilbert and Elliott, whose bad state loses everything.
    Burst {
        /// The share of packets lost in the long run.
        share: f64,
        /// The mean number of packets lost in a row, at least 1.
        length: f64,
    },
    /// Everything is lost: an outage.
    All,
}

/// The chain's state on one link.
#[derive(Debug, Default)]
pub(crate) struct LossState {
    bad: bool,
}

impl LossState {
    /// Whether the next packet is lost.
    pub(crate) fn lost(&mut self, loss: Loss, random: &mut Rng) -> bool {
        match loss {
            Loss::None => false,
            Loss::Random(probability) => random.f64() < probability,
            Loss::Burst { share, length } => {
                // Means of a two-state chain: a bad spell lasts 1/leave packets, and share = enter / (enter + leave).
                let leave = 1.0 / length.max(1.0);
                let enter = leave * share / (1.0 - share);
                let turn = if self.bad { leave } else { enter };
                self.bad ^= random.f64() < turn;
                self.bad
            }
            Loss::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses and their mean length over many packets.
    fn measure(loss: Loss) -> (f64, f64) {
        const PACKETS: u32 = 400_000;
        let mut random = Rng::with_seed(1);
        let mut state = LossState::default();
        let (mut lost, mut bursts, mut before) = (0.0, 0.0, false);
        for _ in 0..PACKETS {
            let now = state.lost(loss, &mut random);
            lost += f64::from(u8::from(now));
            bursts += f64::from(u8::from(now && !before));
            before = now;
        }
        (lost / f64::from(PACKETS), lost / bursts)
    }

    #[test]
    fn random_loss_has_its_share_and_no_bursts() {
        let (share, length) = measure(Loss::Random(0.05));
        assert!((0.048..0.052).contains(&share), "{share}");
        assert!((1.03..1.08).contains(&length), "{length}");
    }

    #[test]
    fn bursts_have_their_share_and_their_length() {
        let (share, length) = measure(Loss::Burst {
            share: 0.03,
            length: 6.0,
        });
        assert!((0.027..0.033).contains(&share), "{share}");
        assert!((5.6..6.4).contains(&length), "{length}");
    }
}
