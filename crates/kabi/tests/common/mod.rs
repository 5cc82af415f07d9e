//! Strategies for every record. What a record borrows is leaked: small, and records stay plain values.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod samples;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tidelock_kabi::bounds::*;
use tidelock_kabi::*;

pub(crate) type Kernel = ToKernel<'static>;
pub(crate) type Agent = ToAgent<'static>;

pub(crate) fn leak<T>(items: Vec<T>) -> &'static [T] {
    items.leak()
}

/// Bytes, mostly short, now and then as long as they may be.
pub(crate) fn bytes(min: usize, max: usize) -> impl Strategy<Value = &'static [u8]> {
    let short = vec(any::<u8>(), min..=max.min(min + 24));
    let longest = any::<u8>().prop_map(move |byte| vec![byte; max]);
    prop_oneof![9 => short, 1 => longest].prop_map(leak)
}

/// Text with characters of every length.
pub(crate) fn text(min: usize, max: usize) -> impl Strategy<Value = &'static str> {
    let short = vec(any::<char>(), min..=min + 6);
    let longest = Just(vec!['x'; max]);
    prop_oneof![9 => short, 1 => longest].prop_map(move |chars| {
        let text: &'static str = String::from_iter(chars).leak();
        clip(text, max)
    })
}

pub(crate) fn spiffe_id() -> impl Strategy<Value = &'static str> {
    let longest = Just(format!(
        "spiffe://td/{}",
        "x".repeat(MAX_SPIFFE_ID_BYTES - 12)
    ));
    prop_oneof![9 => "spiffe://[a-z0-9._-]{1,9}(/[A-Za-z0-9_-]{1,5}){1,3}", 1 => longest]
        .prop_map(|id| &*id.leak())
}

pub(crate) fn endpoint() -> impl Strategy<Value = Endpoint> {
    let ip = any::<std::net::IpAddr>();
    (ip, any::<u16>(), any::<u32>()).prop_map(|(ip, port, netns)| Endpoint::new(ip, port, netns))
}

pub(crate) fn cidr() -> impl Strategy<Value = Cidr> {
    (any::<u128>(), 0..=128_u8).prop_map(|(ip, prefix_len)| {
        let mask = u128::MAX
            .checked_shl(128 - u32::from(prefix_len))
            .unwrap_or(0);
        Cidr::from_mapped((ip & mask).to_be_bytes(), prefix_len).unwrap()
    })
}

pub(crate) fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

pub(crate) fn reason() -> impl Strategy<Value = DenyReason> {
    proptest::sample::select(DenyReason::ALL)
}

fn prefilter() -> impl Strategy<Value = PrefilterEntry<'static>> {
    let any_of = (
        option::of(text(1, MAX_PATH_BYTES)),
        option::of(any::<u32>()),
    );
    any_of.prop_map(|(exe, uid)| match exe.filter(|exe| !exe.is_empty()) {
        None => PrefilterEntry {
            exe: None,
            uid: Some(uid.unwrap_or(0)),
        },
        exe => PrefilterEntry { exe, uid },
    })
}

fn service() -> impl Strategy<Value = Service<'static>> {
    let name = text(1, MAX_SERVICE_NAME_BYTES);
    let servers = vec(spiffe_id(), 0..4).prop_map(|ids| List::of(leak(ids)));
    let transform = option::of(proptest::sample::select(Transform::ALL));
    let modes = (
        proptest::sample::select(Mode::ALL),
        proptest::sample::select(OnUnavailable::ALL),
        option::of(1_u32..),
    );
    let place = (cidr(), 1_u16.., option::of(1_u32..));
    (name, place, transform, modes, servers).prop_map(
        |(
            name,
            (cidr, port, netns),
            transform,
            (mode, on_unavailable, max_flow_age_s),
            servers,
        )| Service {
            name,
            cidr,
            port,
            netns,
            transform,
            mode,
            on_unavailable,
            max_flow_age_s,
            servers,
        },
    )
}

fn bundle() -> impl Strategy<Value = Bundle<'static>> {
    let name = "[a-z0-9._-]{1,9}".prop_map(|name| &*name.leak());
    let authorities = vec(bytes(1, MAX_CERT_BYTES), 0..3).prop_map(|der| List::of(leak(der)));
    (name, authorities).prop_map(|(trust_domain, authorities)| Bundle {
        trust_domain,
        authorities,
    })
}

