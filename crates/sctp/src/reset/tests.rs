//! Two sides, and what a path can do to what they say.

use proptest::prelude::*;

use super::*;

const RTO: Duration = Duration::from_secs(1);
const OURS: Tsn = Tsn(u32::MAX - 1);
const THEIRS: Tsn = Tsn(7000);

/// What of a request the tests look at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    number: u32,
    response: u32,
    last_tsn: Tsn,
    streams: Vec<u16>,
}

fn ours() -> Resets {
    Resets::new(OURS, THEIRS, true)
}

fn request_of(resets: &mut Resets, now: Instant, last_tsn: Tsn) -> Option<Request> {
    match resets.poll_request(now, RTO, last_tsn)? {
        ReConfig::OutgoingReset {
            request,
            response,
            last_tsn,
            streams,
        } => Some(Request {
            number: request,
            response,
            last_tsn,
            streams: streams.iter().collect(),
        }),
        other => panic!("no request: {other:?}"),
    }
}

fn answer_of(resets: &mut Resets) -> Option<(u32, ResetResult)> {
    match resets.poll_response()? {
        ReConfig::Response {
            response,
            result,
            next_tsns: None,
        } => Some((response, result)),
        other => panic!("no answer: {other:?}"),
    }
}

fn hand_request(resets: &mut Resets, request: &Request, cumulative: Tsn) {
    let streams: Vec<[u8; 2]> = request
        .streams
        .iter()
        .map(|stream| stream.to_be_bytes())
        .collect();
    let parameter = ReConfig::OutgoingReset {
        request: request.number,
        response: request.response,
        last_tsn: request.last_tsn,
        streams: Streams(&streams),
    };
    resets.handle(Instant::now(), RTO, &parameter, cumulative);
}

fn hand_answer(resets: &mut Resets, now: Instant, (response, result): (u32, ResetResult)) {
    resets.handle(
        now,
        RTO,
        &ReConfig::Response {
            response,
            result,
            next_tsns: None,
        },
        THEIRS,
    );
}

fn events(resets: &mut Resets) -> Vec<Reset> {
    std::iter::from_fn(|| resets.poll_event()).collect()
}

/// A request of the peer, numbered from its first on.
fn theirs(count: u32, last_tsn: Tsn, streams: &[u16]) -> Request {
    Request {
        number: THEIRS.0 + count,
        response: 0,
        last_tsn,
        streams: streams.to_vec(),
    }
}

#[test]
fn streams_named_together_go_in_one_request_and_the_next_waits_for_its_answer() {
    let (mut resets, now) = (ours(), Instant::now());
    assert!(!resets.has_output());
    resets.request(4);
    resets.request(2);
    assert!(resets.has_output());
    let first = request_of(&mut resets, now, Tsn(9)).expect("one is due");
    assert_eq!(
        first,
        Request {
            number: OURS.0,
            response: THEIRS.0 - 1,
            last_tsn: Tsn(9),
            streams: vec![4, 2]
        }
    );
    resets.request(6);
    assert_eq!(request_of(&mut resets, now, Tsn(10)), None);
    assert!(!resets.has_output());
    hand_answer(&mut resets, now, (OURS.0, ResetResult::Performed));
    assert_eq!(
        events(&mut resets),
        [Reset::Outgoing { stream: 4 }, Reset::Outgoing { stream: 2 }]
    );
    let second = request_of(&mut resets, now, Tsn(11)).expect("the next");
    assert_eq!(
        (second.number, second.last_tsn, second.streams),
        (u32::MAX, Tsn(11), vec![6])
    );
}

#[test]
fn a_request_fits_the_smallest_packet_however_many_streams_are_named() {
    let (mut resets, now) = (ours(), Instant::now());
    (0..1200).for_each(|stream| resets.request(stream));
    for count in [MAX_STREAMS, MAX_STREAMS, 1200 - 2 * MAX_STREAMS] {
        let request = request_of(&mut resets, now, Tsn(1)).expect("one after the other");
        assert_eq!(request.streams.len(), count);
        hand_answer(&mut resets, now, (request.number, ResetResult::NothingToDo));
    }
    assert_eq!(events(&mut resets).len(), 1200);
    assert!(!resets.has_output());
}

#[test]
fn an_unanswered_request_is_sent_again_as_it_was_ever_later() {
    let (mut resets, mut now) = (ours(), Instant::now());
    resets.request(0);
    let first = request_of(&mut resets, now, Tsn(5)).expect("due");
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        let deadline = resets.deadline().expect("the timer runs");
        assert_eq!(deadline - now, Duration::from_secs(wait));
        resets.timeout(deadline - Duration::from_millis(1));
        assert!(!resets.has_output());
        now = deadline;
        resets.timeout(now);
        assert_eq!(resets.deadline(), None);
        assert_eq!(request_of(&mut resets, now, Tsn(99)), Some(first.clone()));
    }
}

