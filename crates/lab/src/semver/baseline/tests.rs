use super::*;
use crate::cmd::Cmd;

const ID: &str = "7931839000000000000000000000000000000000";

/// A repository with two commits, and the lab's folders beside it.
struct Bench {
    dir: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tidelock-lab-{name}-{}", std::process::id()));
        remove(&dir).expect("what an earlier run left can go");
        for folder in ["origin", "lab", "cache"] {
            fs::create_dir_all(dir.join(folder)).expect("the temporary folder is writable");
        }
        let bench = Self { dir };
        let origin = bench.dir.join("origin");
        run(git(&origin, &["init", "--quiet"]));
        bench.commit("one");
        bench.commit("two");
        bench
    }

    fn commit(&self, file: &str) {
        let origin = self.dir.join("origin");
        fs::write(origin.join(file), file).expect("it is writable");
        run(git(&origin, &["add", "."]));
        let who = ["-c", "user.name=x", "-c", "user.email=x@example.org"];
        let commit = git(&origin, &who).args(["commit", "--quiet", "--message", file]);
        run(commit);
    }

    fn id(&self, commit: &str) -> Baseline {
        let said = git(&self.dir.join("origin"), &["rev-parse", commit]).output();
        Baseline::parse(&said.expect("the commit exists")).expect("it is a full id")
    }

    /// A clone without history, which may be unable to ask for more.
    fn shallow(&self, can_ask: bool) -> Places {
        let clone = self.dir.join("clone");
        let from = format!("file://{}", self.dir.join("origin").display());
        let words = ["clone", "--quiet", "--depth", "1", from.as_str()];
        run(git(&self.dir, &words).arg(&clone));
        if !can_ask {
            run(git(&clone, &["remote", "remove", "origin"]));
        }
        self.places(clone)
    }

    fn places(&self, repo: PathBuf) -> Places {
        Places {
            repo,
            target: self.dir.clone(),
            lab: self.dir.join("lab"),
            cache: self.dir.join("cache"),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What stays behind is small, and in the temporary folder.
        let _ = remove(&self.dir);
    }
}

fn run(cmd: Cmd) {
    cmd.run().expect("git does what it is told");
}

#[test]
fn the_file_names_one_commit_by_its_full_id() {
    let text = format!("# Why.\n\n{ID}\n");
    assert_eq!(Baseline::parse(&text), Ok(Baseline(ID.to_owned())));
    assert_eq!(Baseline(ID.to_owned()).short(), "793183900000");
    let upper = ID.replace('7', "A");
    for wrong in [
        "",
        "# none\n",
        "7931839",
        "HEAD",
        upper.as_str(),
        "--output=x",
    ] {
        assert!(Baseline::parse(wrong).is_err(), "{wrong}");
    }
    assert!(Baseline::parse(&format!("{ID}\n{ID}\n")).is_err());
}

#[test]
fn this_repository_names_one() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert!(Baseline::read(&repo).is_ok());
}

#[test]
fn the_files_are_those_of_the_commit() {
    let bench = Bench::new("baseline-files");
    let places = bench.places(bench.dir.join("origin"));
    let Ok(Files::In(tree)) = bench.id("HEAD~1").files(&places) else {
        panic!("it is in the history");
    };
    assert!(tree.join("one").is_file() && !tree.join("two").exists());
}

#[test]
fn a_commit_that_the_history_lacks_is_an_error() {
    let bench = Bench::new("baseline-lacks");
    let places = bench.places(bench.dir.join("origin"));
    let unknown = Baseline(ID.to_owned()).files(&places);
    assert!(
        unknown
            .expect_err("there is no such commit")
            .to_string()
            .contains(FILE)
    );
    let two = bench.id("HEAD");
    run(git(&places.repo, &["reset", "--quiet", "--hard", "HEAD~1"]));
    let left_behind = two
        .files(&places)
        .expect_err("nobody who clones the branch has it");
    assert!(left_behind.to_string().contains("history"), "{left_behind}");
}

#[test]
fn a_shallow_clone_asks_for_the_one_commit() {
    let bench = Bench::new("baseline-asks");
    let places = bench.shallow(true);
    let one = bench.id("HEAD~1");
    assert!(!one.is_in(&places.repo));
    let Ok(Files::In(tree)) = one.files(&places) else {
        panic!("its origin has it");
    };
    assert!(tree.join("one").is_file() && !tree.join("two").exists());
}

#[test]
fn a_shallow_clone_that_cannot_ask_says_what_is_not_checked() {
    let bench = Bench::new("baseline-cannot");
    let places = bench.shallow(false);
    let Ok(Files::NotHere(why)) = bench.id("HEAD~1").files(&places) else {
        panic!("there is nowhere to ask");
    };
    assert!(
        why.contains("shallow") && why.contains("--unshallow"),
        "{why}"
    );
}

#[test]
fn sources_without_a_history_say_so() {
    let bench = Bench::new("baseline-sources");
    let places = bench.places(bench.dir.join("lab"));
    let found = bench.id("HEAD").files(&places);
    assert!(matches!(found, Ok(Files::NotHere(why)) if why.contains("no clone")));
}
