use core::mem::offset_of;
use std::format;
use std::path::Path;
use std::process::Command;
use std::string::String;
use std::vec::Vec;

use tidelock_kabi::DenyReason;

use super::*;
use crate::control::{After, KEY_UPDATE_MESSAGE_BYTES};
use crate::mode::Wire;
use crate::traffic::{Keys, Traffic};

/// The layout of a struct as `name size`, `name.field offset` lines, from Rust and for C.
struct Probe {
    ours: String,
    program: String,
}

macro_rules! probe {
    ($($rust:ident = $c:ident { $($field:ident),* })*) => {{
        let mut ours = String::new();
        let mut program = String::new();
        $(
            ours += &format!("{} {}\n", stringify!($c), size_of::<$rust>());
            program += &format!("S({})\n", stringify!($c));
            $(
                ours += &format!("{}.{} {}\n", stringify!($c), stringify!($field), offset_of!($rust, $field));
                program += &format!("F({}, {})\n", stringify!($c), stringify!($field));
            )*
        )*
        Probe { ours, program }
    }};
}

fn all() -> Probe {
    probe! {
        Str = tl_str { ptr, len }
        Addr = tl_addr { ip, port, pad, netns }
        Evidence = tl_evidence { subject, start_ns, pid, uid, gid, flags, mnt_ns, net_ns, exe_dev,
            exe_ino, exe_size, exe_ctime_ns, script_dev, script_ino, exe, script, cwd, argv,
            cgroup }
        Cmd = tl_cmd { kind, identity, seq, generation, subject, key, reason, pad, spiffe_id, body,
            exe_sha256 }
        Rec = tl_rec { kind, reason, time_ns, subject, flow, generation, key, seq, count, at,
            identity, pid, uid, role, suite, local, remote, service, local_id, peer_id, detail,
            body, serial, serial_len, peer_serial, peer_serial_len, evidence }
        Limits = tl_limits { grant_wait_ms, handshake_ms, max_handshakes,
            max_handshakes_per_listener, n_prefilter, n_services, redecide_ms }
        Question = tl_question { cfg, service, role, client_id, server_id, addr, client, now_ms, process,
            exe_sha256, own_serial, peer_serial, own_authority, peer_authority, plain, refused, carried, age_ms, memo }
        Decision = tl_decision { allow, reason, again_ms, detail_len, detail }
        Svid = tl_svid { not_before, not_after, serial, serial_len, authority }
        FlowNew = tl_flow_new { cfg, identity, service, role, addr, client, now_ms, process,
            exe_sha256, memo }
        Step = tl_step { verdict, reason, err, suite, tx, tx_len, peer_id, peer_serial,
            peer_serial_len, detail_len, detail, tx_info, tx_info_len, rx_info, rx_info_len,
            records_max, peer_hash, peer_authority, traffic }
        Traffic = tl_traffic { }
        Keys = tl_keys { info, info_len }
        Marks = tl_marks { head, ready, end }
        Edit = tl_edit { state, buf, marks, own_id, peer_id, peer_hash, why, question, denied, observed }
    }
}

