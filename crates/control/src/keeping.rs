//! What is done as time passes.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use crate::authority::ServerIdentity;
use crate::clock;
use crate::core::Core;
use crate::rotation::Step;
use crate::traced;

/// How often the clock is looked at: it may be set.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// Issues the server's certificate anew at half its life, by the wall clock, which may jump; at once where an authority was
/// tainted. A new authority's signature can wait for that: who was away does not know it yet.
pub(crate) async fn certificate(
    core: Arc<Core>,
    mut renew_at: i64,
) -> Result<(), tonic::transport::Error> {
    loop {
        let asked = tokio::select! {
            () = tokio::time::sleep(CLOCK_CHECK) => false,
            () = core.renew_certificate.notified() => true,
            () = core.stopping() => return Ok(()),
        };
        let now = clock::unix_secs();
        if now < renew_at && !asked {
            continue;
        }
        let certificate = core.tls.certificate();
        let server = issued(&core, now).instrument(traced::renewing()).await;
        match server {
            Err(error) => tracing::error!(error, "the server's certificate cannot be renewed"),
            Ok(server) => match certificate.replace(server.chain, &server.key_pkcs8) {
                Err(error) => tracing::error!(%error, "the server's certificate cannot be used"),
                Ok(()) => {
                    core.metrics.server_certificates.count();
                    renew_at = now.midpoint(server.not_after);
                    tracing::info!("the server's certificate was renewed");
                }
            },
        }
    }
}

async fn issued(core: &Core, now: i64) -> Result<ServerIdentity, String> {
    let issued = core.authority.issue_server(now);
    let server = issued.map_err(|error| error.to_string())?;
    let written = core.journal.record(server.audit()).await;
    written.map(|()| server).map_err(|error| error.to_string())
}

/// Does with the authorities what time brings.
pub(crate) async fn authorities(core: Arc<Core>) -> Result<(), tonic::transport::Error> {
    loop {
        let now = clock::unix_secs();
        let due = core.authority.next_change().unwrap_or(i64::MAX);
        let mut wait = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
        if let Err(error) = core.watched.believes(now) {
            tracing::error!(%error, "the clock has jumped: nothing is issued or written until it is back");
            wait = CLOCK_CHECK.as_secs();
        }
        // The clock may be set, and what failed is tried again, but not without pause.
        let wait = Duration::from_secs(wait).clamp(Duration::from_secs(1), CLOCK_CHECK);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = core.stopping() => return Ok(()),
        }
        if core
            .authority
            .next_change()
            .is_some_and(|due| due > clock::unix_secs())
        {
            continue;
        }
        if let Err(error) = core.step(None, Step::PassTime).await {
            tracing::error!(%error, "what time brings for the authorities was not done");
        }
    }
}
