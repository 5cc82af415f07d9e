//! What must never change without another [`ABI_VERSION`]: bytes, numbers, sizes; and what `shim.h` repeats.

mod common;

use std::fmt::Write;

use common::samples::*;
use tidelock_kabi::bounds::*;
use tidelock_kabi::*;

#[test]
fn the_header_has_24_bytes_little_endian() {
    let bytes = ToKernel::Drain.to_vec(0x0102_0304_0506_0708).unwrap();
    let header = [
        &b"TIDK"[..],              // magic
        &[7, 0],                   // abi
        &[8, 0],                   // kind
        &[24, 0, 0, 0],            // length
        &[0, 0, 0, 0],             // reserved
        &[8, 7, 6, 5, 4, 3, 2, 1], // sequence number
    ];
    assert_eq!(bytes, header.concat());
    assert_eq!(MAGIC, 0x4b44_4954);
    assert_eq!(bytes.len(), HEADER_BYTES);
}

#[test]
fn the_bytes_of_every_record_are_as_recorded() {
    let mut found = String::new();
    let mut line = |kind: &str, bytes: Vec<u8>| {
        write!(found, "{kind} {}\n ", bytes.len()).unwrap();
        bytes
            .iter()
            .for_each(|byte| write!(found, "{byte:02x}").unwrap());
        found.push('\n');
    };
    for record in every_to_kernel() {
        line(&format!("> {}", record.kind()), record.to_vec(1).unwrap());
    }
    for record in every_to_agent() {
        line(&format!("< {}", record.kind()), record.to_vec(1).unwrap());
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/records.txt");
    if std::env::var_os("TIDELOCK_BLESS").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let recorded = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        found, recorded,
        "the contract changed: give it another ABI_VERSION"
    );
}

#[test]
fn the_longest_records_to_the_agent_fit_their_bound() {
    let id: &str = &format!("spiffe://td/{}", "x".repeat(MAX_SPIFFE_ID_BYTES - 12));
    let (service, detail) = (
        "s".repeat(MAX_SERVICE_NAME_BYTES),
        "d".repeat(MAX_DETAIL_BYTES),
    );
    let (path, argv) = (vec![b'p'; MAX_PATH_BYTES], vec![b'a'; MAX_ARGV_BYTES]);
    let (serial, der) = ([1; MAX_SERIAL_BYTES], vec![1; MAX_CSR_BYTES]);
    for record in every_to_agent() {
        let longest = match record {
            ToAgent::Exec(evidence) => {
                let path = &path[..];
                let evidence = Evidence {
                    exe: path,
                    script: Some(path),
                    cwd: path,
                    ..evidence
                };
                ToAgent::Exec(Evidence {
                    argv: &argv,
                    ..evidence
                })
            }
            ToAgent::Csr { identity, key, .. } => ToAgent::Csr {
                identity,
                key,
                der: &der,
            },
            ToAgent::FlowOpened(flow) => ToAgent::FlowOpened(FlowInfo {
                service: Some(&service),
                local_id: Some(id),
                peer_id: Some(id),
                local_serial: &serial,
                peer_serial: &serial,
                ..flow
            }),
            ToAgent::Denied(denial) => ToAgent::Denied(Denial {
                service: Some(&service),
                local_id: Some(id),
                peer_id: Some(id),
                detail: &detail,
                ..denial
            }),
            short => short,
        };
        let len = longest.to_vec(1).unwrap().len();
        assert!(len <= MAX_TO_AGENT_BYTES, "{}: {len}", record.kind());
    }
}

#[test]
fn a_record_to_the_kernel_can_have_a_mebibyte() {
    let server = "spiffe://td/x".to_owned() + &"x".repeat(2000);
    let servers = vec![&server[..]; MAX_SERVERS_PER_SERVICE];
    let cidr = Cidr::new("10.0.0.0".parse().unwrap(), 8).unwrap();
    let servers = List::of(&servers);
    let service = Service {
        name: "s",
        cidr,
        port: 1,
        netns: None,
        transform: None,
        mode: Mode::Strict,
        on_unavailable: OnUnavailable::Deny,
        max_flow_age_s: None,
        servers,
    };
    let policy = vec![0; MAX_POLICY_BYTES];
    let config = |n: usize| -> Result<usize, EncodeError> {
        let services = vec![service; n];
        let services = List::of(&services);
        let config = Config {
            generation: 1,
            services,
            policy: &policy,
            ..Config::default()
        };
        ToKernel::Config(config).to_vec(1).map(|bytes| {
            assert!(ToKernel::decode(&bytes).is_ok());
            bytes.len()
        })
    };
    assert!(config(4).unwrap() > MAX_RECORD_BYTES - 256 * 1024);
    let too_long = EncodeError::Fault(Fault {
        why: RefusedReason::TooLong,
        at: 0,
    });
    assert_eq!(config(5), Err(too_long));
}

#[test]
fn session_state_fits_what_c_keeps() {
    assert_eq!(KERNEL_END_BYTES, 64);
    assert_eq!(
        KernelEnd::from_bytes(&[0; KERNEL_END_BYTES]),
        KernelEnd::new(0)
    );
}

