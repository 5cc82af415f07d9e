//! What the scenes print, line by line, and what comes of it.
//!
//! `@scene LETTER` and `@end LETTER STATUS SECONDS` come from the runner; between them a scene prints `say TEXT`,
//! `figure NAME VALUE UNIT`, and at its end `pass DETAIL`, `fail DETAIL`, or `abort DETAIL` when it could not come to what
//! it is there to show. `log TEXT` is the end of the log of a scene that failed. `@note TEXT` concerns no scene.

use super::options::Scene;
use crate::say::say;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// A scene as it was played.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Played {
    /// Which.
    pub scene: Scene,
    /// Whether it showed what it is there to show.
    pub pass: bool,
    /// Whether it said so itself, or that it failed: it did not abort, nor was it ended by a time-out or with its machine.
    pub judged: bool,
    /// What was seen, or why it failed.
    pub detail: String,
    /// Name, value, unit, in the order printed.
    pub figures: Vec<(String, f64, String)>,
    /// How long it took.
    pub seconds: f64,
}

/// Reads the runner's output and shows it to a person.
#[derive(Debug, Default)]
pub(crate) struct Report {
    line: Vec<u8>,
    running: Option<Running>,
    /// The scenes that have ended.
    pub played: Vec<Played>,
}

#[derive(Debug)]
struct Running {
    scene: Scene,
    verdict: Option<(Verdict, String)>,
    figures: Vec<(String, f64, String)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Pass,
    Fail,
    Abort,
}

impl Report {
    /// The last scene, if it began and did not end, has failed: `why` says what ended the machine.
    pub(crate) fn give_up(&mut self, why: &str) {
        if let Some(running) = self.running.take() {
            self.played.push(Played {
                scene: running.scene,
                pass: false,
                judged: false,
                detail: why.to_owned(),
                figures: running.figures,
                seconds: 0.0,
            });
        }
    }

    fn take(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (verb, &mut self.running) {
            ("@scene", _) => self.begin(rest),
            ("@end", _) => self.end(rest),
            ("@note", _) => say(rest),
            ("say", Some(_)) => say(format!("   {rest}")),
            ("log", Some(_)) => say(format!("   | {rest}")),
            ("figure", Some(running)) => {
                if let Some(figure) = figure(rest) {
                    say(format!("   {} = {} {}", figure.0, figure.1, figure.2));
                    running.figures.push(figure);
                }
            }
            ("pass" | "fail" | "abort", Some(running)) => {
                // Only the first word can be `pass`: a scene that fails while it cleans up does not pass.
                let verdict = match (verb, running.verdict.as_ref().map(|(verdict, _)| verdict)) {
                    ("abort", _) | (_, Some(Verdict::Abort)) => Verdict::Abort,
                    ("pass", None) => Verdict::Pass,
                    _ => Verdict::Fail,
                };
                running.verdict = Some((verdict, rest.to_owned()));
            }
            _ if line.is_empty() => {}
            _ => say(format!("guest: {line}")),
        }
    }

    fn begin(&mut self, rest: &str) {
        self.give_up("the scene did not end");
        match Scene::parse(rest) {
            Ok(scene) => {
                say(format!("{} {} …", scene.letter, scene.title));
                self.running = Some(Running {
                    scene,
                    verdict: None,
                    figures: Vec::new(),
                });
            }
            Err(error) => say(error.to_string()),
        }
    }

    fn end(&mut self, rest: &str) {
        let Some(running) = self.running.take() else {
            return;
        };
        let mut words = rest.split(' ').skip(1);
        let status = words.next().unwrap_or("none");
        let seconds = words.next().and_then(|word| word.parse().ok());
        let (pass, judged, detail) = match (running.verdict, status) {
            (_, "124" | "137") => (false, false, "it took too long".to_owned()),
            (Some((Verdict::Pass, detail)), "0") => (true, true, detail),
            (Some((Verdict::Fail, detail)), _) => (false, true, detail),
            (Some((Verdict::Abort, detail)), _) => (false, false, detail),
            (_, status) => (false, false, format!("it died with status {status}")),
        };
        let word = if pass { "passed" } else { "FAILED" };
        say(format!("   {word}: {detail}"));
        self.played.push(Played {
            scene: running.scene,
            pass,
            judged,
            detail,
            figures: running.figures,
            seconds: seconds.unwrap_or(0.0),
        });
    }
}

