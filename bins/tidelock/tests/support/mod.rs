//! A real control plane, and `tidelock` as people run it beside it.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::borrow::Borrow;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tidelock_control::{ControlPlane, Options};
use tidelock_spiffe_core::TrustDomainBuf;

/// A control plane in a folder of its own, in which people also keep their files.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    plane: Option<ControlPlane>,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// One of the trust domain `example.org`, with these options changed.
    pub(crate) fn start(change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut options = Options::new(
            domain(),
            dir.path().join("ca"),
            vec!["127.0.0.1:0".parse().unwrap()],
            dir.path().join("ca.sock"),
        );
        change(&mut options);
        let plane = runtime.block_on(ControlPlane::start(options)).unwrap();
        Self {
            dir,
            plane: Some(plane),
            runtime,
        }
    }

    /// Where agents and operators reach it.
    pub(crate) fn address(&self) -> String {
        self.plane.as_ref().unwrap().listening()[0].to_string()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("ca.sock")
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// In its folder, and not told where the control plane is.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidelock"));
        let args = line.split_whitespace();
        command.current_dir(self.dir.path()).args(args);
        command.stdin(Stdio::null());
        command
    }

    /// At the administrators' socket.
    pub(crate) fn local(&self, line: &str) -> Command {
        let mut command = self.command(line);
        command.env("TIDELOCK_SOCKET", self.socket());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.local(line).output().unwrap()
    }

    /// What it prints at the administrators' socket. Panics if it fails.
    pub(crate) fn ok(&self, line: &str) -> String {
        ok(self.run(line))
    }

    pub(crate) fn json(&self, line: &str) -> serde_json::Value {
        serde_json::from_str(&self.ok(&format!("-o json {line}"))).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(plane) = self.plane.take() {
            self.runtime.block_on(plane.stop());
        }
    }
}

pub(crate) fn domain() -> TrustDomainBuf {
    TrustDomainBuf::parse("example.org").unwrap()
}

/// What it prints, and what it says of what went wrong.
pub(crate) fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// What it prints. Panics if it failed.
pub(crate) fn ok(output: impl Borrow<Output>) -> String {
    let output = output.borrow();
    let (out, err) = text(output);
    assert!(output.status.success(), "{out}{err}");
    out
}
