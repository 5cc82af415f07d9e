//! What `/proc` tells of a process: its cgroups, its credentials, when it began.
#![cfg_attr(fuzzing, no_main)]

use tidelock_attest::{Cgroup, Selector, Status, start_ticks};

tidelock_fuzz::target!(|input: &[u8]| {
    if let Ok(cgroup) = Cgroup::parse(input) {
        if let Some(unit) = cgroup.unit() {
            let text = format!("systemd:unit:{unit}");
            assert_eq!(Selector::parse(&text), Ok(Selector::Unit(unit)));
        }
        if let Some(id) = cgroup.container() {
            // It stands there as it is printed.
            let text = id.to_string();
            assert!(
                input
                    .windows(text.len())
                    .any(|part| part == text.as_bytes())
            );
        }
    }
    if let Ok(status) = Status::parse(input) {
        assert!(status.groups().count() <= input.len());
    }
    let _ = start_ticks(input);
});
