use super::*;

const WHOLE: Place = Place {
    ends_record: true,
    can_rekey: true,
};
const OLD_KERNEL: Place = Place {
    ends_record: true,
    can_rekey: false,
};

/// The verdict on one whole record, which must not depend on how it is cut up.
fn meaning(kind: u8, record: &[u8]) -> After {
    meaning_at(kind, record, WHOLE)
}

fn meaning_at(kind: u8, record: &[u8], place: Place) -> After {
    let whole = Stream::default().take(kind, record, place);
    for size in 1..record.len().max(1) {
        let mut stream = Stream::default();
        let mut after = After::Skip;
        let mut left = record.len();
        for piece in record.chunks(size) {
            left -= piece.len();
            let place = Place {
                ends_record: left == 0,
                ..place
            };
            stream = Stream::from_word(stream.to_word());
            after = stream.take(kind, piece, place);
            if matches!(after, After::Cut | After::Eof | After::KeyUpdate) {
                break;
            }
        }
        assert_eq!(after, whole, "{record:?} in pieces of {size}");
    }
    whole
}

#[test]
fn rfc8446_6_1_close_notify_is_the_end_at_any_level() {
    assert_eq!(meaning(21, &[1, 0]), After::Eof);
    assert_eq!(meaning(21, &[2, 0]), After::Eof);
}

#[test]
fn rfc8446_6_every_other_alert_cuts() {
    for alert in 1..=255_u8 {
        let expected = if alert == 90 { After::Skip } else { After::Cut };
        assert_eq!(meaning(21, &[1, alert]), expected, "{alert}");
        assert_eq!(meaning(21, &[2, alert]), expected, "{alert}");
    }
}

#[test]
fn rfc8446_5_1_half_an_alert_waits_and_an_empty_one_cuts() {
    assert_eq!(meaning(21, &[1]), After::More);
    assert_eq!(meaning(21, &[]), After::Cut);
}

#[test]
fn user_canceled_is_followed_by_close_notify() {
    assert_eq!(meaning(21, &[1, 90, 1, 0]), After::Eof);
}

#[test]
fn rfc8446_4_6_1_tickets_are_skipped() {
    assert_eq!(meaning(22, &[4, 0, 0, 0]), After::Skip);
    assert_eq!(
        meaning(22, &[4, 0, 0, 2, 7, 7, 4, 0, 0, 1, 24]),
        After::Skip
    );
    let mut long = std::vec![4, 0, 1, 3];
    long.extend([24; 259]);
    assert_eq!(meaning(22, &long), After::Skip);
}

#[test]
fn a_ticket_may_span_records() {
    let mut stream = Stream::default();
    assert_eq!(stream.take(22, &[4, 0, 0, 3, 24], WHOLE), After::Skip);
    assert_eq!(stream.take(22, &[24, 24], WHOLE), After::Skip);
    assert_eq!(stream, Stream::default());
    assert_eq!(stream.take(22, &[24], OLD_KERNEL), After::KeyUpdate);
}

#[test]
fn rfc8446_5_1_nothing_comes_between_the_pieces_of_a_message() {
    let mut stream = Stream::default();
    assert_eq!(stream.take(22, &[4, 0, 0, 3, 9], WHOLE), After::Skip);
    assert_eq!(stream.take(21, &[1, 0], WHOLE), After::Cut);
    let mut stream = Stream::default();
    assert_eq!(stream.take(21, &[1], WHOLE), After::More);
    assert_eq!(stream.take(22, &[4, 0, 0, 0], WHOLE), After::Cut);
}

#[test]
fn rfc8446_4_6_3_a_key_update_says_whether_ours_is_asked_for() {
    assert_eq!(meaning(22, &[24, 0, 0, 1, 0]), After::Rekey);
    assert_eq!(meaning(22, &[24, 0, 0, 1, 1]), After::RekeyBoth);
    assert_eq!(meaning(22, &[4, 0, 0, 0, 24, 0, 0, 1, 0]), After::Rekey);
    for other in 2..=255 {
        assert_eq!(meaning(22, &[24, 0, 0, 1, other]), After::Cut, "{other}");
    }
    for length in [[0, 0, 0], [0, 0, 2], [0, 1, 0], [1, 0, 1]] {
        let [high, middle, low] = length;
        assert_eq!(meaning(22, &[24, high, middle, low, 0]), After::Cut);
    }
}

#[test]
fn rfc8446_5_1_keys_change_at_the_end_of_a_record() {
    assert_eq!(meaning(22, &[24, 0, 0, 1, 0, 4, 0, 0, 0]), After::Cut);
    assert_eq!(
        meaning(22, &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0]),
        After::Cut,
        "two in one record"
    );
}

/// kTLS takes no record after the one in which a KeyUpdate begins, so its rest cannot be had.
#[test]
fn a_key_update_that_spans_records_is_not_followed() {
    for len in 1..5 {
        let began = [24, 0, 0, 1, 0];
        assert_eq!(meaning(22, &began[..len]), After::KeyUpdate, "{len}");
    }
}

#[test]
fn a_kernel_that_takes_no_new_keys_follows_none() {
    for record in [&[24, 0, 0, 1, 0][..], &[4, 0, 0, 0, 24, 0, 0, 1, 0]] {
        assert_eq!(meaning_at(22, record, OLD_KERNEL), After::KeyUpdate);
    }
}

#[test]
fn our_key_update_asks_for_none() {
    let mut message = [9; KEY_UPDATE_MESSAGE_BYTES];
    // SAFETY: the array is writable.
    unsafe { tl_rs_key_update(&raw mut message) };
    assert_eq!(meaning(22, &message), After::Rekey);
}

#[test]
fn rfc8446_4_6_other_handshake_messages_cut() {
    for message in (0..=255).filter(|message| ![4, 24].contains(message)) {
        assert_eq!(meaning(22, &[message, 0, 0, 0]), After::Cut, "{message}");
    }
    assert_eq!(meaning(22, &[]), After::Cut);
}

#[test]
fn rfc8446_5_other_content_types_cut_and_data_is_data() {
    for kind in (0..=255).filter(|kind| ![21, 22, 23].contains(kind)) {
        assert_eq!(meaning(kind, &[1]), After::Cut);
    }
    assert_eq!(Stream::default().take(23, &[], WHOLE), After::Data);
}

#[test]
fn what_c_cannot_mean_cuts() {
    let mut state = 0;
    // SAFETY: null is allowed.
    unsafe {
        assert_eq!(
            tl_rs_control_record(&raw mut state, 21, core::ptr::null(), 2, true, true),
            3
        );
        assert_eq!(
            tl_rs_control_record(core::ptr::null_mut(), 21, [1, 0].as_ptr(), 2, true, true),
            3
        );
        assert_eq!(
            tl_rs_control_record(&raw mut state, 21, [1, 0].as_ptr(), 2, true, true),
            2
        );
    }
}

#[test]
fn close_notify_is_a_warning() {
    let mut alert = [9; 2];
    // SAFETY: the array is writable.
    unsafe { tl_rs_close_notify(&raw mut alert) };
    assert_eq!(alert, [1, 0]);
}
