use core::ptr;
use std::vec;

use tidelock_kabi::AgentEnd;

use super::*;
use crate::fake::INIT_NET;
use crate::fake::world::addr;

/// Evidence with nothing in it but what must not be 0.
pub(crate) const EVIDENCE: Evidence = Evidence {
    subject: 1,
    start_ns: 0,
    pid: 0,
    uid: 0,
    gid: 0,
    flags: 0,
    mnt_ns: 0,
    net_ns: 0,
    exe_dev: 0,
    exe_ino: 0,
    exe_size: 0,
    exe_ctime_ns: 0,
    script_dev: 0,
    script_ino: 0,
    exe: Str::EMPTY,
    script: Str::EMPTY,
    cwd: Str::EMPTY,
    argv: Str::EMPTY,
    cgroup: Str::EMPTY,
};

/// A record with nothing in it but its kind.
pub(crate) fn blank(kind: u32) -> Rec {
    let none = Addr::default();
    Rec {
        kind,
        reason: 0,
        time_ns: 0,
        subject: 0,
        flow: 0,
        generation: 0,
        key: 0,
        seq: 0,
        count: 0,
        at: 0,
        identity: 0,
        pid: 0,
        uid: 0,
        role: 0,
        suite: 0,
        local: none,
        remote: none,
        service: Str::EMPTY,
        local_id: Str::EMPTY,
        peer_id: Str::EMPTY,
        detail: Str::EMPTY,
        body: Str::EMPTY,
        serial: [0; SERIAL_BYTES],
        serial_len: 0,
        peer_serial: [0; SERIAL_BYTES],
        peer_serial_len: 0,
        evidence: ptr::null(),
    }
}

