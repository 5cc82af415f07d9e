use core::mem::MaybeUninit;
use std::vec::Vec;

use proptest::prelude::*;
use tidelock_kabi::{DenyReason, List, RefusedReason, Svid};

use super::*;
use crate::errno::{EBADMSG, EPROTO, ESTALE};
use crate::fake::world;

struct Session([u8; SESSION_BYTES]);

impl Session {
    fn open(generation: u64) -> Self {
        let mut state = [0xaa; SESSION_BYTES];
        // SAFETY: the array is writable.
        unsafe { tl_rs_session_init(&raw mut state, generation) };
        Self(state)
    }

    fn parse(&self, record: &[u8]) -> Result<Cmd, (i32, u32, u32, Cmd)> {
        let (mut out, mut why, mut at) = (MaybeUninit::uninit(), 0, 0);
        let (why_ptr, at_ptr) = (&raw mut why, &raw mut at);
        let len = ffi::len_u64(record);
        // SAFETY: all pointers are to live values.
        let errno = unsafe {
            tl_rs_session_parse(
                &raw const self.0,
                record.as_ptr(),
                len,
                out.as_mut_ptr(),
                why_ptr,
                at_ptr,
            )
        };
        // SAFETY: it is written in either case.
        let out = unsafe { out.assume_init() };
        if errno == 0 {
            Ok(out)
        } else {
            Err((errno, why, at, out))
        }
    }

    fn take(&mut self, record: &[u8]) -> Cmd {
        let cmd = self.parse(record).unwrap();
        // SAFETY: both are live.
        unsafe { tl_rs_session_accept(&raw mut self.0, &raw const cmd) };
        cmd
    }
}

fn hello(seq: u64) -> Vec<u8> {
    ToKernel::Hello {
        agent_version: "0.1.0",
    }
    .to_vec(seq)
    .unwrap()
}

#[test]
fn every_command_arrives_with_its_fields() {
    let mut session = Session::open(0);
    assert_eq!(session.take(&hello(1)).kind, cmd::HELLO);

    let config = ToKernel::Config(world::config(&[], &[world::web()], &[], &[]))
        .to_vec(2)
        .unwrap();
    let taken = session.take(&config);
    assert_eq!(
        (taken.kind, taken.seq, taken.generation),
        (cmd::CONFIG, 2, 1)
    );
    // SAFETY: the record is alive.
    assert_eq!(unsafe { taken.body.bytes() }, &config[HEADER_BYTES..]);

    let id = ToKernel::Identity {
        identity: 4,
        spiffe_id: world::CLIENT,
    }
    .to_vec(3)
    .unwrap();
    let taken = session.take(&id);
    assert_eq!((taken.kind, taken.identity), (cmd::IDENTITY, 4));
    // SAFETY: the record is alive.
    assert_eq!(unsafe { taken.spiffe_id.text() }, Some(world::CLIENT));

    let chain: [&[u8]; 1] = [b"der"];
    let svid = Svid {
        identity: 4,
        key: 9,
        chain: List::of(&chain),
    };
    let taken = session.take(&ToKernel::Svid(svid).to_vec(4).unwrap());
    assert_eq!((taken.kind, taken.identity, taken.key), (cmd::SVID, 4, 9));

    for (seq, exe_sha256) in [(5, None), (6, Some(&[0xa5; 32]))] {
        let grant = ToKernel::Grant {
            subject: 5,
            generation: 1,
            identity: 4,
            exe_sha256,
        };
        let record = grant.to_vec(seq).unwrap();
        let taken = session.take(&record);
        assert_eq!(
            (taken.kind, taken.subject, taken.generation, taken.identity),
            (cmd::GRANT, 5, 1, 4)
        );
        // SAFETY: the record is alive.
        let digest = unsafe { taken.exe_sha256.bytes() };
        assert_eq!(digest, exe_sha256.map_or(&[][..], |digest| digest));
    }

    let refuse = ToKernel::Refuse {
        subject: 5,
        generation: 1,
        reason: DenyReason::NotGranted,
    };
    let taken = session.take(&refuse.to_vec(7).unwrap());
    assert_eq!(
        (taken.kind, taken.subject, taken.reason),
        (cmd::REFUSE, 5, 2)
    );

    let taken = session.take(&ToKernel::Forget { identity: 4 }.to_vec(8).unwrap());
    assert_eq!((taken.kind, taken.identity), (cmd::FORGET, 4));
    assert_eq!(
        session.take(&ToKernel::Drain.to_vec(9).unwrap()).kind,
        cmd::DRAIN
    );
}