/// Every enumerator and number of `shim.h` that Rust repeats.
fn numbers() -> Vec<(&'static str, usize)> {
    let n = |number: u32| usize::try_from(number).unwrap();
    let mut all = Vec::from([
        ("TL_SESSION_BYTES", SESSION_BYTES),
        ("TL_IDENTITY_ARENA", IDENTITY_ARENA),
        ("TL_FLOW_ARENA", FLOW_ARENA),
        ("TL_QUEUE_BYTES", QUEUE_BYTES),
        ("TL_QUEUE_LOW", n(QUEUE_LOW)),
        ("TL_SHA256", SHA256_BYTES),
        ("TL_EV_ADOPTED", n(EV_ADOPTED)),
        ("TL_EV_HOST_MNT", n(EV_HOST_MNT)),
        ("TL_NET_UNKNOWN", n(NET_UNKNOWN)),
        ("TL_FLOW_LINE_MAX", crate::line::MAX_LINE_BYTES),
        ("TL_RECORD_MAX", tidelock_datapath::MAX_RECORD_BYTES),
        ("TL_CLIENT", n(role::CLIENT)),
        ("TL_SERVER", n(role::SERVER)),
        ("TL_CMD_HELLO", n(cmd::HELLO)),
        ("TL_CMD_CONFIG", n(cmd::CONFIG)),
        ("TL_CMD_IDENTITY", n(cmd::IDENTITY)),
        ("TL_CMD_SVID", n(cmd::SVID)),
        ("TL_CMD_GRANT", n(cmd::GRANT)),
        ("TL_CMD_REFUSE", n(cmd::REFUSE)),
        ("TL_CMD_FORGET", n(cmd::FORGET)),
        ("TL_CMD_DRAIN", n(cmd::DRAIN)),
        ("TL_REC_HELLO", n(rec::HELLO)),
        ("TL_REC_EXEC", n(rec::EXEC)),
        ("TL_REC_EXIT", n(rec::EXIT)),
        ("TL_REC_CSR", n(rec::CSR)),
        ("TL_REC_INSTALLED", n(rec::INSTALLED)),
        ("TL_REC_APPLIED", n(rec::APPLIED)),
        ("TL_REC_FLOW_OPENED", n(rec::FLOW_OPENED)),
        ("TL_REC_FLOW_CLOSED", n(rec::FLOW_CLOSED)),
        ("TL_REC_DENIED", n(rec::DENIED)),
        ("TL_REC_REFUSED", n(rec::REFUSED)),
        ("TL_REC_LOST", n(rec::LOST)),
        (
            "TL_TRANSFORM_WORDS",
            tidelock_datapath::transform::TRANSFORM_WORDS,
        ),
        (
            "TL_ADDED_MAX",
            tidelock_datapath::transform::MAX_ADDED_BYTES,
        ),
        ("TL_NEEDS_BYTES", n(progress::NEEDS_BYTES)),
        ("TL_NEEDS_ROOM", n(progress::NEEDS_ROOM)),
        ("TL_TRANSFORM_REFUSED", n(progress::REFUSED)),
        ("TL_TRANSFORM_DENIED", n(progress::DENIED)),
        ("TL_WANT_RECORD", n(verdict::WANT_RECORD)),
        ("TL_ESTABLISHED", n(verdict::ESTABLISHED)),
        ("TL_FAILED", n(verdict::FAILED)),
        ("TL_AFTER_DATA", n(After::Data.number())),
        ("TL_AFTER_SKIP", n(After::Skip.number())),
        ("TL_AFTER_EOF", n(After::Eof.number())),
        ("TL_AFTER_CUT", n(After::Cut.number())),
        ("TL_AFTER_MORE", n(After::More.number())),
        ("TL_AFTER_KEY_UPDATE", n(After::KeyUpdate.number())),
        ("TL_AFTER_REKEY", n(After::Rekey.number())),
        ("TL_AFTER_REKEY_BOTH", n(After::RekeyBoth.number())),
        ("TL_KEY_UPDATE_BYTES", KEY_UPDATE_MESSAGE_BYTES),
        ("TL_WIRE_TLS", n(Wire::Tls.number())),
        ("TL_WIRE_PLAIN", n(Wire::Plain.number())),
        ("TL_WIRE_LOOK", n(Wire::Look.number())),
        ("TL_FIRST_BYTES", crate::mode::FIRST_BYTES),
    ]);
    all.extend(reasons().map(|(name, reason)| (name, n(reason.number()))));
    all
}

