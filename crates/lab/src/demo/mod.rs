//! `cargo lab demo`: shows what Tidelock does, in one boot, scene by scene.

mod options;
mod report;
mod tools;

pub(crate) use options::Options;
pub(crate) use report::Played;
pub(crate) use tools::build as tools;

use crate::build::{self, Flavour};
use crate::failure::{Doing, Result};
use crate::kernel::Kernel;
use crate::places::Places;
use crate::say::{say, seconds};
use crate::vm::{self, End};
use options::{Sabotage, Scene};
use report::Report;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the machine may take to boot, to start Tidelock and to run every scene; each scene has its own bound.
const TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// Memory of a machine, in MiB: captures are kept in it.
const MEMORY_MIB: u32 = 1536;

/// What was played, and where its logs are.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// In the order in which they ran.
    pub played: Vec<Played>,
    /// What the kernel, or the kernels, call themselves.
    pub kernel: String,
    /// Whether everything went as it should: all passed or, with a sabotage, exactly the sabotaged one failed.
    pub good: bool,
    /// What the kernel logs hold that means trouble.
    pub trouble: Vec<String>,
}

/// Boots, plays the scenes, prints the table, and writes it as JSON to `to`.
///
/// # Errors
/// When something does not build, or the machine cannot be started. A scene that fails is not an error.
pub(crate) fn run(places: &Places, options: &Options, to: &Path) -> Result<Outcome> {
    let start = Instant::now();
    let flavour = match options.sabotage {
        Some(_) => Flavour::Sabotage,
        None => Flavour::Real,
    };
    let machine = machine(places, options)?;
    let kernel = kernel_names(places, options)?;
    let mut report = Report::default();
    let ended = vm::run(
        places,
        &machine,
        |kernel| build::software(places, kernel, flavour),
        &mut report,
    )?;
    let how = ended.end.to_string();
    if !matches!(ended.end, End::Script(_)) {
        say(&how);
    }
    report.give_up(&how);
    vm::say_trouble(&ended.trouble);
    say(format!("logs: {}", ended.folder.display()));
    // What a broken mechanism makes the kernel say is not held against the others.
    let quiet = options.sabotage.is_some() || ended.trouble.is_empty();
    let good = is_good(options, &report.played) && quiet;
    let json = report::json(&kernel, &report.played);
    fs::write(to, format!("{json:#}\n")).doing("write", to)?;
    println!("{}", report::table(&kernel, &report.played));
    say(format!(
        "{} after {}",
        verdict(options, good),
        seconds(start.elapsed())
    ));
    Ok(Outcome {
        played: report.played,
        kernel,
        good,
        trouble: ended.trouble,
    })
}

fn machine(places: &Places, options: &Options) -> Result<vm::Options> {
    let scenes = places.repo.join("crates/lab/scenes");
    let mut machine = vm::Options::new(scenes.join("run.sh"));
    machine.kernel = options.kernel;
    machine.pair = options.pair;
    machine.cpus = options.cpus;
    machine.sabotage = options.sabotage.map(Sabotage::word);
    machine.timeout = TIMEOUT;
    machine.memory_mib = MEMORY_MIB;
    machine.copy = vec![scenes, tools::build(places)?];
    let mediated = options.mediated.then(|| "--mediated".to_owned());
    let scenes = options.scenes.iter().map(|scene| scene.file());
    machine.args = mediated.into_iter().chain(scenes).collect();
    Ok(machine)
}

fn kernel_names(places: &Places, options: &Options) -> Result<String> {
    let mut names = vec![Kernel::ensure(places, options.kernel, false)?.release];
    if let Some(line) = options.pair {
        names.push(Kernel::ensure(places, line, false)?.release);
    }
    Ok(names.join(" and "))
}

/// Every scene ran and came to a verdict; all passed or, with a sabotage, exactly the sabotaged one failed.
fn is_good(options: &Options, played: &[Played]) -> bool {
    let ran: Vec<Scene> = played.iter().map(|one| one.scene).collect();
    let to_fail = |scene| {
        options
            .sabotage
            .is_some_and(|sabotage| sabotage.hits(scene))
    };
    let as_meant = |one: &Played| one.judged && one.pass != to_fail(one.scene);
    ran == options.scenes && played.iter().all(as_meant)
}

fn verdict(options: &Options, good: bool) -> String {
    match (options.sabotage, good) {
        (None, true) => "every scene passed".to_owned(),
        (None, false) => "not every scene passed".to_owned(),
        (Some(Sabotage::Of(scene)), true) => {
            format!("the sabotage of `{}` was caught, by it alone", scene.file())
        }
        (Some(Sabotage::Of(scene)), false) => {
            format!(
                "the sabotage of `{}` was not caught by it alone",
                scene.file()
            )
        }
        (Some(Sabotage::Each), true) => "every sabotage was caught".to_owned(),
        (Some(Sabotage::Each), false) => "not every sabotage was caught".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(scene: Scene, pass: bool) -> Played {
        Played {
            scene,
            pass,
            judged: true,
            detail: String::new(),
            figures: Vec::new(),
            seconds: 0.0,
        }
    }

    #[test]
    fn exactly_the_sabotaged_scene_has_to_fail() {
        let (b, c) = (options::SCENES[1], options::SCENES[2]);
        let mut options = Options {
            scenes: vec![b, c],
            ..Options::default()
        };
        assert!(is_good(&options, &[played(b, true), played(c, true)]));
        assert!(!is_good(&options, &[played(b, true), played(c, false)]));
        assert!(!is_good(&options, &[played(b, true)]));
        options.sabotage = Some(Sabotage::Of(c));
        assert!(is_good(&options, &[played(b, true), played(c, false)]));
        assert!(!is_good(&options, &[played(b, false), played(c, false)]));
        assert!(!is_good(&options, &[played(b, true), played(c, true)]));
        let died = Played {
            judged: false,
            ..played(c, false)
        };
        assert!(!is_good(&options, &[played(b, true), died]));
        options.sabotage = Some(Sabotage::Each);
        assert!(is_good(&options, &[played(b, false), played(c, false)]));
        assert!(!is_good(&options, &[played(b, true), played(c, false)]));
    }
}
