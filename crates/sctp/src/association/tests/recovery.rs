//! What follows the loss of very much at once.

use crowfly_sim::Link;

use super::bed::{Bed, ONE, TWO};
use super::*;

/// More packets with gaps between them than one SACK can name are dropped when slow start meets the end of the queue. What the list has
/// no room for must not count as on its way for ever, or the window stays full of it and nothing is sent again.
#[test]
fn a_burst_of_drops_longer_than_a_sack_can_name_is_made_good_in_a_second() {
    for congestion in [CongestionControl::Cubic, CongestionControl::Bbr] {
        let link = Link::new()
            .rate(400_000_000)
            .delay(Duration::from_millis(25))
            .queue_packets(800);
        let mut bed = Bed::with(link, |config| {
            (config.congestion, config.receive_window) = (congestion, 16 << 20);
        });
        bed.connect();
        let ours = bed.open(ONE, labeled("bulk"));
        let message = Message::Binary(vec![0; 100_000].into());
        let keep_full = |bed: &mut Bed, tenths| {
            for _ in 0..tenths {
                while bed.buffered(ONE, ours) < 8_000_000 {
                    bed.send(ONE, ours, message.clone()).expect("room");
                }
                bed.run(SECOND / 10);
            }
            bed.side(TWO).messages.len()
        };
        keep_full(&mut bed, 15);
        assert!(bed.stats(ONE).chunks_retransmitted > 290, "{congestion:?}");
        bed.forget();
        let arrived = keep_full(&mut bed, 10);
        assert!(arrived > 350, "{congestion:?}: {arrived} of 500");
        assert_eq!(bed.stats(ONE).timeouts, 0, "{congestion:?}");
    }
}
