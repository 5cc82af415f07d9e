//! `tidelock`, as people run it, against a real control plane.

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use support::{Bench, text};

const DOCUMENTS: &str = "\
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata: {name: curl}
spec:
  spiffeID: spiffe://example.org/curl
  selectors: [\"unix:path:/usr/bin/curl\", \"unix:uid:1000\"]
---
apiVersion: tidelock.dev/v1
kind: Service
metadata: {name: web}
spec:
  addresses: [\"10.0.0.1:80\"]
  servers: [\"spiffe://example.org/web\"]
";
const POLICY: &str = r#"
permit (principal == Workload::"spiffe://example.org/curl", action == Action::"connect", resource == Service::"web");
"#;

fn start() -> Bench {
    Bench::start(|options| options.timing.propagation_secs = 0)
}

fn applied() -> Bench {
    let bench = start();
    bench.file("a.yaml", DOCUMENTS);
    bench.file("allow.cedar", POLICY);
    bench.ok("apply -f a.yaml -f allow.cedar");
    bench
}

fn tidelock(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidelock"));
    command.env("TIDELOCK_SOCKET", socket).stdin(Stdio::null());
    command
}

#[test]
fn apply_says_what_became_of_each_document() {
    let bench = start();
    bench.file("a.yaml", DOCUMENTS);
    bench.file("allow.cedar", POLICY);
    let first = bench.ok("apply -f a.yaml -f allow.cedar");
    for line in [
        "WorkloadIdentity curl created",
        "Service web created",
        "Policy allow created",
    ] {
        assert!(first.contains(line), "{first}");
    }
    let again = bench.json("apply -f a.yaml");
    assert_eq!(again["documents"][0]["change"], "unchanged");
}

#[test]
fn errors_are_a_line_each_by_file_line_and_column_and_nothing_is_applied() {
    let bench = start();
    bench.file("a.yaml", DOCUMENTS);
    let bad = DOCUMENTS
        .replace("unix:uid:1000", "unix:uid:root")
        .replace("10.0.0.1:80", "nowhere");
    bench.file("bad.yaml", &bad);
    let output = bench.run("apply -f bad.yaml");
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(out, "");
    let lines: Vec<_> = err.lines().collect();
    assert!(lines.len() >= 2, "{err}");
    for line in &lines {
        let mut parts = line.splitn(4, ':');
        assert_eq!(parts.next(), Some("bad.yaml"), "{line}");
        assert!(parts.next().unwrap().parse::<u32>().is_ok(), "{line}");
        assert!(parts.next().unwrap().parse::<u32>().is_ok(), "{line}");
    }
    let refused = bench.run("-o json apply -f bad.yaml");
    assert_eq!(refused.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(json["errors"].as_array().unwrap().len(), lines.len());
    assert_eq!(
        bench.json("get services")["services"],
        serde_json::json!([])
    );
}

#[test]
fn everything_applied_can_be_listed_in_both_forms() {
    let bench = applied();
    let identities = bench.ok("get identities");
    assert!(identities.starts_with("NAME  SPIFFE ID"), "{identities}");
    assert!(
        identities.contains("unix:path:/usr/bin/curl unix:uid:1000"),
        "{identities}"
    );
    let json = bench.json("get identities");
    assert_eq!(
        json["identities"][0]["spiffe_id"],
        "spiffe://example.org/curl"
    );
    assert!(bench.ok("get services").contains("10.0.0.1:80"));
    assert_eq!(
        bench.json("get services")["services"][0]["servers"][0],
        "spiffe://example.org/web"
    );
    assert!(bench.ok("get policies").contains("permit (principal =="));
    assert_eq!(bench.json("get policies")["policies"][0]["name"], "allow");
    assert_eq!(bench.ok("get flows").lines().count(), 1);
    assert_eq!(bench.json("get flows")["flows"], serde_json::json!([]));
    assert_eq!(bench.json("get nodes")["nodes"], serde_json::json!([]));
}

#[test]
fn delete_removes_one_document_and_says_if_there_is_none() {
    let bench = applied();
    assert!(
        bench
            .ok("delete Policy allow")
            .starts_with("Policy allow deleted\n")
    );
    let output = bench.run("delete policy allow");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).1.contains("allow"), "{output:?}");
    assert_eq!(
        bench.json("get policies")["policies"],
        serde_json::json!([])
    );
}

#[test]
fn a_token_is_printed_bare_so_that_scripts_can_use_it() {
    let bench = start();
    let token = bench.ok("token create --node n1 --ttl 90s");
    assert_eq!(token.lines().count(), 1);
    assert!(!token.trim().contains(' '));
    let json = bench.json("token create --node n1");
    assert!(json["expires"].as_str().unwrap().ends_with('Z'));
    let told = bench.run("-o json node allow-certificate n1");
    assert!(!told.status.success());
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("NODE_NOT_FOUND"), "{told}");

    let output = bench.run("token create --node BAD/NAME");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).1.starts_with("tidelock: "), "{output:?}");
}

