//! What an agent is sent of its node's state.

use prost::Message as _;
use tidelock_proto::state::State;
use tidelock_proto::v1;
use tidelock_proto::v1::sync_response::Update;
use tonic::Streaming;
use tonic::transport::Channel;

use super::Failure;

/// An open stream of updates.
pub(crate) struct Updates {
    stream: Streaming<v1::SyncResponse>,
    /// What the agent holds, if it takes deltas.
    pub(crate) state: State,
}

/// An update.
pub(crate) struct News {
    /// What it has that the one before had not; of a snapshot everything.
    pub(crate) snapshot: v1::Snapshot,
    /// How long it was on its way.
    pub(crate) len_bytes: usize,
}

impl Updates {
    /// Asks as an agent that holds this; `None`: as one that takes no deltas.
    pub(crate) async fn open(
        client: &mut v1::node_client::NodeClient<Channel>,
        state: Option<State>,
    ) -> Result<Self, Failure> {
        let request = v1::SyncRequest {
            held_generation: state.as_ref().map_or(0, State::generation),
            held: state.as_ref().map(State::held),
        };
        Ok(Self {
            stream: client.sync(request).await?.into_inner(),
            state: state.unwrap_or_default(),
        })
    }

    /// The next update. What comes of a delta is held against the digest that it names.
    pub(crate) async fn next(&mut self) -> Result<News, Failure> {
        let update = self.stream.message().await?;
        let update = update.ok_or("the control plane ended a stream")?;
        let len_bytes = update.encoded_len();
        let snapshot = match update.update {
            Some(Update::Snapshot(snapshot)) => v1::Snapshot::decode(snapshot)?,
            Some(Update::Delta(delta)) => {
                self.state = self.state.apply(&delta)?;
                let mut news = v1::Snapshot::default();
                for part in delta.added {
                    news.merge(part)?;
                }
                news.generation = delta.generation;
                news
            }
            None => {
                return Err(
                    "the control plane sent an update of a kind that is not known here".into(),
                );
            }
        };
        Ok(News {
            snapshot,
            len_bytes,
        })
    }
}
