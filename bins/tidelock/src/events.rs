//! `events`: what happened, and what happens.

use std::io::Write as _;

use tidelock_proto::v1::EventsRequest;

use crate::args::Output;
use crate::connect::{Admin, refusal};
use crate::view::events as view;

/// Prints events as they come. If it follows, it ends when the control plane does, or the reader of its output.
pub(crate) async fn events(
    admin: &mut Admin,
    request: EventsRequest,
    output: Output,
) -> anyhow::Result<()> {
    let mut stream = admin.events(request).await.map_err(refusal)?.into_inner();
    if output == Output::Table {
        write!(std::io::stdout(), "{}", view::HEADER)?;
    }
    while let Some(event) = stream.message().await.map_err(refusal)? {
        let event = view::view(event);
        let mut out = std::io::stdout().lock();
        match output {
            Output::Table => write!(out, "{}", view::line(&event))?,
            Output::Json => writeln!(out, "{}", serde_json::to_string(&event)?)?,
        }
        out.flush()?;
    }
    Ok(())
}
