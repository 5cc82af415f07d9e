//! A real control plane on loopback, with TLS and SQLite, and clients for it.

use std::path::Path;
use std::time::Duration;

use prost::Message as _;
use rcgen::KeyPair;
use tempfile::TempDir;
use tidelock_control::{BUNDLE_FILE, ControlPlane, Options};
use tidelock_proto::v1::admin_client::AdminClient;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::v1::node_client::NodeClient;
use tidelock_proto::{CONTROL_DNS_NAME, v1};
use tidelock_spiffe_core::{TrustDomainBuf, pem};
use tokio::time::timeout;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status, Streaming};

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A control plane and the directory that it lives in.
pub(crate) struct Plane {
    pub(crate) dir: TempDir,
    pub(crate) plane: ControlPlane,
}

/// A node's key and SVID.
#[derive(Clone)]
pub(crate) struct NodeKeys {
    pub(crate) key_pem: String,
    pub(crate) chain_pem: String,
}

pub(crate) fn options(dir: &Path) -> Options {
    Options::new(
        TrustDomainBuf::parse("example.org").expect("trust domain"),
        dir.join("ca"),
        vec!["127.0.0.1:0".parse().expect("address")],
        dir.join("ca.sock"),
    )
}

impl Plane {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        Self::start_in(dir).await
    }

    pub(crate) async fn start_in(dir: TempDir) -> Self {
        let plane = ControlPlane::start(options(dir.path()))
            .await
            .expect("start");
        Self { dir, plane }
    }

    pub(crate) async fn restart(self) -> Self {
        timeout(PATIENCE, self.plane.stop())
            .await
            .expect("stops in time");
        Self::start_in(self.dir).await
    }

    pub(crate) async fn admin(&self) -> AdminClient<Channel> {
        let uri = format!("unix://{}", self.dir.path().join("ca.sock").display());
        AdminClient::connect(uri).await.expect("admin socket")
    }

    pub(crate) fn bundle(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("ca").join(BUNDLE_FILE)).expect("bundle")
    }

    pub(crate) async fn connect(
        &self,
        keys: Option<&NodeKeys>,
    ) -> Result<Channel, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.bundle()))
            .domain_name(CONTROL_DNS_NAME);
        if let Some(keys) = keys {
            tls = tls.identity(Identity::from_pem(&keys.chain_pem, &keys.key_pem));
        }
        let address = self.plane.listening()[0];
        Endpoint::from_shared(format!("https://{address}"))?
            .tls_config(tls)?
            .connect()
            .await
    }

    pub(crate) async fn node(&self, keys: Option<&NodeKeys>) -> NodeClient<Channel> {
        NodeClient::new(self.connect(keys).await.expect("connect"))
    }

    pub(crate) async fn token(&self, node: &str, ttl_secs: u32) -> String {
        let request = v1::CreateTokenRequest {
            node: node.into(),
            ttl_secs,
        };
        self.admin()
            .await
            .create_token(request)
            .await
            .expect("token")
            .into_inner()
            .token
    }

    /// A node that has attested.
    pub(crate) async fn attested(&self, name: &str) -> NodeKeys {
        let token = self.token(name, 60).await;
        let key = KeyPair::generate().expect("key");
        let request = v1::AttestRequest {
            token,
            csr: csr(&key),
        };
        let response = self
            .node(None)
            .await
            .attest(request)
            .await
            .expect("attest")
            .into_inner();
        node_keys(&key, response.chain)
    }

    pub(crate) async fn apply(&self, text: &str) -> v1::ApplyResponse {
        let file = v1::SourceFile {
            name: "test.yaml".into(),
            text: text.into(),
            format: v1::SourceFormat::Yaml.into(),
        };
        self.apply_files(vec![file]).await
    }

    pub(crate) async fn apply_files(&self, files: Vec<v1::SourceFile>) -> v1::ApplyResponse {
        let request = v1::ApplyRequest { files };
        self.admin()
            .await
            .apply(request)
            .await
            .expect("apply")
            .into_inner()
    }

    pub(crate) async fn applied(&self, text: &str) -> v1::apply_response::Applied {
        match self.apply(text).await.result.expect("result") {
            v1::apply_response::Result::Applied(applied) => applied,
            v1::apply_response::Result::Refused(refused) => panic!("refused: {refused:#?}"),
        }
    }

    pub(crate) async fn refused(&self, text: &str) -> Vec<v1::DocumentError> {
        match self.apply(text).await.result.expect("result") {
            v1::apply_response::Result::Refused(refused) => refused.errors,
            v1::apply_response::Result::Applied(applied) => panic!("applied: {applied:#?}"),
        }
    }

    pub(crate) async fn generation(&self) -> u64 {
        let status = self.admin().await.get_status(v1::GetStatusRequest {}).await;
        status.expect("status").into_inner().generation
    }

    async fn event_stream(&self, request: v1::EventsRequest) -> Streaming<v1::Event> {
        let stream = self.admin().await.events(request).await;
        stream.expect("events").into_inner()
    }

    /// The events so far.
    pub(crate) async fn events(&self) -> Vec<v1::Event> {
        self.events_asked(v1::EventsRequest::default()).await
    }

    /// The events that a request asks for, which does not follow.
    pub(crate) async fn events_asked(&self, request: v1::EventsRequest) -> Vec<v1::Event> {
        let mut stream = self.event_stream(request).await;
        let mut events = Vec::new();
        while let Some(event) = next(&mut stream).await {
            events.push(event.expect("event"));
        }
        events
    }

    /// Waits for an event that satisfies `wanted`.
    pub(crate) async fn event(&self, wanted: impl Fn(&v1::Event) -> bool) -> v1::Event {
        let request = v1::EventsRequest {
            follow: true,
            ..v1::EventsRequest::default()
        };
        let mut stream = self.event_stream(request).await;
        loop {
            let event = next(&mut stream)
                .await
                .expect("more events")
                .expect("event");
            if wanted(&event) {
                return event;
            }
        }
    }

    /// The reasons for which attestations were refused so far.
    pub(crate) async fn attest_refusals(&self) -> Vec<(String, v1::AttestRefusal)> {
        let refusal = |event: v1::Event| match event.kind {
            Some(EventKind::AttestRefused(refused)) => Some((event.node, refused.reason())),
            _ => None,
        };
        self.events()
            .await
            .into_iter()
            .filter_map(refusal)
            .collect()
    }

    /// An open Sync stream and its first snapshot.
    pub(crate) async fn synced(
        &self,
        keys: &NodeKeys,
    ) -> (Streaming<v1::SyncResponse>, v1::Snapshot) {
        let mut client = self.node(Some(keys)).await;
        let request = v1::SyncRequest::default();
        let mut stream = client.sync(request).await.expect("sync").into_inner();
        let first = snapshot(&mut stream).await.expect("snapshot");
        (stream, first)
    }
}

