//! Tiers that run in virtual machines.

use super::filter::Filter;
use super::interop;
use super::tally::Tally;
use crate::build::{self, Flavour};
use crate::demo::{self, Outcome};
use crate::emulator::Emulator;
use crate::failure::Result;
use crate::headers_root;
use crate::kernel::{Kernel, Line};
use crate::package::{self, Purpose};
use crate::places::Places;
use crate::say::say;
use crate::vm::{DEFAULT_KERNEL, End};
use crate::{guest_image, vm};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

/// How long the device is fuzzed.
const FUZZ_SECS: u32 = 60;
/// How often each program does its work.
const PROGRAM_ROUNDS: u32 = 3;
/// How many peers stall, all told.
const HOSTILE_PEERS: u32 = 10_000;
/// How often the module is unloaded under traffic.
const CHURN_ROUNDS: u32 = 100;
/// How long a script may take with everything around it.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(600);

/// Everything that is made once and kept: tools, the root image, kernels.
///
/// # Errors
/// When a kernel's modules cannot be made ready for booting.
pub(crate) fn set_up(places: &Places, lines: &[Line], installed: &[Line]) -> Result<Tally> {
    let mut tally = Tally::default();
    tally.result("the emulator", Emulator::ensure(places).map(drop));
    tally.result("a newer OpenSSL", interop::openssl(places).map(drop));
    tally.result("the guest's root", guest_image::root_disk(places).map(drop));
    for line in lines {
        let ready = Kernel::ensure(places, *line, false).and_then(|kernel| {
            guest_image::initramfs(places, &kernel)?;
            headers_root::ensure(places, &kernel)
        });
        tally.result(&format!("kernel {}", line.label()), ready.map(drop));
    }
    for line in installed {
        let plain =
            Kernel::ensure(places, *line, false).and_then(|kernel| package::plain(places, &kernel));
        let what = format!("a machine to install on, {}", line.label());
        tally.result(&what, plain.map(drop));
    }
    Ok(tally)
}

/// Builds the module for each kernel, and once with its faults.
///
/// # Errors
/// When a kernel cannot be had.
pub(crate) fn modules(places: &Places, wanted: &[(Line, Flavour)]) -> Result<Tally> {
    let mut tally = Tally::default();
    for (line, flavour) in wanted {
        let kernel = Kernel::ensure(places, *line, false)?;
        let name = format!("{}/{}", line.label(), flavour.file());
        tally.result(&name, build::module(places, &kernel, *flavour).map(drop));
    }
    Ok(tally)
}

/// Machines whose scenes another tier plays on two CPUs have one: on two cores that emulate, what two CPUs say to each other
/// is a good part of the work.
const ONE_CPU: &str = "--cpus=1";

/// Every scene on one kernel, in one boot.
///
/// # Errors
/// When the machine cannot be set up.
pub(crate) fn scenes(places: &Places, tier: &str, line: Line, filter: &Filter) -> Result<Tally> {
    let cpus = (line != DEFAULT_KERNEL).then_some(ONE_CPU);
    let words: Vec<&str> = ["--kernel", line.label()].into_iter().chain(cpus).collect();
    play(places, tier, &words, filter)
}

/// Scenes with bytes that pass through the engine on their way: those in which bytes move and flows end. In the others
/// nothing depends on it; `cargo lab demo --mediated` plays them all.
pub(crate) fn mediated_words(line: Line) -> [&'static str; 5] {
    let only = "--only=b,d,e,i,j";
    ["--kernel", line.label(), ONE_CPU, "--mediated", only]
}

/// Plays [`mediated_words`].
///
/// # Errors
/// When the machine cannot be set up.
pub(crate) fn mediated(places: &Places, tier: &str, line: Line, filter: &Filter) -> Result<Tally> {
    play(places, tier, &mediated_words(line), filter)
}

/// The scenes that two machines can show, on two kernels.
///
/// # Errors
/// When a machine cannot be set up.
pub(crate) fn pair(
    places: &Places,
    tier: &str,
    lines: [Line; 2],
    filter: &Filter,
) -> Result<Tally> {
    let pair = format!("--pair={}", lines[1].label());
    let words = ["--kernel", lines[0].label(), ONE_CPU, &pair];
    play(places, tier, &words, filter)
}

/// Each scene with its mechanism broken, in one boot: all have to fail.
///
/// # Errors
/// When the machine cannot be set up.
pub(crate) fn sabotage(places: &Places, tier: &str, line: Line, filter: &Filter) -> Result<Tally> {
    let words = ["--kernel", line.label(), ONE_CPU];
    let wanted = wanted(&words, tier, filter)?;
    let mut tally = Tally::default();
    let only = wanted.join(",");
    let words = [&words[..], &["--sabotage", "each", "--only", &only]].concat();
    let outcome = demo(places, tier, &words)?;
    for scene in wanted {
        match played(&outcome, &scene) {
            Some(played) if played.pass => {
                let why = "it passed although its mechanism was broken";
                tally.fail(scene, format!("{why}: {}", played.detail));
            }
            Some(played) if !played.judged => tally.fail(scene, played.detail.as_str()),
            Some(_) => tally.passed += 1,
            None => tally.fail(scene, "it did not run"),
        }
    }
    check_log(&mut tally, &outcome);
    Ok(tally)
}