/// Encodes as C does, after a hello, and gives what the agent reads to `check`.
fn agent_reads(rec: &Rec, check: impl FnOnce(ToAgent<'_>)) {
    let mut buf = vec![0; 8192];
    let mut agent = AgentEnd::new();
    let mut hello = [0; 64];
    let sent = agent
        .encode(
            &tidelock_kabi::ToKernel::Hello { agent_version: "1" },
            &mut hello,
        )
        .unwrap();
    agent.accepted(sent);
    for (seq, rec) in (1..).zip([&blank(rec::HELLO), rec]) {
        // SAFETY: all pointers are to live values.
        let len = unsafe { tl_rs_encode(rec, buf.as_mut_ptr(), 8192) };
        let record = &mut buf[..usize::try_from(len).unwrap()];
        // SAFETY: as above.
        unsafe { tl_rs_stamp(record.as_mut_ptr(), record.len() as u64, seq) };
        let read = agent.handle(record).unwrap();
        if seq == 2 {
            return check(read);
        }
        assert!(matches!(
            read,
            ToAgent::Hello {
                net_ns: INIT_NET,
                module_version: VERSION,
                ..
            }
        ));
    }
}

#[test]
fn evidence_reaches_the_agent_whole() {
    let evidence = Evidence {
        subject: 7,
        pid: 42,
        uid: 1000,
        flags: 0b10,
        exe_ctime_ns: -1,
        exe: Str::of(b"/usr/bin/\xff"),
        cwd: Str::of(b"/srv"),
        argv: Str::of(b"a\0b\0"),
        ..EVIDENCE
    };
    let rec = Rec {
        evidence: &raw const evidence,
        ..blank(rec::EXEC)
    };
    agent_reads(&rec, |read| {
        let ToAgent::Exec(read) = read else {
            panic!("{read:?}")
        };
        assert_eq!(
            (read.subject, read.pid, read.uid, read.exe_ctime_ns),
            (7, 42, 1000, -1)
        );
        assert_eq!(
            (read.exe, read.cwd, read.argv),
            (&b"/usr/bin/\xff"[..], &b"/srv"[..], &b"a\0b\0"[..])
        );
        assert_eq!(read.script, None);
        assert!(read.flags.contains(EvidenceFlags::HOST_MNT));
    });
}

#[test]
fn a_flow_reaches_the_agent_with_both_names_and_serials() {
    let rec = Rec {
        flow: 3,
        subject: 7,
        role: 1,
        suite: 0x1301,
        local: addr([10, 0, 0, 2], 80),
        service: Str::of(b"web"),
        peer_id: Str::of(b"spiffe://example.org/client"),
        serial: [9; SERIAL_BYTES],
        serial_len: 2,
        ..blank(rec::FLOW_OPENED)
    };
    agent_reads(&rec, |read| {
        let ToAgent::FlowOpened(flow) = read else {
            panic!("{read:?}")
        };
        assert_eq!(
            (flow.flow, flow.role, flow.suite),
            (3, Role::Server, 0x1301)
        );
        assert_eq!((flow.service, flow.local_id), (Some("web"), None));
        assert_eq!(flow.peer_id, Some("spiffe://example.org/client"));
        assert_eq!(
            (flow.local_serial, flow.peer_serial),
            (&[9, 9][..], &[][..])
        );
        assert_eq!((flow.local.port, flow.local.netns), (80, 0));
    });
}

#[test]
fn a_denial_reaches_the_agent_also_of_an_ungoverned_process_and_with_long_detail() {
    let detail = "x".repeat(1000);
    let rec = Rec {
        reason: 5,
        pid: 9,
        detail: Str::of(detail.as_bytes()),
        count: 7,
        ..blank(rec::DENIED)
    };
    agent_reads(&rec, |read| {
        let ToAgent::Denied(denial) = read else {
            panic!("{read:?}")
        };
        assert_eq!(
            (denial.subject, denial.reason),
            (None, DenyReason::NoPermit)
        );
        assert_eq!(denial.detail.len(), MAX_DETAIL_BYTES);
        assert_eq!(denial.untold, 7);
    });
}

#[test]
fn every_other_kind_reaches_the_agent() {
    let with = |kind, change: fn(&mut Rec)| {
        let mut rec = blank(kind);
        (rec.subject, rec.flow, rec.key, rec.identity) = (1, 2, 3, 4);
        (rec.generation, rec.count, rec.pid) = (5, 6, 7);
        change(&mut rec);
        rec
    };
    agent_reads(&with(rec::EXIT, |_| {}), |read| {
        assert_eq!(read, ToAgent::Exit { subject: 1, pid: 7 });
    });
    agent_reads(&with(rec::CSR, |rec| rec.body = Str::of(b"der")), |read| {
        assert_eq!(
            read,
            ToAgent::Csr {
                identity: 4,
                key: 3,
                der: b"der"
            }
        );
    });
    agent_reads(&with(rec::INSTALLED, |rec| rec.serial_len = 1), |read| {
        assert_eq!(
            read,
            ToAgent::Installed {
                identity: 4,
                key: 3,
                serial: &[0]
            }
        );
    });
    agent_reads(&with(rec::APPLIED, |_| {}), |read| {
        assert_eq!(
            read,
            ToAgent::Applied {
                generation: 5,
                flows_cut: 6
            }
        );
    });
    agent_reads(&with(rec::FLOW_CLOSED, |rec| rec.reason = 20), |read| {
        let ToAgent::FlowClosed(closed) = read else {
            panic!("{read:?}")
        };
        assert_eq!(
            (closed.flow, closed.subject, closed.reason),
            (2, Some(1), DenyReason::Exited)
        );
    });
    agent_reads(&with(rec::REFUSED, |rec| rec.reason = 10), |read| {
        let refused = Refused {
            seq: 0,
            why: RefusedReason::Sequence,
            at: 0,
        };
        assert_eq!(read, ToAgent::Refused(refused));
    });
    agent_reads(&with(rec::LOST, |_| {}), |read| {
        assert_eq!(read, ToAgent::Lost { count: 6 })
    });
}

#[test]
fn a_reason_without_meaning_is_a_fault_of_ours() {
    agent_reads(
        &Rec {
            reason: 9999,
            ..blank(rec::DENIED)
        },
        |read| {
            assert!(matches!(
                read,
                ToAgent::Denied(Denial {
                    reason: DenyReason::Internal,
                    ..
                })
            ));
        },
    );
    agent_reads(
        &Rec {
            reason: 0,
            ..blank(rec::REFUSED)
        },
        |read| {
            assert!(matches!(
                read,
                ToAgent::Refused(Refused {
                    why: RefusedReason::Internal,
                    ..
                })
            ));
        },
    );
}

#[test]
fn what_makes_no_record_is_refused() {
    let mut buf = [0; 64];
    // SAFETY: all pointers are to live values, or null.
    let mut encode = |rec: &Rec, cap| unsafe { tl_rs_encode(rec, buf.as_mut_ptr(), cap) };
    for kind in [0, 12, u32::MAX] {
        assert_eq!(encode(&blank(kind), 64), i64::from(-EINVAL));
    }
    assert_eq!(
        encode(&blank(rec::EXEC), 64),
        i64::from(-EINVAL),
        "no evidence"
    );
    assert_eq!(
        encode(&blank(rec::LOST), 64),
        i64::from(-EINVAL),
        "nothing was lost"
    );
    assert_eq!(encode(&blank(rec::HELLO), 30), i64::from(-ENOSPC));
    // SAFETY: null is allowed.
    unsafe {
        assert_eq!(
            tl_rs_encode(&blank(rec::HELLO), ptr::null_mut(), 64),
            i64::from(-EINVAL)
        );
        tl_rs_stamp(ptr::null_mut(), 64, 1);
    }
}
