//! A collector that keeps what it is sent, for tests: the real service at the other end of a real connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Longest that spans may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most messages that were not looked at yet.
const MAX_WAITING: usize = 1_024;

/// A span, as it was sent.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Whose it is (`service.name`).
    pub service: String,
    /// All else.
    pub span: Span,
}

impl Exported {
    /// An attribute, as text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        text(&self.span.attributes, name)
    }

    /// Whether it was made within another one.
    #[must_use]
    pub fn is_child_of(&self, other: &Self) -> bool {
        (&self.span.trace_id, &self.span.parent_span_id)
            == (&other.span.trace_id, &other.span.span_id)
    }
}

/// A collector on loopback.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    messages: mpsc::Receiver<ExportTraceServiceRequest>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
    spans: Vec<Exported>,
}

struct Receiver(mpsc::Sender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let sent = self.0.send(request.into_inner()).await;
        sent.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts one.
    ///
    /// # Errors
    /// There is no port for it.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, messages) = mpsc::channel(MAX_WAITING);
        let service = TraceServiceServer::new(Receiver(sender));
        let incoming = TcpListenerStream::new(listener);
        let server = Server::builder().add_service(service);
        Ok(Self {
            address,
            messages,
            server: tokio::spawn(server.serve_with_incoming(incoming)),
            spans: Vec::new(),
        })
    }

    /// What to put into `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that has come by now.
    pub fn received(&mut self) -> &[Exported] {
        while let Ok(message) = self.messages.try_recv() {
            self.keep(message);
        }
        &self.spans
    }

    fn keep(&mut self, message: ExportTraceServiceRequest) {
        let spans = message.resource_spans.into_iter().flat_map(exported);
        self.spans.extend(spans);
    }

    /// Waits until there is a span like this, and gives it. Panics if there is none within half a minute.
    pub async fn span(&mut self, like: impl Fn(&Exported) -> bool) -> Exported {
        loop {
            if let Some(found) = self.spans.iter().find(|one| like(one)) {
                return found.clone();
            }
            let next = timeout(PATIENCE, self.messages.recv()).await;
            let Ok(Some(message)) = next else {
                panic!("no such span came, of {:#?}", self.spans);
            };
            self.keep(message);
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn exported(of: ResourceSpans) -> Vec<Exported> {
    let attributes = of.resource.unwrap_or_default().attributes;
    let service = text(&attributes, "service.name").unwrap_or_default();
    let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
    let exported = |span| Exported {
        service: service.clone(),
        span,
    };
    spans.map(exported).collect()
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == name)?;
    match found.value.as_ref() {
        Some(AnyValue {
            value: Some(Value::StringValue(text)),
        }) => Some(text.clone()),
        Some(AnyValue {
            value: Some(Value::IntValue(number)),
        }) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}
