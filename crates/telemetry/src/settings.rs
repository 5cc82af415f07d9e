//! What the environment says of traces, in OpenTelemetry's variables. Those of the sampler, of the queue and of limits the SDK
//! reads by itself.

use std::path::PathBuf;

use super::TelemetryError;

/// Where a collector is if only `OTEL_TRACES_EXPORTER` says that there is one.
const DEFAULT_ENDPOINT: &str = "http://localhost:4317";

/// Where spans go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Settings {
    pub(crate) endpoint: String,
    /// PEM with whom to believe to be the collector, where it is reached by TLS.
    pub(crate) authorities: Option<PathBuf>,
    /// The environment names the service.
    pub(crate) names_service: bool,
}

impl Settings {
    /// `None`: nothing is to be exported.
    pub(crate) fn read(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, TelemetryError> {
        // An empty one is as good as none (OpenTelemetry's specification of its variables).
        let said = |name: &str| variable(name).filter(|value| !value.is_empty());
        let either = |name: &str| {
            let of_traces = format!("OTEL_EXPORTER_OTLP_TRACES_{name}");
            said(&of_traces).or_else(|| said(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let is_true = |value: String| value.eq_ignore_ascii_case("true");
        if said("OTEL_SDK_DISABLED").is_some_and(is_true) {
            return Ok(None);
        }
        let by_name = match said("OTEL_TRACES_EXPORTER").as_deref() {
            Some("none") => return Ok(None),
            Some("otlp") => Some(DEFAULT_ENDPOINT.to_owned()),
            Some(other) => return Err(TelemetryError::Exporter(other.to_owned())),
            None => None,
        };
        let Some(endpoint) = either("ENDPOINT").or(by_name) else {
            return Ok(None);
        };
        if let Some(protocol) = either("PROTOCOL").filter(|protocol| protocol != "grpc") {
            return Err(TelemetryError::Protocol(protocol));
        }
        let plain = match endpoint.split_once("://") {
            Some((scheme, _)) => scheme.eq_ignore_ascii_case("http"),
            None => either("INSECURE").is_some_and(is_true),
        };
        let authorities = either("CERTIFICATE").map(PathBuf::from);
        if !plain && authorities.is_none() {
            return Err(TelemetryError::NoAuthorities(endpoint));
        }
        let attributes = said("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let is_name = |one: &str| one.trim_start().starts_with("service.name=");
        Ok(Some(Self {
            endpoint,
            authorities: authorities.filter(|_| !plain),
            names_service: said("OTEL_SERVICE_NAME").is_some()
                || attributes.split(',').any(is_name),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(said: &[(&str, &str)]) -> Result<Option<Settings>, TelemetryError> {
        Settings::read(|name| {
            let found = said.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn endpoint(said: &[(&str, &str)]) -> Option<String> {
        let settings = read(said).expect("settings");
        settings.map(|settings| settings.endpoint)
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1");

    #[test]
    fn nothing_is_exported_unless_somebody_says_where_to() {
        assert_eq!(endpoint(&[]), None);
        assert_eq!(endpoint(&[("OTEL_SERVICE_NAME", "x")]), None);
        assert_eq!(endpoint(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), None);
        assert_eq!(endpoint(&[ENDPOINT]).as_deref(), Some("http://a:1"));
        assert_eq!(
            endpoint(&[("OTEL_TRACES_EXPORTER", "otlp")]).as_deref(),
            Some(DEFAULT_ENDPOINT)
        );
        let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:1");
        assert_eq!(
            endpoint(&[ENDPOINT, of_traces]).as_deref(),
            Some("http://b:1")
        );
    }

    #[test]
    fn an_endpoint_can_be_turned_off() {
        assert_eq!(endpoint(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(
            endpoint(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]),
            None
        );
    }

    #[test]
    fn what_cannot_be_done_is_refused_at_the_start() {
        let refused = |more| read(&[ENDPOINT, more]).expect_err("refused");
        assert!(matches!(
            refused(("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")),
            TelemetryError::Protocol(_)
        ));
        assert!(matches!(
            refused(("OTEL_TRACES_EXPORTER", "zipkin")),
            TelemetryError::Exporter(_)
        ));
    }

    #[test]
    fn a_collector_reached_by_tls_is_recognised_by_what_somebody_says() {
        for endpoint in ["https://a:1", "a:1"] {
            let tls = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
            let refused = read(&[tls]).expect_err("refused");
            assert!(matches!(refused, TelemetryError::NoAuthorities(_)));
            let known = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem");
            let settings = read(&[tls, known]).expect("settings").expect("on");
            assert_eq!(settings.authorities, Some("/ca.pem".into()));
        }
        let plain = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
        let settings = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "a:1"), plain]);
        assert_eq!(settings.expect("settings").expect("on").authorities, None);
    }

    #[test]
    fn the_service_is_named_by_either_variable() {
        let named = |more| read(&[ENDPOINT, more]).expect("settings").expect("on");
        assert!(named(("OTEL_SERVICE_NAME", "x")).names_service);
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=x");
        assert!(named(attributes).names_service);
        assert!(!named(("OTEL_RESOURCE_ATTRIBUTES", "a=b")).names_service);
    }
}