#[test]
fn reasons_keep_their_numbers() {
    let deny = "NoGrant NotGranted NoIdentity NoSvid NoPermit Forbidden NotAServer PeerUnauthenticated \
        PeerRefused HandshakeDeadline Protocol ResourceLimit UnsupportedSocket CredentialsChanged \
        SvidExpired NoPolicy Drained GrantWithdrawn PolicyChanged Exited PeerClosed LocalClosed \
        Truncated Internal AgentGone SocketOption WouldDeny WouldPermit PeerRevoked SvidRevoked KeyUsedUp \
        ServiceDenied NotInPlain TookInPlain WentInPlain KeyUpdated \
        FlowTooOld";
    let refused = "TooShort TooLong Magic AbiVersion Kind Length Reserved HelloFirst HelloAgain Sequence \
        OldGeneration WrongGeneration Truncated Trailing NotUtf8 FieldTooLong ListTooLong Empty \
        OutOfRange Layout GovernsAll BadCidr BadSpiffeId Unknown BadPolicy BadChain NoMemory Internal \
        Duplicate Unsorted BadServerName";
    assert!(
        DenyReason::ALL
            .iter()
            .map(|r| format!("{r:?}"))
            .eq(deny.split_whitespace())
    );
    assert!(DenyReason::ALL.iter().map(|r| r.number()).eq(1..=37));
    assert!(
        RefusedReason::ALL
            .iter()
            .map(|r| format!("{r:?}"))
            .eq(refused.split_whitespace())
    );
    assert!(RefusedReason::ALL.iter().map(|r| r.number()).eq(1..=31));
    assert!(
        DenyReason::ALL
            .iter()
            .all(|r| DenyReason::from_number(r.number()) == Some(*r))
    );
    assert!(
        RefusedReason::ALL
            .iter()
            .all(|r| RefusedReason::from_number(r.number()) == Some(*r))
    );
    assert_eq!(
        (DenyReason::from_number(0), DenyReason::from_number(38)),
        (None, None)
    );
    assert_eq!(
        (
            RefusedReason::from_number(0),
            RefusedReason::from_number(32)
        ),
        (None, None)
    );
}

#[test]
fn messages_are_lower_case_without_full_stop() {
    let deny = DenyReason::ALL.iter().map(DenyReason::to_string);
    let refused = RefusedReason::ALL.iter().map(RefusedReason::to_string);
    for text in deny.chain(refused) {
        assert!(
            !text.ends_with('.') && !text.starts_with(char::is_uppercase),
            "{text}"
        );
    }
}

/// The part of `kmod/shim.h` that begins with `start`, up to the next closing brace.
fn shim(start: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../kmod/shim.h");
    let text = std::fs::read_to_string(path).expect("the C side of the contract");
    let at = text
        .find(start)
        .unwrap_or_else(|| panic!("shim.h has no `{start}`"));
    text[at..].split('}').next().unwrap().to_owned()
}

/// The names with this prefix in an enum of `shim.h`, in `PascalCase`.
fn shim_names(start: &str, prefix: &str) -> Vec<String> {
    let body = shim(start);
    let names = body.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let pascal = |name: &str| -> String {
        let words = name
            .split('_')
            .map(|word| word[..1].to_owned() + &word[1..].to_lowercase());
        words.collect()
    };
    names
        .filter_map(|name| name.strip_prefix(prefix))
        .map(pascal)
        .collect()
}

#[test]
fn shim_h_counts_kinds_and_reasons_alike() {
    let commands = ToKernelKind::ALL.iter().map(|kind| format!("{kind:?}"));
    assert!(commands.eq(shim_names("enum tl_cmd_kind {", "TL_CMD_")));
    assert!(ToKernelKind::ALL.iter().map(|kind| kind.number()).eq(1..=8));
    let records = ToAgentKind::ALL.iter().map(|kind| format!("{kind:?}"));
    assert!(records.eq(shim_names("enum tl_rec_kind {", "TL_REC_")));
    assert!(
        ToAgentKind::ALL
            .iter()
            .map(|kind| kind.number())
            .eq(0x101..=0x10b)
    );
    let reasons = DenyReason::ALL.iter().map(|reason| format!("{reason:?}"));
    assert!(reasons.eq(shim_names("enum tl_reason {", "TL_R_")));
}

#[test]
fn shim_h_has_the_same_bounds_and_flags() {
    let number = |name: &str| -> u32 {
        let line = shim(&format!("#define {name}"));
        let value = line.lines().next().unwrap().split("/*").next().unwrap();
        let value = value
            .split_whitespace()
            .skip(2)
            .collect::<Vec<_>>()
            .join(" ");
        match value.trim_matches(['(', ')']).split_once("<<") {
            Some((_, shift)) => 1 << shift.trim().parse::<u32>().unwrap(),
            None => value.parse().unwrap(),
        }
    };
    assert_eq!(
        number("TL_ARGV_MAX"),
        u32::try_from(MAX_ARGV_BYTES).unwrap()
    );
    assert_eq!(
        number("TL_PATH_MAX"),
        u32::try_from(MAX_PATH_BYTES).unwrap()
    );
    assert_eq!(
        number("TL_SESSION_BYTES"),
        u32::try_from(KERNEL_END_BYTES).unwrap()
    );
    let flags = [
        ("TL_EV_ADOPTED", EvidenceFlags::ADOPTED),
        ("TL_EV_HOST_MNT", EvidenceFlags::HOST_MNT),
        ("TL_EV_ARGV_CUT", EvidenceFlags::ARGV_CUT),
        ("TL_EV_EXE_UNHASHABLE", EvidenceFlags::EXE_UNHASHABLE),
        ("TL_EV_CREDS_CHANGED", EvidenceFlags::CREDS_CHANGED),
        ("TL_EV_FORKED", EvidenceFlags::FORKED),
    ];
    for (name, flag) in flags {
        assert_eq!(number(name), flag.bits(), "{name}");
    }
    assert!(EvidenceFlags::from_bits(EvidenceFlags::ALL.bits() + 1).is_none());
}
