//! Documents: what is stored is what was applied, and no text brings the reader down.

use std::sync::OnceLock;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use tidelock_attest::{Expression, Selectors};
use tidelock_control::Name;
use tidelock_control::document::{
    Address, AuthorityLives, Document, Format, Netns, NodeGroup, OnUnavailable, Operator,
    PathPrefix, Policy, PolicyMode, Role, Service, ServiceMode, ServiceTls, SourceFile, SvidLife,
    Transform, TrustDomainSettings, WorkloadIdentity, parse_files,
};
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomain};

const TRUST_DOMAIN: &str = "example.org";

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?".prop_map(|text| Name::parse(&text).expect("a name"))
}

fn spiffe_id() -> impl Strategy<Value = SpiffeIdBuf> {
    "(/[A-Za-z0-9_-]{1,10}){1,4}"
        .prop_filter("reserved", |path| {
            !path.to_ascii_lowercase().starts_with("/tidelock")
        })
        .prop_map(|path| {
            SpiffeIdBuf::parse(&format!("spiffe://{TRUST_DOMAIN}{path}")).expect("an ID")
        })
}

fn address() -> impl Strategy<Value = Address> {
    let range = prop_oneof![
        (any::<u32>(), 0..=32u32).prop_map(|(bits, len)| {
            let network = u64::from(bits) >> (32 - len) << (32 - len);
            format!("{}/{len}", std::net::Ipv4Addr::from_bits(network as u32))
        }),
        (any::<u128>(), 1..=64u32).prop_map(|(bits, len)| {
            format!(
                "[{}/{len}]",
                std::net::Ipv6Addr::from_bits(bits >> (128 - len) << (128 - len))
            )
        }),
    ];
    (range, 1..=u16::MAX)
        .prop_map(|(range, port)| Address::parse(&format!("{range}:{port}")).expect("an address"))
}

fn expression() -> impl Strategy<Value = Expression> {
    let selector = select(vec![
        "unix:gid:1",
        "unix:gid:2",
        "unix:supplementary_gid:3",
        "unix:script:/a: b",
        "systemd:unit:a:b@c.service",
    ]);
    let selector =
        selector.prop_map(|text| Expression::Selector(text.parse().expect("a selector")));
    selector.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Expression::AllOf),
            vec(inner.clone(), 1..4).prop_map(Expression::AnyOf),
            inner.prop_map(Expression::negate),
        ]
    })
}

fn identity() -> impl Strategy<Value = Document> {
    let names = || proptest::option::of(btree_set(name(), 1..4));
    let more = vec(expression(), 0..3);
    let selectors = ("[a-z0-9 '\"#:é]{1,20}", any::<u16>(), more).prop_map(|(path, uid, more)| {
        let list = [format!("unix:path:/{path}"), format!("unix:uid:{uid}")];
        let list = list.map(|text| Expression::Selector(text.parse().expect("a selector")));
        let all = list.iter().cloned().chain(more).collect();
        // What contradicts itself is left out.
        Selectors::new(all).unwrap_or_else(|_| Selectors::new(list.into()).expect("selectors"))
    });
    (
        name(),
        spiffe_id(),
        selectors,
        (
            proptest::option::of(10..100_000u32),
            proptest::option::of(10..=3_600u32),
        ),
        names(),
        names(),
    )
        .prop_map(
            |(name, spiffe_id, selectors, (svid_ttl_secs, jwt_ttl_secs), nodes, node_groups)| {
                Document::WorkloadIdentity(WorkloadIdentity {
                    name,
                    spiffe_id: spiffe_id.into(),
                    selectors,
                    svid_ttl_secs,
                    jwt_ttl_secs,
                    nodes,
                    node_groups,
                })
            },
        )
}

fn service() -> impl Strategy<Value = Document> {
    let transform = select(vec![
        None,
        Some(Transform::Identity),
        Some(Transform::ForwardClientCert),
        Some(Transform::AuthorizeRequests),
    ]);
    // What cannot stand together is left out.
    let modes = (
        select(ServiceMode::ALL.to_vec()),
        select(OnUnavailable::ALL.to_vec()),
    );
    let modes = modes.prop_map(|(mode, choice)| match mode.takes_plain() {
        true => (mode, choice),
        false => (mode, OnUnavailable::Deny),
    });
    (
        name(),
        vec(address(), 1..5),
        btree_set(spiffe_id(), 0..5),
        transform,
        (modes, proptest::option::of(1..=365 * 24 * 3600_u32)),
    )
        .prop_map(
            |(name, addresses, servers, transform, ((mode, on_unavailable), max_flow_age_secs))| {
                let proves = mode.proves_servers() && servers.is_empty();
                let mode = if proves { ServiceMode::Deny } else { mode };
                let takes_plain = mode.takes_plain();
                let outside = mode == ServiceMode::Originate;
                Document::Service(Service {
                    name,
                    addresses,
                    servers: servers.into_iter().filter(|_| !outside).collect(),
                    netns: Netns::Host,
                    transform: transform.filter(|_| !takes_plain && !outside),
                    mode,
                    on_unavailable: if takes_plain {
                        on_unavailable
                    } else {
                        OnUnavailable::Deny
                    },
                    max_flow_age_secs,
                    tls: outside.then(|| ServiceTls {
                        server_name: "api.example.com".to_owned(),
                        roots: if max_flow_age_secs.is_some() {
                            vec![root()]
                        } else {
                            Vec::new()
                        },
                    }),
                })
            },
        )
}