fn external() -> impl Strategy<Value = External<'static>> {
    let name =
        || "[a-z0-9]{1,9}(-[a-z0-9]{1,9})?(\\.[a-z]{1,9}){0,3}".prop_map(|name| &*name.leak());
    let roots = vec(bytes(1, MAX_CERT_BYTES), 0..3).prop_map(|der| List::of(leak(der)));
    (name(), name(), roots).prop_map(|(service, server_name, roots)| External {
        service,
        server_name,
        roots,
    })
}

pub(crate) fn serial() -> impl Strategy<Value = Serial> {
    vec(any::<u8>(), 1..=MAX_SERIAL_BYTES)
        .prop_map(|bytes| Serial::new(&bytes).expect("a length in range"))
}

pub(crate) fn limits() -> impl Strategy<Value = Limits> {
    let ms = || 1..=MAX_DEADLINE_MS;
    let count = || 1..=MAX_HANDSHAKES;
    (ms(), ms(), count(), count()).prop_map(
        |(grant_wait_ms, handshake_ms, max_handshakes, max_handshakes_per_listener)| Limits {
            grant_wait_ms,
            handshake_ms,
            max_handshakes,
            max_handshakes_per_listener,
        },
    )
}

pub(crate) fn config() -> impl Strategy<Value = Config<'static>> {
    let prefilter = vec(prefilter(), 0..4).prop_map(|list| List::of(leak(list)));
    let services = vec(service(), 0..4).prop_map(|list| List::of(leak(list)));
    let bundles = vec(bundle(), 0..3).prop_map(|mut list| {
        list.sort_by_key(|bundle| bundle.trust_domain);
        list.dedup_by_key(|bundle| bundle.trust_domain);
        List::of(leak(list))
    });
    let images = (bytes(0, 4096), bytes(0, 4096));
    let revoked = vec(serial(), 0..9).prop_map(|mut list| {
        list.sort();
        list.dedup();
        List::of(leak(list))
    });
    let attested = proptest::option::of(1..i64::MAX);
    let posture = (text(1, MAX_NODE_BYTES), attested).prop_map(|(node, attested_at_ms)| Posture {
        node,
        attested_at_ms,
    });
    let externals = vec(external(), 0..3).prop_map(|list| List::of(leak(list)));
    let system_roots = vec(bytes(1, MAX_CERT_BYTES), 0..3).prop_map(|der| List::of(leak(der)));
    let externals = (externals, system_roots);
    let revoked = (revoked, proptest::option::of(posture), externals);
    let parts = (prefilter, services, bundles, images, revoked);
    (1_u64.., limits(), parts).prop_map(
        |(
            generation,
            limits,
            (
                prefilter,
                services,
                bundles,
                (policy, observed),
                (revoked, posture, (externals, system_roots)),
            ),
        )| {
            Config {
                generation,
                limits,
                prefilter,
                services,
                bundles,
                policy,
                observed,
                revoked,
                posture,
                externals,
                system_roots,
            }
        },
    )
}

pub(crate) fn to_kernel() -> impl Strategy<Value = Kernel> {
    let chain = vec(bytes(1, 4096), 1..=MAX_CHAIN_CERTS).prop_map(|der| List::of(leak(der)));
    let svid = (1_u32.., 1_u64.., chain);
    let others = prop_oneof![
        text(1, MAX_VERSION_BYTES).prop_map(|agent_version| ToKernel::Hello { agent_version }),
        (1_u32.., spiffe_id()).prop_map(|(identity, spiffe_id)| ToKernel::Identity {
            identity,
            spiffe_id
        }),
        svid.prop_map(|(identity, key, chain)| ToKernel::Svid(Svid {
            identity,
            key,
            chain
        })),
        (1_u64.., 1_u64.., 1_u32.., any::<Option<[u8; 32]>>()).prop_map(
            |(subject, generation, identity, digest)| ToKernel::Grant {
                subject,
                generation,
                identity,
                exe_sha256: digest.map(|digest| &*Box::leak(Box::new(digest))),
            }
        ),
        (1_u64.., 1_u64.., reason()).prop_map(|(subject, generation, reason)| {
            ToKernel::Refuse {
                subject,
                generation,
                reason,
            }
        }),
        (1_u32..).prop_map(|identity| ToKernel::Forget { identity }),
        Just(ToKernel::Drain),
    ];
    prop_oneof![1 => config().prop_map(ToKernel::Config), 2 => others]
}

