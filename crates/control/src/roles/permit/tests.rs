use std::sync::Arc;

use tidelock_proto::v1;

use super::*;
use crate::document::{Compiled, Lives, NodeGroups};
use crate::revoked::Revoked;
use crate::shared::Made;
use crate::store::RevokedRecord;

const NOW: i64 = 1_000;

fn world(roles: &[Role], prefixes: &[&str], revoked: &[u8]) -> World {
    let name = Name::parse("eve").expect("name");
    let prefix = |text: &&str| PathPrefix::parse(text).expect("prefix");
    let operator = Operator {
        name: name.clone(),
        roles: roles.iter().copied().collect(),
        prefixes: prefixes.iter().map(prefix).collect(),
    };
    let record = RevokedRecord {
        serial: revoked.to_vec(),
        spiffe_id: String::new(),
        node: String::new(),
        until: NOW,
    };
    World {
        generation: 1,
        documents: [((Kind::Operator, name), Document::Operator(operator))].into(),
        compiled: Arc::new(Compiled {
            image: vec![],
            observed: vec![],
            groups: NodeGroups::default(),
            lives: Lives::default(),
            warnings: vec![],
        }),
        bundle: Arc::new(v1::Bundle::default()),
        revoked: Arc::new(Revoked::new(vec![record])),
        shared: Made::default(),
    }
}

fn who(name: &str, serial: u8, not_after: i64) -> Who {
    Who::Operator {
        name: Name::parse(name).expect("name"),
        serial: vec![serial],
        not_after,
        remote: SocketAddr::from(([127, 0, 0, 1], 1)),
    }
}

fn asked(world: &World, need: Need) -> Result<Permit, Refusal> {
    Permit::new(who("eve", 1, NOW + 1), ("Call", need), world, NOW)
}

#[test]
fn whoever_is_expired_revoked_or_in_no_document_has_no_role() {
    let world = world(&[Role::Admin], &[], &[2]);
    let refused = |who| match Permit::new(who, ("Call", Need::Read), &world, NOW) {
        Err(Refusal::Unknown(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(who("eve", 1, NOW)).contains("expired"));
    // Revoked is revoked, also where nodes are not told of it any more.
    assert!(refused(who("eve", 2, NOW + 1)).contains("revoked"));
    assert!(refused(who("adam", 1, NOW + 1)).contains("there is no Operator `adam`"));
    assert!(asked(&world, Need::Role(Role::Revoker)).is_ok());
}

#[test]
fn a_call_rests_on_the_role_that_lets_it_and_no_other_is_told() {
    let world = world(&[Role::Revoker, Role::Editor], &["/a"], &[]);
    let rests = |need| asked(&world, need).map(|permit| permit.actor().to_string());
    let of = |role: &str| Ok(format!("operator eve ({role})"));
    assert_eq!(rests(Need::Role(Role::Revoker)), of("revoker"));
    assert_eq!(rests(Need::Role(Role::Editor)), of("editor"));
    assert_eq!(rests(Need::Read), of("editor"));
    for need in [
        Need::ReadEverything,
        Need::Role(Role::Admin),
        Need::RoleEverywhere(Role::Editor),
        Need::RoleEverywhere(Role::Issuer),
    ] {
        let Err(Refusal::NotPermitted { operator, why }) = asked(&world, need) else {
            panic!("{need:?}");
        };
        assert_eq!(operator.as_str(), "eve");
        assert!(
            why.contains("operator `eve` is editor and revoker under `/a`"),
            "{why}"
        );
    }
}

#[test]
fn an_admin_is_bound_to_no_prefix() {
    let world = world(&[Role::Viewer, Role::Admin], &[], &[]);
    let permit = asked(&world, Need::RoleEverywhere(Role::Issuer)).expect("an admin");
    assert!(permit.is_admin() && permit.is_everywhere() && permit.covers("spiffe://td/x"));
}

#[test]
fn what_is_no_spiffe_id_lies_under_nothing_but_everything() {
    let permit = asked(&world(&[Role::Viewer], &["/a"], &[]), Need::Read).expect("a viewer");
    assert!(permit.covers("spiffe://td/a/b"));
    for id in [
        "",
        "/a",
        "spiffe://td",
        "spiffe://td/ab",
        "spiffe://td/a//b",
        "http://td/a",
    ] {
        assert!(!permit.covers(id), "{id}");
    }
}

#[test]
fn what_changed_meanwhile_counts() {
    let permit = asked(
        &world(&[Role::Editor], &["/a"], &[]),
        Need::Role(Role::Editor),
    );
    let mut permit = permit.expect("an editor");
    if let Who::Operator { not_after, .. } = &mut permit.who {
        *not_after = i64::MAX;
    }
    let moved = permit
        .again(&world(&[Role::Editor], &["/b"], &[]))
        .expect("an editor");
    assert!(moved.covers("spiffe://td/b") && !moved.covers("spiffe://td/a"));
    assert!(permit.again(&world(&[Role::Viewer], &["/a"], &[])).is_err());
    assert!(
        permit
            .again(&world(&[Role::Editor], &["/a"], &[1]))
            .is_err()
    );
}
