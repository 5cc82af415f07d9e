//! A guest with a kernel that governs, a real agent, and a program that holds flows and tells when they end.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tidelock_proto::v1;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::peer::Peer;
use crate::Failure;
use crate::fleet::admin;
use crate::plane::Place;

/// Its node's name.
pub(super) const NODE: &str = "guest";

/// How long it may take to start, what it is built of included, and to answer.
const TO_START: Duration = Duration::from_secs(1_800);
const TO_ANSWER: Duration = Duration::from_secs(60);

/// How long the virtual machine may run, in seconds.
const LIFE_SECS: u32 = 7_200;

/// How often a flow is tried: the guest's own SVID may be on its way.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// A running guest.
pub(super) struct Guest {
    lines: Lines<BufReader<OwnedReadHalf>>,
    words: OwnedWriteHalf,
    machine: JoinHandle<std::io::Result<std::process::ExitStatus>>,
}

impl Guest {
    /// Boots it with `cargo lab vm`, and waits until its agent has joined the control plane and its program tells.
    pub(super) async fn start(place: &Place, dir: &Path) -> Result<Self, Failure> {
        let join = dir.join("join");
        std::fs::create_dir(&join)?;
        let request = v1::CreateTokenRequest {
            node: NODE.into(),
            ttl_secs: 1_800,
        };
        let token = admin(place).await?.create_token(request).await?;
        std::fs::write(join.join("token"), token.into_inner().token)?;
        std::fs::write(join.join("bundle.pem"), &place.bundle_pem)?;
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let ports = [place.address.port(), listener.local_addr()?.port()].map(|p| p.to_string());
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut child = Command::new(cargo)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .args(["lab", "vm", "--host", "--copy", "benches/guest", "--copy"])
            .arg(&join)
            .args(["--timeout", &LIFE_SECS.to_string()])
            .args(["--", "benches/guest/revocation.sh"])
            .args(ports)
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .spawn()?;
        let mut machine = tokio::task::spawn_blocking(move || child.wait());
        let connection = tokio::select! {
            taken = timeout(TO_START, listener.accept()) => taken,
            ended = &mut machine => return Err(format!("the machine ended: {:?}", ended?).into()),
        };
        let (stream, _) = connection.map_err(|_| "the guest did not start in time")??;
        stream.set_nodelay(true)?;
        let (lines, words) = stream.into_split();
        Ok(Self {
            lines: BufReader::new(lines).lines(),
            words,
            machine,
        })
    }

    /// Has it open a flow of this number, to this peer.
    pub(super) async fn open(&mut self, flow: usize, peer: &Peer) -> Result<(), Failure> {
        let mut told = String::new();
        for _ in 0..TRIES {
            self.say(&format!("open {flow} {}", peer.port)).await?;
            told = self.line().await?.0;
            if told == format!("open {flow}") {
                return Ok(());
            }
            if !told.starts_with(&format!("refused {flow} ")) {
                break;
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        Err(format!("the guest has no flow {flow}: `{told}`").into())
    }

    /// Waits until a flow is reset; which it was, and when the word of it came. Anything else is wrong.
    pub(super) async fn reset(&mut self) -> Result<(usize, Instant), Failure> {
        let (line, at) = self.line().await?;
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["ended", flow, "ECONNRESET"] => Ok((flow.parse()?, at)),
            _ => Err(format!("a flow was to be reset, and the guest says `{line}`").into()),
        }
    }

    /// How long it takes until the guest has answered, its program included. A flow that has ended meanwhile is wrong.
    pub(super) async fn round_trip(&mut self) -> Result<Duration, Failure> {
        let begun = Instant::now();
        self.say("ping").await?;
        match self.line().await? {
            (line, at) if line == "pong" => Ok(at.duration_since(begun)),
            (line, _) => Err(format!("no flow was to end, and the guest says `{line}`").into()),
        }
    }

    /// Ends it.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        drop((self.lines, self.words));
        match self.machine.await?? {
            status if status.success() => Ok(()),
            status => Err(format!("the machine ended with {status}").into()),
        }
    }

    async fn say(&mut self, words: &str) -> Result<(), Failure> {
        Ok(self
            .words
            .write_all(format!("{words}\n").as_bytes())
            .await?)
    }

    async fn line(&mut self) -> Result<(String, Instant), Failure> {
        let line = timeout(TO_ANSWER, self.lines.next_line()).await;
        let line = line.map_err(|_| format!("the guest said nothing for {TO_ANSWER:?}"))?;
        Ok((line?.ok_or("the guest's program ended")?, Instant::now()))
    }
}
