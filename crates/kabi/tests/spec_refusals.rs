//! Every rule of the codec: broken on the way in, and on the way out.

mod common;

use std::collections::BTreeSet;

use common::samples::*;
use tidelock_kabi::bounds::*;
use tidelock_kabi::*;

/// A record of this kind, with a header that tells the truth.
fn raw(kind: ToKernelKind, body: &[&[u8]]) -> Vec<u8> {
    let mut bytes = ToKernel::Drain.to_vec(1).unwrap();
    body.iter().for_each(|part| bytes.extend_from_slice(part));
    let len = u32::try_from(bytes.len()).unwrap();
    bytes[6..8].copy_from_slice(&kind.number().to_le_bytes());
    bytes[8..12].copy_from_slice(&len.to_le_bytes());
    bytes
}

fn fault(record: &[u8]) -> (RefusedReason, u32) {
    let fault = ToKernel::decode(record).expect_err("refused");
    (fault.why, fault.at)
}

fn n(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap().to_le_bytes()
}

/// The sample of this kind with bytes changed at an offset.
fn edited(kind: ToKernelKind, at: usize, to: &[u8]) -> Vec<u8> {
    let sample = every_to_kernel()
        .into_iter()
        .find(|record| record.kind() == kind)
        .unwrap();
    let mut bytes = sample.to_vec(1).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

#[test]
fn a_header_is_checked_before_anything_behind_it() {
    use RefusedReason as Why;
    let hello = |at, to: &[u8]| edited(ToKernelKind::Hello, at, to);
    assert_eq!(fault(&[]), (Why::TooShort, 0));
    assert_eq!(fault(&hello(0, &[])[..23]), (Why::TooShort, 0));
    assert_eq!(fault(&vec![0; MAX_RECORD_BYTES + 1]), (Why::TooLong, 0));
    assert_eq!(fault(&hello(0, b"X")), (Why::Magic, 0));
    assert_eq!(fault(&hello(4, &[2])), (Why::AbiVersion, 4));
    assert_eq!(fault(&hello(5, &[1])), (Why::AbiVersion, 4));
    assert_eq!(fault(&hello(6, &[0])), (Why::Kind, 6));
    assert_eq!(fault(&hello(6, &[9])), (Why::Kind, 6));
    assert_eq!(fault(&hello(8, &[99])), (Why::Length, 8));
    assert_eq!(fault(&hello(15, &[1])), (Why::Reserved, 12));
    // Another version is called that, whatever else it changed.
    assert_eq!(
        fault(&edited(ToKernelKind::Drain, 4, &[1, 0, 99, 0, 99])),
        (Why::AbiVersion, 4)
    );
    // And which it is can be told, so that people know what to upgrade.
    let version = |record: &[u8]| abi_version_of(record);
    assert_eq!(version(&hello(4, &[3, 1])), Some(0x103));
    assert_eq!(version(&hello(4, &[])), Some(ABI_VERSION));
    assert_eq!(version(&hello(0, b"X")), None);
    assert_eq!(version(&hello(4, &[])[..5]), None);
}

#[test]
fn fields_are_whole_bounded_text_and_end_the_record() {
    use RefusedReason as Why;
    let hello = |body: &[&[u8]]| fault(&raw(ToKernelKind::Hello, body));
    assert_eq!(hello(&[]), (Why::Truncated, 24));
    assert_eq!(hello(&[&n(1)]), (Why::Truncated, 28));
    assert_eq!(hello(&[&n(5), b"abcd"]), (Why::Truncated, 28));
    assert_eq!(hello(&[&n(0)]), (Why::Empty, 24));
    assert_eq!(hello(&[&n(3), b"abcd"]), (Why::Trailing, 31));
    assert_eq!(hello(&[&n(2), &[0xc3, 0x28]]), (Why::NotUtf8, 24));
    assert_eq!(hello(&[&n(65), &[b'a'; 65]]), (Why::FieldTooLong, 24));
    assert_eq!(hello(&[&[0xff; 4]]), (Why::FieldTooLong, 24));
    assert!(ToKernel::decode(&raw(ToKernelKind::Hello, &[&n(64), &[b'a'; 64]])).is_ok());
}

#[test]
fn a_digest_is_whole_or_absent() {
    use RefusedReason as Why;
    let grant = |digest: &[u8]| {
        let [subject, generation] = [1_u64, 1].map(u64::to_le_bytes);
        let len = n(digest.len());
        raw(
            ToKernelKind::Grant,
            &[&subject, &generation, &n(1), &len, digest],
        )
    };
    for bytes in [1, 31] {
        assert_eq!(fault(&grant(&vec![1; bytes])), (Why::OutOfRange, 44));
    }
    assert_eq!(fault(&grant(&[1; 33])), (Why::FieldTooLong, 44));
    for (digest, meant) in [(&[][..], None), (&[1; 32], Some(&[1; 32]))] {
        let record = grant(digest);
        let Ok((_, ToKernel::Grant { exe_sha256, .. })) = ToKernel::decode(&record) else {
            panic!("refused")
        };
        assert_eq!(exe_sha256, meant);
    }
}

#[test]
fn numbers_that_name_something_are_not_zero() {
    use RefusedReason as Why;
    for (kind, at) in [
        (ToKernelKind::Identity, 24),
        (ToKernelKind::Forget, 24),
        (ToKernelKind::Svid, 24),
        (ToKernelKind::Grant, 40),
    ] {
        assert_eq!(
            fault(&edited(kind, at, &[0; 4])),
            (Why::OutOfRange, at as u32),
            "{kind}"
        );
    }
    for (kind, at) in [
        (ToKernelKind::Config, 24),
        (ToKernelKind::Grant, 24),
        (ToKernelKind::Grant, 32),
        (ToKernelKind::Refuse, 24),
        (ToKernelKind::Refuse, 32),
        (ToKernelKind::Svid, 28),
    ] {
        assert_eq!(
            fault(&edited(kind, at, &[0; 8])),
            (Why::OutOfRange, at as u32),
            "{kind}"
        );
    }
    for reason in [0_u8, 38, 255] {
        assert_eq!(
            fault(&edited(ToKernelKind::Refuse, 40, &[reason])),
            (Why::OutOfRange, 40)
        );
    }
}

#[test]
fn a_spiffe_id_is_a_workloads() {
    for id in [
        "",
        "spiffe://",
        "spiffe://td",
        "spiffe://td/",
        "http://td/a",
        "spiffe://TD/a",
        "spiffe://td/a/",
        "spiffe://td//a",
        "spiffe://td/a/../b",
        "spiffe://td/a b",
        "spiffe://td:1/a",
        "spiffe://td/ä",
    ] {
        let record = raw(
            ToKernelKind::Identity,
            &[&n(1), &n(id.len()), id.as_bytes()],
        );
        assert_eq!(fault(&record), (RefusedReason::BadSpiffeId, 28), "{id}");
        let encoded = ToKernel::Identity {
            identity: 1,
            spiffe_id: id,
        }
        .to_vec(1);
        assert!(encoded.is_err(), "{id}");
    }
}

/// Offsets in the sample configuration: two prefilter rows, two service rows, two server rows, a bundle
/// row, two authority rows, then text, certificates and policies, and last two revoked serials.
const PREFILTER_AT: usize = 24 + 64;
const SERVICE_AT: usize = PREFILTER_AT + 2 * 16;
const SERVER_AT: usize = SERVICE_AT + 2 * 48;
const BUNDLE_AT: usize = SERVER_AT + 2 * 8;
const AUTHORITY_AT: usize = BUNDLE_AT + 16;
const TEXT_AT: usize = AUTHORITY_AT + 2 * 8;

#[test]
fn a_configuration_is_refused_where_it_is_wrong() {
    use RefusedReason as Why;
    let cases: &[(&str, usize, &[u8], Why, usize)] = &[
        ("no deadline", 32, &[0; 4], Why::OutOfRange, 32),
        (
            "a deadline of an hour",
            36,
            &n(3_600_000),
            Why::OutOfRange,
            36,
        ),
        ("no handshakes", 40, &[0; 4], Why::OutOfRange, 40),
        ("too many handshakes", 44, &n(65_537), Why::OutOfRange, 44),
        (
            "too many prefilter entries",
            48,
            &n(1025),
            Why::ListTooLong,
            48,
        ),
        ("too many services", 52, &n(1025), Why::ListTooLong, 52),
        (
            "servers beyond any record",
            56,
            &[0xff; 4],
            Why::ListTooLong,
            56,
        ),
        ("too many bundles", 60, &n(65), Why::ListTooLong, 60),
        ("text beyond any record", 68, &[0xff; 4], Why::TooLong, 68),
        (
            "policy beyond its bound",
            76,
            &n(MAX_POLICY_BYTES + 1),
            Why::FieldTooLong,
            76,
        ),
        (
            "observed policy beyond its bound",
            80,
            &n(MAX_POLICY_BYTES + 1),
            Why::FieldTooLong,
            80,
        ),
        (
            "too many revoked",
            84,
            &n(MAX_REVOKED + 1),
            Why::ListTooLong,
            84,
        ),
        ("revoked beyond the record", 84, &n(3), Why::Truncated, 0),
        ("revoked short of the record", 84, &n(1), Why::Truncated, 0),
        ("policies beyond the record", 80, &n(8), Why::ListTooLong, 0),
        ("policies short of the record", 80, &n(6), Why::Truncated, 0),
        (
            "exe out of place",
            PREFILTER_AT,
            &n(1),
            Why::Layout,
            PREFILTER_AT,
        ),
        (
            "exe too long",
            PREFILTER_AT + 4,
            &n(1025),
            Why::FieldTooLong,
            PREFILTER_AT,
        ),
        (
            "exe beyond the text",
            PREFILTER_AT + 4,
            &n(999),
            Why::Layout,
            PREFILTER_AT,
        ),
        (
            "uid without its flag",
            PREFILTER_AT + 8,
            &n(1),
            Why::OutOfRange,
            PREFILTER_AT + 8,
        ),
        (
            "a flag not known",
            PREFILTER_AT + 12,
            &n(2),
            Why::OutOfRange,
            PREFILTER_AT + 8,
        ),
        (
            "neither exe nor uid",
            PREFILTER_AT + 24,
            &[0; 8],
            Why::GovernsAll,
            PREFILTER_AT + 16,
        ),
        (
            "service without a name",
            SERVICE_AT + 4,
            &n(0),
            Why::Empty,
            SERVICE_AT,
        ),
        (
            "service name too long",
            SERVICE_AT + 4,
            &n(254),
            Why::FieldTooLong,
            SERVICE_AT,
        ),
        (
            "host bits",
            SERVICE_AT + 23,
            &[1],
            Why::BadCidr,
            SERVICE_AT + 8,
        ),
        (
            "prefix too long",
            SERVICE_AT + 24,
            &[129],
            Why::BadCidr,
            SERVICE_AT + 8,
        ),
        (
            "no such transform",
            SERVICE_AT + 25,
            &[4],
            Why::OutOfRange,
            SERVICE_AT + 25,
        ),
        (
            "no port",
            SERVICE_AT + 26,
            &[0, 0],
            Why::OutOfRange,
            SERVICE_AT + 26,
        ),
        (
            "no such mode",
            SERVICE_AT + 32,
            &[6],
            Why::OutOfRange,
            SERVICE_AT + 32,
        ),
        (
            "no mode",
            SERVICE_AT + 32,
            &[0],
            Why::OutOfRange,
            SERVICE_AT + 32,
        ),
        (
            "no such thing to do without an identity",
            SERVICE_AT + 33,
            &[3],
            Why::OutOfRange,
            SERVICE_AT + 32,
        ),
        (
            "something behind the mode",
            SERVICE_AT + 35,
            &[1],
            Why::OutOfRange,
            SERVICE_AT + 32,
        ),
        (
            "servers out of place",
            SERVICE_AT + 40,
            &n(1),
            Why::Layout,
            SERVICE_AT + 40,
        ),
        (
            "too many servers",
            SERVICE_AT + 44,
            &n(65),
            Why::ListTooLong,
            SERVICE_AT + 40,
        ),
        (
            "servers beyond the list",
            SERVICE_AT + 48 + 44,
            &n(1),
            Why::Layout,
            0,
        ),
        (
            "server not one",
            TEXT_AT + 13 + 3 + 4,
            b"X",
            Why::BadSpiffeId,
            SERVER_AT,
        ),
        (
            "bundle out of place",
            BUNDLE_AT,
            &n(0),
            Why::Layout,
            BUNDLE_AT,
        ),
        (
            "too many authorities",
            BUNDLE_AT + 12,
            &n(17),
            Why::ListTooLong,
            BUNDLE_AT + 8,
        ),
        (
            "authorities left over",
            BUNDLE_AT + 12,
            &n(1),
            Why::Layout,
            0,
        ),
        (
            "authority empty",
            AUTHORITY_AT + 4,
            &n(0),
            Why::Empty,
            AUTHORITY_AT,
        ),
        (
            "authority too long",
            AUTHORITY_AT + 4,
            &n(8193),
            Why::FieldTooLong,
            AUTHORITY_AT,
        ),
        ("not text", TEXT_AT, &[0xff], Why::NotUtf8, TEXT_AT),
    ];
    for (what, at, to, why, expected) in cases {
        let found = fault(&edited(ToKernelKind::Config, *at, to));
        assert_eq!(found.0, *why, "{what}");
        assert!(
            *expected == 0 || found.1 as usize == *expected,
            "{what}: at {}",
            found.1
        );
    }
}

/// The sample with its last row, of the last revoked serial, changed at an offset.
fn revoked_edited(at: usize, to: &[u8]) -> Vec<u8> {
    let len = edited(ToKernelKind::Config, 0, &[]).len();
    edited(ToKernelKind::Config, len - POSTURE_BYTES - 21 + at, to)
}

/// The sample's last part: a length, `n1`, and a time.
const POSTURE_BYTES: usize = 4 + 2 + 8;

#[test]
fn a_posture_has_a_node_and_a_time_from_1970_on() {
    use RefusedReason as Why;
    let len = edited(ToKernelKind::Config, 0, &[]).len();
    let why = |at: usize, to: &[u8]| fault(&edited(ToKernelKind::Config, len - at, to)).0;
    assert_eq!(why(8, &(-1_i64).to_le_bytes()), Why::OutOfRange);
    assert_eq!(
        why(POSTURE_BYTES, &254_u32.to_le_bytes()),
        Why::FieldTooLong
    );
    assert_eq!(why(10, &[0xff]), Why::NotUtf8);
    // A time of no node.
    let mut nobody = edited(ToKernelKind::Config, 0, &[]);
    nobody.drain(len - 10..len - 8);
    nobody[len - POSTURE_BYTES] = 0;
    nobody[8..12].copy_from_slice(&u32::try_from(len - 2).unwrap().to_le_bytes());
    assert_eq!(fault(&nobody).0, Why::OutOfRange);
    let posture = |node, attested_at_ms| {
        let posture = Some(Posture {
            node,
            attested_at_ms,
        });
        ToKernel::Config(Config {
            generation: 1,
            posture,
            ..Config::default()
        })
    };
    let long: &str = "n".repeat(MAX_NODE_BYTES + 1).leak();
    not_encoded([
        (posture("", Some(1)), Why::Empty),
        (posture("n", Some(0)), Why::OutOfRange),
        (posture("n", Some(-1)), Why::OutOfRange),
        (posture(long, None), Why::FieldTooLong),
    ]);
}

#[test]
fn a_server_outside_has_a_service_and_a_dns_name() {
    use RefusedReason as Why;
    let external = |service, server_name, roots: &'static [&'static [u8]]| {
        let externals = List::of(
            vec![External {
                service,
                server_name,
                roots: List::of(roots),
            }]
            .leak(),
        );
        ToKernel::Config(Config {
            generation: 1,
            externals,
            ..Config::default()
        })
    };
    for name in [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-.b",
        "A.example",
        "a_b",
        "a b",
        "*.a",
        "1.2.3.4:5",
        "é",
    ] {
        not_encoded([(external("s", name, &[b"root"]), Why::BadServerName)]);
    }
    not_encoded([
        (external("", "a", &[]), Why::Empty),
        (external("s", "a", &[b""]), Why::Empty),
        (
            external("s", "a", &[b"r" as &[u8]; MAX_ROOTS + 1]),
            Why::ListTooLong,
        ),
    ]);
    let len = edited(ToKernelKind::Config, 0, &[]).len();
    // Behind the last external of the sample lie a root of the system, two serials and a posture.
    let names = "bankapi.bank.examplerootnext".len();
    let end = SYSTEM_ROOTS_BYTES + POSTURE_BYTES + 2 * 21;
    let why = |back: usize, to: &[u8]| {
        fault(&edited(ToKernelKind::Config, len - end - names - back, to)).0
    };
    assert_eq!(why(0, &[0xff]), Why::NotUtf8);
    // The rows of two roots, and that of their server.
    assert_eq!(why(16, &n(1)), Why::Layout);
    assert_eq!(why(12, &n(0)), Why::Empty);
    assert_eq!(why(40 - 16, &n(1)), Why::Layout);
    assert_eq!(why(40 - 20, &n(257)), Why::ListTooLong);
}

