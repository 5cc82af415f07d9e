use super::*;

/// The verdict on one whole record, which must not depend on how it is cut up.
fn meaning(kind: u8, record: &[u8]) -> After {
    let whole = Stream::default().take(kind, record);
    for size in 1..record.len().max(1) {
        let mut stream = Stream::default();
        let mut after = After::Skip;
        for piece in record.chunks(size) {
            stream = Stream::from_word(stream.to_word());
            after = stream.take(kind, piece);
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
    assert_eq!(stream.take(22, &[4, 0, 0, 3, 24]), After::Skip);
    assert_eq!(stream.take(22, &[24, 24]), After::Skip);
    assert_eq!(stream, Stream::default());
    assert_eq!(stream.take(22, &[24]), After::KeyUpdate);
}

#[test]
fn rfc8446_5_1_nothing_comes_between_the_pieces_of_a_message() {
    let mut stream = Stream::default();
    assert_eq!(stream.take(22, &[4, 0, 0, 3, 9]), After::Skip);
    assert_eq!(stream.take(21, &[1, 0]), After::Cut);
    let mut stream = Stream::default();
    assert_eq!(stream.take(21, &[1]), After::More);
    assert_eq!(stream.take(22, &[4, 0, 0, 0]), After::Cut);
}

#[test]
fn rfc8446_4_6_3_a_key_update_is_told_apart_also_behind_a_ticket() {
    assert_eq!(meaning(22, &[24, 0, 0, 1, 0]), After::KeyUpdate);
    assert_eq!(meaning(22, &[4, 0, 0, 0, 24, 0, 0, 1, 0]), After::KeyUpdate);
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
    assert_eq!(Stream::default().take(23, &[]), After::Data);
}

#[test]
fn what_c_cannot_mean_cuts() {
    let mut state = 0;
    // SAFETY: null is allowed.
    unsafe {
        assert_eq!(
            tl_rs_control_record(&raw mut state, 21, core::ptr::null(), 2),
            3
        );
        assert_eq!(
            tl_rs_control_record(core::ptr::null_mut(), 21, [1, 0].as_ptr(), 2),
            3
        );
        assert_eq!(
            tl_rs_control_record(&raw mut state, 21, [1, 0].as_ptr(), 2),
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
