//! One small record of every kind.

use tidelock_kabi::*;

use super::{Agent, Kernel, leak};

fn serial(bytes: &[u8]) -> Serial {
    Serial::new(bytes).expect("a length in range")
}

/// A small record of every kind to the kernel, in an order that a session allows.
pub(crate) fn every_to_kernel() -> Vec<Kernel> {
    let servers = List::of(leak(vec!["spiffe://td/web", "spiffe://td/web2"]));
    let cidr = Cidr::new("10.0.0.0".parse().unwrap(), 24).unwrap();
    let service = Service {
        name: "web",
        cidr,
        port: 80,
        netns: None,
        transform: None,
        mode: Mode::Strict,
        on_unavailable: OnUnavailable::Deny,
        max_flow_age_s: None,
        servers,
    };
    let other = Service {
        name: "dbé",
        netns: Some(7),
        transform: Some(Transform::ForwardClientCert),
        mode: Mode::Permissive,
        on_unavailable: OnUnavailable::Allow,
        max_flow_age_s: Some(3600),
        servers: List::default(),
        ..service
    };
    let entries = vec![
        PrefilterEntry {
            exe: Some("/usr/bin/curl"),
            uid: None,
        },
        PrefilterEntry {
            exe: None,
            uid: Some(1000),
        },
    ];
    let authorities = List::of(leak(vec![&b"der"[..], b"more der"]));
    let config = Config {
        generation: 7,
        limits: Limits::default(),
        prefilter: List::of(leak(entries)),
        services: List::of(leak(vec![service, other])),
        bundles: List::of(leak(vec![Bundle {
            trust_domain: "td",
            authorities,
        }])),
        policy: b"image",
        observed: b"another",
        revoked: List::of(leak(vec![serial(&[0x41; 16]), serial(&[0x42])])),
        posture: Some(Posture {
            node: "n1",
            attested_at_ms: Some(1_764_000_000_000),
        }),
        externals: List::of(leak(vec![External {
            service: "bank",
            server_name: "api.bank.example",
            roots: List::of(leak(vec![&b"root"[..], b"next"])),
        }])),
        system_roots: List::of(leak(vec![&b"everybody's"[..]])),
    };
    let chain = List::of(leak(vec![&b"leaf"[..], b"issuer"]));
    vec![
        ToKernel::Hello {
            agent_version: "0.1.0",
        },
        ToKernel::Config(config),
        ToKernel::Identity {
            identity: 1,
            spiffe_id: "spiffe://td/web",
        },
        ToKernel::Svid(Svid {
            identity: 1,
            key: 9,
            chain,
        }),
        ToKernel::Grant {
            subject: 5,
            generation: 7,
            identity: 1,
            exe_sha256: None,
        },
        ToKernel::Grant {
            subject: 5,
            generation: 7,
            identity: 1,
            exe_sha256: Some(&[0xa5; 32]),
        },
        ToKernel::Refuse {
            subject: 6,
            generation: 7,
            reason: DenyReason::NotGranted,
        },
        ToKernel::Forget { identity: 1 },
        ToKernel::Drain,
    ]
}

/// A small record of every kind to the agent, in an order that a session allows.
pub(crate) fn every_to_agent() -> Vec<Agent> {
    let evidence = Evidence {
        subject: 5,
        start_ns: 1,
        pid: 100,
        uid: 1000,
        gid: 1000,
        flags: EvidenceFlags::HOST_MNT,
        mnt_ns: 2,
        net_ns: 3,
        exe_dev: 4,
        exe_ino: 5,
        exe_size: 6,
        exe_ctime_ns: -7,
        script_dev: 8,
        script_ino: 9,
        exe: b"/usr/bin/python3",
        script: Some(b"/srv/app.py"),
        cwd: b"/",
        argv: b"python3\0/srv/app.py\0",
    };
    let local = Endpoint::new("10.0.0.1".parse().unwrap(), 40000, 0);
    let remote = Endpoint::new("2001:db8::1".parse().unwrap(), 80, 0);
    let flow = FlowInfo {
        flow: 3,
        subject: Some(5),
        pid: 100,
        role: Role::Client,
        local,
        remote,
        service: Some("web"),
        local_id: Some("spiffe://td/curl"),
        peer_id: Some("spiffe://td/web"),
        local_serial: &[1, 2],
        peer_serial: &[3],
        suite: 0x1301,
        time_ns: 10,
    };
    let denial = Denial {
        time_ns: 11,
        subject: None,
        pid: 101,
        uid: 0,
        role: Role::Server,
        local,
        remote,
        service: None,
        local_id: None,
        peer_id: None,
        reason: DenyReason::NoPermit,
        detail: "no permit matched",
        untold: 2,
    };
    let closed = FlowClosed {
        flow: 3,
        subject: Some(5),
        reason: DenyReason::PeerClosed,
        time_ns: 12,
    };
    vec![
        ToAgent::Hello {
            module_version: "0.1.0",
            generation: 0,
            net_ns: 3,
        },
        ToAgent::Exec(evidence),
        ToAgent::Exit {
            subject: 5,
            pid: 100,
        },
        ToAgent::Csr {
            identity: 1,
            key: 9,
            der: b"csr",
        },
        ToAgent::Installed {
            identity: 1,
            key: 9,
            serial: &[1, 2],
        },
        ToAgent::Applied {
            generation: 7,
            flows_cut: 2,
        },
        ToAgent::FlowOpened(flow),
        ToAgent::FlowClosed(closed),
        ToAgent::Denied(denial),
        ToAgent::Refused(Refused {
            seq: 4,
            why: RefusedReason::OldGeneration,
            at: 24,
        }),
        ToAgent::Lost { count: 13 },
    ]
}
