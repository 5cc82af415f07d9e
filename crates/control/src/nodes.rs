//! The nodes: who may call, who is connected, and what they last reported.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::name::Name;
use crate::report::Reported;
use crate::store::NodeRecord;

/// Every node that has attested.
#[derive(Debug)]
pub(crate) struct Nodes {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    nodes: BTreeMap<Name, Node>,
    next_stream: u64,
}

/// What is known of a node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) record: NodeRecord,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) sent_generation: u64,
    pub(crate) reported: Reported,
    sync: Option<Stream>,
    report: Option<Stream>,
}

#[derive(Debug)]
struct Stream {
    id: u64,
    end: watch::Sender<Option<Ended>>,
}

/// Why a stream of a node is over, although neither side closed it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    /// The node opened another.
    Superseded,
    /// The node attested anew: whoever holds the old SVID is not it any more.
    Reattested,
    /// An SVID of the node was revoked.
    Revoked,
}

/// Which of a node's streams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StreamKind {
    Sync,
    Report,
}

/// A node's open stream.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) node: Name,
    pub(crate) kind: StreamKind,
    id: u64,
    end: watch::Receiver<Option<Ended>>,
}

impl Open {
    /// Waits until this stream is over.
    pub(crate) async fn ended(&mut self) -> Ended {
        match self.end.wait_for(Option::is_some).await {
            Ok(ended) => ended.unwrap_or(Ended::Superseded),
            Err(_) => Ended::Superseded,
        }
    }
}

impl Node {
    fn new(record: NodeRecord) -> Self {
        Self {
            record,
            remote: None,
            sent_generation: 0,
            reported: Reported::default(),
            sync: None,
            report: None,
        }
    }

    pub(crate) fn connected(&self) -> bool {
        self.sync.is_some()
    }

    /// Ends its streams, and forgets what is only true while it reports.
    fn end(&mut self, why: Ended) {
        for kind in [StreamKind::Sync, StreamKind::Report] {
            if let Some(stream) = self.stream(kind).take() {
                stream.end.send_replace(Some(why));
            }
        }
        self.reported.forget_live();
    }

    fn stream(&mut self, kind: StreamKind) -> &mut Option<Stream> {
        match kind {
            StreamKind::Sync => &mut self.sync,
            StreamKind::Report => &mut self.report,
        }
    }
}

