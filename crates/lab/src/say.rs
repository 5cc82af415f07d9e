//! Progress, on standard error: standard output belongs to the guest and to tables.

use std::cell::RefCell;
use std::time::{Duration, Instant};

thread_local! {
    /// On whose behalf this thread speaks: empty, or a name and what parts it from the line.
    static SPEAKER: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Prints one line of progress.
pub(crate) fn say(line: impl AsRef<str>) {
    SPEAKER.with_borrow(|speaker| eprintln!("lab: {speaker}{}", line.as_ref()));
}

/// Does `work`, with `name` in front of every line of progress: for work that goes on side by side.
pub(crate) fn named<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let before = SPEAKER.replace(format!("{name}: "));
    let result = work();
    SPEAKER.set(before);
    result
}

/// Says what is being done, does it, and says how long it took.
pub(crate) fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    say(format!("{what} …"));
    let start = Instant::now();
    let result = work();
    say(format!("{what}: {}", seconds(start.elapsed())));
    result
}

/// A duration as people read it: `0.4 s`, `12 s`, `3 min 20 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    match whole {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{whole} s"),
        _ => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(420)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(42)), "42 s");
        assert_eq!(seconds(Duration::from_secs(200)), "3 min 20 s");
    }
}