/// C's names for the reasons that it comes across itself.
fn reasons() -> impl Iterator<Item = (&'static str, DenyReason)> {
    use DenyReason as R;
    [
        ("TL_R_NO_GRANT", R::NoGrant),
        ("TL_R_NOT_GRANTED", R::NotGranted),
        ("TL_R_NO_IDENTITY", R::NoIdentity),
        ("TL_R_NO_SVID", R::NoSvid),
        ("TL_R_NO_PERMIT", R::NoPermit),
        ("TL_R_FORBIDDEN", R::Forbidden),
        ("TL_R_NOT_A_SERVER", R::NotAServer),
        ("TL_R_PEER_UNAUTHENTICATED", R::PeerUnauthenticated),
        ("TL_R_PEER_REFUSED", R::PeerRefused),
        ("TL_R_HANDSHAKE_DEADLINE", R::HandshakeDeadline),
        ("TL_R_PROTOCOL", R::Protocol),
        ("TL_R_RESOURCE_LIMIT", R::ResourceLimit),
        ("TL_R_UNSUPPORTED_SOCKET", R::UnsupportedSocket),
        ("TL_R_CREDENTIALS_CHANGED", R::CredentialsChanged),
        ("TL_R_SVID_EXPIRED", R::SvidExpired),
        ("TL_R_NO_POLICY", R::NoPolicy),
        ("TL_R_DRAINED", R::Drained),
        ("TL_R_GRANT_WITHDRAWN", R::GrantWithdrawn),
        ("TL_R_POLICY_CHANGED", R::PolicyChanged),
        ("TL_R_EXITED", R::Exited),
        ("TL_R_PEER_CLOSED", R::PeerClosed),
        ("TL_R_LOCAL_CLOSED", R::LocalClosed),
        ("TL_R_TRUNCATED", R::Truncated),
        ("TL_R_INTERNAL", R::Internal),
        ("TL_R_AGENT_GONE", R::AgentGone),
        ("TL_R_SOCKET_OPTION", R::SocketOption),
        ("TL_R_WOULD_DENY", R::WouldDeny),
        ("TL_R_WOULD_PERMIT", R::WouldPermit),
        ("TL_R_PEER_REVOKED", R::PeerRevoked),
        ("TL_R_SVID_REVOKED", R::SvidRevoked),
        ("TL_R_KEY_USED_UP", R::KeyUsedUp),
        ("TL_R_SERVICE_DENIED", R::ServiceDenied),
        ("TL_R_NOT_IN_PLAIN", R::NotInPlain),
        ("TL_R_TOOK_IN_PLAIN", R::TookInPlain),
        ("TL_R_WENT_IN_PLAIN", R::WentInPlain),
        ("TL_R_KEY_UPDATED", R::KeyUpdated),
        ("TL_R_FLOW_TOO_OLD", R::FlowTooOld),
    ]
    .into_iter()
}

#[test]
fn layouts_and_numbers_are_those_of_shim_h() {
    let mut probe = all();
    for (name, number) in numbers() {
        probe.ours += &format!("{name} {number}\n");
        probe.program += &format!("N({name})\n");
    }
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim.h");
    let program = format!(
        "#include <stdio.h>\n#include <stddef.h>\n#include \"{}\"\n\
         #define S(t) printf(#t \" %zu\\n\", sizeof(struct t));\n\
         #define F(t, f) printf(#t \".\" #f \" %zu\\n\", offsetof(struct t, f));\n\
         #define N(n) printf(#n \" %d\\n\", (int)(n));\n\
         int main(void) {{ {} return 0; }}\n",
        header.display(),
        probe.program
    );
    let folder = std::env::temp_dir().join(format!("tidelock-shim-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (source, binary) = (folder.join("probe.c"), folder.join("probe"));
    std::fs::write(&source, program).unwrap();
    let built = Command::new("cc")
        .arg("-o")
        .arg(&binary)
        .arg(&source)
        .status();
    assert!(built.expect("a C compiler `cc` is needed").success());
    let theirs = Command::new(&binary).output().unwrap().stdout;
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(probe.ours, String::from_utf8(theirs).unwrap());
}

#[test]
fn a_null_pointer_with_a_length_is_no_slice() {
    // SAFETY: null is allowed.
    unsafe {
        assert!(bytes(ptr::null(), 1).is_none());
        assert!(bytes_mut(ptr::null_mut(), 1).is_none());
        assert_eq!(bytes(ptr::null(), 0), Some(&[][..]));
        assert!(bytes([1_u8].as_ptr(), u64::MAX).is_none());
        assert_eq!(
            Str {
                ptr: ptr::null(),
                len: 9
            }
            .bytes(),
            &[] as &[u8]
        );
    }
}

#[test]
fn text_that_is_not_utf8_is_none() {
    // SAFETY: the literals live for ever.
    unsafe {
        assert_eq!(Str::of(b"\xff").text(), None);
        assert_eq!(Str::of("é".as_bytes()).text(), Some("é"));
        assert_eq!(Str::EMPTY.text(), Some(""));
    }
}
