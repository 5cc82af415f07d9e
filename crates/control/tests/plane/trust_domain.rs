//! The TrustDomain document: how long SVIDs live where nothing else is said.

use rcgen::KeyPair;
use tidelock_control::{ControlPlane, DATABASE_FILE};
use tidelock_proto::v1;
use tidelock_proto::v1::plan_response::Result as Outcome;
use tidelock_spiffe_core::TrustDomainBuf;
use tidelock_spiffe_core::x509::Leaf;

use crate::common::{NodeKeys, Plane, csr, identity, options, snapshot};
use crate::jwt::{AUDIENCE, now, request};
use crate::operators::applies;

/// The document, with these lines of its spec.
fn trust_domain(spec: &str) -> String {
    format!(
        "---\napiVersion: tidelock.dev/v1\nkind: TrustDomain\nmetadata: {{name: example.org}}\nspec:\n{spec}"
    )
}

fn default_ttl(ttl: &str) -> String {
    trust_domain(&format!("  x509SVID: {{defaultTTL: {ttl}}}\n"))
}

/// Name and life of each entry.
fn lives(snapshot: &v1::Snapshot) -> Vec<(&str, u32)> {
    let entries = snapshot.entries.iter();
    entries
        .map(|entry| (entry.id.as_str(), entry.x509_ttl_secs))
        .collect()
}

/// Code, field and line of each error.
fn places(errors: &[v1::DocumentError]) -> Vec<(&str, &str, u32)> {
    let told = errors.iter();
    told.map(|error| (error.code.as_str(), error.field.as_str(), error.line))
        .collect()
}