#[test]
fn a_refused_record_changes_nothing_and_says_which_it_was() {
    let session = Session::open(0);
    let before = session.0;
    let (errno, why, _, out) = session
        .parse(&ToKernel::Drain.to_vec(1).unwrap())
        .unwrap_err();
    assert_eq!(
        (errno, why, out.seq),
        (-EPROTO, RefusedReason::HelloFirst.number(), 1)
    );
    let mut other_abi = hello(1);
    other_abi[4] = other_abi[4].wrapping_add(1);
    let (errno, why, ..) = session.parse(&other_abi).unwrap_err();
    assert_eq!((errno, why), (-EPROTO, RefusedReason::AbiVersion.number()));
    let (errno, why, ..) = session.parse(&hello(1)[..20]).unwrap_err();
    assert_eq!((errno, why), (-EBADMSG, RefusedReason::TooShort.number()));
    assert_eq!(session.0, before);
}

#[test]
fn parsing_does_not_use_a_number_up_accepting_does() {
    let mut session = Session::open(0);
    session.parse(&hello(1)).unwrap();
    session.take(&hello(1));
    let (errno, ..) = session.parse(&hello(1)).unwrap_err();
    assert_eq!(errno, -EPROTO);
}

#[test]
fn the_generation_outlives_the_session() {
    let mut session = Session::open(7);
    session.take(&hello(1));
    let old = ToKernel::Config(world::config(&[], &[], &[], &[]))
        .to_vec(2)
        .unwrap();
    let (errno, why, ..) = session.parse(&old).unwrap_err();
    assert_eq!(
        (errno, why),
        (-ESTALE, RefusedReason::OldGeneration.number())
    );
    let grant = ToKernel::Grant {
        subject: 5,
        generation: 7,
        identity: 4,
        exe_sha256: None,
    };
    session.parse(&grant.to_vec(2).unwrap()).unwrap();
}

#[test]
fn a_null_record_is_refused() {
    let session = Session::open(0);
    let (mut out, mut why, mut at) = (blank(0, 0), 0, 0);
    let (out, why, at) = (&raw mut out, &raw mut why, &raw mut at);
    // SAFETY: null is allowed.
    let errno =
        unsafe { tl_rs_session_parse(&raw const session.0, core::ptr::null(), 9, out, why, at) };
    assert_eq!(errno, -EINVAL);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_bytes_break_the_session(
        mut record in prop::collection::vec(any::<u8>(), 0..200),
        real in any::<bool>(),
    ) {
        let mut session = Session::open(0);
        session.take(&hello(1));
        if real {
            let services = [world::web()];
            let config = world::config(&[], &services, &[], &[]);
            let mut whole = ToKernel::Config(config).to_vec(2).unwrap();
            for (at, byte) in record.iter().enumerate().take(3) {
                let place = (usize::from(*byte) * 7 + at) % whole.len();
                whole[place] ^= 1 << (byte % 8);
            }
            record = whole;
        }
        let before = session.0;
        if let Ok(cmd) = session.parse(&record) {
            // SAFETY: the record is alive.
            let body = unsafe { cmd.body.bytes() };
            prop_assert!(body.len() <= record.len());
        }
        prop_assert_eq!(session.0, before);
    }
}