/// Two counts, the row of one root, and its bytes.
const SYSTEM_ROOTS_BYTES: usize = 2 * 4 + 8 + "everybody's".len();

#[test]
fn roots_of_the_system_have_no_gaps() {
    use RefusedReason as Why;
    let len = edited(ToKernelKind::Config, 0, &[]).len();
    let start = len - POSTURE_BYTES - 2 * 21 - SYSTEM_ROOTS_BYTES;
    let why = |at: usize, to: &[u8]| fault(&edited(ToKernelKind::Config, start + at, to)).0;
    assert_eq!(why(0, &n(MAX_ROOTS + 1)), Why::ListTooLong);
    assert_eq!(why(0, &n(0)), Why::Layout);
    assert_eq!(why(4, &n(MAX_RECORD_BYTES + 1)), Why::TooLong);
    assert_eq!(why(4, &n(10)), Why::Layout);
    assert_eq!(why(8, &n(1)), Why::Layout);
    assert_eq!(why(12, &n(0)), Why::Empty);
    assert_eq!(why(12, &n(MAX_CERT_BYTES + 1)), Why::FieldTooLong);
    let roots = |roots: &'static [&'static [u8]]| {
        ToKernel::Config(Config {
            generation: 1,
            system_roots: List::of(roots),
            ..Config::default()
        })
    };
    not_encoded([
        (roots(&[b"root", b""]), Why::Empty),
        (roots(&[b"r" as &[u8]; MAX_ROOTS + 1]), Why::ListTooLong),
    ]);
}