fn played<'a>(outcome: &'a Outcome, scene: &str) -> Option<&'a demo::Played> {
    outcome
        .played
        .iter()
        .find(|played| played.scene.file() == scene)
}

/// A run in which every scene did as it should and which is not good has something in its kernel log.
fn check_log(tally: &mut Tally, outcome: &Outcome) {
    if tally.failed.is_empty() && !outcome.good {
        tally.fail("kernel log", outcome.trouble.join("\n"));
    }
    tally.notes.push(outcome.kernel.clone());
}

/// The scenes to be played.
fn wanted(words: &[&str], tier: &str, filter: &Filter) -> Result<Vec<String>> {
    let mut scenes = scene_files(words)?;
    scenes.retain(|scene| filter.takes(tier, scene));
    Ok(scenes)
}

fn play(places: &Places, tier: &str, words: &[&str], filter: &Filter) -> Result<Tally> {
    let wanted = wanted(words, tier, filter)?;
    let mut tally = Tally::default();
    let only = wanted.join(",");
    let outcome = demo(places, tier, &[words, &["--only", &only]].concat())?;
    for scene in wanted {
        match played(&outcome, &scene) {
            Some(played) if played.pass => tally.passed += 1,
            Some(played) => tally.fail(scene, played.detail.as_str()),
            None => tally.fail(scene, "it did not run"),
        }
    }
    check_log(&mut tally, &outcome);
    Ok(tally)
}

/// The scenes that such a run would play.
///
/// # Errors
/// When the words mean nothing.
pub(crate) fn scene_files(words: &[&str]) -> Result<Vec<String>> {
    Ok(options(words)?
        .scenes
        .iter()
        .map(|scene| scene.file())
        .collect())
}

fn demo(places: &Places, tier: &str, words: &[&str]) -> Result<Outcome> {
    let report = places.lab.join(format!("test-{tier}.json"));
    demo::run(places, &options(words)?, &report)
}

fn options(words: &[&str]) -> Result<demo::Options> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    demo::Options::parse(&words)
}

/// Malformed, mutated and unexpected records at the real device, then the same device as if nothing had been.
///
/// # Errors
/// When the fuzzer does not build, or the machine cannot be set up.
pub(crate) fn device_fuzz(places: &Places, line: Line) -> Result<Tally> {
    let args = vec![FUZZ_SECS.to_string()];
    script(places, line, "device-fuzz.sh", vec![fuzzer(places)?], args)
}

/// A program that moves bytes in every way there is, ungoverned and governed, direct and mediated: what its calls return is
/// the same.
///
/// # Errors
/// When the program does not build, or the machine cannot be set up.
pub(crate) fn calls(places: &Places, line: Line) -> Result<Tally> {
    let differ = |kind: &str| {
        let file = format!("crates/lab/src/test/calls-differ-{kind}.txt");
        places.repo.join(file)
    };
    let kinds = ["direct", "mediated", "unproved"].map(differ);
    let copy = [vec![demo::tools(places)?], kinds.into()].concat();
    script(places, line, "calls.sh", copy, Vec::new())
}

/// Servers and clients as people run them: what arrives is what was sent.
///
/// # Errors
/// When the machine cannot be set up.
pub(crate) fn programs(places: &Places, line: Line) -> Result<Tally> {
    let args = vec![PROGRAM_ROUNDS.to_string()];
    script(places, line, "programs.sh", Vec::new(), args)
}

/// Services of every mode, with governed and ungoverned ends, with an agent and without.
///
/// # Errors
/// When the machine cannot be set up.
pub(crate) fn modes(places: &Places, line: Line) -> Result<Tally> {
    let copy = vec![places.repo.join("crates/lab/scenes/lib-rogue.sh")];
    script(places, line, "modes.sh", copy, Vec::new())
}

/// Root of a user namespace, users who lost the right to the device, and tracers beside us.
///
/// # Errors
/// When the machine cannot be set up.
pub(crate) fn container(places: &Places, line: Line) -> Result<Tally> {
    let copy = vec![places.repo.join("crates/lab/src/test/container.py")];
    script(places, line, "container.sh", copy, Vec::new())
}

/// Peers that never prove anything, as many as one listener can have and more, and local users that hold up whoever looks at
/// their processes: honest ones are served.
///
/// # Errors
/// When the machine cannot be set up.
pub(crate) fn hostile(places: &Places, line: Line) -> Result<Tally> {
    let args = vec![HOSTILE_PEERS.to_string()];
    let copy = vec![places.repo.join("crates/lab/src/test/stuck.py")];
    script(places, line, "hostile.sh", copy, args)
}

