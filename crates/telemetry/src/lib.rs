//! Logs to standard error, and traces by OTLP, for programs that run Tidelock's crates. Those know `tracing` only.
//!
//! Traces are off unless OpenTelemetry's variables say where a collector is. Then spans wait in a queue with a bound, which a
//! thread of its own sends from: nothing waits for a collector, and what does not fit is lost.
//!
//! ```
//! use tidelock_telemetry::{Service, Telemetry};
//!
//! # async fn program() -> Result<(), tidelock_telemetry::TelemetryError> {
//! let telemetry = Telemetry::with_logs(Service { name: "my-agent", version: "1.0.0" })?;
//! // … run what is to be traced …
//! telemetry.stop().await;
//! # Ok(())
//! # }
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
//! # runtime.block_on(program()).unwrap();
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "collector")]
pub mod collector;
mod settings;
mod telling;

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tidelock_proto::trace::{TARGET, TRACEPARENT, TraceContext, set_trace_context};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use settings::Settings;
use telling::Telling;

/// What is logged unless `RUST_LOG` says otherwise. Of a collector that is away the SDK would tell twice for each message.
const DEFAULT_LOG: &str = "info,opentelemetry=off,opentelemetry_sdk=off,opentelemetry-otlp=off";

/// How long a program that ends tries to send the spans that it still has.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

/// Who the spans are of, unless `OTEL_SERVICE_NAME` says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// The program.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Why there are no logs or traces as asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// `OTEL_TRACES_EXPORTER` asks for what there is not.
    #[error("OTEL_TRACES_EXPORTER is `{0}`: write `otlp` or `none`")]
    Exporter(String),
    /// A protocol of OTLP that is not spoken.
    #[error(
        "OTEL_EXPORTER_OTLP_PROTOCOL is `{0}`: traces are sent by `grpc` only, to port 4317 as a rule"
    )]
    Protocol(String),
    /// Nobody says how the collector is recognised.
    #[error(
        "the collector at `{0}` is reached by TLS: name a PEM file with its CAs in OTEL_EXPORTER_OTLP_CERTIFICATE, or write http://"
    )]
    NoAuthorities(String),
    /// The collector's CAs cannot be read.
    #[error("cannot read the collector's CAs in {}: {source}", path.display())]
    Authorities {
        /// Where they should be.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// What the environment says of the collector cannot be used.
    #[error("cannot send traces: {0}")]
    Build(#[from] ExporterBuildError),
    /// The process logs already.
    #[error(transparent)]
    Started(#[from] TryInitError),
}

/// This process' logs and traces.
#[derive(Debug)]
#[must_use = "spans that were not sent yet are lost unless it is stopped"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Logs to standard error, as much as `RUST_LOG` says; and traces, if the environment says where to. Within a tokio runtime.
    ///
    /// # Errors
    /// What the environment says cannot be done.
    pub fn with_logs(service: Service) -> Result<Self, TelemetryError> {
        let provider = provider(service, variable)?;
        registry().with(traces(&provider)).with(logs()).try_init()?;
        Ok(Self { provider })
    }

    /// Traces only, if the environment says where to. Within a tokio runtime.
    ///
    /// # Errors
    /// What the environment says cannot be done.
    pub fn without_logs(service: Service) -> Result<Self, TelemetryError> {
        Self::without_logs_by(service, variable)
    }

    /// The same, by other variables than those of the environment.
    ///
    /// # Errors
    /// What they say cannot be done.
    pub fn without_logs_by(
        service: Service,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, TelemetryError> {
        let provider = provider(service, variable)?;
        if provider.is_some() {
            registry().with(traces(&provider)).try_init()?;
        }
        Ok(Self { provider })
    }

    /// Sends what was not sent yet, within two seconds. Spans that end later are lost.
    pub async fn stop(self) {
        let Some(provider) = self.provider else {
            return;
        };
        let stop = move || provider.shutdown_with_timeout(STOP_DEADLINE);
        // It waits for a thread, which waits for the runtime. What it could not send is lost, as said.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(stop).await {
            tracing::warn!(%error, "some spans were not sent");
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What sends spans; `None`: nobody asked for that.
fn provider(
    service: Service,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(settings) = Settings::read(variable)? else {
        return Ok(None);
    };
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(settings.endpoint);
    if let Some(path) = settings.authorities {
        let pem = std::fs::read(&path);
        let pem = pem.map_err(|source| TelemetryError::Authorities { path, source })?;
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
        exporter = exporter.with_tls_config(tls);
    }
    let mut resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", service.version));
    if !settings.names_service {
        resource = resource.with_service_name(service.name);
    }
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.build())
        .with_batch_exporter(Telling::new(exporter.build()?))
        .build();
    // Whoever came first does the same.
    let _ = set_trace_context(Box::new(W3c(TraceContextPropagator::new())));
    Ok(Some(provider))
}

/// Makes spans of those that are to be exported, and of nothing else: what is logged stays in the log.
fn traces<S>(provider: &Option<SdkTracerProvider>) -> Option<impl Layer<S> + use<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let tracer = provider.as_ref()?.tracer("tidelock");
    let layer = tracing_opentelemetry::layer()
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_tracer(tracer);
    Some(layer.with_filter(filter_fn(|of| of.is_span() && of.target() == TARGET)))
}

/// Log lines, which look the same whether there are traces or not.
fn logs<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let asked = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter(asked.and(filter_fn(|of| of.target() != TARGET)))
}

/// The trace context that goes along with calls.
struct W3c(TraceContextPropagator);

impl TraceContext for W3c {
    fn outgoing(&self, span: &Span) -> Option<String> {
        let mut carrier = HashMap::new();
        self.0.inject_context(&span.context(), &mut carrier);
        carrier.remove(TRACEPARENT)
    }

    fn incoming(&self, span: &Span, traceparent: &str) {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
        // A span that nobody exports has no parent either.
        let _ = span.set_parent(self.0.extract(&carrier));
    }
}
