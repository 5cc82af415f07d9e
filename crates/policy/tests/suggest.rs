//! The policy that is suggested permits what was seen, and nothing else.
#![cfg(feature = "compile")]

use proptest::collection::vec;
use proptest::prelude::*;
use tidelock_policy::tools::{Seen, read_flows, suggest};
use tidelock_policy::{Attribute, Context, Entity, EntityRef, Image, Request, Source, compile};

const CLIENTS: [&str; 5] = [
    "spiffe://example.org/shop",
    "spiffe://example.org/shop/web",
    "spiffe://example.org/a\"\\b",
    "spiffe://example.org/é\n",
    "spiffe://example.org/shop/web/1",
];
const SERVICES: [&str; 3] = ["db", "cache", "d\"b"];
const PORTS: [u16; 6] = [0, 1, 442, 443, 444, u16::MAX];

fn seen() -> impl Strategy<Value = Seen> {
    (0..CLIENTS.len(), 0..SERVICES.len(), 0..PORTS.len()).prop_map(|(client, service, port)| Seen {
        client: CLIENTS[client].into(),
        service: SERVICES[service].into(),
        port: PORTS[port],
    })
}

fn allows(image: &Image<'_>, action: &str, client: &str, service: &str, port: u16) -> bool {
    let above = [
        EntityRef::new("Workload", "spiffe://example.org/shop"),
        EntityRef::new("Workload", "spiffe://example.org/shop/web"),
        EntityRef::new("TrustDomain", "example.org"),
    ];
    image
        .decide(&Request {
            principal: Entity::new("Workload", client, &above),
            action,
            resource: Entity::new("Service", service, &[]),
            context: Context::new(&[Attribute::port(port)]),
        })
        .allow()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exactly_what_was_seen_is_permitted(flows in vec(seen(), 0..12), turned in any::<bool>()) {
        let cedar = suggest(&flows);
        let mut again = flows.clone();
        again.extend(flows.first().cloned());
        if turned {
            again.reverse();
        }
        prop_assert_eq!(&suggest(&again), &cedar);
        let compiled = compile(&[Source { name: "suggested", text: &cedar }]);
        let compiled = compiled.map_err(|errors| TestCaseError::fail(format!("{errors:?}\n{cedar}")))?;
        let image = Image::check(&compiled.image).unwrap();
        for client in CLIENTS {
            for service in SERVICES {
                for port in PORTS {
                    let wanted = Seen { client: client.into(), service: service.into(), port };
                    let allowed = allows(&image, "connect", client, service, port);
                    prop_assert_eq!(allowed, flows.contains(&wanted), "{:?}\n{}", wanted, cedar);
                    for other in ["listen", "http", "inject"] {
                        prop_assert!(!allows(&image, other, client, service, port));
                    }
                }
            }
        }
    }
}

#[test]
fn a_suggestion_reads_as_people_write() {
    let seen = |client: &str, port| Seen {
        client: format!("spiffe://example.org/{client}"),
        service: "db".into(),
        port,
    };
    let cedar = suggest(&[seen("web", 5433), seen("app", 5432), seen("web", 5432)]);
    assert_eq!(
        cedar,
        r#"@id("spiffe://example.org/app to db")
permit (
  principal == Workload::"spiffe://example.org/app",
  action == Action::"connect",
  resource == Service::"db"
) when { context.port == 5432 };

@id("spiffe://example.org/web to db")
permit (
  principal == Workload::"spiffe://example.org/web",
  action == Action::"connect",
  resource == Service::"db"
) when { [5432, 5433].contains(context.port) };
"#
    );
    assert_eq!(suggest(&[]), "");
}

#[test]
fn flows_are_read_as_they_are_printed() {
    let flows = r#"{"flows": [
        {"node": "n1", "id": 1, "role": "client", "service": "web", "client_id": "spiffe://td/a", "server_id": "spiffe://td/w",
         "local": "10.0.0.2:40000", "remote": "10.0.0.1:443", "suite": null},
        {"node": "n2", "id": 1, "role": "server", "service": "web", "client_id": "spiffe://td/b", "server_id": "spiffe://td/w",
         "local": "[2001:db8::1]:8443", "remote": "[2001:db8::2]:40000"},
        {"node": "n2", "id": 2, "role": "server", "service": null, "client_id": null, "local": "10.0.0.1:1", "remote": "10.0.0.9:2"}
    ]}"#;
    let read = read_flows("flows.json", flows, false).unwrap();
    let found: Vec<_> = read
        .seen
        .iter()
        .map(|seen| (seen.client.as_str(), seen.service.as_str(), seen.port))
        .collect();
    assert_eq!(
        found,
        [
            ("spiffe://td/a", "web", 443),
            ("spiffe://td/b", "web", 8443)
        ]
    );
    assert_eq!(read.incomplete, 1);
    let events = r#"{"seq": 1, "what": "started", "data": {"version": "1"}}
{"seq": 2, "what": "flow-opened", "data": {"role": "client", "service": "web", "client_id": "spiffe://td/a", "remote": "10.0.0.1:443"}}
{"seq": 3, "what": "denied", "data": {"role": "client", "service": "db", "local_id": "spiffe://td/a", "peer_id": null, "remote": "10.0.0.1:5432", "reason": "no_permit"}}
{"seq": 4, "what": "denied", "data": {"role": "client", "service": "db", "local_id": "spiffe://td/a", "remote": "10.0.0.1:22", "reason": "forbidden"}}
"#;
    let ports = |denied| {
        let read = read_flows("events.json", events, denied).unwrap();
        read.seen.iter().map(|seen| seen.port).collect::<Vec<_>>()
    };
    assert_eq!((ports(false), ports(true)), (vec![443], vec![443, 5432]));
    let error = read_flows("f.json", "{\"flows\": [}\n", false).unwrap_err();
    assert!(error.to_string().starts_with("f.json:1:12: "), "{error}");
    assert!(read_flows("f.json", "{\"nodes\": []}", false).is_err());
}

#[test]
fn what_is_suggested_compiles_however_much_was_seen() {
    let client = format!("spiffe://example.org/{}", "a".repeat(2_000));
    let service = "s".repeat(63);
    let seen: Vec<Seen> = (0..=u16::MAX)
        .filter(|port| port % 2 == 0)
        .map(|port| Seen {
            client: client.clone(),
            service: service.clone(),
            port,
        })
        .collect();
    for (client, named) in [(client.as_str(), 0), ("spiffe://example.org/web", 8)] {
        let seen: Vec<Seen> = seen
            .iter()
            .cloned()
            .map(|one| Seen {
                client: client.into(),
                ..one
            })
            .collect();
        let cedar = suggest(&seen);
        assert_eq!(cedar.matches("@id").count(), named);
        let compiled = compile(&[Source {
            name: "suggested",
            text: &cedar,
        }])
        .unwrap_or_else(|errors| panic!("{}", errors[0]));
        assert_eq!(compiled.policies.len(), 8);
        assert!(compiled.warnings.is_empty(), "{:#?}", compiled.warnings);
        let image = Image::check(&compiled.image).unwrap();
        for port in [0, 1, 8_190, 8_191, 8_192, 8_193, 40_000, 65_534, 65_535] {
            assert_eq!(
                allows(&image, "connect", client, &service, port),
                port % 2 == 0,
                "{port}"
            );
        }
    }
}