#[test]
fn a_serial_has_one_to_twenty_bytes_and_one_spelling() {
    use RefusedReason as Why;
    let why = |at, to: &[u8]| {
        let record = revoked_edited(at, to);
        let (why, at) = fault(&record);
        (why, at as usize + POSTURE_BYTES + 21 - record.len())
    };
    assert_eq!(why(20, &[0]), (Why::OutOfRange, 20));
    assert_eq!(why(20, &[21]), (Why::OutOfRange, 20));
    assert_eq!(why(1, &[1]), (Why::Reserved, 0));
    assert_eq!(why(19, &[1]), (Why::Reserved, 0));
    for bytes in [&[][..], &[1; MAX_SERIAL_BYTES + 1]] {
        assert_eq!(Serial::new(bytes), None);
    }
    let longest = Serial::new(&[0xab; MAX_SERIAL_BYTES]).unwrap();
    assert_eq!(longest.as_bytes(), [0xab; MAX_SERIAL_BYTES]);
    assert_eq!(Serial::new(&[0, 0x9a]).unwrap().to_string(), "009a");
}

#[test]
fn revoked_serials_are_sorted_and_there_once() {
    use RefusedReason as Why;
    // Below the one before it, and the same as that.
    assert_eq!(fault(&revoked_edited(0, &[0x40])).0, Why::Unsorted);
    let mut same = [0x41; 21];
    same[16..20].fill(0);
    same[20] = 16;
    assert_eq!(fault(&revoked_edited(0, &same)).0, Why::Unsorted);
    let serial = |bytes: &[u8]| Serial::new(bytes).unwrap();
    let revoked = |serials: &[Serial]| {
        ToKernel::Config(Config {
            generation: 1,
            revoked: list(serials),
            ..Config::default()
        })
    };
    let (a, b) = (serial(&[1]), serial(&[1, 0]));
    assert!(revoked(&[a, b]).to_vec(1).is_ok(), "a zero byte counts");
    not_encoded([
        (revoked(&[b, a]), Why::Unsorted),
        (revoked(&[a, a]), Why::Unsorted),
        (revoked(&[a; MAX_REVOKED + 1]), Why::ListTooLong),
    ]);
}

