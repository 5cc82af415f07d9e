//! What is sent over `Sync`. A snapshot is held encoded: most of it is the same for many nodes, so it is encoded once for all
//! of them. On the wire a message within another is its bytes, so this is the `SyncResponse` of `node.proto`.

use prost::bytes::Bytes;

use crate::v1::Delta;

/// An update of a node's state.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SyncResponse {
    /// Which; `None`: one that this version does not know.
    #[prost(oneof = "Update", tags = "1, 2")]
    pub update: Option<Update>,
}

/// What an update says.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Update {
    /// Everything: an encoded [`Snapshot`](crate::v1::Snapshot). What it does not name is gone.
    #[prost(bytes = "bytes", tag = "1")]
    Snapshot(Bytes),
    /// What has changed since the state that the agent holds; only to agents that say what that is.
    #[prost(message, tag = "2")]
    Delta(Delta),
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::v1;

    /// As `node.proto` writes it, and as generated code has it.
    #[derive(Clone, PartialEq, prost::Message)]
    struct AsWritten {
        #[prost(oneof = "UpdateAsWritten", tags = "1, 2")]
        update: Option<UpdateAsWritten>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    enum UpdateAsWritten {
        #[prost(message, tag = "1")]
        Snapshot(v1::Snapshot),
        #[prost(message, tag = "2")]
        Delta(Delta),
    }

    #[test]
    fn an_encoded_snapshot_is_on_the_wire_what_the_contract_says() {
        let snapshot = v1::Snapshot {
            generation: 7,
            revoked_serials: vec![vec![1, 2]],
            ..v1::Snapshot::default()
        };
        let ours = SyncResponse {
            update: Some(Update::Snapshot(snapshot.encode_to_vec().into())),
        };
        let written = AsWritten {
            update: Some(UpdateAsWritten::Snapshot(snapshot)),
        };
        assert_eq!(ours.encode_to_vec(), written.encode_to_vec());
        assert_eq!(SyncResponse::decode(&*written.encode_to_vec()), Ok(ours));
    }
}
