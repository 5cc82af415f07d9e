//! A control plane that says of its audit log what is not so.

mod support;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll};

use support::text;
use tidelock_proto::audit::AuditHead;
use tidelock_proto::v1;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::transport::Server;
use tonic::{Status, codec::Codec};
use tonic_prost::ProstCodec;

/// What it lists, and where it says that the log ends; it says that the log is whole.
#[derive(Clone)]
struct Liar {
    entries: Arc<[v1::AuditEntry]>,
    end: AuditHead,
}

impl NamedService for Liar {
    const NAME: &'static str = "tidelock.v1.Admin";
}

impl Service<Request<Body>> for Liar {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let liar = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/tidelock.v1.Admin/VerifyAudit" => grpc().unary(liar, request).await,
                _ => grpc().server_streaming(liar, request).await,
            })
        })
    }
}

fn grpc<T, U>() -> Grpc<ProstCodec<T, U>>
where
    ProstCodec<T, U>: Codec + Default,
{
    Grpc::new(ProstCodec::default())
}

impl UnaryService<v1::VerifyAuditRequest> for Liar {
    type Response = v1::VerifyAuditResponse;
    type Future = Ready<Result<tonic::Response<Self::Response>, Status>>;

    fn call(&mut self, _: tonic::Request<v1::VerifyAuditRequest>) -> Self::Future {
        ready(Ok(tonic::Response::new(v1::VerifyAuditResponse {
            seq: self.end.seq,
            hash: self.end.hash.to_vec(),
            ..Default::default()
        })))
    }
}

impl ServerStreamingService<v1::ListAuditRequest> for Liar {
    type Response = v1::AuditEntry;
    type ResponseStream = tokio_stream::Iter<std::vec::IntoIter<Result<v1::AuditEntry, Status>>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: tonic::Request<v1::ListAuditRequest>) -> Self::Future {
        let entries: Vec<_> = self.entries.iter().cloned().map(Ok).collect();
        ready(Ok(tonic::Response::new(tokio_stream::iter(entries))))
    }
}

/// A log by this actor, as a control plane writes it.
fn log(actor: &str) -> Liar {
    let mut end = AuditHead::default();
    let entry = |seq| {
        let mut entry = v1::AuditEntry {
            seq,
            actor: actor.into(),
            detail: "{}".into(),
            ..Default::default()
        };
        end = end.append(&entry);
        entry.hash = end.hash.to_vec();
        entry
    };
    let entries = (1..=4).map(entry).collect();
    Liar { entries, end }
}

/// What `tidelock` makes of it: exit status and what it prints.
fn verified(liar: Liar, line: &str) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("ca.sock");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _within = runtime.enter();
    let listener = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
    let serving = Server::builder()
        .add_service(liar)
        .serve_with_incoming(listener);
    runtime.spawn(serving);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidelock"));
    let args = line.split_whitespace();
    let output = command.env("TIDELOCK_SOCKET", &socket).args(args).output();
    let output = output.unwrap();
    let (out, err) = text(&output);
    (output.status.code(), out, err)
}

fn shown(head: AuditHead) -> String {
    let digits = head.hash.map(|byte| format!("{byte:02x}")).concat();
    format!("{}:{digits}", head.seq)
}

#[test]
fn a_log_that_is_listed_as_it_was_written_is_whole() {
    let (code, out, _) = verified(log("uid 0"), "audit verify");
    let head = shown(log("uid 0").end);
    assert_eq!(out, format!("whole: 4 entries\nhead {head}\n"));
    assert_eq!(code, Some(0));
}

#[test]
fn a_control_plane_is_not_believed_that_a_log_is_whole_which_it_lists_otherwise() {
    let honest = log("uid 0");
    let mut entries = honest.entries.to_vec();
    entries[2].subject = "other".into();
    let altered = Liar {
        entries: entries.into(),
        ..honest.clone()
    };
    let (code, _, err) = verified(altered, "audit verify");
    assert_eq!(code, Some(1));
    let expected = "the audit log is broken: entry 3 was altered, or does not follow the one before it; the control plane says that it \
                    is whole\n";
    assert_eq!(err, expected);
    let short = Liar {
        entries: honest.entries[..3].into(),
        ..honest
    };
    let (code, _, err) = verified(short, "audit verify");
    assert_eq!(code, Some(1));
    assert!(err.contains("entry 4 is missing"), "{err}");
}

#[test]
fn a_whole_new_log_is_found_by_who_noted_an_earlier_head() {
    let noted = shown(AuditHead::default().append(&log("uid 0").entries[0]));
    let (code, ..) = verified(log("uid 0"), &format!("audit verify --noted {noted}"));
    assert_eq!(code, Some(0));
    let (code, _, err) = verified(log("uid 7"), &format!("audit verify --noted {noted}"));
    assert_eq!(code, Some(1));
    assert!(
        err.contains("entry 1 is not the one that was noted"),
        "{err}"
    );
}
