//! What was acknowledged, and what has to be there because of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use tidelock_proto::v1;
use tidelock_proto::v1::AuthorityState;
use tidelock_proto::v1::admin_client::AdminClient;
use tidelock_spiffe_core::bundle::{Bundle, JwtAuthority};
use tidelock_spiffe_core::jwk::PublicKey;
use tidelock_spiffe_core::{TrustDomainBuf, pem};
use tonic::Status;
use tonic::transport::Channel;

use super::node::{self, Node};

pub(super) type Admin = AdminClient<Channel>;

/// The document that is there from the beginning, and the node.
pub(super) const BASE: &str = "base";

/// What was acknowledged.
#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) generation: u64,
    pub(super) identities: BTreeSet<String>,
    pub(super) tokens: BTreeSet<String>,
    /// Where each authority may be: in more than one state while a step is asked for.
    pub(super) authorities: BTreeMap<String, Vec<AuthorityState>>,
    /// Serial numbers, in hexadecimal, of SVIDs that were handed over.
    pub(super) issued: BTreeSet<String>,
    /// What the `jti` of JWT-SVIDs says that were handed over.
    pub(super) tokens_issued: BTreeSet<String>,
    pub(super) revoked: BTreeSet<String>,
    pub(super) nodes: BTreeSet<String>,
    pub(super) node: Option<Node>,
    pub(super) audit: (u64, Vec<u8>),
}

/// What the audit log tells.
#[derive(Default)]
struct Log {
    documents: BTreeSet<String>,
    tokens: BTreeSet<String>,
    nodes: BTreeSet<String>,
    issued: BTreeSet<String>,
    tokens_issued: BTreeSet<String>,
    revoked: BTreeSet<String>,
    authorities: BTreeMap<String, String>,
}

/// An authority, whatever it signs.
struct Listed {
    id: String,
    state: AuthorityState,
    key_file: String,
}

impl Model {
    pub(super) async fn apply(&mut self, admin: &mut Admin, name: &str) -> Result<(), Status> {
        let files = vec![document(name)];
        let applied = admin.apply(v1::ApplyRequest { files }).await?.into_inner();
        let Some(v1::apply_response::Result::Applied(applied)) = applied.result else {
            panic!("refused: {applied:?}");
        };
        self.generation = applied.generation;
        self.identities.insert(name.to_owned());
        Ok(())
    }

    pub(super) async fn token(&mut self, admin: &mut Admin, name: &str) -> Result<String, Status> {
        let node = name.to_owned();
        let request = v1::CreateTokenRequest { node, ttl_secs: 60 };
        let token = admin.create_token(request).await?.into_inner().token;
        self.tokens.insert(name.to_owned());
        Ok(token)
    }

    /// A document, and a node that is given an SVID for it.
    pub(super) async fn base(&mut self, dir: &Path) -> Result<(), Status> {
        let mut admin = node::admin(dir).await?;
        self.apply(&mut admin, BASE).await?;
        let token = self.token(&mut admin, BASE).await?;
        let (node, serial) = node::attest(dir, &token).await?;
        self.nodes.insert(BASE.to_owned());
        self.issued.insert(hex(&serial));
        self.node = Some(node);
        self.sign(dir).await
    }

    pub(super) async fn sign(&mut self, dir: &Path) -> Result<(), Status> {
        let node = self.node.as_ref().expect("a node");
        let serial = node.sign(dir, BASE).await?;
        assert!(self.issued.insert(hex(&serial)), "a serial number of two");
        Ok(())
    }

    pub(super) async fn sign_jwt(&mut self, dir: &Path) -> Result<(), Status> {
        let node = self.node.as_ref().expect("a node");
        let token_id = node.sign_jwt(dir, BASE).await?;
        let new = self.tokens_issued.insert(token_id);
        assert!(new, "a name of two tokens");
        Ok(())
    }

