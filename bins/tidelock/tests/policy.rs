//! `tidelock policy`, as people run it. No control plane is asked.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const POLICY: &str = r#"@id("web to db")
permit (
  principal in Workload::"spiffe://example.org/shop",
  action == Action::"connect",
  resource == Service::"db"
) when { context.port == 5432 };
"#;

struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Self(dir)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidelock"));
        command
            .env("TIDELOCK_SOCKET", "/nonexistent/ca.sock")
            .current_dir(self.0.path())
            .args(line.split_whitespace())
            .stdin(Stdio::null());
        command
    }

    /// Exit status, standard output, standard error.
    fn run(&self, line: &str) -> (i32, String, String) {
        text(&self.command(line).output().unwrap())
    }

    fn json(&self, line: &str) -> (i32, serde_json::Value) {
        let (status, out, err) = self.run(&format!("-o json {line}"));
        let json = serde_json::from_str(&out);
        (status, json.unwrap_or_else(|_| panic!("{out}{err}")))
    }
}

fn text(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn check_shows_every_error_of_every_file() {
    let yaml = "apiVersion: tidelock.dev/v1\nkind: Policy\nmetadata: {name: b}\nspec:\n  cedar: |\n    permit(principal, action, resource)\n    when { context.prt == 1 };\n";
    let files = Files::new(&[
        ("good.cedar", POLICY),
        ("bad.cedar", "permit(principle, action, resource);\n"),
        ("bad.yaml", yaml),
    ]);
    let (status, out, _) = files.run("policy check -f good.cedar");
    assert_eq!(status, 0);
    assert!(out.starts_with("1 policies, an image of "), "{out}");
    let (status, out, err) = files.run("policy check -f good.cedar -f bad.cedar -f bad.yaml");
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(
        err.contains("bad.cedar:1:8: ") && err.contains("  |        ^^^^^^^^^\n"),
        "{err}"
    );
    assert!(
        err.contains("7 |     when { context.prt == 1 };\n  |            ^^^^^^^^^^^\n"),
        "{err}"
    );
    let (status, json) = files.json("policy check -f good.cedar -f bad.yaml");
    assert_eq!(status, 1);
    assert_eq!(json["errors"][0]["file"], "bad.yaml");
    assert_eq!(json["errors"][0]["line"], 7);
    assert!(json["cost"].is_null());
    let (status, json) = files.json("policy check -f good.cedar");
    assert_eq!((status, &json["policies"]), (0, &serde_json::json!(1)));
}

#[test]
fn check_shows_what_is_wrong_with_a_file_beside_what_is_wrong_in_others() {
    let files = Files::new(&[
        ("none.yaml", "kind: Policy\nspec: {}\n"),
        ("broken.yaml", "kind: [\n"),
        ("bad.cedar", "permit(principle, action, resource);\n"),
        ("other.yaml", "kind: Service\n"),
        ("good.cedar", POLICY),
    ]);
    let line = "policy check -f none.yaml -f broken.yaml -f bad.cedar";
    let (status, out, err) = files.run(line);
    assert_eq!((status, out.as_str()), (1, ""));
    for told in [
        "none.yaml:1:1: `spec.cedar` is missing\n",
        "broken.yaml:",
        "bad.cedar:1:8: ",
    ] {
        assert!(err.contains(told), "{err}");
    }
    let (status, json) = files.json(line);
    let named: Vec<_> = json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["file"])
        .collect();
    assert_eq!(status, 1);
    assert_eq!(named[..3], ["none.yaml", "broken.yaml", "bad.cedar"]);
    // A file that is right does not make an image of half of what was given.
    let (status, json) = files.json("policy check -f good.cedar -f none.yaml");
    assert!(status == 1 && json["policies"].is_null(), "{json}");
    let (status, _, err) = files.run("policy check -f good.cedar -f other.yaml");
    assert_eq!(
        (status, err.as_str()),
        (0, "warning: other.yaml: has no document of kind Policy\n")
    );
}

#[test]
fn check_says_what_kernels_do_not_take() {
    let policies: String = (0..8_000)
        .map(|n| format!("@id(\"{n}\") permit(principal == Workload::\"spiffe://example.org/workload/{n}\", action == Action::\"connect\", resource);\n"))
        .collect();
    let files = Files::new(&[("many.cedar", &policies)]);
    let (status, _, err) = files.run("policy check -f many.cedar");
    assert_eq!(status, 0);
    assert!(err.contains("is more than kernels take, 524288"), "{err}");
}