#[test]
fn in_progress_asks_again_under_the_same_number_and_counts_nothing() {
    let (mut resets, now) = (ours(), Instant::now());
    resets.request(0);
    let first = request_of(&mut resets, now, Tsn(5)).expect("due");
    hand_answer(&mut resets, now, (first.number, ResetResult::InProgress));
    assert_eq!(events(&mut resets), []);
    resets.timeout(now + RTO);
    for _ in 0..100 {
        assert_eq!(
            request_of(&mut resets, now + RTO, Tsn(6)),
            Some(first.clone())
        );
        hand_answer(&mut resets, now, (first.number, ResetResult::InProgress));
        resets.timeout(now + RTO);
    }
    assert_eq!(events(&mut resets), [], "the peer did answer");
}

#[test]
fn a_request_that_is_never_answered_is_given_up() {
    let mut resets = ours();
    resets.request(4);
    let mut sent = 0;
    let mut now = Instant::now();
    for _ in 0..50 {
        if request_of(&mut resets, now, Tsn(5)).is_some() {
            sent += 1;
            now = resets.deadline().expect("the timer runs");
            resets.timeout(now);
        }
    }
    assert_eq!(sent, 1 + MAX_UNANSWERED);
    assert_eq!(events(&mut resets), [Reset::Refused { stream: 4 }]);
    assert_eq!(resets.deadline(), None);
}

#[test]
fn a_refusal_is_final_and_told_for_every_stream() {
    for result in [
        ResetResult::Denied,
        ResetResult::WrongSsn,
        ResetResult::InProgressAlready,
        ResetResult::BadSequenceNumber,
        ResetResult::Unknown(9),
    ] {
        let (mut resets, now) = (ours(), Instant::now());
        resets.request(8);
        let request = request_of(&mut resets, now, Tsn(5)).expect("due");
        hand_answer(&mut resets, now, (request.number, result));
        assert_eq!(events(&mut resets), [Reset::Refused { stream: 8 }]);
        assert_eq!(resets.deadline(), None);
    }
    let mut resets = Resets::new(OURS, THEIRS, false);
    resets.request(8);
    assert_eq!(events(&mut resets), [Reset::Refused { stream: 8 }]);
    assert!(!resets.has_output());
}

#[test]
fn a_stream_shown_to_be_reset_needs_no_answer() {
    let (mut resets, now) = (ours(), Instant::now());
    resets.request(4);
    assert!(!resets.assume(4), "nobody was asked yet");
    resets.request(6);
    let request = request_of(&mut resets, now, Tsn(5)).expect("due");
    assert!(resets.assume(4));
    assert!(!resets.assume(4), "once");
    assert!(!resets.assume(8));
    resets.timeout(now + RTO);
    let again = request_of(&mut resets, now + RTO, Tsn(5));
    assert_eq!(again.as_ref(), Some(&request), "as it was");
    hand_answer(&mut resets, now, (request.number, ResetResult::Performed));
    assert_eq!(events(&mut resets), [Reset::Outgoing { stream: 6 }]);
}

#[test]
fn answers_to_nothing_do_nothing() {
    let (mut resets, now) = (ours(), Instant::now());
    hand_answer(&mut resets, now, (OURS.0, ResetResult::Performed));
    resets.request(1);
    let request = request_of(&mut resets, now, Tsn(5)).expect("due");
    hand_answer(
        &mut resets,
        now,
        (request.number.wrapping_sub(1), ResetResult::Performed),
    );
    assert_eq!(events(&mut resets), []);
    assert!(resets.deadline().is_some());
}

#[test]
fn a_request_waits_until_all_before_it_arrived_then_is_performed_once() {
    let mut resets = ours();
    let request = theirs(0, Tsn(12), &[3, 5]);
    hand_request(&mut resets, &request, Tsn(11));
    assert_eq!(
        answer_of(&mut resets),
        Some((request.number, ResetResult::InProgress))
    );
    assert_eq!(events(&mut resets), []);
    hand_request(&mut resets, &request, Tsn(12));
    assert_eq!(
        answer_of(&mut resets),
        Some((request.number, ResetResult::Performed))
    );
    assert_eq!(
        events(&mut resets),
        [Reset::Incoming { stream: 3 }, Reset::Incoming { stream: 5 }]
    );
    hand_request(&mut resets, &request, Tsn(40));
    assert_eq!(
        answer_of(&mut resets),
        Some((request.number, ResetResult::Performed)),
        "as before"
    );
    assert_eq!(events(&mut resets), [], "but not done again");
}

#[test]
fn a_peer_that_asks_again_under_a_new_number_is_served_once() {
    let mut resets = ours();
    hand_request(&mut resets, &theirs(0, Tsn(12), &[3]), Tsn(11));
    hand_request(&mut resets, &theirs(1, Tsn(12), &[3]), Tsn(12));
    assert_eq!(events(&mut resets), [Reset::Incoming { stream: 3 }]);
}

#[test]
fn numbers_out_of_sequence_are_refused() {
    let mut resets = ours();
    for count in [1, 5, u32::MAX] {
        let number = THEIRS.0.wrapping_add(count);
        hand_request(
            &mut resets,
            &Request {
                number,
                ..theirs(0, Tsn(0), &[1])
            },
            Tsn(1),
        );
        assert_eq!(
            answer_of(&mut resets),
            Some((number, ResetResult::BadSequenceNumber))
        );
    }
    assert_eq!(events(&mut resets), []);
}