#[test]
fn a_trust_domain_has_one_bundle_and_a_name() {
    let bundle = |trust_domain| Bundle {
        trust_domain,
        authorities: List::default(),
    };
    let why = |names: &[&'static str]| {
        let bundles: Vec<_> = names.iter().map(|name| bundle(*name)).collect();
        let config = Config {
            generation: 1,
            bundles: List::of(&bundles),
            ..Config::default()
        };
        match ToKernel::Config(config).to_vec(1) {
            Err(EncodeError::Fault(fault)) => Some(fault.why),
            other => other.map(|_| None).unwrap(),
        }
    };
    assert_eq!(why(&["a", "b", "c"]), None);
    assert_eq!(why(&["a", "b", "a"]), Some(RefusedReason::Duplicate));
    for name in ["", "A", "a/b", "spiffe://a", "a b"] {
        assert_eq!(why(&[name]), Some(RefusedReason::BadSpiffeId), "{name}");
    }
    let two = [bundle("a"), bundle("b")];
    let config = Config {
        generation: 1,
        bundles: List::of(&two),
        ..Config::default()
    };
    let mut bytes = ToKernel::Config(config).to_vec(1).unwrap();
    // In front of no servers outside, no roots of the system, and a posture that says nothing.
    let last = bytes.len() - 1 - (4 * 4) - (2 * 4) - (4 + 8);
    bytes[last] = b'a';
    assert_eq!(fault(&bytes).0, RefusedReason::Duplicate);
}

