//! The tiers: what they are called, how long they may take, and what they do.

use super::filter::Filter;
use super::options::Options;
use super::tally::Tally;
use super::{features, host, interop, lane, machines, workspace};
use crate::build::Flavour;
use crate::failure::{Failure, Result};
use crate::kernel::Line;
use crate::places::Places;
use crate::vm::DEFAULT_KERNEL;

/// How many minutes everything together may take, on a cold machine with two cores.
pub(crate) const BUDGET_MINUTES: f64 = 45.0;

/// How many tiers that boot go on at once, most of them with one machine on one CPU: as many as there are cores. With three, each
/// takes half as long again, and all of them as long.
pub(crate) const AT_ONCE: usize = 2;

/// The two kernels that talk to one another.
const PAIR: [Line; 2] = [Line::V6_12, Line::V6_1];

/// One step of `cargo lab test`, cheapest first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Tier {
    /// Sources are formatted.
    Format,
    /// Rules about the workspace.
    Workspace,
    /// Clippy.
    Lints,
    /// Documentation.
    Documentation,
    /// Everything that `cargo test` runs.
    Tests,
    /// Published crates, each by itself, with each of its features alone.
    Features,
    /// Crates of the kernel lane need no `std`.
    NoStd,
    /// The Rust half of the module as it ships.
    KernelRust,
    /// What is made once and kept: for kernels that are booted, and for those that packages are installed for.
    SetUp(Vec<Line>, Vec<Line>),
    /// The modules that the next tiers load.
    Modules(Vec<(Line, Flavour)>),
    /// Every scene.
    Scenes(Line),
    /// The scenes in which bytes move and flows end, with bytes that pass through the engine.
    Mediated(Line),
    /// Every way in which bytes move, governed and not.
    Calls(Line),
    /// Real servers and clients, unmodified.
    Programs(Line),
    /// Peers that stall or talk nonsense.
    Hostile(Line),
    /// Other implementations of TLS, at one end only.
    Interop(Line),
    /// Services that go in plain where it is written.
    Modes(Line),
    /// Root of a container, and others who trace what is hooked.
    Container(Line),
    /// What policies are told of processes, nodes and the time.
    Facts(Line),
    /// Packages, installed, started and removed.
    Package(Line),
    /// The device, fuzzed.
    DeviceFuzz(Line),
    /// The module, unloaded under traffic.
    Churn(Line),
    /// Scenes between two machines.
    Pair([Line; 2]),
    /// Scenes with their mechanisms broken.
    Sabotage(Line),
}

