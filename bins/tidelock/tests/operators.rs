//! `tidelock` as operators run it, over mutual TLS.

mod support;

use std::path::Path;
use std::process::Output;
use support::{Bench, ok, text};

fn start() -> Bench {
    Bench::start(|_| ())
}

/// What operators do.
trait Operators {
    fn by(&self, name: &str, line: &str) -> Output;
    fn operator(&self, name: &str, spec: &str, bundle: &str);
}

impl Operators for Bench {
    /// Over the network, with this operator's files.
    fn by(&self, name: &str, line: &str) -> Output {
        let mut command = self.command(line);
        command
            .env("TIDELOCK_SOCKET", "/nonexistent/ca.sock")
            .env("TIDELOCK_SERVER", self.address())
            .env("TIDELOCK_SERVER_BUNDLE", "bundle.pem")
            .env("TIDELOCK_OPERATOR_CERT", format!("{name}.pem"))
            .env("TIDELOCK_OPERATOR_KEY", format!("{name}.key"));
        command.output().unwrap()
    }

    /// An operator with a credential, as INSTALL.md has it.
    fn operator(&self, name: &str, spec: &str, bundle: &str) {
        self.file("operator.yaml", &document(name, spec));
        self.ok("apply -f operator.yaml");
        let request = ok(self
            .command(&format!("operator request --key {name}.key"))
            .output()
            .unwrap());
        self.file("request.csr", &request);
        let issue = format!(
            "operator issue {name} --request request.csr --ttl 8h --cert {name}.pem{bundle}"
        );
        let told = self.ok(&issue);
        assert!(told.starts_with("serial "), "{told}");
    }
}

fn document(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: tidelock.dev/v1\nkind: Operator\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

fn identity(name: &str, path: &str) -> String {
    format!(
        "apiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: {name}}}\nspec:\n  \
         spiffeID: spiffe://example.org{path}\n  selectors: ['unix:path:/usr/bin/{name}']\n"
    )
}

#[test]
fn an_operator_makes_a_key_is_given_a_credential_and_does_what_its_roles_say() {
    let bench = start();
    bench.operator("alice", "{roles: [admin]}", " --bundle bundle.pem");
    bench.operator("bob", "{roles: [editor], prefixes: [/payments]}", "");
    bench.file("pay.yaml", &identity("pay", "/payments/web"));
    bench.file("shop.yaml", &identity("shop", "/payments-old/web"));
    ok(bench.by("bob", "apply -f pay.yaml"));
    let refused = bench.by("bob", "apply -f pay.yaml -f shop.yaml");
    assert_eq!(refused.status.code(), Some(1));
    let (_, err) = text(&refused);
    assert_eq!(
        err,
        "shop.yaml:3:18: operator `bob` may not change WorkloadIdentity `shop`: `spiffe://example.org/payments-old/web` does not \
         lie under `/payments`; needed is the role `editor` with a prefix that holds it\n"
    );
    let plan = bench.by("bob", "plan -f shop.yaml");
    assert_eq!(plan.status.code(), Some(2), "refused, and no difference");
    let (_, err) = text(&bench.by("bob", "audit list"));
    assert_eq!(
        err,
        "tidelock: ListAudit needs any role with the prefix `/`; operator `bob` is editor under `/payments`\n"
    );

    for line in ["-o json audit list", "-o json apply -f shop.yaml"] {
        let refused = bench.by("bob", line);
        assert_eq!(refused.status.code(), Some(1));
        let told: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
        assert_eq!(told["errors"][0]["code"], "NOT_PERMITTED", "{line}");
    }

    let listed = ok(bench.by("alice", "get operators"));
    assert!(
        listed.starts_with("NAME   ROLES   PREFIXES   SPIFFE ID\n"),
        "{listed}"
    );
    let json = ok(bench.by("bob", "-o json get operators"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["operators"].as_array().unwrap().len(), 1);
    assert_eq!(json["operators"][0]["roles"], serde_json::json!(["editor"]));
    assert_eq!(
        json["operators"][0]["prefixes"],
        serde_json::json!(["/payments"])
    );
    let log = ok(bench.by("alice", "audit list"));
    assert!(log.contains("operator bob (editor)"), "{log}");
    assert!(ok(bench.by("alice", "delete operator bob")).contains("Operator bob deleted"));
    let (_, err) = text(&bench.by("bob", "status"));
    assert!(err.contains("there is no Operator `bob`"), "{err}");
}

#[test]
fn keys_are_for_their_owner_alone_and_nothing_is_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = start();
    bench.operator("alice", "{roles: [admin]}", " --bundle bundle.pem");
    let key = bench.dir.path().join("alice.key");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(&key).unwrap();
    let again = bench
        .command("operator request --key alice.key")
        .output()
        .unwrap();
    assert_eq!(
        (again.status.code(), text(&again).0),
        (Some(1), String::new())
    );
    let again = bench.run("operator issue alice --request request.csr --cert alice.pem");
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(std::fs::read(&key).unwrap(), before);
}

#[test]
fn what_is_missing_to_reach_a_server_is_named() {
    let bench = start();
    for (flags, missing) in [
        ("", "--server-bundle"),
        (" --server-bundle ca/bundle.pem", "--operator-cert"),
    ] {
        let output = bench
            .command(&format!("--server 127.0.0.1:1{flags} status"))
            .output()
            .unwrap();
        let (_, err) = text(&output);
        assert!(err.contains(&format!("{missing} is needed too")), "{err}");
    }
    assert!(Path::new(&bench.dir.path().join("ca/bundle.pem")).exists());
}

#[test]
fn the_command_line_goes_before_the_environment() {
    let bench = start();
    let mut command = bench.command("get nodes --socket ca.sock");
    command.env("TIDELOCK_SERVER", "127.0.0.1:1");
    ok(command.output().unwrap());
    // Of the two in the environment, the server.
    let mut command = bench.local("get nodes");
    command.env("TIDELOCK_SERVER", "127.0.0.1:1");
    let (_, why) = text(&command.output().unwrap());
    assert!(why.contains("--server-bundle"), "{why}");
    for line in [
        "--socket ca.sock --server 127.0.0.1:1 get nodes",
        "--socket ca.sock get nodes --server 127.0.0.1:1",
    ] {
        let output = bench.command(line).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(text(&output).1.contains("give one"), "{line}");
    }
}
