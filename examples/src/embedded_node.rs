//! A control plane and a node agent inside one program, without a kernel module: what a test of one's own product, or a tool that
//! has its own way to reach a kernel, starts from.
//!
//! The kernel's part is played by a stand-in, some two hundred lines beside this file. It tells the agent of one process, this program
//! itself, and the agent decides by documents that were applied: a SPIFFE ID, or none.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidelock_agent::core::Notice as CoreNotice;
use tidelock_agent::{JoinToken, Notice, Server};
use tidelock_control::{BUNDLE_FILE, ControlPlane};
use tidelock_proto::v1::admin_client::AdminClient;
use tidelock_proto::v1::{
    ApplyRequest, CreateTokenRequest, SourceFile, SourceFormat, apply_response,
};
use tidelock_spiffe_core::TrustDomainBuf;
use tokio::sync::watch;
use tonic::transport::Channel;

use crate::issue::Failure;
use crate::stand_in_kernel::{Answer, StandIn};

/// Longest that anything here may take, so that what never comes is an error.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the node may take to join, in seconds.
const TOKEN_SECS: u32 = 600;

/// The identity that the program asks for itself.
pub const ID: &str = "spiffe://example.org/embedder";

/// Starts everything in `folder`, applies a WorkloadIdentity with these selectors, and gives the SPIFFE ID that this process was
/// granted and has an SVID for; `None` if it was refused one.
///
/// # Errors
/// Something did not start, or the document was refused.
pub async fn run(folder: &Path, selectors: &[String]) -> Result<Option<String>, Failure> {
    let control_plane = start_control_plane(folder).await?;
    let mut admin = connect(folder).await?;
    let token = admin.create_token(CreateTokenRequest {
        node: "n1".into(),
        ttl_secs: TOKEN_SECS,
    });
    let token = JoinToken::Text(token.await?.into_inner().token.into());
    let generation = apply(&mut admin, &document(selectors)).await?;

    let kernel = StandIn::new();
    let (in_force, mut generations) = watch::channel(0);
    let address = *control_plane.listening().first().ok_or("nobody listens")?;
    let options = tidelock_agent::Options {
        server: Server {
            address: address.to_string(),
            bundle: folder.join("ca").join(BUNDLE_FILE),
        },
        join_with: Some(token.into()),
        data_dir: folder.join("agent"),
        device: kernel.device(),
    };
    let notify = Arc::new(move |notice| {
        if let Notice::Core(CoreNotice::InForce { generation, .. }) = notice {
            in_force.send_replace(generation);
        }
    });
    let granted = tokio::select! {
        error = tidelock_agent::run(options, notify) => Err(error.into()),
        granted = async {
            tokio::time::timeout(PATIENCE, generations.wait_for(|known| *known >= generation)).await??;
            tokio::time::timeout(PATIENCE, identity_of_this_process(&kernel)).await?
        } => granted,
    };
    control_plane.stop().await;
    granted
}

async fn start_control_plane(folder: &Path) -> Result<ControlPlane, Failure> {
    let options = tidelock_control::Options::new(
        TrustDomainBuf::parse("example.org")?,
        folder.join("ca"),
        vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        folder.join("ca.sock"),
    );
    Ok(ControlPlane::start(options).await?)
}

async fn connect(folder: &Path) -> Result<AdminClient<Channel>, Failure> {
    let uri = format!("unix://{}", folder.join("ca.sock").display());
    Ok(AdminClient::connect(uri).await?)
}

/// What an operator would write.
fn document(selectors: &[String]) -> String {
    format!(
        "apiVersion: tidelock.dev/v1\n\
         kind: WorkloadIdentity\n\
         metadata: {{name: embedder}}\n\
         spec:\n  spiffeID: {ID}\n  selectors: {selectors:?}\n"
    )
}

/// Gives the generation of the configuration that has the document in it.
async fn apply(admin: &mut AdminClient<Channel>, text: &str) -> Result<u64, Failure> {
    let file = SourceFile {
        name: "embedder.yaml".into(),
        text: text.into(),
        format: SourceFormat::Yaml.into(),
    };
    let applied = admin.apply(ApplyRequest { files: vec![file] }).await?;
    match applied.into_inner().result {
        Some(apply_response::Result::Applied(applied)) => Ok(applied.generation),
        other => Err(format!("the document was not applied: {other:?}").into()),
    }
}

async fn identity_of_this_process(kernel: &StandIn) -> Result<Option<String>, Failure> {
    let mut told = kernel.told();
    kernel.announce_this_process().await?;
    let answered = told.wait_for(|told| told.answer.is_some()).await?;
    let Some(Answer::Granted(identity)) = answered.answer else {
        return Ok(None);
    };
    drop(answered);
    let told = told
        .wait_for(|told| told.installed.contains_key(&identity))
        .await?;
    Ok(told.installed.get(&identity).cloned())
}

/// Selectors that this process fits: its executable and its user.
///
/// # Errors
/// There is no `/proc`.
pub fn selectors_of_this_process() -> Result<Vec<String>, Failure> {
    let exe = std::fs::read_link("/proc/self/exe")?;
    let uid = rustix::process::geteuid().as_raw();
    Ok(vec![
        format!("unix:path:{}", exe.display()),
        format!("unix:uid:{uid}"),
    ])
}