#[test]
fn an_authority_goes_through_its_life() {
    let bench = start();
    let listed = |bench: &Bench| {
        bench.json("authority list")["x509"]
            .as_array()
            .unwrap()
            .clone()
    };
    let first = listed(&bench)[0]["id"].as_str().unwrap().to_owned();
    let prepared = bench.json("authority prepare");
    assert_eq!(prepared["authority"]["state"], "prepared");
    let second = prepared["authority"]["id"].as_str().unwrap().to_owned();
    let table = bench.ok("authority list");
    assert!(table.starts_with("ID "), "{table}");
    assert!(table.contains("may be activated"), "{table}");

    let wrong = bench.run(&format!("authority taint {first}"));
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong).1.contains("Active"), "{wrong:?}");
    let activated = bench.ok(&format!("authority activate {second}"));
    assert!(
        activated.starts_with(&format!("x509 authority {second} active\n")),
        "{activated}"
    );
    bench.ok(&format!("authority taint {first}"));
    bench.ok(&format!("authority revoke {first}"));
    let states: Vec<_> = listed(&bench)
        .iter()
        .map(|one| one["state"].clone())
        .collect();
    assert_eq!(states, ["revoked", "active"]);
    assert!(bench.ok("events").contains("authority-moved"));
    let unknown = bench.run("authority revoke 00");
    assert!(
        text(&unknown).1.contains("`tidelock authority list`"),
        "{unknown:?}"
    );
}

#[test]
fn a_list_of_what_is_revoked_is_for_programs_that_know_nothing_of_tidelock() {
    let bench = start();
    let id = bench.json("authority list")["x509"][0]["id"].clone();
    let id = id.as_str().unwrap();
    let list = bench.run(&format!("authority crl {id}"));
    assert!(list.status.success(), "{list:?}");
    let path = bench.dir.path().join("list.crl");
    std::fs::write(&path, list.stdout).unwrap();
    let openssl = Command::new("openssl")
        .args(["crl", "-inform", "DER", "-noout", "-verify", "-in"])
        .arg(path)
        .arg("-CAfile")
        .arg(bench.dir.path().join("ca/bundle.pem"))
        .output()
        .expect("openssl is installed");
    assert!(text(&openssl).1.contains("verify OK"), "{openssl:?}");
    let unknown = bench.run("authority crl 00");
    assert!(
        text(&unknown).1.contains("`tidelock authority list`"),
        "{unknown:?}"
    );
}

#[test]
fn the_audit_log_says_who_did_what_and_a_broken_one_is_found() {
    let bench = applied();
    bench.ok("token create --node n1");
    bench.ok("delete policy allow");
    let lines = bench.ok("-o json audit list --all");
    let entries: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let did = |action: &str, subject: &str| {
        let is =
            |entry: &&serde_json::Value| entry["action"] == action && entry["subject"] == subject;
        let entry = entries.iter().find(is);
        let entry = entry.unwrap_or_else(|| panic!("{action} {subject}: {lines}"));
        entry["actor"].as_str().unwrap().to_owned()
    };
    let user = did("document-created", "WorkloadIdentity/curl");
    assert!(user.starts_with("uid "), "{user}");
    assert_eq!(did("document-deleted", "Policy/allow"), user);
    assert_eq!(did("token-created", "n1"), user);
    assert_eq!(did("svid-issued", "/tidelock/control"), "control plane");
    let newest = bench.ok("audit list --limit 1");
    assert_eq!(newest.lines().count(), 2);
    assert!(newest.contains("document-deleted"), "{newest}");

    let whole = bench.json("audit verify");
    assert_eq!(whole["whole"], true);
    let head = whole["head"].as_str().unwrap().to_owned();
    bench.ok("token create --node n2");
    bench.ok(&format!("audit verify --noted {head}"));
    let other = format!("1:{}", "00".repeat(32));
    let rewritten = bench.run(&format!("audit verify --noted {other}"));
    assert_eq!(rewritten.status.code(), Some(1));
    assert!(
        text(&rewritten)
            .1
            .contains("entry 1 is not the one that was noted")
    );

    let database = bench.dir.path().join("ca/control.db");
    let connection = rusqlite::Connection::open(database).unwrap();
    let tamper =
        "DROP TRIGGER audit_is_not_altered; UPDATE audit SET actor = 'uid 7' WHERE seq = 3";
    connection.execute_batch(tamper).unwrap();
    let broken = bench.run("audit verify");
    assert_eq!(broken.status.code(), Some(1));
    let (_, err) = text(&broken);
    assert_eq!(
        err,
        "the audit log is broken: entry 3 was altered, or does not follow the one before it\n"
    );
    let json = bench.run("-o json audit verify");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["broken"]["seq"], 3);
}