    pub(super) async fn renew(&mut self, dir: &Path) -> Result<(), Status> {
        let node = self.node.as_ref().expect("a node");
        let (node, serial) = node.renew(dir).await?;
        assert!(self.issued.insert(hex(&serial)), "a serial number of two");
        self.node = Some(node);
        Ok(())
    }

    /// Compares with what is there, after a start.
    pub(super) async fn check(&mut self, dir: &Path) {
        let mut admin = node::admin(dir).await.expect("connect");
        let status = admin.get_status(v1::GetStatusRequest {}).await;
        let generation = status.expect("status").into_inner().generation;
        assert!(generation >= self.generation, "the generation went back");
        let log = self.log(&mut admin).await;

        let held = admin.get_identities(v1::GetIdentitiesRequest {}).await;
        let held = held.expect("identities").into_inner().identities;
        let held: BTreeSet<String> = held.into_iter().filter_map(|i| Some(i.entry?.id)).collect();
        assert!(held.is_superset(&self.identities), "a document is lost");
        assert_eq!(log.documents, held, "the log tells of other documents");

        let held = admin.get_nodes(v1::GetNodesRequest {}).await;
        let held = held.expect("nodes").into_inner().nodes;
        let held: BTreeSet<String> = held.into_iter().map(|node| node.name).collect();
        assert!(held.is_superset(&self.nodes), "a node is lost");
        assert_eq!(log.nodes, held, "the log tells of other nodes");

        let mut held = BTreeSet::new();
        let listed = admin.get_revoked(v1::GetRevokedRequest {}).await;
        let mut listed = listed.expect("revoked").into_inner();
        while let Some(one) = listed.message().await.expect("a revocation") {
            held.insert(hex(&one.svid.expect("an SVID").serial));
        }
        assert!(held.is_superset(&self.revoked), "a revocation is lost");
        assert_eq!(log.revoked, held, "the log tells of other revocations");

        assert!(log.tokens.is_superset(&self.tokens), "a token is lost");
        assert!(log.issued.is_superset(&self.issued), "an SVID is lost");
        let told = log.tokens_issued.is_superset(&self.tokens_issued);
        assert!(told, "a JWT-SVID is lost");
        self.check_authorities(&mut admin, &log, dir).await;
    }

    async fn check_authorities(&self, admin: &mut Admin, log: &Log, dir: &Path) {
        let listed = admin.list_authorities(v1::ListAuthoritiesRequest {}).await;
        let listed = listed.expect("authorities").into_inner();
        let x509 = listed.x509.iter().map(|one| Listed {
            id: one.id.clone(),
            state: one.state(),
            key_file: format!("ca/authority-{}.key", one.id),
        });
        let jwt = listed.jwt.iter().map(|one| Listed {
            id: one.id.clone(),
            state: one.state(),
            key_file: format!("ca/jwt-authority-{}.key", one.id),
        });
        let (x509, jwt): (Vec<_>, Vec<_>) = (x509.collect(), jwt.collect());
        for kind in [&x509, &jwt] {
            let active = |one: &&Listed| one.state == AuthorityState::Active;
            assert_eq!(kind.iter().filter(active).count(), 1);
        }
        let all: Vec<_> = x509.iter().chain(&jwt).collect();
        for (id, states) in &self.authorities {
            let state = all.iter().find(|one| one.id == *id).map(|one| one.state);
            let expected = state.is_some_and(|state| states.contains(&state));
            assert!(expected, "{id}: {state:?}, not {states:?}");
        }
        let told = |one: &&Listed| {
            let state = one.state.as_str_name();
            let state = state.trim_start_matches("AUTHORITY_STATE_");
            (one.id.clone(), state.to_lowercase())
        };
        let states: BTreeMap<String, String> = all.iter().map(told).collect();
        assert_eq!(log.authorities, states, "the log tells otherwise");
        check_bundle(&listed, dir);
        for one in all {
            let wanted = one.state != AuthorityState::Revoked;
            let there = dir.join(&one.key_file).exists();
            assert_eq!(there, wanted, "{} {:?}", one.key_file, one.state);
        }
        for entry in std::fs::read_dir(dir.join("ca")).expect("list") {
            let name = entry.expect("entry").file_name();
            let name = name.to_string_lossy().into_owned();
            assert!(!name.ends_with(".new"), "`{name}` is left over");
        }
    }

