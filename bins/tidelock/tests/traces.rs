//! A command and the control plane that it asks, in one trace.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tidelock_control::{ControlPlane, Options};
use tidelock_spiffe_core::TrustDomainBuf;
use tidelock_telemetry::collector::Collector;
use tidelock_telemetry::{Service, Telemetry};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

fn tidelock(dir: &Path, line: &str, collector: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidelock"));
    command.args(line.split_whitespace()).stdin(Stdio::null());
    command.env("TIDELOCK_SOCKET", dir.join("ca.sock"));
    command.env(ENDPOINT, collector).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_and_what_it_asks_for_are_one_trace() {
    let mut collector = Collector::start().await.unwrap();
    let endpoint = collector.endpoint();
    let service = Service {
        name: "plane",
        version: "1",
    };
    let telemetry =
        Telemetry::without_logs_by(service, |name| (name == ENDPOINT).then(|| endpoint.clone()));
    let telemetry = telemetry.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(
        TrustDomainBuf::parse("example.org").unwrap(),
        dir.path().join("ca"),
        vec!["127.0.0.1:0".parse().unwrap()],
        dir.path().join("ca.sock"),
    );
    let plane = ControlPlane::start(options).await.unwrap();

    // Where nobody takes spans, or they are asked for in a way that there is not, all else is as ever.
    for (nobody, complaint) in [
        ("http://127.0.0.1:1", ""),
        ("https://127.0.0.1:1", "no traces: "),
    ] {
        let output = tidelock(dir.path(), "status", nobody);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && told.contains(complaint),
            "{told}"
        );
        assert_eq!(told.is_empty(), complaint.is_empty(), "{told}");
        assert!(!output.stdout.is_empty());
    }

    let output = tidelock(dir.path(), "token create --node n1", &collector.endpoint());
    assert!(output.status.success(), "{output:?}");
    let token = String::from_utf8(output.stdout).unwrap();
    plane.stop().await;
    telemetry.stop().await;

    let name = "tidelock.v1.Admin/CreateToken";
    let asked = collector
        .span(|one| one.span.name == name && one.service == "tidelock")
        .await;
    let answered = collector
        .span(|one| one.span.name == name && one.service == "plane")
        .await;
    assert!(answered.is_child_of(&asked));
    let command = collector.span(|one| asked.is_child_of(one)).await;
    assert_eq!(
        (command.span.name.as_str(), command.service.as_str()),
        ("tidelock", "tidelock")
    );

    let longest = token
        .split_whitespace()
        .max_by_key(|word| word.len())
        .unwrap();
    let (_, secret) = longest.split_at(longest.len() / 2);
    let everything = format!("{:?}", collector.received());
    assert!(
        secret.len() > 10 && !everything.contains(secret),
        "{secret}"
    );
}
