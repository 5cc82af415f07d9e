//! The command line of `cargo lab demo`.

use crate::failure::{Failure, Result};
use crate::kernel::Line;
use crate::vm::{self, DEFAULT_CPUS, DEFAULT_KERNEL};

/// A scene: its letter, which the command line and the results go by, and its title.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Scene {
    /// `a` to `j`.
    pub letter: char,
    /// One word or two.
    pub title: &'static str,
}

/// Every scene, in the order in which they run.
pub(crate) const SCENES: [Scene; 10] = [
    scene('a', "identity"),
    scene('b', "mtls"),
    scene('c', "denied"),
    scene('d', "live-edit"),
    scene('e', "rotation"),
    scene('f', "tampering"),
    scene('g', "agent-killed"),
    scene('h', "ungoverned"),
    scene('i', "load-unload"),
    scene('j', "exit"),
];

/// The scenes that can also run between two machines.
pub(crate) const PAIR_SCENES: &str = "bcde";

const fn scene(letter: char, title: &'static str) -> Scene {
    Scene { letter, title }
}

impl Scene {
    /// Finds a scene by its letter, its title, or both with a hyphen between.
    ///
    /// # Errors
    /// When there is no such scene.
    pub(crate) fn parse(word: &str) -> Result<Self> {
        let named = |scene: &&Self| {
            word == scene.title || word == scene.letter.to_string() || word == scene.file()
        };
        SCENES.iter().find(named).copied().ok_or_else(|| {
            let known = SCENES.map(Self::file).join(", ");
            Failure::new(format!("there is no scene `{word}`")).fix(known)
        })
    }

    /// The name of its script, without the ending.
    pub(crate) fn file(self) -> String {
        format!("{}-{}", self.letter, self.title)
    }
}

/// Whose mechanism is broken, while they run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sabotage {
    /// This scene's.
    Of(Scene),
    /// Each scene's, in turn: one boot, and every scene must fail.
    Each,
}

impl Sabotage {
    /// Whether this scene is to fail.
    pub(crate) fn hits(self, scene: Scene) -> bool {
        self == Self::Each || self == Self::Of(scene)
    }

    /// How the guest is told.
    pub(crate) fn word(self) -> String {
        match self {
            Self::Of(scene) => scene.letter.to_string(),
            Self::Each => "each".to_owned(),
        }
    }

    fn parse(word: &str) -> Result<Self> {
        match word {
            "each" => Ok(Self::Each),
            _ => Scene::parse(word).map(Self::Of),
        }
    }
}

/// What is to be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Options {
    /// Which kernel.
    pub kernel: Line,
    /// Between two machines; the second has this kernel.
    pub pair: Option<Line>,
    /// How many CPUs each machine has.
    pub cpus: u32,
    /// What is broken.
    pub sabotage: Option<Sabotage>,
    /// Whether flows are mediated, and their bytes changed by nothing.
    pub mediated: bool,
    /// Which scenes, in order.
    pub scenes: Vec<Scene>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kernel: DEFAULT_KERNEL,
            pair: None,
            cpus: DEFAULT_CPUS,
            sabotage: None,
            mediated: false,
            scenes: SCENES.to_vec(),
        }
    }
}

impl Options {
    /// Reads the arguments after `demo`.
    ///
    /// # Errors
    /// For an unknown option or scene, or scenes that cannot run as asked.
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let (mut same_pair, mut only) = (false, None);
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let mut value = || {
                let next = inline.clone().or_else(|| words.next().cloned());
                next.ok_or_else(|| Failure::new(format!("`{name}` needs a value")))
            };
            match name {
                "--kernel" => options.kernel = Line::parse(&value()?)?,
                "--cpus" => options.cpus = vm::number(name, &value()?)?,
                "--sabotage" => options.sabotage = Some(Sabotage::parse(&value()?)?),
                "--mediated" => options.mediated = true,
                "--only" => only = Some(list(&value()?)?),
                "--pair" => match &inline {
                    Some(kernel) => options.pair = Some(Line::parse(kernel)?),
                    None => same_pair = true,
                },
                _ => {
                    let what = format!("`cargo lab demo` has no option `{word}`");
                    return Err(Failure::new(what).fix(crate::USAGE));
                }
            }
        }
        if same_pair {
            options.pair = Some(options.kernel);
        }
        options.choose(only)
    }

    fn choose(mut self, only: Option<Vec<Scene>>) -> Result<Self> {
        let fits = |scene: &Scene| self.pair.is_none() || PAIR_SCENES.contains(scene.letter);
        match only {
            Some(only) => {
                if let Some(scene) = only.iter().find(|scene| !fits(scene)) {
                    let what = format!("scene `{}` needs no second machine", scene.file());
                    return Err(Failure::new(what).fix("leave out `--pair`"));
                }
                self.scenes = only;
            }
            None => self.scenes.retain(fits),
        }
        match self.sabotage {
            Some(Sabotage::Of(scene)) if !self.scenes.contains(&scene) => {
                let what = format!(
                    "scene `{}` is to be sabotaged and does not run",
                    scene.file()
                );
                Err(Failure::new(what))
            }
            _ => Ok(self),
        }
    }
}

/// Scenes with commas between, in the order given.
fn list(words: &str) -> Result<Vec<Scene>> {
    words.split(',').map(Scene::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    fn letters(options: &Options) -> String {
        options.scenes.iter().map(|scene| scene.letter).collect()
    }

    #[test]
    fn machines_have_two_cpus_unless_told_otherwise() {
        assert_eq!(parse("").expect("nothing is asked for").cpus, 2);
        assert_eq!(parse("--cpus=1").expect("one").cpus, 1);
        assert!(parse("--cpus 0").is_err());
    }

    #[test]
    fn all_scenes_run_unless_told_otherwise() {
        let options = parse("").expect("nothing is asked for");
        assert_eq!(letters(&options), "abcdefghij");
        assert_eq!((options.pair, options.sabotage), (None, None));
    }

    #[test]
    fn scenes_go_by_letter_title_or_file() {
        let options = parse("--only j,mtls,c-denied").expect("they exist");
        assert_eq!(letters(&options), "jbc");
        assert!(parse("--only k").is_err());
    }

    #[test]
    fn two_machines_show_only_what_is_between_two() {
        let options = parse("--pair=newest --kernel 6.1").expect("it is well formed");
        assert_eq!(
            (options.kernel, options.pair),
            (Line::V6_1, Some(Line::Newest))
        );
        assert_eq!(letters(&options), PAIR_SCENES);
        assert!(parse("--pair --only i").is_err());
    }

    #[test]
    fn flows_are_direct_unless_told_otherwise() {
        assert!(!parse("").expect("nothing is asked for").mediated);
        assert!(parse("--mediated").expect("it is well formed").mediated);
    }

    #[test]
    fn a_sabotaged_scene_has_to_run() {
        assert!(parse("--sabotage d").is_ok());
        assert!(parse("--sabotage d --only e").is_err());
        assert!(parse("--sabotage each --only e").is_ok());
    }
}
