//! Descriptions that are lost on the way: nobody notices but by what is missing.

use super::*;
use crate::states::SignalingState;

/// Cuts the network, and the server behind the first signal of side `from` that is `kind`, which is lost itself.
fn lose(pair: &mut Pair, from: usize, kind: &str) {
    pair.network = false;
    let kind = format!("\"{kind}\"");
    let is_lost = |(_, side, carried): &(Instant, usize, Carried)| {
        let Carried::Signal(text) = carried else {
            return false;
        };
        *side == 1 - from && text.contains(&kind)
    };
    let limit = pair.now + Duration::from_secs(20);
    loop {
        pair.drain();
        if let Some(at) = pair.wire.iter().position(is_lost) {
            let last = pair.wire.len();
            let to = 1 - from;
            let mut behind = pair.wire.split_off(at);
            behind
                .retain(|(_, side, carried)| *side != to || !matches!(carried, Carried::Signal(_)));
            pair.wire.append(&mut behind);
            assert!(pair.wire.len() < last);
            return;
        }
        assert!(pair.step() && pair.now < limit, "no {kind} was sent");
    }
}

fn signaling(pair: &Pair) -> [SignalingState; 2] {
    [0, 1].map(|side| pair.sides[side].states().signaling)
}

#[test]
fn a_lost_answer_to_a_new_paths_offer_is_sent_again_when_the_offer_comes_again() {
    let mut pair = Pair::open(Duration::from_millis(5));
    lose(&mut pair, 1, "answer");
    pair.run_for(Duration::from_millis(100));
    let [one, two] = signaling(&pair);
    assert_eq!(
        (one, two),
        (SignalingState::HaveLocalOffer, SignalingState::Stable)
    );
    pair.network = true;
    pair.run_until(|pair| signaling(pair) == [SignalingState::Stable; 2]);
    pair.sides[1].send(pair.now, Message::from("on the new path"));
    pair.run_until(|pair| pair.has(0, |event| matches!(event, Event::Message(_))));
}

#[test]
fn with_the_answer_lost_and_an_offer_of_either_out_peer2_gives_way() {
    let mut pair = Pair::open(Duration::from_millis(5));
    lose(&mut pair, 1, "answer");
    let now = pair.now;
    pair.sides[1].seek_path(now);
    pair.drain();
    assert_eq!(signaling(&pair), [SignalingState::HaveLocalOffer; 2]);
    pair.network = true;
    pair.run_until(|pair| signaling(pair) == [SignalingState::Stable; 2]);
    pair.sides[1].send(pair.now, Message::from("on the new path"));
    pair.run_until(|pair| pair.has(0, |event| matches!(event, Event::Message(_))));
}

#[test]
fn a_flood_of_one_offer_is_not_answered_by_a_flood() {
    let mut pair = Pair::new(Duration::from_millis(5));
    pair.drain();
    let offer = pair
        .wire
        .iter()
        .find_map(|(_, side, carried)| match carried {
            Carried::Signal(text) if *side == 1 && text.contains("\"offer\"") => Some(text.clone()),
            _ => None,
        })
        .expect("an offer was sent");
    pair.run_until(|pair| (0..2).all(|side| pair.has(side, is_open)));
    for _ in 0..1_000 {
        pair.sides[1].receive(pair.now, &offer);
    }
    let mut answers = 0;
    while let Output::Signal(payload) = pair.sides[1].poll_output(pair.now) {
        answers += usize::from(payload.name() == "signal:answer");
    }
    assert_eq!(answers, 10);
    assert!(pair.sides[1].is_live());
}

#[test]
fn who_is_back_before_its_loss_was_noticed_is_sent_again_what_it_missed() {
    let mut pair = Pair::new(Duration::from_millis(5));
    pair.network = false;
    pair.drain();
    pair.wire.clear();
    pair.sides[0].set_presence(pair.now, Presence::Online);
    pair.network = true;
    pair.run_until(|pair| (0..2).all(|side| pair.has(side, is_open)));
}
