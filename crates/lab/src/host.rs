//! What must be installed on this machine.

use crate::cmd::{Cmd, installed};
use crate::failure::{Failure, Result};
use crate::places::Places;
use crate::say::timed;

/// Programs the lab runs, with the Debian package that has each.
const TOOLS: [(&str, &str); 13] = [
    ("mmdebstrap", "mmdebstrap"),
    ("mke2fs", "e2fsprogs"),
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("depmod", "kmod"),
    ("xz", "xz-utils"),
    ("tar", "tar"),
    ("unshare", "util-linux"),
    ("fakeroot", "fakeroot"),
    ("gcc", "gcc"),
    ("ld", "binutils"),
    ("make", "make"),
    ("apt-get", "apt"),
];

/// Makes sure every tool is there: installs what is missing if we are root, else says how to.
///
/// # Errors
/// When something is missing and cannot be installed.
pub(crate) fn ensure_tools(places: &Places) -> Result<()> {
    if !(cfg!(target_arch = "x86_64") && cfg!(target_os = "linux")) {
        return Err(Failure::new("the lab runs on x86-64 Linux only"));
    }
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!(
        "apt-get install --no-install-recommends {}",
        missing.join(" ")
    );
    if !installed("apt-get") {
        return Err(Failure::new(format!(
            "these packages are missing: {}",
            missing.join(", ")
        )));
    }
    if !is_root() {
        let what = format!("these packages are missing: {}", missing.join(", "));
        return Err(Failure::new(what).fix(format!("sudo {line}")));
    }
    timed(&format!("installing {}", missing.join(" ")), || {
        let apt = || {
            let log = places.lab.join("apt-get.log");
            Cmd::new("apt-get")
                .env("DEBIAN_FRONTEND", "noninteractive")
                .log(&log)
        };
        let install = || {
            apt()
                .args(["install", "-y", "-q", "--no-install-recommends"])
                .args(&missing)
                .run()
        };
        // The lists may be missing or too old to download by: then fetch them, once.
        install().or_else(|_| apt().args(["update", "-q"]).run().and_then(|()| install()))
    })
}

/// Whether we run as root.
pub(crate) fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            status
                .lines()
                .find_map(|line| line.strip_prefix("Uid:"))
                .map(str::to_owned)
        })
        .is_some_and(|uids| uids.split_whitespace().nth(1) == Some("0"))
}

fn missing() -> Vec<&'static str> {
    let mut missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(program, _)| !installed(program))
        .map(|(_, package)| *package)
        .collect();
    // The initramfs needs the static one, which no library of this machine can break.
    if !std::path::Path::new("/usr/share/doc/busybox-static").exists()
        && !missing.contains(&"busybox-static")
    {
        missing.push("busybox-static");
    }
    missing
}