impl Nodes {
    pub(crate) fn new(records: Vec<(Name, NodeRecord)>) -> Self {
        let nodes = records
            .into_iter()
            .map(|(name, record)| (name, Node::new(record)))
            .collect();
        Self {
            inner: Mutex::new(Inner {
                nodes,
                next_stream: 1,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the store holds of a node.
    pub(crate) fn record(&self, name: &Name) -> Option<NodeRecord> {
        self.lock().nodes.get(name).map(|node| node.record.clone())
    }

    /// Takes up a node that has attested, and ends the streams that were opened under its name before.
    pub(crate) fn attested(&self, name: &Name, record: NodeRecord) {
        let mut inner = self.lock();
        let node = inner
            .nodes
            .entry(name.clone())
            .or_insert_with(|| Node::new(record.clone()));
        node.record = record;
        node.end(Ended::Reattested);
    }

    /// Ends the streams of nodes of which an SVID that counts is revoked. Those that have another may open them anew with it.
    pub(crate) fn disbelieve(&self, is_revoked: impl Fn(&[u8]) -> bool) {
        for node in self.lock().nodes.values_mut() {
            let serials = node.record.previous_serial.iter();
            if serials
                .chain([&node.record.serial])
                .any(|serial| is_revoked(serial))
            {
                node.end(Ended::Revoked);
            }
        }
    }

    /// Whether a certificate may attest as this node.
    pub(crate) fn set_certificate_allowed(&self, name: &Name, allowed: bool) {
        if let Some(node) = self.lock().nodes.get_mut(name) {
            node.record.certificate_allowed = allowed;
        }
    }

    /// Believes a node no more, until it joins anew, and ends its streams.
    pub(crate) fn barred(&self, name: &Name) {
        if let Some(node) = self.lock().nodes.get_mut(name) {
            node.record = node.record.clone().barred();
            node.end(Ended::Revoked);
        }
    }

    /// Takes up a node's new SVID.
    pub(crate) fn renewed(&self, name: &Name, record: NodeRecord) {
        if let Some(node) = self.lock().nodes.get_mut(name) {
            node.record = record;
        }
    }

    /// Opens a stream, which ends the one of its kind that is open. `None` if there is no such node.
    pub(crate) fn open(&self, name: &Name, kind: StreamKind, remote: SocketAddr) -> Option<Open> {
        let mut inner = self.lock();
        let id = inner.next_stream;
        inner.next_stream += 1;
        let node = inner.nodes.get_mut(name)?;
        let (sender, end) = watch::channel(None);
        node.remote = Some(remote);
        if kind == StreamKind::Report {
            node.reported.forget_live();
        }
        if let Some(old) = node.stream(kind).replace(Stream { id, end: sender }) {
            old.end.send_replace(Some(Ended::Superseded));
        }
        Some(Open {
            node: name.clone(),
            kind,
            id,
            end,
        })
    }

    /// Closes a stream. `false` if another has taken its place already.
    pub(crate) fn close(&self, open: &Open) -> bool {
        self.with_stream(open, |node| {
            *node.stream(open.kind) = None;
            if open.kind == StreamKind::Report {
                node.reported.forget_live();
            }
        })
        .is_some()
    }

    /// Works on the node of a stream, unless another stream has taken its place.
    pub(crate) fn with_stream<T>(
        &self,
        open: &Open,
        work: impl FnOnce(&mut Node) -> T,
    ) -> Option<T> {
        let mut inner = self.lock();
        let node = inner.nodes.get_mut(&open.node)?;
        let current = node
            .stream(open.kind)
            .as_ref()
            .is_some_and(|stream| stream.id == open.id);
        current.then(|| work(node))
    }

    /// Looks at every node, in order of their names.
    pub(crate) fn visit(&self, mut look: impl FnMut(&Name, &Node)) {
        self.lock()
            .nodes
            .iter()
            .for_each(|(name, node)| look(name, node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::JoinedBy;

    fn nodes() -> (Nodes, Name) {
        let name = Name::parse("n").expect("name");
        let record = NodeRecord {
            name: "n".into(),
            serial: vec![1],
            previous_serial: None,
            not_after: 9,
            attested: 1,
            joined_by: JoinedBy::Token,
            certificate_allowed: false,
        };
        (Nodes::new(vec![(name.clone(), record)]), name)
    }

    fn remote() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1))
    }

    #[tokio::test]
    async fn a_second_stream_ends_the_first() {
        let (nodes, name) = nodes();
        let mut first = nodes.open(&name, StreamKind::Sync, remote()).expect("open");
        let report = nodes
            .open(&name, StreamKind::Report, remote())
            .expect("open");
        let second = nodes.open(&name, StreamKind::Sync, remote()).expect("open");
        assert_eq!(first.ended().await, Ended::Superseded);
        assert!(
            !nodes.close(&first),
            "closing the old one does not close the new one"
        );
        assert!(nodes.with_stream(&second, |_| ()).is_some());
        assert!(nodes.close(&second) && nodes.close(&report));
        nodes.visit(|_, node| assert!(!node.connected()));
    }

    #[tokio::test]
    async fn attesting_anew_ends_all_streams() {
        let (nodes, name) = nodes();
        let mut sync = nodes.open(&name, StreamKind::Sync, remote()).expect("open");
        let mut report = nodes
            .open(&name, StreamKind::Report, remote())
            .expect("open");
        let record = nodes.record(&name).expect("record");
        nodes.attested(&name, record);
        assert_eq!(
            (sync.ended().await, report.ended().await),
            (Ended::Reattested, Ended::Reattested)
        );
        assert!(nodes.with_stream(&report, |_| ()).is_none());
    }
}