#[test]
fn a_chain_has_certificates_without_gaps() {
    use RefusedReason as Why;
    let svid = |at, to: &[u8]| fault(&edited(ToKernelKind::Svid, at, to));
    assert_eq!(svid(36, &n(0)), (Why::Empty, 36));
    assert_eq!(svid(36, &n(9)), (Why::ListTooLong, 36));
    assert_eq!(svid(40, &n(MAX_CHAIN_BYTES + 1)), (Why::FieldTooLong, 40));
    assert_eq!(svid(44, &n(1)), (Why::Layout, 44));
    assert_eq!(svid(48, &n(0)), (Why::Empty, 44));
    assert_eq!(svid(48, &n(8193)), (Why::FieldTooLong, 48));
    assert_eq!(svid(48, &n(5)), (Why::Layout, 52));
    assert_eq!(svid(56, &n(5)), (Why::Layout, 60));
}

fn list<T: Copy>(items: &[T]) -> List<'static, T> {
    List::of(common::leak(items.to_vec()))
}

/// The encoder names this rule for each of these records.
fn not_encoded<'a>(records: impl IntoIterator<Item = (ToKernel<'a>, RefusedReason)>) {
    for (record, why) in records {
        match record.to_vec(1) {
            Err(EncodeError::Fault(fault)) => assert_eq!(fault.why, why),
            other => panic!("{why:?}: {:?}", other.map(|bytes| bytes.len())),
        }
    }
}

