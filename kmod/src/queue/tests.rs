use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// What a program, a wire and a transform do to a direction.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many bytes come in, as far as there is room behind.
    Put(u32),
    /// The transform has seen so many more, and adds so many.
    See(u32, u32),
    /// So many are taken, as far as there are any.
    Take(u32),
    /// The transform asks for room.
    Compact,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..40_000u32).prop_map(Step::Put),
        (0..40_000u32, 0..=5 * 1024u32).prop_map(|(seen, added)| Step::See(seen, added)),
        (0..40_000u32).prop_map(Step::Take),
        Just(Step::Compact),
    ]
}

/// A direction, and the same as two plain queues of bytes.
struct Both {
    marks: Marks,
    buf: Vec<u8>,
    ready: VecDeque<u8>,
    unseen: VecDeque<u8>,
    next: u8,
}

fn at(place: u32) -> usize {
    usize::try_from(place).unwrap()
}

impl Both {
    fn new() -> Self {
        Self {
            marks: Marks::default(),
            buf: vec![0; QUEUE_BYTES],
            ready: VecDeque::new(),
            unseen: VecDeque::new(),
            next: 0,
        }
    }

    fn bytes(&mut self, n: u32) -> Vec<u8> {
        let mut next = || {
            self.next = self.next.wrapping_add(1);
            self.next
        };
        (0..n).map(|_| next()).collect()
    }

    fn go(&mut self, step: Step) {
        match step {
            Step::Put(n) => {
                let n = self.marks.behind(&mut self.buf).min(n);
                let bytes = self.bytes(n);
                self.buf[at(self.marks.end)..][..at(n)].copy_from_slice(&bytes);
                self.marks.put(n);
                self.unseen.extend(bytes);
            }
            Step::See(n, added) => {
                let n = n.min(self.marks.end - self.marks.ready);
                let added = added.min(number(QUEUE_BYTES) - self.marks.end);
                let bytes = self.bytes(added);
                let (from, end) = (at(self.marks.ready + n), at(self.marks.end));
                self.buf.copy_within(from..end, from + at(added));
                self.buf[from..][..at(added)].copy_from_slice(&bytes);
                self.marks.ready += n + added;
                self.marks.end += added;
                self.ready.extend(self.unseen.drain(..at(n)));
                self.ready.extend(bytes);
            }
            Step::Take(n) => {
                let (_, n) = self.marks.next(0, u64::from(n));
                self.marks.took(n);
                self.ready.drain(..at(n));
            }
            Step::Compact => self.marks.compact(&mut self.buf),
        }
    }

    fn check(&self) {
        let Marks { head, ready, end } = self.marks;
        assert!(head <= ready && ready <= end && at(end) <= QUEUE_BYTES);
        assert!(self.ready.iter().eq(&self.buf[at(head)..at(ready)]));
        assert!(self.unseen.iter().eq(&self.buf[at(ready)..at(end)]));
        assert_eq!(at(self.marks.available()), self.ready.len());
        let held = self.ready.len() + self.unseen.len();
        assert_eq!(at(self.marks.room()), CAPACITY.saturating_sub(held));
    }
}

proptest! {
    #[test]
    fn every_byte_comes_out_once_in_order_and_within_the_buffer(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut both = Both::new();
        for step in steps {
            both.go(step);
            both.check();
        }
    }

    #[test]
    fn marks_of_any_kind_lead_nowhere_outside(
        head in any::<u32>(), ready in any::<u32>(), end in any::<u32>(), n in any::<u32>(),
        skip in any::<u64>(), left in any::<u64>(),
    ) {
        let mut marks = Marks { head, ready, end };
        let (begin, there) = marks.next(skip, left);
        prop_assert!(begin <= ready && there <= ready - begin && u64::from(there) <= left);
        let mut buf = vec![0; QUEUE_BYTES];
        prop_assert!(at(marks.behind(&mut buf)) <= CAPACITY);
        marks.put(n);
        prop_assert!(at(marks.end) <= QUEUE_BYTES);
        marks.took(n);
    }

    #[test]
    fn a_piece_is_no_more_than_room_and_bytes_and_whole_records_where_more_follow(
        room in 0..=number(CAPACITY), left in 0..200_000u64,
    ) {
        let piece = u64::from(piece(room, left));
        prop_assert!(piece <= u64::from(room) && piece <= left);
        prop_assert_eq!(piece == 0, room == 0 || left == 0);
        if piece < left && piece > RECORD_DATA {
            prop_assert_eq!(piece % RECORD_DATA, 0);
        }
    }
}

#[test]
fn little_room_behind_is_made_one_piece() {
    let mut buf = vec![0; QUEUE_BYTES];
    let mut marks = Marks::default();
    assert_eq!(at(marks.behind(&mut buf)), CAPACITY);
    let most = number(CAPACITY);
    marks.put(most);
    marks.ready = most;
    assert_eq!((marks.room(), marks.behind(&mut buf)), (0, 0));
    buf[CAPACITY - 1] = 7;
    marks.took(most - 1);
    assert_eq!(marks.behind(&mut buf), most - 1);
    assert_eq!((marks.head, marks.ready, marks.end, buf[0]), (0, 1, 1, 7));
}

#[test]
fn what_is_peeked_at_stays_and_can_be_skipped() {
    let marks = Marks {
        head: 10,
        ready: 30,
        end: 40,
    };
    assert_eq!(marks.next(0, 5), (10, 5));
    assert_eq!(marks.next(5, 100), (15, 15));
    assert_eq!(marks.next(20, 100), (30, 0));
    assert_eq!(marks.next(u64::MAX, 100), (30, 0));
}

#[test]
fn an_emptied_queue_begins_at_the_front_again() {
    let mut marks = Marks {
        head: 10,
        ready: 30,
        end: 30,
    };
    marks.took(20);
    assert_eq!(marks, Marks::default());
}

#[test]
fn without_a_buffer_or_marks_nothing_happens() {
    let mut marks = Marks {
        head: 1,
        ready: 2,
        end: 3,
    };
    marks.compact(&mut []);
    assert_eq!((marks.head, marks.end), (1, 3));
    // SAFETY: null is allowed.
    unsafe {
        let (none, mut at) = (core::ptr::null_mut(), 0);
        assert_eq!(tl_rs_queue_room(none), 0);
        assert_eq!(tl_rs_queue_behind(none, core::ptr::null_mut()), 0);
        assert_eq!(tl_rs_queue_next(none, 0, 1, &raw mut at), 0);
        tl_rs_queue_put(none, 1);
        tl_rs_queue_took(none, 1);
    }
}