/// A CA certificate, in DER.
fn ca() -> Vec<u8> {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("signed").der().to_vec()
}

fn root() -> Vec<u8> {
    static ROOT: OnceLock<Vec<u8>> = OnceLock::new();
    ROOT.get_or_init(ca).clone()
}

/// Any text but NUL, which no YAML file can hold.
fn policy() -> impl Strategy<Value = Document> {
    let text = prop_oneof![
        "[^\0]{0,200}",
        any::<String>(),
        "(permit\\(x\\);\n? *){0,300}"
    ]
    .prop_map(|text| text.replace('\0', ""));
    let mode = select(PolicyMode::ALL.to_vec());
    (name(), text, mode)
        .prop_map(|(name, cedar, mode)| Document::Policy(Policy { name, cedar, mode }))
}

fn prefix() -> impl Strategy<Value = PathPrefix> {
    let parsed = |path: String| PathPrefix::parse(&path).expect("a prefix");
    prop_oneof![
        Just(PathPrefix::everything()),
        "(/[a-c][a-z0-9._-]{0,3}){1,3}".prop_map(parsed),
    ]
}

fn operator() -> impl Strategy<Value = Document> {
    let roles = prop::sample::subsequence(Role::ALL.to_vec(), 1..=Role::ALL.len());
    (name(), roles, btree_set(prefix(), 0..4)).prop_map(|(name, roles, mut prefixes)| {
        let unscoped = roles.contains(&Role::Admin);
        let needed = !roles.contains(&Role::Admin) && prefixes.is_empty();
        if needed || (unscoped && !prefixes.is_empty()) {
            prefixes.insert(PathPrefix::everything());
        }
        Document::Operator(Operator {
            name,
            roles: roles.into_iter().collect(),
            prefixes: prefixes.into_iter().collect(),
        })
    })
}

fn node_group() -> impl Strategy<Value = Document> {
    (name(), btree_set(name(), 1..5))
        .prop_map(|(name, nodes)| Document::NodeGroup(NodeGroup { name, nodes }))
}

fn life(most: u32) -> impl Strategy<Value = SvidLife> {
    let secs = move || proptest::option::of(10..=most);
    (secs(), secs()).prop_map(|(one, other)| match (one, other) {
        (Some(one), Some(other)) => SvidLife {
            default_ttl_secs: Some(one.min(other)),
            max_ttl_secs: Some(one.max(other)),
        },
        (default_ttl_secs, max_ttl_secs) => SvidLife {
            default_ttl_secs,
            max_ttl_secs,
        },
    })
}

fn trust_domain() -> impl Strategy<Value = Document> {
    let authorities = (
        proptest::option::of(7_776_000..=630_720_000u32),
        proptest::option::of(259_200..=31_536_000u32),
    );
    let authorities = authorities.prop_map(|(x509_secs, jwt_secs)| AuthorityLives {
        x509_secs,
        jwt_secs,
    });
    (life(2_592_000), life(3_600), authorities).prop_map(|(x509, jwt, authorities)| {
        let name = Name::parse(TRUST_DOMAIN).expect("name");
        Document::TrustDomain(TrustDomainSettings {
            name,
            x509,
            jwt,
            authorities,
        })
    })
}

fn parse(text: &str) -> Result<Vec<Document>, Vec<tidelock_control::document::DocumentError>> {
    let file = SourceFile {
        name: "f".into(),
        text: text.into(),
        format: Format::Yaml,
    };
    parse_files(
        &[file],
        TrustDomain::parse(TRUST_DOMAIN).expect("trust domain"),
    )
}

proptest! {
    #[test]
    fn a_document_is_read_back_from_its_json(document in prop_oneof![identity(), service(), policy(), operator(), node_group(), trust_domain()]) {
        let json = document.to_json();
        prop_assert_eq!(parse(&json.to_string()), Ok(vec![document.clone()]));
        prop_assert_eq!(parse(&serde_json::to_string_pretty(&json).expect("JSON")), Ok(vec![document]));
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn text_that_looks_like_yaml_is_read_or_refused(text in "[-a: \n\t\\[\\]{},'\"|>&*!%#?x]{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn a_damaged_document_is_read_or_refused(
        document in prop_oneof![identity(), service(), policy(), operator(), node_group(), trust_domain()],
        cut in any::<prop::sample::Index>(),
        with in "[-: \n{}\\[\\],\"']{0,3}",
    ) {
        let mut text = document.to_json().to_string();
        let at = text.char_indices().map(|(at, _)| at).nth(cut.index(text.chars().count())).unwrap_or(0);
        text.insert_str(at, &with);
        let _ = parse(&text);
        let _ = parse(&text[..at]);
    }
}