#[test]
fn test_fails_if_one_answer_is_another() {
    let tests = |decision: &str| {
        format!(
            "apiVersion: tidelock.dev/v1\nkind: PolicyTest\nspec:\n  cases:\n  - name: shop\n    request:\n      \
             principal: Workload::\"spiffe://example.org/shop/web\"\n      action: connect\n      \
             resource: Service::\"db\"\n      context: {{port: 5432}}\n    expect: {{decision: {decision}}}\n"
        )
    };
    let files = Files::new(&[
        ("p.cedar", POLICY),
        ("ok.yaml", &tests("allow")),
        ("wrong.yaml", &tests("deny")),
        ("odd.yaml", &tests("deny, cause: x")),
    ]);
    let (status, out, _) = files.run("policy test -f p.cedar ok.yaml");
    assert_eq!(
        (status, out.as_str()),
        (0, "ok    ok.yaml:5: shop\n1 passed, 0 failed\n")
    );
    let (status, out, _) = files.run("policy test -f p.cedar ok.yaml wrong.yaml");
    assert_eq!(status, 1);
    for line in [
        "FAIL  wrong.yaml:5: shop\n",
        "      expected deny, got allow by `web to db`\n",
        "        without `web to db` it is denied\n",
        "1 passed, 1 failed\n",
    ] {
        assert!(out.contains(line), "{out}");
    }
    let (status, json) = files.json("policy test -f p.cedar wrong.yaml");
    assert_eq!((status, &json["failed"]), (1, &serde_json::json!(1)));
    let (status, _, err) = files.run("policy test -f p.cedar odd.yaml");
    assert_eq!(status, 1);
    assert!(
        err.starts_with("odd.yaml:11:30: `cause` is not a known field"),
        "{err}"
    );
}

#[test]
fn explain_takes_names_as_people_have_them() {
    let files = Files::new(&[("p.cedar", POLICY)]);
    let ask =
        "policy explain -f p.cedar --principal spiffe://example.org/shop/web --resource db --port";
    let (status, out, _) = files.run(&format!("{ask} 5432"));
    assert_eq!(status, 0);
    assert_eq!(
        out,
        "allow: Workload::\"spiffe://example.org/shop/web\" connect Service::\"db\"\npermitted by\n  p.cedar:1:1: `web to db`\n\
         what would change it\n  without `web to db` it is denied\n"
    );
    let (status, out, _) = files.run(&format!("{ask} 1"));
    assert_eq!(status, 0);
    assert!(
        out.contains(
            "  p.cedar:6:10: `web to db` permits it only with `when { context.port == 5432 }`\n"
        ),
        "{out}"
    );
    let (_, json) = files.json(&format!("{ask} 1"));
    assert_eq!(json["decision"], "deny");
    assert_eq!(json["accounts"][0]["about"], "when");
    assert_eq!(json["accounts"][0]["at"]["line"], 6);
    let (status, _, err) = files.run(&format!("{ask} 1 --action fly"));
    assert_eq!(status, 1);
    assert!(err.contains("action: there is no"), "{err}");
}

#[test]
fn suggest_reads_what_get_flows_prints_and_its_answer_passes_check() {
    let flows = r#"{"flows":[{"role":"client","service":"db","client_id":"spiffe://example.org/web","remote":"10.0.0.1:5432","local":"10.0.0.2:1"}]}"#;
    let files = Files::new(&[]);
    let mut command = files.command("policy suggest");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = running.stdin.take().unwrap();
    input.write_all(flows.as_bytes()).unwrap();
    drop(input);
    let (status, out, err) = text(&running.wait_with_output().unwrap());
    assert_eq!((status, err.as_str()), (0, "of 1 flows\n"));
    std::fs::write(files.0.path().join("s.cedar"), out).unwrap();
    let (status, ..) = files.run("policy check -f s.cedar");
    assert_eq!(status, 0);
    let (_, out, _) = files.run(
        "policy explain -f s.cedar --principal spiffe://example.org/web --resource db --port 5432",
    );
    assert!(out.starts_with("allow"), "{out}");
}