/// The next message, or nothing at the end of the stream.
pub(crate) async fn next<T>(stream: &mut Streaming<T>) -> Option<Result<T, Status>> {
    timeout(PATIENCE, stream.message())
        .await
        .expect("in time")
        .transpose()
}

/// The next snapshot.
pub(crate) async fn snapshot(
    stream: &mut Streaming<v1::SyncResponse>,
) -> Result<v1::Snapshot, Status> {
    match next(stream)
        .await
        .expect("not the end")?
        .update
        .expect("an update")
    {
        v1::sync_response::Update::Snapshot(snapshot) => {
            Ok(v1::Snapshot::decode(snapshot).expect("a snapshot"))
        }
        v1::sync_response::Update::Delta(_) => panic!("a delta that nobody asked for"),
    }
}

pub(crate) fn csr(key: &KeyPair) -> Vec<u8> {
    tidelock_ca::request(key).expect("csr")
}

/// A request whose signature is not the key's.
pub(crate) fn forged_csr(key: &KeyPair) -> Vec<u8> {
    let mut csr = csr(key);
    // A bit of the second number of the signature, well before its end.
    let at = csr.len() - 8;
    csr[at] ^= 1;
    csr
}

pub(crate) fn node_keys(key: &KeyPair, chain: Vec<Vec<u8>>) -> NodeKeys {
    let chain_pem = chain
        .iter()
        .map(|der| pem::encode("CERTIFICATE", der))
        .collect();
    NodeKeys {
        key_pem: key.serialize_pem(),
        chain_pem,
    }
}

pub(crate) fn code<T>(result: Result<T, Status>) -> Code {
    match result {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

/// A WorkloadIdentity for `/usr/bin/NAME`, with further lines of its spec.
pub(crate) fn identity(name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: {name}}}\nspec:\n  \
         spiffeID: spiffe://example.org/{name}\n  selectors: ['unix:path:/usr/bin/{name}']\n{more}"
    )
}

/// A Service at one address.
pub(crate) fn service(name: &str, address: &str) -> String {
    format!(
        "---\napiVersion: tidelock.dev/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  \
         addresses: ['{address}']\n  servers: ['spiffe://example.org/{name}']\n"
    )
}

/// A Policy of one line.
pub(crate) fn policy(name: &str, cedar: &str) -> String {
    format!(
        "---\napiVersion: tidelock.dev/v1\nkind: Policy\nmetadata: {{name: {name}}}\nspec:\n  cedar: |\n    {cedar}\n"
    )
}

/// Cedar that permits one workload to connect to one Service.
pub(crate) fn permit(who: &str, service: &str) -> String {
    format!(
        "permit(principal == Workload::\"spiffe://example.org/{who}\", action == Action::\"connect\", resource == Service::\"{service}\");"
    )
}