#[test]
fn what_is_revoked_is_listed_in_both_forms() {
    let bench = start();
    assert_eq!(bench.json("get revoked")["revoked"], serde_json::json!([]));
    // The only SVID there is without a node.
    let lines = bench.ok("-o json audit list --all");
    let issued = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|entry| entry["action"] == "svid-issued")
        .unwrap();
    let serial = issued["data"]["serial"].as_str().unwrap();
    bench.ok(&format!("revoke svid {serial} --reason leaked"));
    let json = bench.json("get revoked");
    let one = &json["revoked"][0];
    assert_eq!(one["serial"], serial.to_uppercase());
    assert_eq!(
        (&one["kind"], &one["subject"]),
        (&"svid".into(), &one["serial"])
    );
    assert_eq!(one["reason"], "leaked");
    assert!(one["by"].as_str().unwrap().starts_with("uid "), "{one}");
    assert!(one["until"].as_str().unwrap().ends_with('Z'), "{one}");
    let table = bench.ok("get revoked");
    assert!(table.starts_with("SERIAL "), "{table}");
    assert!(table.lines().nth(1).unwrap().ends_with("leaked"), "{table}");
}

#[test]
fn a_plan_says_what_would_become_of_documents_and_of_whom_and_changes_nothing() {
    let bench = applied();
    let generation = bench.json("status")["generation"].clone();
    let code = |line: &str| bench.run(line).status.code();
    assert_eq!(code("plan -f a.yaml -f allow.cedar"), Some(0));
    assert_eq!(code("diff -f a.yaml -f allow.cedar"), Some(0));
    assert_eq!(text(&bench.run("diff -f a.yaml")).0, "");

    bench.file("a.yaml", &DOCUMENTS.replace("10.0.0.1:80", "10.0.0.1:81"));
    let plan = bench.run("plan -f a.yaml");
    assert_eq!(plan.status.code(), Some(1));
    let (out, _) = text(&plan);
    assert_eq!(
        out,
        "  WorkloadIdentity curl unchanged\n~ Service web to be updated\n\
         no longer: spiffe://example.org/curl may connect to web (port 80)\n\
         from then on: spiffe://example.org/curl may connect to web (port 81)\n"
    );
    let diff = bench.run("diff -f a.yaml");
    assert_eq!(diff.status.code(), Some(1));
    let (out, _) = text(&diff);
    assert!(
        out.starts_with("--- now/Service web\n+++ then/Service web\n@@ "),
        "{out}"
    );
    assert!(
        out.contains("-    - \"10.0.0.1:80\"\n+    - \"10.0.0.1:81\"\n"),
        "{out}"
    );

    bench.file("allow.cedar", &POLICY.replace("permit", "forbid"));
    let json = bench.run("-o json plan -f allow.cedar");
    assert_eq!(json.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["lost"][0]["ports"], serde_json::json!([80]));
    assert_eq!(json["documents"][0]["change"], "updated");

    let delete = bench.run("plan --delete -f a.yaml");
    assert_eq!(delete.status.code(), Some(1));
    let (out, _) = text(&delete);
    assert!(
        out.contains("- WorkloadIdentity curl to be deleted\n"),
        "{out}"
    );
    assert!(
        out.contains("no longer: spiffe://example.org/curl may connect"),
        "{out}"
    );
    assert_eq!(bench.json("status")["generation"], generation);
}