#[test]
fn a_configuration_that_the_kernel_would_refuse_is_not_encoded() {
    use RefusedReason as Why;
    let long: &str = "x".repeat(2000).leak();
    let base = Config {
        generation: 1,
        ..Config::default()
    };
    let limits = Limits {
        handshake_ms: 0,
        ..Limits::default()
    };
    let entry = PrefilterEntry {
        exe: None,
        uid: Some(0),
    };
    let entries = |list| Config {
        prefilter: list,
        ..base
    };
    let exe = |exe| entries(list(&[PrefilterEntry { exe, uid: None }]));
    let cidr = Cidr::new("::".parse().unwrap(), 0).unwrap();
    let service = Service {
        name: "s",
        cidr,
        port: 1,
        netns: None,
        transform: None,
        mode: Mode::Strict,
        on_unavailable: OnUnavailable::Deny,
        max_flow_age_s: None,
        servers: List::default(),
    };
    let services = |list| Config {
        services: list,
        ..base
    };
    let one = |service| services(list(&[service]));
    let servers = |servers| one(Service { servers, ..service });
    let configs = [
        (
            Config {
                generation: 0,
                ..base
            },
            Why::OutOfRange,
        ),
        (Config { limits, ..base }, Why::OutOfRange),
        (
            entries(list(&vec![entry; MAX_PREFILTER + 1])),
            Why::ListTooLong,
        ),
        (exe(None), Why::GovernsAll),
        (exe(Some("")), Why::Empty),
        (exe(Some(long)), Why::FieldTooLong),
        (
            services(list(&vec![service; MAX_SERVICES + 1])),
            Why::ListTooLong,
        ),
        (
            one(Service {
                name: "",
                ..service
            }),
            Why::Empty,
        ),
        (one(Service { port: 0, ..service }), Why::OutOfRange),
        (
            one(Service {
                netns: Some(0),
                ..service
            }),
            Why::OutOfRange,
        ),
        (
            one(Service {
                max_flow_age_s: Some(0),
                ..service
            }),
            Why::OutOfRange,
        ),
        (
            servers(list(&["spiffe://td/a"; MAX_SERVERS_PER_SERVICE + 1])),
            Why::ListTooLong,
        ),
        (servers(list(&["td"])), Why::BadSpiffeId),
        (
            Config {
                policy: &[0; MAX_POLICY_BYTES + 1],
                ..base
            },
            Why::FieldTooLong,
        ),
    ];
    not_encoded(configs.map(|(config, why)| (ToKernel::Config(config), why)));
}

