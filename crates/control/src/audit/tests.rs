use proptest::prelude::*;

use super::*;

fn entry(n: u64) -> AuditEntry {
    AuditEntry {
        time_unix_ns: n,
        actor: "uid 0".into(),
        action: "svid-issued".into(),
        subject: format!("spiffe://example.org/{n}"),
        detail: "{}".into(),
    }
}

fn log(len: u64) -> (Vec<AuditRecord>, AuditHead) {
    let mut head = AuditHead::default();
    let append = |n| {
        let entry = entry(n);
        head = head.append(&entry);
        let AuditHead { seq, hash } = head;
        AuditRecord { seq, entry, hash }
    };
    let records = (1..=len).map(append).collect();
    (records, head)
}

fn verify(
    records: &[AuditRecord],
    end: AuditHead,
    noted: Option<AuditHead>,
) -> Result<AuditHead, Broken> {
    let mut chain = Chain::new(end, noted);
    records.iter().try_for_each(|record| chain.take(record))?;
    chain.finish()
}

#[test]
fn a_log_as_it_was_written_is_whole() {
    for len in [0, 1, 9] {
        let (records, end) = log(len);
        assert_eq!(verify(&records, end, None), Ok(end));
        assert_eq!(verify(&records, end, Some(end)), Ok(end));
    }
}

#[test]
fn an_end_that_is_cut_off_is_missed() {
    let (mut records, end) = log(5);
    records.truncate(3);
    assert_eq!(verify(&records, end, None), Err(Broken::Missing { seq: 4 }));
    let (_, shorter) = log(3);
    let cut = verify(&records, shorter, Some(end));
    assert_eq!(cut, Err(Broken::Missing { seq: 4 }), "of what was noted");
}

#[test]
fn what_was_never_written_is_found() {
    let (records, _) = log(5);
    let (_, end) = log(4);
    let found = verify(&records, end, None);
    assert_eq!(found, Err(Broken::Unwritten { seq: 5 }));
}

#[test]
fn a_log_that_was_written_anew_is_not_the_one_that_was_noted() {
    let (_, noted) = log(3);
    let mut head = AuditHead::default();
    let forge = |n: u64| {
        let entry = AuditEntry {
            actor: "uid 7".into(),
            ..entry(n)
        };
        head = head.append(&entry);
        let AuditHead { seq, hash } = head;
        AuditRecord { seq, entry, hash }
    };
    let records: Vec<_> = (1..=5).map(forge).collect();
    assert_eq!(
        verify(&records, head, None),
        Ok(head),
        "by itself it is whole"
    );
    let found = verify(&records, head, Some(noted));
    assert_eq!(found, Err(Broken::Rewritten { seq: 3 }));
}

#[test]
fn texts_do_not_run_into_each_other() {
    let moved = AuditEntry {
        actor: "uid 0svid".into(),
        action: "-issued".into(),
        ..entry(1)
    };
    let head = AuditHead::default();
    assert_ne!(head.append(&moved).hash, head.append(&entry(1)).hash);
}

#[derive(Clone, Debug)]
enum Tamper {
    Alter {
        at: usize,
        field: usize,
    },
    Delete {
        at: usize,
    },
    Swap {
        at: usize,
        with: usize,
    },
    /// The entries change places, and their numbers stay where they were.
    Exchange {
        at: usize,
        with: usize,
    },
}

fn tamper() -> impl Strategy<Value = Tamper> {
    let (at, with) = (0_usize..8, 0_usize..8);
    let two = (at.clone(), with);
    prop_oneof![
        (at.clone(), 0_usize..7).prop_map(|(at, field)| Tamper::Alter { at, field }),
        at.prop_map(|at| Tamper::Delete { at }),
        two.clone().prop_map(|(at, with)| Tamper::Swap { at, with }),
        two.prop_map(|(at, with)| Tamper::Exchange { at, with }),
    ]
}

/// Does it; the first place that is wrong then, if any is.
fn apply(records: &mut Vec<AuditRecord>, tamper: &Tamper) -> Option<usize> {
    match *tamper {
        Tamper::Alter { at, field } => {
            let record = &mut records[at];
            match field {
                0 => record.entry.time_unix_ns ^= 1,
                1 => record.entry.actor.push('x'),
                2 => record.entry.action.push('x'),
                3 => record.entry.subject.clear(),
                4 => record.entry.detail.insert(0, ' '),
                5 => record.hash[0] ^= 1,
                _ => record.seq += 100,
            }
            Some(at)
        }
        Tamper::Delete { at } => {
            records.remove(at);
            Some(at)
        }
        Tamper::Swap { at, with } => {
            records.swap(at, with);
            (at != with).then_some(at.min(with))
        }
        Tamper::Exchange { at, with } => {
            let (one, other) = (records[at].entry.clone(), records[with].entry.clone());
            (records[at].entry, records[with].entry) = (other, one);
            (at != with).then_some(at.min(with))
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_altered_deleted_or_reordered_is_found_where_it_begins(tamper in tamper()) {
        let (mut records, end) = log(8);
        let first = apply(&mut records, &tamper);
        let found = verify(&records, end, None).err().map(Broken::seq);
        prop_assert_eq!(found, first.map(|at| at as u64 + 1));
    }
}
