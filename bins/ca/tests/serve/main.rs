//! The binary: what it prints, and how it ends.

mod crash_points;
mod killed;
mod model;
mod node;
mod traces;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest that starting or stopping may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn serve(dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidelock-ca"));
    command.args([
        "serve",
        "--trust-domain",
        "example.org",
        "--listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
    ]);
    command.arg("--data-dir").arg(dir.join("ca"));
    command.arg("--admin-socket").arg(dir.join("run/ca.sock"));
    command
        .env_remove("CREDENTIALS_DIRECTORY")
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn started(dir: &Path) -> Child {
    answering(serve(dir, &[]).spawn().expect("spawn"), dir)
}

fn answering(child: Child, dir: &Path) -> Child {
    let begun = Instant::now();
    while UnixStream::connect(dir.join("run/ca.sock")).is_err() {
        assert!(begun.elapsed() < PATIENCE, "does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn stop(child: Child, signal: &str) -> Output {
    let killed = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(killed.expect("kill").success());
    child.wait_with_output().expect("wait")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn roots_for_nodes_that_are_none_keep_it_from_starting() {
    let dir = tempfile::tempdir().expect("temp dir");
    let file = dir.path().join("roots.pem");
    let missing = file.to_str().expect("UTF-8").to_owned();
    let refused = |why: &str| {
        let output = serve(dir.path(), &["--x509pop-ca-bundle", &missing]).output();
        let output = output.expect("runs");
        assert!(!output.status.success());
        let told = stderr(&output);
        assert!(told.contains(&missing) && told.contains(why), "{told}");
    };
    refused("No such file");
    std::fs::write(&file, "no PEM").expect("write");
    refused("holds no certificate");
}

#[test]
fn it_serves_until_a_signal_and_starts_again() {
    let dir = tempfile::tempdir().expect("temp dir");
    for signal in ["-TERM", "-INT"] {
        let output = stop(started(dir.path()), signal);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("the control plane stops"));
        assert!(!dir.path().join("run/ca.sock").exists());
    }
    assert!(dir.path().join("ca/bundle.pem").exists());
}

#[test]
fn a_kill_loses_nothing_that_it_needs_to_start() {
    let dir = tempfile::tempdir().expect("temp dir");
    let output = stop(started(dir.path()), "-KILL");
    assert_eq!(output.status.code(), None);
    let output = stop(started(dir.path()), "-TERM");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn what_keeps_it_from_starting_is_one_line() {
    let dir = tempfile::tempdir().expect("temp dir");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address").to_string();
    let output = serve(dir.path(), &["--listen", &address])
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    let last = text.lines().last().expect("a line");
    let expected = format!("tidelock-ca: cannot listen at {address}: ");
    assert!(last.starts_with(&expected), "{text}");
    assert_eq!(last.matches("in use").count(), 1, "{last}");
}

#[test]
fn arguments_are_checked() {
    let dir = tempfile::tempdir().expect("temp dir");
    for (argument, value, reason) in [
        (
            "--trust-domain",
            "not a domain",
            "invalid value 'not a domain'",
        ),
        ("--listen", "localhost", "invalid value 'localhost'"),
        ("--http-listen", "all", "invalid value 'all'"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidelock-ca"));
        command
            .args(["serve", argument, value])
            .current_dir(dir.path());
        let output = command.output().expect("run");
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    }
}

fn passphrase_file(dir: &Path, text: &str) -> String {
    let path = dir.join("words");
    std::fs::write(&path, text).expect("write");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, mode).expect("chmod");
    path.display().to_string()
}

fn runs(mut command: Command, dir: &Path) {
    let child = command.spawn().expect("spawn");
    let output = stop(answering(child, dir), "-TERM");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn the_passphrase_comes_from_a_file_or_from_systemd_and_is_needed_from_then_on() {
    let dir = tempfile::tempdir().expect("temp dir");
    runs(serve(dir.path(), &[]), dir.path());
    let own = dir.path().join("ca/passphrase");
    assert!(own.exists(), "keys are encrypted without anybody asking");
    let words = passphrase_file(dir.path(), "correct horse battery\n");
    runs(
        serve(dir.path(), &["--passphrase-file", &words]),
        dir.path(),
    );
    assert!(!own.exists(), "the one that was given took its place");

    let refused = serve(dir.path(), &[]).output().expect("run");
    assert_eq!(refused.status.code(), Some(1));
    let text = stderr(&refused);
    assert!(text.contains("`--passphrase-file`"), "{text}");
    assert!(!text.contains("correct horse"), "{text}");

    let credentials = tempfile::tempdir().expect("temp dir");
    let credential = credentials.path().join("tidelock-ca.passphrase");
    std::fs::rename(words, credential).expect("rename");
    let mut command = serve(dir.path(), &[]);
    command.env("CREDENTIALS_DIRECTORY", credentials.path());
    runs(command, dir.path());
}