#[test]
fn a_small_record_that_the_kernel_would_refuse_is_not_encoded() {
    use RefusedReason as Why;
    let long = "x".repeat(2000);
    let svid = |chain| {
        ToKernel::Svid(Svid {
            identity: 1,
            key: 1,
            chain,
        })
    };
    let cert: &[u8] = &[1; MAX_CERT_BYTES];
    not_encoded([
        (ToKernel::Hello { agent_version: "" }, Why::Empty),
        (
            ToKernel::Hello {
                agent_version: &long,
            },
            Why::FieldTooLong,
        ),
        (ToKernel::Forget { identity: 0 }, Why::OutOfRange),
        (
            ToKernel::Grant {
                subject: 0,
                generation: 1,
                identity: 1,
                exe_sha256: None,
            },
            Why::OutOfRange,
        ),
        (svid(List::default()), Why::Empty),
        (svid(list(&[&[][..]])), Why::Empty),
        (
            svid(list(&[&[1; MAX_CERT_BYTES + 1][..]])),
            Why::FieldTooLong,
        ),
        (
            svid(list(&[&[1][..]; MAX_CHAIN_CERTS + 1])),
            Why::ListTooLong,
        ),
        (svid(list(&[cert; 5])), Why::FieldTooLong),
    ]);
}

