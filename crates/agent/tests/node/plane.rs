//! A real control plane on loopback, and an agent for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidelock_agent::{DeviceSource, JoinToken, JoinWith, Notice, Options, RunError, Server, run};
use tidelock_control::{BUNDLE_FILE, ControlPlane, X509Pop};
use tidelock_proto::v1::admin_client::AdminClient;
use tidelock_proto::v1::{self, apply_response, event};
use tidelock_spiffe_core::TrustDomainBuf;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use super::kernel::Kernel;

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A control plane that can be stopped and started again at the same place.
pub(crate) struct Plane {
    pub(crate) dir: tempfile::TempDir,
    address: SocketAddr,
    /// What nodes' certificates have to lead to.
    pub(crate) x509pop: Option<X509Pop>,
    plane: Option<ControlPlane>,
}

impl Plane {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut plane = Self {
            dir,
            address: "127.0.0.1:0".parse().unwrap(),
            x509pop: None,
            plane: None,
        };
        plane.resume().await;
        plane
    }

    /// One that takes certificates which lead to this root.
    pub(crate) async fn with_root(root_pem: &str) -> Self {
        let mut plane = Self::start().await;
        plane.x509pop = Some(X509Pop::from_pem(root_pem).unwrap());
        plane.stop().await;
        plane.resume().await;
        plane
    }

    pub(crate) async fn resume(&mut self) {
        let mut options = tidelock_control::Options::new(
            TrustDomainBuf::parse("example.org").unwrap(),
            self.dir.path().join("ca"),
            vec![self.address],
            self.dir.path().join("ca.sock"),
        );
        // Authorities are known at once, since nobody polls.
        options.timing.propagation_secs = 0;
        options.jwt_timing.propagation_secs = 0;
        options.x509pop = self.x509pop.clone();
        let plane = ControlPlane::start(options).await.unwrap();
        self.address = plane.listening()[0];
        self.plane = Some(plane);
    }

    pub(crate) async fn stop(&mut self) {
        self.plane.take().unwrap().stop().await;
    }

    pub(crate) async fn admin(&self) -> AdminClient<Channel> {
        let uri = format!("unix://{}", self.dir.path().join("ca.sock").display());
        AdminClient::connect(uri).await.unwrap()
    }

    pub(crate) async fn token(&self) -> JoinToken {
        JoinToken::Text(self.token_text().await.into())
    }

    pub(crate) async fn token_text(&self) -> String {
        let request = v1::CreateTokenRequest {
            node: "n1".into(),
            ttl_secs: 60,
        };
        let made = self.admin().await.create_token(request).await.unwrap();
        made.into_inner().token
    }

    pub(crate) async fn apply(&self, text: &str) -> u64 {
        let file = v1::SourceFile {
            name: "test.yaml".into(),
            text: text.into(),
            format: v1::SourceFormat::Yaml.into(),
        };
        let request = v1::ApplyRequest { files: vec![file] };
        let answer = self.admin().await.apply(request).await.unwrap();
        match answer.into_inner().result.unwrap() {
            apply_response::Result::Applied(applied) => applied.generation,
            apply_response::Result::Refused(refused) => panic!("{refused:?}"),
        }
    }

    /// Waits for an event of a kind.
    pub(crate) async fn event<T>(&self, pick: impl Fn(event::Kind) -> Option<T>) -> T {
        let request = v1::EventsRequest {
            follow: true,
            after_seq: 0,
            tail: 0,
        };
        let mut events = self
            .admin()
            .await
            .events(request)
            .await
            .unwrap()
            .into_inner();
        let found = async {
            loop {
                let event = events.message().await.unwrap().expect("events go on");
                if let Some(found) = event.kind.and_then(&pick) {
                    return found;
                }
            }
        };
        soon("the event", found).await
    }

    pub(crate) fn server(&self) -> Server {
        Server {
            address: self.address.to_string(),
            bundle: self.dir.path().join("ca").join(BUNDLE_FILE),
        }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("agent")
    }
}

/// A running agent and what it said.
pub(crate) struct Running {
    pub(crate) task: JoinHandle<RunError>,
    notices: Arc<Mutex<Vec<Notice>>>,
}

impl Running {
    pub(crate) fn start(plane: &Plane, kernel: &Kernel, token: Option<JoinToken>) -> Self {
        Self::with(Options {
            server: plane.server(),
            join_with: token.map(JoinWith::Token),
            data_dir: plane.data_dir(),
            device: DeviceSource::Open(kernel.opener()),
        })
    }

    pub(crate) fn with(options: Options) -> Self {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&notices);
        let notify = Arc::new(move |notice| heard.lock().unwrap().push(notice));
        Self {
            task: tokio::spawn(run(options, notify)),
            notices,
        }
    }

    /// Waits until the agent says something, from the beginning.
    pub(crate) async fn says(&self, what: impl Fn(&Notice) -> bool) {
        let said = async {
            while !self.notices.lock().unwrap().iter().any(&what) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let wait = tokio::time::timeout(PATIENCE, said).await;
        assert!(wait.is_ok(), "it said {:?}", self.notices.lock().unwrap());
    }

    pub(crate) async fn in_force(&self, generation: u64) {
        let line = format!("in force: generation {generation},");
        self.says(|notice| notice.to_string().starts_with(&line))
            .await;
    }

    /// Whether this generation has been in force.
    pub(crate) fn said_in_force(&self, generation: u64) -> bool {
        let line = format!("in force: generation {generation},");
        let notices = self.notices.lock().unwrap();
        notices
            .iter()
            .any(|notice| notice.to_string().starts_with(&line))
    }

    pub(crate) fn forget_notices(&self) {
        self.notices.lock().unwrap().clear();
    }

    /// Ends it as a kill does, and waits until its device is closed.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub(crate) async fn ends(self) -> RunError {
        soon("the agent's end", self.task).await.unwrap()
    }
}

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} did not come"),
    }
}