impl Write for Report {
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

fn figure(rest: &str) -> Option<(String, f64, String)> {
    let mut words = rest.splitn(3, ' ');
    let name = words.next()?.to_owned();
    let value: f64 = words.next()?.parse().ok()?;
    Some((name, value, words.next()?.to_owned()))
}

/// `target/lab/demo.json`.
pub(crate) fn json(kernel: &str, played: &[Played]) -> Value {
    let scenes: Vec<Value> = played.iter().map(scene_json).collect();
    json!({ "kernel": kernel, "scenes": scenes })
}

fn scene_json(played: &Played) -> Value {
    let figures: Map<String, Value> = played
        .figures
        .iter()
        .map(|(name, value, unit)| (name.clone(), json!({ "value": value, "unit": unit })))
        .collect();
    json!({
        "name": played.scene.letter.to_string(),
        "title": played.scene.title,
        "pass": played.pass,
        "detail": played.detail,
        "seconds": played.seconds,
        "figures": figures,
    })
}

/// The table at the end.
pub(crate) fn table(kernel: &str, played: &[Played]) -> String {
    let mut text = format!("\n{kernel}\n");
    let width = played
        .iter()
        .map(|p| p.scene.title.len())
        .max()
        .unwrap_or(0);
    for one in played {
        let word = if one.pass { "pass" } else { "FAIL" };
        text.push_str(&format!(
            "{} {:width$}  {word}  {:>5.0} s  {}\n",
            one.scene.letter, one.scene.title, one.seconds, one.detail
        ));
        for (name, value, unit) in &one.figures {
            text.push_str(&format!("{:width$}      {name} = {value} {unit}\n", ""));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Played> {
        let mut report = Report::default();
        report.write_all(text.as_bytes()).expect("it is memory");
        report.give_up("lost");
        report.played
    }

    #[test]
    fn a_scene_passes_when_it_says_so_and_ends_well() {
        let played = read("@scene b\nsay x\nfigure to_page 1.5 ms\npass all well\n@end b 0 12\n");
        assert!(played[0].pass);
        assert_eq!(played[0].detail, "all well");
        assert_eq!(
            played[0].figures,
            [("to_page".to_owned(), 1.5, "ms".to_owned())]
        );
        let value = json("6.12", &played);
        assert_eq!(value["scenes"][0]["name"], "b");
        assert_eq!(value["scenes"][0]["figures"]["to_page"]["unit"], "ms");
    }

    #[test]
    fn whatever_else_happens_is_a_failure() {
        for (text, why) in [
            ("@scene b\n@end b 0 1\n", "it died with status 0"),
            ("@scene b\npass x\n@end b 3 1\n", "it died with status 3"),
            ("@scene b\npass x\nfail y\n@end b 0 1\n", "y"),
            ("@scene b\nfail y\npass x\n@end b 0 1\n", "x"),
            ("@scene b\npass x\n@end b 124 1\n", "it took too long"),
            ("@scene b\npass x\n", "lost"),
        ] {
            let played = read(text);
            assert_eq!(
                (played[0].pass, played[0].detail.as_str()),
                (false, why),
                "{text}"
            );
        }
    }

    #[test]
    fn only_a_verdict_of_its_own_is_judged() {
        for (text, judged) in [
            ("@scene b\nfail y\n@end b 1 1\n", true),
            ("@scene b\nabort y\n@end b 1 1\n", false),
            ("@scene b\nfail x\nabort y\n@end b 1 1\n", false),
            ("@scene b\nabort y\npass x\n@end b 0 1\n", false),
            ("@scene b\n@end b 1 1\n", false),
        ] {
            let played = read(text);
            assert_eq!(
                (played[0].pass, played[0].judged),
                (false, judged),
                "{text}"
            );
        }
    }

    #[test]
    fn words_outside_a_scene_decide_nothing() {
        assert_eq!(read("pass x\nfail y\n@end b 0 1\n"), []);
    }
}