#[test]
fn what_the_agent_would_refuse_is_not_encoded() {
    use RefusedReason as Why;
    let samples = every_to_agent();
    let denial = samples.iter().find_map(|r| {
        if let ToAgent::Denied(d) = r {
            Some(*d)
        } else {
            None
        }
    });
    let evidence = samples.iter().find_map(|r| {
        if let ToAgent::Exec(e) = r {
            Some(*e)
        } else {
            None
        }
    });
    let (denial, evidence) = (denial.unwrap(), evidence.unwrap());
    let long = "x".repeat(4097);
    for (record, why) in [
        (
            ToAgent::Denied(Denial {
                detail: &long,
                ..denial
            }),
            Why::FieldTooLong,
        ),
        (
            ToAgent::Denied(Denial {
                service: Some(""),
                ..denial
            }),
            Why::Empty,
        ),
        (
            ToAgent::Denied(Denial {
                subject: Some(0),
                ..denial
            }),
            Why::OutOfRange,
        ),
        (
            ToAgent::Exec(Evidence {
                script: Some(b""),
                ..evidence
            }),
            Why::Empty,
        ),
        (
            ToAgent::Exec(Evidence {
                argv: long.as_bytes(),
                ..evidence
            }),
            Why::FieldTooLong,
        ),
        (
            ToAgent::Csr {
                identity: 1,
                key: 1,
                der: long.as_bytes(),
            },
            Why::FieldTooLong,
        ),
        (
            ToAgent::Csr {
                identity: 1,
                key: 0,
                der: b"x",
            },
            Why::OutOfRange,
        ),
        (
            ToAgent::Installed {
                identity: 1,
                key: 1,
                serial: &[],
            },
            Why::Empty,
        ),
        (
            ToAgent::Hello {
                module_version: "",
                generation: 1,
                net_ns: 1,
            },
            Why::Empty,
        ),
        (ToAgent::Lost { count: 0 }, Why::OutOfRange),
    ] {
        match record.to_vec(1) {
            Err(EncodeError::Fault(fault)) => assert_eq!(fault.why, why, "{record:?}"),
            other => panic!("{record:?}: {other:?}"),
        }
    }
}

#[test]
fn every_mutation_together_meets_every_rule_of_the_codec() {
    use RefusedReason as Why;
    let mut met = BTreeSet::new();
    for record in every_to_kernel() {
        let mut bytes = record.to_vec(1).unwrap();
        for at in 0..bytes.len() {
            let before = bytes[at];
            for byte in 0..=u8::MAX {
                bytes[at] = byte;
                met.extend(
                    ToKernel::decode(&bytes)
                        .err()
                        .map(|fault| fault.why.number()),
                );
            }
            bytes[at] = before;
        }
    }
    let needs_more = [Why::TooShort, Why::Duplicate];
    let by_the_ends = [
        Why::HelloFirst,
        Why::HelloAgain,
        Why::Sequence,
        Why::OldGeneration,
        Why::WrongGeneration,
    ];
    let by_the_kernel = [
        Why::Unknown,
        Why::BadPolicy,
        Why::BadChain,
        Why::NoMemory,
        Why::Internal,
    ];
    let others: BTreeSet<u32> = [&needs_more[..], &by_the_ends, &by_the_kernel]
        .concat()
        .iter()
        .map(|r| r.number())
        .collect();
    for why in RefusedReason::ALL {
        assert_ne!(
            met.contains(&why.number()),
            others.contains(&why.number()),
            "{why:?}"
        );
    }
}
