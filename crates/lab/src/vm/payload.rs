//! What a run brings into its guest: a tar that the initramfs unpacks over the root disk.

use super::options::Options;
use crate::cmd::Cmd;
use crate::failure::{Doing, Failure, Result};
use crate::kernel::Kernel;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The guest's first program after the initramfs.
const INIT: &str = include_str!("../../guest/init.sh");
/// Loads the module and starts control plane and agent.
const START: &str = include_str!("../../guest/start.sh");
/// Starts the peer's agent.
const JOIN_PEER: &str = include_str!("../../guest/join-peer.sh");
/// Starts a node's agent.
const JOIN: &str = include_str!("../../guest/lab-join.sh");
/// Where systemd is the first program, the unit that runs the script.
const UNIT: &str = include_str!("../../guest/lab.service");

/// One of the machines of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Node {
    /// Runs the script.
    A,
    /// The peer.
    B,
}

impl Node {
    /// `a` or `b`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What goes into a guest besides the script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Software {
    /// The kernel module.
    pub module: Option<PathBuf>,
    /// Host binaries, for `/opt/tidelock/bin`.
    pub binaries: Vec<PathBuf>,
}

/// Writes the payload of one node to `tar`.
///
/// # Errors
/// When a file cannot be read or the tar not written.
pub(crate) fn write(
    options: &Options,
    kernel: &Kernel,
    node: Node,
    software: &Software,
    token: &str,
    tar: &Path,
) -> Result<()> {
    let tree = tar.with_extension("tree");
    let lab = tree.join("lab");
    let bin = lab.join("bin");
    let opt = tree.join("opt/tidelock/bin");
    for dir in [&bin, &opt] {
        fs::create_dir_all(dir).doing("make the folder", dir)?;
    }
    text(&lab.join("init"), INIT)?;
    text(&lab.join("start.sh"), START)?;
    text(&lab.join("join-peer.sh"), JOIN_PEER)?;
    text(&lab.join("lab.service"), UNIT)?;
    text(&lab.join("config"), &config(options, kernel, node, token))?;
    let run = format!(
        "cd /lab\nexec bash /lab/script.sh {}\n",
        quoted(&options.args)
    );
    text(&lab.join("script"), &run)?;
    copy(&options.script, &lab.join("script.sh"))?;
    for path in &options.copy {
        let name = path
            .file_name()
            .ok_or_else(|| Failure::new(format!("`{}` has no name", path.display())))?;
        copy(path, &lab.join(name))?;
    }
    text(&bin.join("lab-join"), JOIN)?;
    let own = std::env::current_exe().doing("find", Path::new("/proc/self/exe"))?;
    copy(&own, &bin.join("tidelock-lab"))?;
    symlink("tidelock-lab", bin.join("on-peer")).doing("link", &bin)?;
    if let Some(module) = &software.module {
        copy(module, &lab.join("tidelock.ko"))?;
    }
    for binary in &software.binaries {
        let name = binary.file_name().unwrap_or_default();
        copy(binary, &opt.join(name))?;
    }
    Cmd::new("tar")
        .args(["--owner=0", "--group=0", "-cf"])
        .arg(tar)
        .arg("-C")
        .arg(&tree)
        .arg(".")
        .run()?;
    crate::cache::remove(&tree)
}

fn config(options: &Options, kernel: &Kernel, node: Node, token: &str) -> String {
    let peer = options
        .pair
        .map(|_| node.other().name())
        .unwrap_or_default();
    format!(
        "token={token}\nnode={}\npeer={peer}\npeers={}\nhost={}\nkernel={}\nbare={}\nsystemd={}\nexport LAB_NODE=$node LAB_KERNEL=$kernel \
         LAB_SABOTAGE={} LAB_SLOWER={}\n",
        node.name(),
        super::qemu::PEER_PORTS,
        if options.host { "1" } else { "" },
        kernel.release,
        if options.bare { "1" } else { "" },
        if options.machine.is_some() { "1" } else { "" },
        quoted(options.sabotage.as_slice()),
        kernel.line.slower(),
    )
}

fn text(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).doing("write", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).doing("make executable", path)
}

/// Copies a file or a folder; links are followed, since what they point to is not in the guest.
fn copy(from: &Path, to: &Path) -> Result<()> {
    Cmd::new("cp")
        .args(["-rL", "--preserve=mode,timestamps", "--reflink=auto"])
        .arg(from)
        .arg(to)
        .run()
}

/// Words quoted for a shell.
fn quoted(words: &[String]) -> String {
    words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(
            quoted(&["a b".to_owned(), "it's".to_owned()]),
            r"'a b' 'it'\''s'"
        );
    }
}
