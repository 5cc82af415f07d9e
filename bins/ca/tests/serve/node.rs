//! A node of the control plane under test: what it was given, and how it asks for more.

use std::path::Path;
use std::time::UNIX_EPOCH;

use rcgen::KeyPair;
use tidelock_proto::v1::admin_client::AdminClient;
use tidelock_proto::v1::node_client::NodeClient;
use tidelock_proto::{CONTROL_DNS_NAME, v1};
use tidelock_spiffe_core::jwt::{Audience, JwtSvid, P256};
use tidelock_spiffe_core::x509::Leaf;
use tidelock_spiffe_core::{Bundle, BundleSet, TrustDomainBuf, pem};
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// A node's key and its newest SVID.
#[derive(Clone)]
pub(super) struct Node {
    key_pem: String,
    chain_pem: String,
}

/// Joins with a token; gives the serial number of the node's SVID too.
pub(super) async fn attest(dir: &Path, token: &str) -> Result<(Node, Vec<u8>), Status> {
    let key = KeyPair::generate().expect("key");
    let request = v1::AttestRequest {
        token: token.to_owned(),
        csr: tidelock_ca::request(&key).expect("csr"),
    };
    let answer = client(dir, None).await?.attest(request).await?;
    Ok(given(&key, &answer.into_inner().chain))
}

impl Node {
    /// Has an SVID signed for the workload of a document; its serial number.
    pub(super) async fn sign(&self, dir: &Path, entry: &str) -> Result<Vec<u8>, Status> {
        let key = KeyPair::generate().expect("key");
        let request = v1::SignRequest {
            entry_id: entry.to_owned(),
            spiffe_id: format!("spiffe://example.org/{entry}"),
            csr: tidelock_ca::request(&key).expect("csr"),
        };
        let answer = client(dir, Some(self)).await?.sign(request).await?;
        Ok(serial(&answer.into_inner().chain))
    }

    /// Has a JWT-SVID signed for the workload of a document; its `jti`.
    pub(super) async fn sign_jwt(&self, dir: &Path, entry: &str) -> Result<String, Status> {
        let request = v1::SignJwtRequest {
            entry_id: entry.to_owned(),
            spiffe_id: format!("spiffe://example.org/{entry}"),
            audience: vec!["reports".to_owned()],
            ttl_secs: 0,
        };
        let answer = client(dir, Some(self)).await?.sign_jwt(request).await?;
        Ok(taken(dir, &answer.into_inner().token))
    }

    /// Has its own SVID renewed, with a new key.
    pub(super) async fn renew(&self, dir: &Path) -> Result<(Self, Vec<u8>), Status> {
        let key = KeyPair::generate().expect("key");
        let csr = tidelock_ca::request(&key).expect("csr");
        let request = v1::RenewRequest { csr };
        let answer = client(dir, Some(self)).await?.renew(request).await?;
        Ok(given(&key, &answer.into_inner().chain))
    }
}

/// Takes a token as its audience would, by the bundle that lies there; gives its `jti`.
fn taken(dir: &Path, token: &str) -> String {
    let domain = TrustDomainBuf::parse("example.org").expect("trust domain");
    let jwks = std::fs::read_to_string(dir.join("ca/bundle.json")).expect("bundle");
    let bundle = Bundle::from_jwks(domain, &jwks).expect("a JWK set");
    let now = UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let now = i64::try_from(now).expect("in range");
    let audience = Audience::of(&["reports"]);
    let read = JwtSvid::validate(token, &BundleSet::from(bundle), audience, now, &P256);
    let read = read.expect("it is taken");
    let claims: serde_json::Value = serde_json::from_str(read.claims()).expect("JSON");
    claims["jti"].as_str().expect("jti").to_owned()
}

fn given(key: &KeyPair, chain: &[Vec<u8>]) -> (Node, Vec<u8>) {
    let blocks = chain.iter().map(|der| pem::encode("CERTIFICATE", der));
    let node = Node {
        key_pem: key.serialize_pem(),
        chain_pem: blocks.collect(),
    };
    (node, serial(chain))
}

fn serial(chain: &[Vec<u8>]) -> Vec<u8> {
    let leaf = Leaf::parse(&chain[0]).expect("an X509-SVID");
    leaf.serial.to_vec()
}

/// Where administrators are answered.
pub(super) async fn admin(dir: &Path) -> Result<AdminClient<Channel>, Status> {
    let uri = format!("unix://{}", dir.join("run/ca.sock").display());
    AdminClient::connect(uri).await.map_err(lost)
}

async fn client(dir: &Path, node: Option<&Node>) -> Result<NodeClient<Channel>, Status> {
    let status = admin(dir).await?.get_status(v1::GetStatusRequest {}).await;
    let listening = status?.into_inner().listening;
    let bundle = std::fs::read_to_string(dir.join("ca/bundle.pem")).expect("bundle");
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(bundle))
        .domain_name(CONTROL_DNS_NAME);
    if let Some(node) = node {
        tls = tls.identity(Identity::from_pem(&node.chain_pem, &node.key_pem));
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", listening[0])).expect("address");
    let channel = endpoint.tls_config(tls).expect("TLS").connect().await;
    channel.map(NodeClient::new).map_err(lost)
}

fn lost(error: tonic::transport::Error) -> Status {
    Status::unavailable(error.to_string())
}