#[test]
fn a_plan_that_cannot_be_made_is_no_difference() {
    let bench = applied();
    bench.file(
        "bad.yaml",
        &DOCUMENTS.replace("unix:uid:1000", "unix:uid:root"),
    );
    for line in [
        "plan -f bad.yaml",
        "diff -f bad.yaml",
        "plan -f missing.yaml",
    ] {
        let refused = bench.run(line);
        assert_eq!(refused.status.code(), Some(2), "{line}");
        assert!(!text(&refused).1.is_empty(), "{line}");
    }
    let away = tidelock(Path::new("/nonexistent/ca.sock"))
        .args(["diff", "-f", "a.yaml"])
        .output()
        .unwrap();
    assert_eq!(away.status.code(), Some(2));
}

#[test]
fn status_counts_what_there_is() {
    let bench = applied();
    let json = bench.json("status");
    assert_eq!(json["trust_domain"], "example.org");
    assert_eq!(
        (json["identities"].as_u64(), json["services"].as_u64()),
        (Some(1), Some(1))
    );
    let status = bench.ok("status");
    assert!(status.contains("trust domain   example.org\n"), "{status}");
    assert!(
        status.contains("nodes          0 (0 connected)\n"),
        "{status}"
    );
}

#[test]
fn events_are_told_from_the_start_and_followed() {
    let bench = applied();
    let listed = bench.ok("events");
    assert!(listed.starts_with("TIME "), "{listed}");
    assert!(listed.contains("documents-changed"), "{listed}");
    let mut follow = bench.local("-o json events --follow");
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    bench.ok("token create --node later");
    let told = lines.any(|line| {
        let event: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        event["what"] == "token-created" && event["node"] == "later"
    });
    assert!(told);
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn without_a_control_plane_the_error_says_where_it_was_sought() {
    let output = tidelock(Path::new("/nonexistent/ca.sock"))
        .arg("status")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (_, err) = text(&output);
    assert!(
        err.contains("/nonexistent/ca.sock") && err.contains("tidelock-ca"),
        "{err}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let bench = start();
    let output = bench.run("apply -f missing.yaml");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).1.contains("missing.yaml: No such file"),
        "{output:?}"
    );
}

#[test]
fn the_trust_domain_is_planned_applied_listed_and_deleted_as_the_others_are() {
    let bench = applied();
    let domain = "apiVersion: tidelock.dev/v1\nkind: TrustDomain\nmetadata: {name: example.org}\n\
                  spec: {x509SVID: {defaultTTL: 30m, maxTTL: 2h}}\n";
    bench.file("td.yaml", domain);
    let life = || bench.json("get identities")["identities"][0]["ttl_secs"].clone();
    assert_eq!(life(), 3_600);
    let diff = bench.run("diff -f td.yaml");
    assert_eq!(diff.status.code(), Some(1));
    assert!(
        text(&diff).0.contains("+    defaultTTL: \"1800s\""),
        "{diff:?}"
    );
    let applied = bench.ok("apply -f td.yaml");
    assert!(
        applied.contains("TrustDomain example.org created"),
        "{applied}"
    );
    assert_eq!(life(), 1_800);
    assert_eq!(bench.run("plan -f td.yaml").status.code(), Some(0));
    assert_eq!(
        bench.ok("get trustdomains"),
        "NAME         X509 TTL  X509 MAX  JWT TTL  JWT MAX  X509 CA   JWT KEY  BY DEFAULT  SAID BY\n\
         example.org  30m00s    2h00m     5m00s    1h00m    3650d00h  30d00h   1           document\n"
    );
    bench.file(
        "long.yaml",
        &DOCUMENTS.replace("spec:\n  spiffeID", "spec:\n  svid: {ttl: 3h}\n  spiffeID"),
    );
    let refused = bench.run("apply -f long.yaml");
    let told = "long.yaml:5:15: spec.svid.ttl: WorkloadIdentity `curl` says `ttl: 10800s`, and the TrustDomain allows 7200 s at most";
    assert!(text(&refused).1.contains(told), "{refused:?}");
    let gone = bench.ok("delete trustdomain example.org");
    assert!(gone.contains("TrustDomain example.org deleted"), "{gone}");
    assert_eq!(life(), 3_600);
    let row = bench.json("get trustdomain")["trustdomains"][0].clone();
    assert_eq!(row["has_document"], false);
    assert_eq!(row["x509_max_ttl_secs"], 2_592_000);
}