    /// The audit log, which has to be whole, and to go on from where it was.
    async fn log(&mut self, admin: &mut Admin) -> Log {
        let request = v1::VerifyAuditRequest {
            noted_seq: self.audit.0,
            noted_hash: self.audit.1.clone(),
        };
        let verified = admin.verify_audit(request).await;
        let verified = verified.expect("verified").into_inner();
        assert_eq!(verified.broken, "");
        self.audit = (verified.seq, verified.hash);
        let listed = admin.list_audit(v1::ListAuditRequest::default()).await;
        let mut entries = listed.expect("listed").into_inner();
        let mut log = Log::default();
        while let Some(entry) = entries.message().await.expect("an entry") {
            log.take(entry);
        }
        log
    }
}

impl Log {
    fn take(&mut self, entry: v1::AuditEntry) {
        let detail: Value = serde_json::from_str(&entry.detail).expect("JSON");
        let said = |field: &str| detail[field].as_str().unwrap_or_default().to_owned();
        let name = entry
            .subject
            .trim_start_matches("WorkloadIdentity/")
            .to_owned();
        match entry.action.as_str() {
            "document-created" => drop(self.documents.insert(name)),
            "document-deleted" => drop(self.documents.remove(&name)),
            "token-created" => drop(self.tokens.insert(name)),
            "svid-revoked" => drop(self.revoked.insert(said("serial"))),
            "authority-moved" => drop(self.authorities.insert(name, said("state"))),
            "jwt-svid-issued" => drop(self.tokens_issued.insert(said("token_id"))),
            "svid-issued" | "node-attested" | "node-renewed" => {
                let serial = said("serial");
                assert!(
                    self.issued.insert(serial.clone()),
                    "{serial} was issued twice"
                );
                if entry.action == "node-attested" {
                    self.nodes.insert(name);
                }
            }
            _ => {}
        }
    }
}

/// What relying parties find is what is trusted, in both forms.
fn check_bundle(listed: &v1::ListAuthoritiesResponse, dir: &Path) {
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).expect("bundle");
    let trusted = |state: AuthorityState| state != AuthorityState::Revoked;
    let x509 = listed.x509.iter().filter(|one| trusted(one.state()));
    let certificates: Vec<_> = x509.map(|one| one.certificate.clone()).collect();
    let blocks = certificates
        .iter()
        .map(|der| pem::encode("CERTIFICATE", der));
    assert_eq!(read("ca/bundle.pem"), blocks.collect::<String>());
    let domain = TrustDomainBuf::parse("example.org").expect("trust domain");
    let bundle = Bundle::from_jwks(domain, &read("ca/bundle.json")).expect("a JWK set");
    assert!(bundle.x509_authorities().eq(&certificates));
    assert_eq!(bundle.sequence, Some(listed.bundle_sequence));
    let jwt = listed.jwt.iter().filter(|one| trusted(one.state()));
    let keys = jwt.map(|one| {
        let key = PublicKey::from_spki(&one.public_key).expect("a key");
        JwtAuthority::new(&one.id, key).expect("a JWT authority")
    });
    assert!(bundle.jwt_authorities().eq(&keys.collect::<Vec<_>>()));
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn document(name: &str) -> v1::SourceFile {
    let text = format!(
        "apiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: {name}}}\nspec:\n  \
         spiffeID: spiffe://example.org/{name}\n  selectors: ['unix:path:/usr/bin/{name}']\n"
    );
    v1::SourceFile {
        name: "test.yaml".into(),
        text,
        format: v1::SourceFormat::Yaml.into(),
    }
}