impl Tier {
    /// What the table and `--filter` call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Format => "fmt".to_owned(),
            Self::Workspace => "workspace".to_owned(),
            Self::Lints => "clippy".to_owned(),
            Self::Documentation => "docs".to_owned(),
            Self::Tests => "tests".to_owned(),
            Self::Features => "features".to_owned(),
            Self::NoStd => "no-std".to_owned(),
            Self::KernelRust => "kernel-rust".to_owned(),
            Self::SetUp(..) => "set-up".to_owned(),
            Self::Modules(_) => "modules".to_owned(),
            Self::Scenes(line) => format!("e2e-{}", line.label()),
            Self::Mediated(line) => format!("mediated-{}", line.label()),
            Self::Calls(line) => format!("calls-{}", line.label()),
            Self::Programs(line) => format!("programs-{}", line.label()),
            Self::Hostile(line) => format!("hostile-{}", line.label()),
            Self::Interop(line) => format!("interop-{}", line.label()),
            Self::Modes(line) => format!("modes-{}", line.label()),
            Self::Container(line) => format!("container-{}", line.label()),
            Self::Facts(line) => format!("facts-{}", line.label()),
            Self::Package(line) => format!("package-{}", line.label()),
            Self::DeviceFuzz(line) => format!("device-fuzz-{}", line.label()),
            Self::Churn(line) => format!("churn-{}", line.label()),
            Self::Pair([a, b]) => format!("pair-{}-{}", a.label(), b.label()),
            Self::Sabotage(line) => format!("sabotage-{}", line.label()),
        }
    }

    /// How many minutes it may take on a cold machine with two cores. The debug kernel's own build is not counted.
    pub(crate) fn budget_minutes(&self) -> f64 {
        self.minutes() * f64::from(self.kernel().map_or(1, Line::slower))
    }

    /// The kernel that it boots, if it is one.
    fn kernel(&self) -> Option<Line> {
        match self {
            Self::Scenes(line) | Self::Mediated(line) | Self::Calls(line) => Some(*line),
            Self::Programs(line) | Self::Hostile(line) | Self::Interop(line) => Some(*line),
            Self::Modes(line) | Self::Container(line) | Self::Facts(line) => Some(*line),
            Self::Package(line) => Some(*line),
            Self::DeviceFuzz(line) | Self::Churn(line) | Self::Sabotage(line) => Some(*line),
            _ => None,
        }
    }

    fn minutes(&self) -> f64 {
        match self {
            Self::Format | Self::Workspace => 0.2,
            Self::Documentation => 0.75,
            // Where keys change there is more to see.
            Self::Interop(Line::Newest) => 5.0,
            Self::KernelRust | Self::Interop(_) => 1.5,
            Self::Container(_) | Self::Facts(_) => 1.5,
            Self::Calls(_) | Self::DeviceFuzz(_) => 1.75,
            Self::NoStd => 2.0,
            Self::Mediated(_) | Self::Modes(_) => 2.5,
            Self::Hostile(_) => 2.75,
            Self::Modules(_) | Self::Package(_) => 3.5,
            Self::Pair(_) => 4.0,
            Self::Sabotage(_) => 4.25,
            Self::Features | Self::Programs(_) | Self::Churn(_) => 4.5,
            Self::Scenes(_) => 5.0,
            Self::Lints => 5.5,
            Self::SetUp(..) => 7.0,
            Self::Tests => 11.0,
        }
    }

    /// Whether it boots something, or prepares that.
    pub(crate) fn needs_machine(&self) -> bool {
        match self {
            Self::SetUp(..) | Self::Modules(_) | Self::Scenes(_) | Self::Calls(_) => true,
            Self::Mediated(_)
            | Self::Programs(_)
            | Self::Hostile(_)
            | Self::Interop(_)
            | Self::Modes(_)
            | Self::Container(_)
            | Self::Package(_)
            | Self::Facts(_)
            | Self::DeviceFuzz(_)
            | Self::Churn(_)
            | Self::Pair(_)
            | Self::Sabotage(_) => true,
            Self::Format | Self::Workspace | Self::Lints | Self::Documentation => false,
            Self::Tests | Self::Features | Self::NoStd | Self::KernelRust => false,
        }
    }

    /// Whether it goes on beside the host's own tiers: what kernels need and what is built for them, and what takes crates apart. In
    /// a target folder of its own, so that it does not wait for the host's.
    pub(crate) fn goes_beside(&self) -> bool {
        matches!(
            self,
            Self::SetUp(..) | Self::Modules(_) | Self::Features | Self::NoStd | Self::KernelRust
        )
    }

    /// Whether it boots a machine, and runs beside others that do.
    pub(crate) fn boots(&self) -> bool {
        self.needs_machine() && !matches!(self, Self::SetUp(..) | Self::Modules(_))
    }

    /// The scenes that `--filter` can choose from.
    fn scenes(&self) -> Result<Vec<String>> {
        match self {
            Self::Scenes(line) | Self::Sabotage(line) => {
                machines::scene_files(&["--kernel", line.label()])
            }
            Self::Mediated(line) => machines::scene_files(&machines::mediated_words(*line)),
            Self::Pair([a, b]) => {
                let pair = format!("--pair={}", b.label());
                machines::scene_files(&["--kernel", a.label(), &pair])
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// When the tier as a whole cannot be run, which is a failure of it.
    pub(crate) fn run(&self, places: &Places, filter: &Filter) -> Result<Tally> {
        match self {
            Self::Format => host::formatting(places),
            Self::Workspace => workspace::run(places),
            Self::Lints => host::lints(places),
            Self::Documentation => host::documentation(places),
            Self::Tests => host::tests(places),
            Self::Features => features::each(places),
            Self::NoStd => lane::without_std(places),
            Self::KernelRust => lane::shipped(places),
            Self::SetUp(lines, installed) => machines::set_up(places, lines, installed),
            Self::Modules(wanted) => machines::modules(places, wanted),
            Self::Scenes(line) => machines::scenes(places, &self.name(), *line, filter),
            Self::Mediated(line) => machines::mediated(places, &self.name(), *line, filter),
            Self::Calls(line) => machines::calls(places, *line),
            Self::Programs(line) => machines::programs(places, *line),
            Self::Hostile(line) => machines::hostile(places, *line),
            Self::Interop(line) => interop::run(places, *line),
            Self::Modes(line) => machines::modes(places, *line),
            Self::Container(line) => machines::container(places, *line),
            Self::Facts(line) => machines::script(places, *line, "facts.sh", vec![], vec![]),
            Self::Package(line) => machines::package(places, *line),
            Self::DeviceFuzz(line) => machines::device_fuzz(places, *line),
            Self::Churn(line) => machines::churn(places, *line),
            Self::Pair(lines) => machines::pair(places, &self.name(), *lines, filter),
            Self::Sabotage(line) => machines::sabotage(places, &self.name(), *line, filter),
        }
    }
}

/// The tiers that are asked for, in the order in which they run.
///
/// # Errors
/// When there is none.
pub(crate) fn plan(options: &Options) -> Result<Vec<Tier>> {
    let filter = Filter(options.filter.clone());
    let mut chosen = Vec::new();
    let mut known = Vec::new();
    for tier in all(options) {
        let scenes = tier.scenes()?;
        if filter.takes_some(&tier.name(), &scenes) {
            chosen.push(tier.clone());
        }
        known.push(tier.name());
    }
    if chosen.is_empty() {
        let what = format!(
            "no tier or scene has `{}` in its name",
            filter.0.unwrap_or_default()
        );
        return Err(Failure::new(what).fix(format!("there are {}", known.join(", "))));
    }
    Ok(chosen)
}

fn all(options: &Options) -> Vec<Tier> {
    let mut tiers = vec![
        Tier::Format,
        Tier::Workspace,
        Tier::Lints,
        Tier::Documentation,
        Tier::Tests,
        Tier::Features,
        Tier::NoStd,
        Tier::KernelRust,
    ];
    if options.host_only {
        return tiers;
    }
    if options.debug_kernel {
        return on_debug_kernel();
    }
    let wanted = |line: &Line| options.kernel.is_none_or(|only| only == *line);
    let lines: Vec<Line> = Line::ALL.into_iter().filter(wanted).collect();
    let in_a_pair = PAIR.iter().any(wanted);
    let sabotaged = wanted(&DEFAULT_KERNEL);
    let booted = |line: &Line| lines.contains(line) || (in_a_pair && PAIR.contains(line));
    let booted: Vec<Line> = Line::ALL.into_iter().filter(booted).collect();
    let mut modules: Vec<(Line, Flavour)> =
        booted.iter().map(|line| (*line, Flavour::Real)).collect();
    if sabotaged {
        modules.push((DEFAULT_KERNEL, Flavour::Sabotage));
    }
    if sabotaged {
        tiers.push(Tier::Mediated(DEFAULT_KERNEL));
    }
    // On the kernel that is asked for, or on one.
    let one = options.kernel.unwrap_or(DEFAULT_KERNEL);
    tiers.extend([Tier::SetUp(booted, vec![one]), Tier::Modules(modules)]);
    // The longest first, so that those that run side by side end together.
    tiers.extend(lines.iter().copied().map(Tier::Scenes));
    if sabotaged {
        tiers.push(Tier::Sabotage(DEFAULT_KERNEL));
    }
    if in_a_pair {
        tiers.push(Tier::Pair(PAIR));
    }
    tiers.extend([Tier::Programs(one), Tier::Hostile(one), Tier::Package(one)]);
    tiers.extend([Tier::Interop(one), Tier::Modes(one)]);
    tiers.extend([Tier::Container(one), Tier::Facts(one)]);
    tiers.extend(lines.iter().copied().map(Tier::DeviceFuzz));
    tiers.extend(lines.iter().copied().map(Tier::Calls));
    tiers
}

/// What makes the module do all that it does, on a kernel that looks for mistakes.
fn on_debug_kernel() -> Vec<Tier> {
    let line = Line::Debug;
    vec![
        Tier::SetUp(vec![line], Vec::new()),
        Tier::Modules(vec![(line, Flavour::Real)]),
        Tier::Scenes(line),
        Tier::Mediated(line),
        Tier::Programs(line),
        Tier::Hostile(line),
        Tier::Interop(line),
        Tier::Modes(line),
        Tier::Container(line),
        Tier::Facts(line),
        Tier::DeviceFuzz(line),
        Tier::Calls(line),
        Tier::Churn(line),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(options: &Options) -> Vec<String> {
        let tiers = plan(options).expect("something is asked for");
        tiers.iter().map(Tier::name).collect()
    }

    #[test]
    fn everything_runs_unless_told_otherwise() {
        let names = names(&Options::default());
        for line in Line::ALL {
            assert!(names.contains(&format!("e2e-{}", line.label())));
            assert!(names.contains(&format!("device-fuzz-{}", line.label())));
        }
        assert!(names.contains(&"pair-6.12-6.1".to_owned()));
        assert!(names.contains(&"sabotage-6.12".to_owned()));
        assert!(names.contains(&"package-6.12".to_owned()));
    }

    #[test]
    fn the_budgets_fit_into_what_everything_may_take() {
        let tiers = plan(&Options::default()).expect("everything");
        let (booting, rest): (Vec<Tier>, Vec<Tier>) = tiers.into_iter().partition(Tier::boots);
        // What goes on beside the host's own tiers takes no longer than they do.
        let (beside, alone): (Vec<Tier>, Vec<Tier>) = rest.into_iter().partition(Tier::goes_beside);
        let sum = |tiers: &[Tier]| tiers.iter().map(Tier::budget_minutes).sum::<f64>();
        let at_once = f64::from(u8::try_from(AT_ONCE).expect("it is small"));
        assert!(sum(&beside) < sum(&alone) + 1.0, "{}", sum(&beside));
        let minutes = sum(&alone) + sum(&booting) / at_once;
        assert!(minutes < BUDGET_MINUTES, "{minutes}");
    }

    #[test]
    fn the_host_needs_no_machine() {
        let options = Options {
            host_only: true,
            ..Options::default()
        };
        assert!(!names(&options).iter().any(|name| name.contains("6.1")));
    }

    #[test]
    fn the_kernel_that_looks_for_mistakes_runs_alone() {
        let options = Options {
            debug_kernel: true,
            ..Options::default()
        };
        let (booting, rest): (Vec<Tier>, Vec<Tier>) = plan(&options)
            .expect("something is asked for")
            .into_iter()
            .partition(Tier::boots);
        assert!(rest.iter().all(Tier::needs_machine), "{rest:?}");
        assert!(
            booting.iter().all(|tier| tier.name().ends_with("-debug")),
            "{booting:?}"
        );
    }

    #[test]
    fn one_kernel_brings_only_what_it_takes_part_in() {
        let options = Options {
            kernel: Some(Line::Newest),
            ..Options::default()
        };
        let names = names(&options);
        assert!(names.contains(&"e2e-newest".to_owned()));
        assert!(!names.iter().any(|name| name.contains("6.1")), "{names:?}");
    }

    #[test]
    fn a_filter_finds_tiers_and_scenes() {
        let filtered = |part: &str| {
            let options = Options {
                filter: Some(part.to_owned()),
                ..Options::default()
            };
            plan(&options).map(|tiers| tiers.iter().map(Tier::name).collect::<Vec<_>>())
        };
        assert_eq!(filtered("clippy").expect("a tier"), ["clippy"]);
        let scenes = filtered("b-mtls").expect("a scene");
        assert_eq!(scenes.len(), 6, "{scenes:?}");
        let failure = filtered("nothing").expect_err("no such name").to_string();
        assert!(failure.contains("e2e-6.12"), "{failure}");
    }
}