impl Plane {
    async fn trust_domain(&self) -> v1::TrustDomainView {
        let request = v1::GetTrustDomainsRequest {};
        let answer = self.admin().await.get_trust_domains(request).await;
        let mut all = answer.expect("answered").into_inner().trust_domains;
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    async fn without_trust_domain(&self) -> v1::DeleteResponse {
        let request = v1::DeleteRequest {
            documents: vec![v1::DocumentName {
                kind: v1::DocumentKind::TrustDomain.into(),
                name: "example.org".into(),
            }],
            ..v1::DeleteRequest::default()
        };
        let answer = self.admin().await.delete(request).await;
        answer.expect("delete").into_inner()
    }

    /// How long an SVID of this entry lives that is issued now, in seconds.
    async fn issued_life(&self, keys: &NodeKeys, entry: &str) -> i64 {
        let request = v1::SignRequest {
            entry_id: entry.into(),
            spiffe_id: format!("spiffe://example.org/{entry}"),
            csr: csr(&KeyPair::generate().expect("key")),
        };
        let before = now();
        let answer = self.node(Some(keys)).await.sign(request).await;
        let chain = answer.expect("signed").into_inner().chain;
        let leaf = Leaf::parse(&chain[0]).expect("an X509-SVID");
        let life = leaf.not_after - before;
        // The clock may have gone on in between.
        life - life % 10
    }

    /// How long a JWT-SVID of this entry lives, of which nobody says how long it is to.
    async fn jwt_life(&self, keys: &NodeKeys, entry: &str) -> i64 {
        let before = now();
        let answer = self.sign_jwt(keys, request(entry, &[AUDIENCE], 0)).await;
        let life = answer.expect("signed").expires_unix_secs - before;
        life - life % 10
    }
}

#[tokio::test]
async fn a_default_reaches_those_that_say_nothing_and_no_others() {
    let plane = Plane::start().await;
    let own = identity("own", "  svid: {ttl: 3600s}\n");
    let jwt = identity("jwt", "  svid: {jwtTTL: 10m}\n");
    plane.applied(&(identity("a", "") + &jwt + &own)).await;
    let keys = plane.attested("n1").await;
    let (mut stream, first) = plane.synced(&keys).await;
    let built_in = [("a", 3600), ("jwt", 3600), ("own", 3600)];
    assert_eq!(lives(&first), built_in);

    let applied = plane.applied(&default_ttl("30m")).await;
    let changed = snapshot(&mut stream).await.expect("a snapshot");
    assert_eq!(changed.generation, applied.generation);
    let shorter = [("a", 1800), ("jwt", 1800), ("own", 3600)];
    assert_eq!(lives(&changed), shorter);
    assert_eq!(plane.issued_life(&keys, "a").await, 1800);
    assert_eq!(plane.issued_life(&keys, "own").await, 3600);
    // The same again changes nothing.
    let again = plane.applied(&default_ttl("1800s")).await;
    assert_eq!(again.generation, applied.generation);

    // What was said and what was not are told apart after a restart, too.
    let plane = plane.restart().await;
    let (mut stream, kept) = plane.synced(&keys).await;
    assert_eq!(lives(&kept), shorter);
    assert_eq!(plane.generation().await, applied.generation);
    plane.applied(&default_ttl("2h")).await;
    let longer = snapshot(&mut stream).await.expect("a snapshot");
    assert_eq!(lives(&longer), [("a", 7200), ("jwt", 7200), ("own", 3600)]);

    // Without the document what is built in holds again.
    plane.without_trust_domain().await;
    let gone = snapshot(&mut stream).await.expect("a snapshot");
    assert_eq!(lives(&gone), built_in);
    assert_eq!(plane.issued_life(&keys, "a").await, 3600);
    let told = plane.audited().await;
    let of_it: Vec<_> = told
        .iter()
        .filter(|(_, _, subject, _)| subject == "TrustDomain/example.org")
        .map(|(_, action, ..)| action.as_str())
        .collect();
    assert_eq!(
        of_it,
        ["document-created", "document-updated", "document-deleted"]
    );
}

#[tokio::test]
async fn jwt_svids_live_as_the_trust_domain_says_where_nobody_asks() {
    let plane = Plane::start().await;
    plane
        .applied(&(identity("a", "") + &identity("short", "  svid: {jwtTTL: 1m}\n")))
        .await;
    let keys = plane.attested("n1").await;
    assert_eq!(plane.jwt_life(&keys, "a").await, 300);
    plane
        .applied(&trust_domain("  jwtSVID: {defaultTTL: 20m, maxTTL: 30m}\n"))
        .await;
    assert_eq!(plane.jwt_life(&keys, "a").await, 1200);
    assert_eq!(plane.jwt_life(&keys, "short").await, 60);
    let asked = |secs| plane.sign_jwt(&keys, request("a", &[AUDIENCE], secs));
    assert!(asked(1800).await.is_ok());
    let refused = asked(1801).await.expect_err("refused");
    assert!(refused.message().contains("10 to 1800 s"), "{refused:?}");
    // What operators mint has the same bound, and the same default.
    let mint = async |ttl_secs| {
        let request = v1::MintJwtRequest {
            spiffe_id: "spiffe://example.org/nobodys".into(),
            audience: vec![AUDIENCE.into()],
            ttl_secs,
        };
        plane.admin().await.mint_jwt(request).await
    };
    assert!(mint(1801).await.is_err());
    let before = now();
    let minted = mint(0).await.expect("minted").into_inner();
    assert!((1200..1210).contains(&(minted.expires_unix_secs - before)));
    // A longest life below what is built in bounds that, too.
    plane
        .applied(&trust_domain("  jwtSVID: {maxTTL: 2m}\n"))
        .await;
    assert_eq!(plane.jwt_life(&keys, "a").await, 120);
}

#[tokio::test]
async fn nobody_says_more_than_the_trust_domain_allows() {
    let plane = Plane::start().await;
    let max = |ttl: &str| trust_domain(&format!("  x509SVID:\n    maxTTL: {ttl}\n"));
    plane.applied(&max("2h")).await;
    let (code, field) = ("TTL_ABOVE_MAXIMUM", "spec.svid.ttl");
    let long = identity("long", "  svid:\n    ttl: 3h\n");
    let refused = plane.refused(&long).await;
    assert_eq!(places(&refused), [(code, field, 9)]);
    let reason =
        "WorkloadIdentity `long` says `ttl: 10800s`, and the TrustDomain allows 7200 s at most";
    assert_eq!(refused[0].reason, reason);
    plane
        .applied(&(identity("a", "  svid: {ttl: 2h}\n") + &identity("b", "  svid: {ttl: 2h}\n")))
        .await;
    // Who comes later is to blame: here the bound, once for all that are in its way.
    let generation = plane.generation().await;
    let refused = plane.refused(&max("1h")).await;
    assert_eq!(places(&refused), [(code, "spec.x509SVID.maxTTL", 7)]);
    assert!(
        refused[0]
            .reason
            .contains("`a` says `ttl: 7200s` (and one more)")
    );
    assert_eq!(plane.generation().await, generation);
    // Together with those it is taken, in one change.
    let shorter = identity("a", "  svid: {ttl: 1h}\n") + &identity("b", "");
    plane
        .applied(&(max("30m") + &identity("a", "") + &identity("b", "")))
        .await;
    let refused = plane.refused(&shorter).await;
    assert_eq!(places(&refused), [(code, field, 8)]);
    // Those that say nothing have no more either.
    let keys = plane.attested("n1").await;
    let (_, first) = plane.synced(&keys).await;
    assert_eq!(lives(&first), [("a", 1800), ("b", 1800)]);

    plane
        .applied(&trust_domain("  jwtSVID: {maxTTL: 10m}\n"))
        .await;
    let refused = plane
        .refused(&identity("j", "  svid: {jwtTTL: 20m}\n"))
        .await;
    assert_eq!(places(&refused), [(code, "spec.svid.jwtTTL", 8)]);
}

#[tokio::test]
async fn wrong_trust_domains_are_told_with_line_and_field() {
    let plane = Plane::start().await;
    let generation = plane.generation().await;
    for (spec, code, field, reason) in [
        (
            "  x509SVID: {defaultTTL: 9s}\n",
            "DURATION_INVALID",
            "spec.x509SVID.defaultTTL",
            "`9s` is 9 s; at least 10 s are needed",
        ),
        (
            "  x509SVID: {maxTTL: 31d}\n",
            "DURATION_INVALID",
            "spec.x509SVID.maxTTL",
            "`31d` is longer than 2592000 s",
        ),
        (
            "  jwtSVID: {maxTTL: 2h}\n",
            "DURATION_INVALID",
            "spec.jwtSVID.maxTTL",
            "`2h` is longer than 3600 s",
        ),
        (
            "  x509SVID: {defaultTTL: 2h, maxTTL: 1h}\n",
            "DURATION_INVALID",
            "spec.x509SVID.defaultTTL",
            "`7200s` is longer than 3600 s",
        ),
        (
            "  x509SVID: {ttl: 1h}\n",
            "FIELD_UNKNOWN",
            "spec.x509SVID.ttl",
            "is not a known field; known are `defaultTTL`, `maxTTL`",
        ),
        (
            "  x509Authority: {ttl: 89d}\n",
            "DURATION_INVALID",
            "spec.x509Authority.ttl",
            "`89d` is 7689600 s; at least 7776000 s are needed",
        ),
        (
            "  jwtAuthority: {ttl: 366d}\n",
            "DURATION_INVALID",
            "spec.jwtAuthority.ttl",
            "`366d` is longer than 31536000 s",
        ),
        (
            "  caTTL: 1h\n",
            "FIELD_UNKNOWN",
            "spec.caTTL",
            "is not a known field; known are `x509SVID`, `jwtSVID`, `x509Authority`, `jwtAuthority`",
        ),
    ] {
        let refused = plane.refused(&trust_domain(spec)).await;
        assert_eq!(places(&refused), [(code, field, 6)]);
        assert_eq!(refused[0].reason, reason);
    }
    let others = default_ttl("30m").replace("example.org", "other.org");
    let refused = plane.refused(&others).await;
    assert_eq!(
        places(&refused),
        [("TRUST_DOMAIN_FOREIGN", "metadata.name", 4)]
    );
    let reason = &refused[0].reason;
    assert!(reason.contains("`other.org`") && reason.contains("own trust domain is `example.org`"));
    let twice = default_ttl("30m") + &default_ttl("40m");
    let refused = plane.refused(&twice).await;
    assert_eq!(
        places(&refused),
        [("DOCUMENT_DUPLICATE", "metadata.name", 10)]
    );
    assert_eq!(plane.generation().await, generation);
}

#[tokio::test]
async fn it_is_planned_and_shown_and_an_admins() {
    let plane = Plane::start().await;
    plane.applied(&identity("a", "")).await;
    let built_in = plane.trust_domain().await;
    let life = |default_secs, max_secs| {
        Some(v1::SvidLife {
            default_secs,
            max_secs,
        })
    };
    let expected = v1::TrustDomainView {
        name: "example.org".into(),
        has_document: false,
        x509: life(3600, 2_592_000),
        jwt: life(300, 3600),
        identities_by_default: 1,
        x509_authority_secs: 10 * 365 * 86_400,
        jwt_authority_secs: 30 * 86_400,
    };
    assert_eq!(built_in, expected);
    let text = trust_domain("  x509SVID: {maxTTL: 40m}\n  jwtSVID: {defaultTTL: 1m}\n");
    let request = v1::PlanRequest {
        files: vec![v1::SourceFile {
            name: "test.yaml".into(),
            text: text.clone(),
            format: v1::SourceFormat::Yaml.into(),
        }],
        deletion: false,
    };
    let answer = plane.admin().await.plan(request).await.expect("planned");
    let Some(Outcome::Planned(planned)) = answer.into_inner().result else {
        panic!("refused");
    };
    let after: serde_json::Value = serde_json::from_str(&planned.documents[0].after).expect("JSON");
    let spec =
        serde_json::json!({"x509SVID": {"maxTTL": "2400s"}, "jwtSVID": {"defaultTTL": "60s"}});
    assert_eq!(after["spec"], spec);
    assert_eq!(plane.trust_domain().await, built_in);

    let eve = plane.operator("eve", "editor", "/").await;
    let refused = applies(&mut plane.by(&eve).await, &text).await;
    assert!(refused.is_err_and(|why| why[0].contains("needed is the role `admin`")));
    let amy = plane.operator("amy", "admin", "").await;
    assert_eq!(applies(&mut plane.by(&amy).await, &text).await, Ok(()));
    let said = v1::TrustDomainView {
        has_document: true,
        x509: life(2400, 2400),
        jwt: life(60, 3600),
        ..expected
    };
    assert_eq!(plane.trust_domain().await, said);
}

#[tokio::test]
async fn what_an_earlier_version_wrote_down_stays_and_is_told() {
    let plane = Plane::start().await;
    plane
        .applied(&(identity("a", "") + &identity("b", "  svid: {ttl: 90s}\n")))
        .await;
    let dir = plane.dir;
    plane.plane.stop().await;
    let database = dir.path().join("ca").join(DATABASE_FILE);
    let connection = rusqlite::Connection::open(database).expect("open");
    let older =
        "UPDATE document SET json = json_set(json, '$.spec.svid.ttl', '3600s') WHERE name = 'a';
         PRAGMA user_version = 7";
    connection.execute_batch(older).expect("as it was");
    let stored = "SELECT json FROM document WHERE name = 'a'";
    let json: String = connection
        .query_row(stored, [], |row| row.get(0))
        .expect("read");
    assert!(json.contains("3600s"), "{json}");
    drop(connection);

    let plane = Plane::start_in(dir).await;
    let generation = plane.generation().await;
    let keys = plane.attested("n1").await;
    let (mut stream, first) = plane.synced(&keys).await;
    assert_eq!(lives(&first), [("a", 3600), ("b", 90)]);
    let answer = plane.apply(&default_ttl("30m")).await;
    let warned = &answer.warnings;
    assert_eq!(
        places(warned),
        [("TTL_MAYBE_DEFAULT", "spec.x509SVID.defaultTTL", 4)]
    );
    assert!(
        warned[0]
            .reason
            .contains("`a` has a life of 3600 s of its own")
    );
    let kept = snapshot(&mut stream).await.expect("a snapshot");
    assert_eq!(lives(&kept), [("a", 3600), ("b", 90)]);
    // Its file, which says nothing, is applied again.
    plane.applied(&identity("a", "")).await;
    let followed = snapshot(&mut stream).await.expect("a snapshot");
    assert_eq!(lives(&followed), [("a", 1800), ("b", 90)]);
    assert_eq!(plane.generation().await, generation + 2);
    let answer = plane.apply(&default_ttl("20m")).await;
    assert!(answer.warnings.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn a_trust_domain_may_have_a_name_that_no_other_document_has() {
    let name = format!("_{}.example.org", "long".repeat(20));
    let dir = tempfile::tempdir().expect("temp dir");
    let mut options = options(dir.path());
    options.trust_domain = TrustDomainBuf::parse(&name).expect("a name");
    let plane = ControlPlane::start(options).await;
    let plane = Plane {
        dir,
        plane: plane.expect("start"),
    };
    plane
        .applied(&default_ttl("30m").replace("example.org", &name))
        .await;
    assert_eq!(
        plane.trust_domain().await.x509.expect("lives").default_secs,
        1800
    );
    let group =
        "apiVersion: tidelock.dev/v1\nkind: NodeGroup\nmetadata: {name: _a}\nspec: {nodes: [n]}\n";
    let refused = plane.refused(group).await;
    assert_eq!(places(&refused), [("NAME_INVALID", "metadata.name", 3)]);
}

#[tokio::test]
async fn authorities_made_from_now_on_last_as_long_as_is_said() {
    let plane = Plane::start().await;
    let ttls = "  x509Authority: {ttl: 90d}\n  jwtAuthority: {ttl: 60d}\n";
    let before = plane.authorities().await;
    plane.applied(&trust_domain(ttls)).await;
    assert_eq!(
        plane.authorities().await,
        before,
        "those that are there stay"
    );
    let shown = plane.trust_domain().await;
    let days = |secs: u32| secs / 86_400;
    let shown = (shown.x509_authority_secs, shown.jwt_authority_secs);
    assert_eq!((days(shown.0), days(shown.1)), (90, 60));
    let request = v1::PrepareAuthorityRequest::default();
    let prepared = plane.admin().await.prepare_authority(request).await;
    let made = prepared.expect("prepared").into_inner().authority;
    let lasts = made.expect("made").not_after_unix_secs - now();
    assert!((90 * 86_400 - 9..=90 * 86_400).contains(&lasts), "{lasts}");

    // What is due is made at the start, before documents are taken up.
    let dir = plane.dir;
    plane.plane.stop().await;
    let mut options = options(dir.path());
    options.jwt_timing.prepare_before_secs = 31 * 86_400;
    let plane = ControlPlane::start(options).await.expect("start");
    let plane = Plane { dir, plane };
    let made = plane.jwt_authorities().await.pop().expect("a second");
    assert_eq!(made.state(), v1::AuthorityState::Prepared);
    let lasts = made.not_after_unix_secs - now();
    assert!((60 * 86_400 - 9..=60 * 86_400).contains(&lasts), "{lasts}");
}