/// The module, unloaded and loaded under traffic again and again.
///
/// # Errors
/// When a tool does not build, or the machine cannot be set up.
pub(crate) fn churn(places: &Places, line: Line) -> Result<Tally> {
    let args = vec![CHURN_ROUNDS.to_string()];
    script(places, line, "churn.sh", vec![demo::tools(places)?], args)
}

/// Packages as people install them, on a machine that systemd starts: what they bring runs, and all of it goes again.
///
/// # Errors
/// When a package cannot be made or installed, or the machine cannot be set up.
pub(crate) fn package(places: &Places, line: Line) -> Result<Tally> {
    let kernel = Kernel::ensure(places, line, false)?;
    let debs = {
        let _lock = vm::set_up_lock(places)?;
        package::make(places, Purpose::Test)?
    };
    let mut machine = script_machine(places, line, "package.sh");
    machine.machine = Some(package::disk(places, &kernel, &debs)?);
    machine.copy = vec![places.repo.join("crates/lab/src/test/another-abi.c")];
    machine.bare = true;
    play_script(places, &machine)
}

/// Runs a script of this folder in a guest where Tidelock runs.
pub(super) fn script(
    places: &Places,
    line: Line,
    name: &str,
    copy: Vec<PathBuf>,
    args: Vec<String>,
) -> Result<Tally> {
    let mut machine = script_machine(places, line, name);
    machine.copy = copy;
    machine
        .copy
        .push(places.repo.join("crates/lab/src/test/lib-tier.sh"));
    machine.args = args;
    play_script(places, &machine)
}

fn script_machine(places: &Places, line: Line, name: &str) -> vm::Options {
    let script = places.repo.join("crates/lab/src/test").join(name);
    let mut machine = vm::Options::new(script);
    machine.kernel = line;
    machine.timeout = SCRIPT_TIMEOUT;
    machine
}

/// Runs a script that says `pass` and `fail`.
fn play_script(places: &Places, machine: &vm::Options) -> Result<Tally> {
    let name = machine.script.file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let mut lines = Lines::default();
    let software = |kernel: &Kernel| build::software(places, kernel, Flavour::Real);
    let ended = vm::run(places, machine, software, &mut lines)?;
    let mut tally = lines.tally;
    if ended.end != End::Script(0) && tally.failed.is_empty() {
        tally.fail(&name, ended.end.to_string());
    }
    if tally.passed == 0 && tally.failed.is_empty() {
        tally.fail(&name, "it checked nothing");
    }
    tally.check("kernel log", &ended.trouble);
    if !tally.failed.is_empty() {
        say(format!("logs: {}", ended.folder.display()));
    }
    Ok(tally)
}

/// The program that runs in the guest: an example of the test kit, which is built with the other programs.
fn fuzzer(places: &Places) -> Result<PathBuf> {
    let _lock = vm::set_up_lock(places)?;
    build::programs(places)?;
    build::stripped(
        &places.target.join("debug/examples/device_fuzz"),
        &places.lab,
    )
}

/// Reads `pass NAME`, `fail NAME: WHY` and `note TEXT`; shows the rest.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    tally: Tally,
}

impl Lines {
    fn take(&mut self, line: &str) {
        say(format!("   {line}"));
        match line.split_once(' ') {
            Some(("pass", _)) => self.tally.passed += 1,
            Some(("fail", what)) => {
                let (name, why) = what.split_once(": ").unwrap_or((what, ""));
                self.tally.fail(name, why);
            }
            Some(("note", text)) => self.tally.notes.push(text.to_owned()),
            _ => {}
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    self.take(String::from_utf8_lossy(&line).trim_end());
                }
                byte => self.line.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What virtual machines need of this one.
///
/// # Errors
/// When something is missing and cannot be installed.
pub(crate) fn ensure_tools(places: &Places) -> Result<()> {
    crate::host::ensure_tools(places)?;
    build::check_guest_can_run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guest_says_is_counted() {
        let mut lines = Lines::default();
        lines
            .write_all(b"hello\npass one\nfail two: because: of x\nnote three\npass")
            .expect("it is memory");
        assert_eq!(lines.tally.passed, 1);
        assert_eq!(lines.tally.failed[0].name, "two");
        assert_eq!(lines.tally.failed[0].why, "because: of x");
        assert_eq!(lines.tally.notes, ["three"]);
    }

    #[test]
    fn every_scene_has_a_name_to_go_by() {
        let scenes = scene_files(&["--kernel", "6.12"]).expect("it is well formed");
        assert_eq!(scenes.len(), 10);
        assert!(scenes.iter().all(|scene| scene.get(1..2) == Some("-")));
    }
}
