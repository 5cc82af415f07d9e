//! How long it takes until every agent knows, and what an agent costs the control plane.
//!
//! ```console
//! $ cargo run --release -p tidelock-control --example agents -- 1000
//! $ cargo run --release -p tidelock-control --example agents -- 1000 --guest
//! ```
//!
//! A real control plane in a process of its own, on loopback, with SQLite on a disk; and in this process so many agents, each of
//! a node that joined with a token, each on a mutual-TLS connection of its own. Times are from the administrator's request to an
//! agent that has decoded what it was sent. Agents and control plane share the machine, so the times hold both their work. A round
//! begins when every agent has heard of the one before, whose reports the control plane may still be writing down.
//!
//! With `--guest` it is how long it takes until a kernel resets a flow: see `cut/mod.rs`.

mod cut;
mod fleet;
mod numbers;
mod plane;
mod updates;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use fleet::Fleet;
use numbers::{Delays, Memory, Numbers};
use plane::{AS_PLANE, Process};
use rustix::fs::statfs;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What went wrong, for people.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: agents [AGENTS] [--rounds N] [--documents N] [--own] [--snapshots] [--guest [--load]] [--dir DIR] [-o table|json]

  AGENTS         how many, 1 to 10000 (100)
  --rounds N     how often an SVID is revoked and an identity changed, 1 to 1000 (10)
  --documents N  how many identities, services and policies there are of each, 1 to 1000 (10)
  --own          nearly all identities are templates with the node's name in them, so that no two agents have the same entries
  --snapshots    the agents take no deltas, as those of before: each change is sent in full
  --guest        instead of that: a guest is booted (`cargo lab vm`), SVIDs, identities, nodes and authorities are revoked, each so
                 often as there are rounds, and it is measured until its kernel has reset the flows that this is to cut
  --load         an identity changes five times a second meanwhile, and the guest's other flows move bytes all the time
  --dir DIR      below which the control plane's database lies for the time, on a disk (the directory for temporary files)";

/// Most agents: a control plane takes 16,384 connections.
const MAX_AGENTS: usize = 10_000;

/// Most rounds: fewer than SVIDs can be revoked at one time.
const MAX_ROUNDS: usize = 1_000;

/// Most documents of each kind: a node has no more identities.
const MAX_DOCUMENTS: usize = 1_000;

/// File descriptors that either process needs beside the agents' connections. While they attest there are a few more.
const OTHER_FILES: u64 = 256;

/// Type of a file system that is in memory (`TMPFS_MAGIC` in Linux's `magic.h`).
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Asked {
    agents: usize,
    rounds: usize,
    documents: usize,
    own: bool,
    deltas: bool,
    guest: bool,
    load: bool,
    dir: PathBuf,
    json: bool,
}

impl Asked {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut asked = Self {
            agents: 100,
            rounds: 10,
            documents: 10,
            own: false,
            deltas: true,
            guest: false,
            load: false,
            dir: std::env::temp_dir(),
            json: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || {
                args.next()
                    .ok_or_else(|| format!("{arg} needs a value\n{USAGE}"))
            };
            match arg.as_str() {
                "--rounds" => asked.rounds = number(&value()?, MAX_ROUNDS)?,
                "--documents" => asked.documents = number(&value()?, MAX_DOCUMENTS)?,
                "--own" => asked.own = true,
                "--snapshots" => asked.deltas = false,
                "--guest" => asked.guest = true,
                "--load" => asked.load = true,
                "--dir" => asked.dir = value()?.into(),
                "-o" => asked.json = json(&value()?)?,
                agents => asked.agents = number(agents, MAX_AGENTS)?,
            }
        }
        if asked.load && !asked.guest {
            return Err(format!("--load is for a guest (--guest)\n{USAGE}").into());
        }
        Ok(asked)
    }
}

fn number(text: &str, most: usize) -> Result<usize, Failure> {
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("`{text}` is not a number from 1 to {most}\n{USAGE}").into()),
    }
}

