//! A control plane that names one state and sends another.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use prost::Message as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use tidelock_agent::{DeviceSource, JoinToken, Notice, Options, Server};
use tidelock_proto::state::{Part, State};
use tidelock_proto::v1::node_server::{Node, NodeServer};
use tidelock_proto::v1::sync_response::Update;
use tidelock_proto::{CONTROL_DNS_NAME, v1};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Identity, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use super::kernel::Kernel;
use super::plane::Running;

/// The state of a node at a generation, with a Service of this name.
fn state(generation: u64, service: &str) -> State {
    let needed = v1::Snapshot {
        policy: Some(v1::PolicySet::default()),
        limits: Some(v1::Limits {
            grant_wait_ms: 1_000,
            handshake_ms: 1_000,
            max_handshakes: 16,
            max_handshakes_per_listener: 16,
        }),
        ..v1::Snapshot::default()
    };
    let service = v1::Service {
        name: service.to_owned(),
        netns: v1::Netns::Host.into(),
        ..v1::Service::default()
    };
    let service = v1::Snapshot {
        services: vec![service],
        ..v1::Snapshot::default()
    };
    let parts = [needed, service].map(|part| Part::new(part.encode_to_vec().into()));
    State::new(generation, [].into(), parts.to_vec()).unwrap()
}

/// Signs whatever asks, and lies on the first stream.
struct Liar {
    issuer: Issuer<'static, KeyPair>,
    /// What agents said that they hold, one for each stream.
    said: Arc<Mutex<Vec<v1::Held>>>,
}

fn authority() -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

/// Listens, and writes the file that it is recognised by.
async fn start(bundle: &Path) -> (SocketAddr, Arc<Mutex<Vec<v1::Held>>>) {
    let (issuer, pem) = authority();
    std::fs::write(bundle, pem).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![CONTROL_DNS_NAME.to_owned()]).unwrap();
    let chain = params.signed_by(&key, &issuer).unwrap().pem();
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(chain, key.serialize_pem()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let said = Arc::<Mutex<Vec<v1::Held>>>::default();
    let liar = Liar {
        issuer,
        said: Arc::clone(&said),
    };
    let server = tonic::transport::Server::builder().tls_config(tls).unwrap();
    let server = server.clone().add_service(NodeServer::new(liar));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (address, said)
}

#[tonic::async_trait]
impl Node for Liar {
    type SyncStream = ReceiverStream<Result<v1::SyncResponse, Status>>;
    type AttestX509PopStream = ReceiverStream<Result<v1::AttestX509PopResponse, Status>>;

    async fn attest_x509_pop(
        &self,
        _: Request<Streaming<v1::AttestX509PopRequest>>,
    ) -> Result<Response<Self::AttestX509PopStream>, Status> {
        Err(Status::unimplemented("the agent has a token"))
    }

    async fn attest(
        &self,
        request: Request<v1::AttestRequest>,
    ) -> Result<Response<v1::AttestResponse>, Status> {
        let der = request.into_inner().csr.into();
        let mut csr = CertificateSigningRequestParams::from_der(&der).unwrap();
        let id = "spiffe://example.org/tidelock/agent/n1".try_into().unwrap();
        csr.params.distinguished_name = DistinguishedName::new();
        csr.params.subject_alt_names = vec![SanType::URI(id)];
        csr.params.is_ca = IsCa::ExplicitNoCa;
        csr.params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        csr.params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let leaf = csr.signed_by(&self.issuer).unwrap();
        Ok(Response::new(v1::AttestResponse {
            chain: vec![leaf.der().to_vec()],
            bundle: None,
        }))
    }

    async fn sync(
        &self,
        request: Request<v1::SyncRequest>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let first = {
            let mut said = self.said.lock().unwrap();
            said.push(request.into_inner().held.expect("it takes deltas"));
            said.len() == 1
        };
        let deltas = if first {
            let one = state(1, "one");
            // What it sends is not what it says that comes of it.
            let lie = v1::Delta {
                digest: state(2, "another").whole().digest,
                ..state(2, "two").since(&one)
            };
            vec![one.whole(), lie]
        } else {
            vec![state(3, "three").whole()]
        };
        let (sender, updates) = mpsc::channel(4);
        for delta in deltas {
            let update = Some(Update::Delta(delta));
            sender.send(Ok(v1::SyncResponse { update })).await.unwrap();
        }
        tokio::spawn(async move { sender.closed().await });
        Ok(Response::new(ReceiverStream::new(updates)))
    }

    async fn report(
        &self,
        request: Request<Streaming<v1::ReportRequest>>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        let mut reports = request.into_inner();
        while reports.message().await?.is_some() {}
        Ok(Response::new(v1::ReportResponse {}))
    }

    async fn renew(
        &self,
        _: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewResponse>, Status> {
        Err(Status::unavailable("not here"))
    }

    async fn sign(
        &self,
        _: Request<v1::SignRequest>,
    ) -> Result<Response<v1::SignResponse>, Status> {
        Err(Status::unavailable("not here"))
    }

    async fn sign_jwt(
        &self,
        _: Request<v1::SignJwtRequest>,
    ) -> Result<Response<v1::SignJwtResponse>, Status> {
        Err(Status::unavailable("not here"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_lead_elsewhere_are_refused_and_everything_is_asked_for() {
    let (dir, kernel) = (tempfile::tempdir().unwrap(), Kernel::new());
    let bundle = dir.path().join("bundle.pem");
    let (address, said) = start(&bundle).await;
    let agent = Running::with(Options {
        server: Server {
            address: address.to_string(),
            bundle,
        },
        join_with: Some(JoinToken::Text("any".to_owned().into()).into()),
        data_dir: dir.path().join("agent"),
        device: DeviceSource::Open(kernel.opener()),
    });
    let refused = |notice: &Notice| matches!(notice, Notice::Away { why } if why.contains("what comes of the changes is not"));
    agent.says(refused).await;
    agent.in_force(3).await;
    // Nothing was kept of what did not fit.
    let said = said.lock().unwrap().clone();
    assert_eq!(said, [v1::Held::default(), v1::Held::default()]);
    assert!(!agent.said_in_force(2));
    agent.kill().await;
}