#[test]
fn no_streams_named_are_all_streams() {
    let mut resets = ours();
    hand_request(&mut resets, &theirs(0, Tsn(1), &[]), Tsn(1));
    assert_eq!(events(&mut resets), [Reset::AllIncoming]);
}

#[test]
fn requests_to_change_our_side_are_denied_and_numbered_with_the_others() {
    let mut resets = ours();
    let request = THEIRS.0;
    let streams = Streams(&[]);
    for (count, parameter) in [
        ReConfig::IncomingReset { request, streams },
        ReConfig::TsnReset {
            request: request + 1,
        },
        ReConfig::AddOutgoing {
            request: request + 2,
            streams: 4,
        },
        ReConfig::AddIncoming {
            request: request + 3,
            streams: 4,
        },
    ]
    .into_iter()
    .enumerate()
    {
        for _ in 0..2 {
            resets.handle(Instant::now(), RTO, &parameter, Tsn(1));
            assert_eq!(
                answer_of(&mut resets),
                Some((request + count as u32, ResetResult::Denied))
            );
        }
    }
    hand_request(&mut resets, &theirs(4, Tsn(1), &[9]), Tsn(1));
    assert_eq!(events(&mut resets), [Reset::Incoming { stream: 9 }]);
}

#[test]
fn a_flood_of_requests_is_answered_within_bounds() {
    let mut resets = ours();
    for count in 0..1000 {
        hand_request(&mut resets, &theirs(count, Tsn(5000), &[1]), Tsn(1));
    }
    assert_eq!(
        std::iter::from_fn(|| answer_of(&mut resets)).count(),
        2 * REMEMBERED
    );
    assert_eq!(resets.answered.len(), REMEMBERED);
}

/// What the path does with what is said next: loses it, brings it, brings it twice, or brings it later.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Lost,
    Arrives,
    Doubled,
    Late,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Lost),
        Just(Fate::Arrives),
        Just(Fate::Doubled),
        Just(Fate::Late)
    ]
}

/// One direction of a path.
#[derive(Debug)]
struct Pipe<T> {
    late: Vec<T>,
}

impl<T: Clone> Pipe<T> {
    fn carry(&mut self, said: T, fate: Fate) -> Vec<T> {
        let mut arriving = match fate {
            Fate::Lost => vec![],
            Fate::Arrives => vec![said],
            Fate::Doubled => vec![said.clone(), said],
            Fate::Late => {
                self.late.push(said);
                return vec![];
            }
        };
        arriving.append(&mut self.late);
        arriving
    }
}

proptest! {
    /// Whatever the path does, each stream named is reset once at either side, never before the data sent ahead has arrived.
    #[test]
    fn every_stream_is_reset_exactly_once(
        batches in proptest::collection::vec(1_u16..5, 1..8),
        fates in proptest::collection::vec((fate(), fate()), 0..60),
    ) {
        let (mut a, mut b) = (ours(), Resets::new(THEIRS, OURS, true));
        let (mut there, mut back) = (Pipe { late: vec![] }, Pipe { late: vec![] });
        let (mut now, mut arrived) = (Instant::now(), OURS.previous());
        let (mut last_tsn, mut named) = (arrived, 0);
        let (mut done_here, mut done_there) = (vec![], vec![]);
        let mut batches = batches.into_iter();
        // The path is good now and then, and in the end; else requests are given up.
        let good = (Fate::Arrives, Fate::Arrives);
        let fates = fates.chunks(5).flat_map(|some| some.iter().copied().chain([good]));
        let fates = fates.chain(std::iter::repeat(good)).take(200);
        for (fate_there, fate_back) in fates {
            for _ in 0..batches.next().unwrap_or(0) {
                last_tsn = last_tsn.next();
                a.request(named);
                named += 1;
            }
            if let Some(request) = request_of(&mut a, now, last_tsn) {
                for request in there.carry(request, fate_there) {
                    hand_request(&mut b, &request, arrived);
                    for event in events(&mut b) {
                        prop_assert!(request.last_tsn <= arrived, "too early");
                        done_there.push(event);
                    }
                }
            }
            while let Some(answer) = answer_of(&mut b) {
                back.carry(answer, fate_back).into_iter().for_each(|answer| hand_answer(&mut a, now, answer));
            }
            done_here.extend(events(&mut a));
            if arrived < last_tsn {
                arrived = arrived.next(); // data is slower than requests
            }
            if let Some(deadline) = a.deadline() {
                now = deadline;
                a.timeout(now);
            }
        }
        prop_assert_eq!(done_here, (0..named).map(|stream| Reset::Outgoing { stream }).collect::<Vec<_>>());
        prop_assert_eq!(done_there, (0..named).map(|stream| Reset::Incoming { stream }).collect::<Vec<_>>());
    }
}