fn json(form: &str) -> Result<bool, Failure> {
    match form {
        "table" => Ok(false),
        "json" => Ok(true),
        other => Err(format!("`{other}` is neither table nor json\n{USAGE}").into()),
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let done = match args.next_if(|arg| arg == AS_PLANE) {
        Some(_) => serve(args.next()),
        None => match Asked::parse(args) {
            Ok(asked) => run(&asked),
            Err(wrong) => {
                eprintln!("agents: {wrong}");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("agents: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn serve(dir: Option<String>) -> Result<(), Failure> {
    let dir = dir.ok_or("the directory is missing")?;
    Runtime::new()?.block_on(plane::serve(Path::new(&dir)))
}

fn run(asked: &Asked) -> Result<(), Failure> {
    raise_file_limit(asked.agents)?;
    let dir = directory(asked)?;
    let runtime = Runtime::new()?;
    if asked.guest {
        let numbers = runtime.block_on(cut::measure(asked, dir.path()))?;
        say(asked, &numbers, cut::Numbers::json);
    } else {
        let numbers = runtime.block_on(measure(asked, dir.path()))?;
        say(asked, &numbers, Numbers::json);
    }
    Ok(())
}

fn say<T: Display>(asked: &Asked, numbers: &T, json: impl Fn(&T) -> Value) {
    match asked.json {
        true => println!("{}", json(numbers)),
        false => print!("{numbers}"),
    }
}

/// For the control plane's files, on a disk.
fn directory(asked: &Asked) -> Result<TempDir, Failure> {
    if statfs(&asked.dir)?.f_type == TMPFS_MAGIC {
        let shown = asked.dir.display();
        return Err(
            format!("`{shown}` is in memory: name a directory on a disk with --dir").into(),
        );
    }
    Ok(tempfile::tempdir_in(&asked.dir)?)
}

/// A connection for each agent, here and, as it inherits the limit, in the control plane.
fn raise_file_limit(agents: usize) -> Result<(), Failure> {
    let needed = u64::try_from(agents)?.saturating_add(OTHER_FILES);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if maximum.is_some_and(|maximum| maximum < needed) {
        let why = "a process may open too few files here";
        return Err(
            format!("{why}: `ulimit -Hn {needed}` as root first, or ask for fewer agents").into(),
        );
    }
    let current = Some(needed);
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum })?)
}

async fn measure(asked: &Asked, dir: &Path) -> Result<Numbers, Failure> {
    let process = Process::start(dir)?;
    let idle = process.resident_kib()?;
    fleet::furnish(&process.place, asked.documents, asked.own).await?;
    let begun = Instant::now();
    let nodes = fleet::attest(&process.place, asked.agents).await?;
    let attesting = begun.elapsed();
    process.stop()?;

    // Anew, so that what attesting left behind is not counted as the agents'.
    let process = Process::start(dir)?;
    let nodes_known = process.resident_kib()?;
    let begun = Instant::now();
    let mut fleet = Fleet::connect(process.place.clone(), &nodes, asked.deltas).await?;
    let connecting = begun.elapsed();
    let connected = process.resident_kib()?;
    let (revoked, changed) = rounds(&mut fleet, asked.rounds).await?;
    let after_rounds = process.resident_kib()?;
    let snapshot_bytes = fleet.snapshot_bytes;
    drop(fleet);
    process.stop()?;
    Ok(Numbers {
        agents: asked.agents,
        rounds: asked.rounds,
        documents: asked.documents,
        snapshot_bytes,
        attesting,
        connecting,
        revoked,
        changed,
        memory: Memory {
            idle,
            nodes_known,
            connected,
            after_rounds,
        },
    })
}

async fn rounds(fleet: &mut Fleet, rounds: usize) -> Result<(Delays, Delays), Failure> {
    let revoked = fleet.revoke(rounds).await?;
    let changed = fleet.change(rounds).await?;
    Ok((revoked, changed))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::plane::Place;
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_agent_hears_of_a_revoked_svid_and_of_a_changed_identity() {
        for (deltas, own) in [(true, false), (true, true), (false, false)] {
            every_agent_hears(deltas, own).await;
        }
    }

    async fn every_agent_hears(deltas: bool, own: bool) {
        const AGENTS: usize = 20;
        const ROUNDS: usize = 2;
        let dir = tempfile::tempdir().expect("temp dir");
        let plane = plane::start(dir.path()).await.expect("start");
        let place = Place::new(dir.path(), plane.listening()[0]).expect("bundle");
        fleet::furnish(&place, 3, own).await.expect("applied");
        let nodes = fleet::attest(&place, AGENTS).await.expect("attested");
        let mut fleet = Fleet::connect(place, &nodes, deltas)
            .await
            .expect("connected");
        let (revoked, changed) = rounds(&mut fleet, ROUNDS).await.expect("all heard");
        assert!(fleet.snapshot_bytes > 0);
        for delays in [&revoked, &changed] {
            assert_eq!(delays.answered.len(), ROUNDS);
            assert_eq!(delays.heard.len(), ROUNDS * AGENTS);
            assert_eq!(delays.most_bytes < fleet.snapshot_bytes, deltas);
        }
        drop(fleet);
        plane.stop().await;
    }

    #[test]
    fn what_is_asked_for_is_bounded() {
        let parse = |line: &str| Asked::parse(line.split_whitespace().map(str::to_owned));
        let asked = parse(
            "1000 --rounds 3 --documents 7 --own --snapshots --guest --load --dir /var/tmp -o json",
        )
        .expect("asked");
        let expected = Asked {
            agents: 1_000,
            rounds: 3,
            documents: 7,
            own: true,
            deltas: false,
            guest: true,
            load: true,
            dir: "/var/tmp".into(),
            json: true,
        };
        assert_eq!(asked, expected);
        for wrong in [
            "0",
            "10001",
            "many",
            "--rounds",
            "--rounds 0",
            "--documents 1001",
            "-o yaml",
            "--load",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_said_in_both_forms() {
        let ms = Duration::from_millis;
        let delays = |last| Delays {
            answered: vec![ms(2)],
            heard: vec![ms(3), ms(last)],
            most_bytes: 77,
        };
        let numbers = Numbers {
            agents: 2,
            rounds: 1,
            documents: 1,
            snapshot_bytes: 9,
            attesting: ms(1_500),
            connecting: ms(500),
            revoked: delays(4),
            changed: delays(5),
            memory: Memory {
                idle: 1_024,
                nodes_known: 2_048,
                connected: 4_096,
                after_rounds: 5_120,
            },
        };
        let json = numbers.json();
        assert_eq!(json["svid_revoked"]["heard_max_ms"], 4.0);
        assert_eq!(json["resident_kib"]["each_agent"], 1_024);
        let text = numbers.to_string();
        assert!(
            text.contains("attested in 1.5 s, connected in 0.5 s\n"),
            "{text}"
        );
        let row =
            "each has a changed identity            2.0       3.0       5.0       5.0        77\n";
        assert!(text.contains(row), "{text}");
    }
}