pub(crate) fn evidence() -> impl Strategy<Value = Evidence<'static>> {
    let flags = (0..=EvidenceFlags::ALL.bits()).prop_map(|n| EvidenceFlags::from_bits(n).unwrap());
    let ids = (1_u64.., any::<u64>(), any::<[u32; 5]>(), flags);
    let files = (any::<[u64; 5]>(), any::<i64>());
    let path = || bytes(0, MAX_PATH_BYTES);
    let script = option::of(bytes(1, MAX_PATH_BYTES));
    (ids, files, path(), script, path(), bytes(0, MAX_ARGV_BYTES)).prop_map(
        |(ids, files, exe, script, cwd, argv)| {
            let (subject, start_ns, [pid, uid, gid, mnt_ns, net_ns], flags) = ids;
            let ([exe_dev, exe_ino, exe_size, script_dev, script_ino], exe_ctime_ns) = files;
            Evidence {
                subject,
                start_ns,
                pid,
                uid,
                gid,
                flags,
                mnt_ns,
                net_ns,
                exe_dev,
                exe_ino,
                exe_size,
                exe_ctime_ns,
                script_dev,
                script_ino,
                exe,
                script,
                cwd,
                argv,
            }
        },
    )
}

type Names = (
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
);

fn names() -> impl Strategy<Value = Names> {
    let service = option::of(text(1, MAX_SERVICE_NAME_BYTES));
    (service, option::of(spiffe_id()), option::of(spiffe_id()))
}

fn ends() -> impl Strategy<Value = (Role, Endpoint, Endpoint)> {
    (role(), endpoint(), endpoint())
}

pub(crate) fn flow_info() -> impl Strategy<Value = FlowInfo<'static>> {
    let serials = (bytes(0, MAX_SERIAL_BYTES), bytes(0, MAX_SERIAL_BYTES));
    (
        1_u64..,
        option::of(1_u64..),
        any::<(u32, u32, u64)>(),
        ends(),
        names(),
        serials,
    )
        .prop_map(
            |(flow, subject, (pid, suite, time_ns), (role, local, remote), names, serials)| {
                let (service, local_id, peer_id) = names;
                let (local_serial, peer_serial) = serials;
                FlowInfo {
                    flow,
                    subject,
                    pid,
                    role,
                    local,
                    remote,
                    service,
                    local_id,
                    peer_id,
                    local_serial,
                    peer_serial,
                    suite,
                    time_ns,
                }
            },
        )
}

pub(crate) fn denial() -> impl Strategy<Value = Denial<'static>> {
    let who = (option::of(1_u64..), any::<(u32, u32, u64, u64)>());
    (who, ends(), names(), reason(), text(0, MAX_DETAIL_BYTES)).prop_map(
        |((subject, (pid, uid, time_ns, untold)), (role, local, remote), names, reason, detail)| {
            let (service, local_id, peer_id) = names;
            Denial {
                time_ns,
                subject,
                pid,
                uid,
                role,
                local,
                remote,
                service,
                local_id,
                peer_id,
                reason,
                detail,
                untold,
            }
        },
    )
}

pub(crate) fn to_agent() -> impl Strategy<Value = Agent> {
    let refused = (
        any::<u64>(),
        proptest::sample::select(RefusedReason::ALL),
        any::<u32>(),
    );
    prop_oneof![
        (text(1, MAX_VERSION_BYTES), any::<u64>(), any::<u32>()).prop_map(
            |(module_version, generation, net_ns)| {
                ToAgent::Hello {
                    module_version,
                    generation,
                    net_ns,
                }
            }
        ),
        evidence().prop_map(ToAgent::Exec),
        (1_u64.., any::<u32>()).prop_map(|(subject, pid)| ToAgent::Exit { subject, pid }),
        (1_u32.., 1_u64.., bytes(1, MAX_CSR_BYTES)).prop_map(|(identity, key, der)| ToAgent::Csr {
            identity,
            key,
            der
        }),
        (1_u32.., 1_u64.., bytes(1, MAX_SERIAL_BYTES)).prop_map(|(identity, key, serial)| {
            ToAgent::Installed {
                identity,
                key,
                serial,
            }
        }),
        (1_u64.., any::<u64>()).prop_map(|(generation, flows_cut)| ToAgent::Applied {
            generation,
            flows_cut
        }),
        flow_info().prop_map(ToAgent::FlowOpened),
        (1_u64.., option::of(1_u64..), reason(), any::<u64>()).prop_map(
            |(flow, subject, reason, time_ns)| {
                ToAgent::FlowClosed(FlowClosed {
                    flow,
                    subject,
                    reason,
                    time_ns,
                })
            }
        ),
        denial().prop_map(ToAgent::Denied),
        refused.prop_map(|(seq, why, at)| ToAgent::Refused(Refused { seq, why, at })),
        (1_u64..).prop_map(|count| ToAgent::Lost { count }),
    ]
}
