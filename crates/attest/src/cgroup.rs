//! What `/proc/PID/cgroup` tells of a process: its unit of the host's systemd, and its container.
//!
//! Both are read from the top of the path down, and only as far as the host itself made the directories: what is below the cgroup of
//! a unit or a container may have been given to others, who name directories as they like.

use core::fmt;

use crate::evidence::ContainerId;
use crate::selector::is_unit;

/// Longest file that is read: a line of `PATH_MAX` (4,096 bytes) for each of a dozen hierarchies (cgroup_namespaces(7)).
pub const MAX_CGROUP_BYTES: usize = 64 * 1024;

/// Most hierarchies of cgroups: sixteen of version 1, and that of version 2 (`CGROUP_SUBSYS_COUNT` in Linux).
pub const MAX_CGROUP_LINES: usize = 32;

/// What a removed cgroup's path ends in (`cgroup_path_ns` in Linux).
const DELETED: &str = " (deleted)";

/// What comes before the id in the name of a container's scope: Docker, Podman, containerd for Kubernetes and by itself, CRI-O.
const SCOPES: [&str; 5] = ["docker-", "libpod-", "cri-containerd-", "nerdctl-", "crio-"];

/// Top directories of runtimes that make cgroups without systemd: the next is named by the container's id.
const PARENTS: [&str; 5] = ["docker", "libpod_parent", "moby", "default", "k8s.io"];

/// Kubernetes without systemd: the first directory.
const PODS: &str = "kubepods";

/// Levels below that: the class of service, the pod.
const MAX_POD_LEVELS: usize = 3;

/// Where a process is in the tree of cgroups that tells units and containers apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cgroup<'a>(&'a str);

/// Why `/proc/PID/cgroup` was refused. Nothing is known of the process then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CgroupError {
    /// Longer than [`MAX_CGROUP_BYTES`], or more lines than [`MAX_CGROUP_LINES`].
    TooLong,
    /// A line that is not `ID:CONTROLLERS:PATH`.
    Malformed,
    /// The hierarchy that counts is there twice, or not at all.
    NoHierarchy,
    /// The path is not text, not absolute, or leads out of the reader's own tree.
    Foreign,
    /// The cgroup was removed.
    Deleted,
}

impl fmt::Display for CgroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the list of cgroups is too long",
            Self::Malformed => "the list of cgroups is malformed",
            Self::NoHierarchy => "no hierarchy of cgroups tells units apart",
            Self::Foreign => {
                "the cgroup is outside of the agent's own tree, or its path is no text"
            }
            Self::Deleted => "the cgroup was removed",
        })
    }
}

impl core::error::Error for CgroupError {}

impl<'a> Cgroup<'a> {
    /// Reads `/proc/PID/cgroup`.
    ///
    /// What counts is the hierarchy that systemd keeps by name where there is one (cgroup version 1 and mixed hosts), else that
    /// of version 2.
    ///
    /// # Errors
    /// Why nothing can be said. Every doubt is an error.
    pub fn parse(file: &'a [u8]) -> Result<Self, CgroupError> {
        if file.len() > MAX_CGROUP_BYTES {
            return Err(CgroupError::TooLong);
        }
        let lines = file.strip_suffix(b"\n").unwrap_or(file);
        let (mut named, mut unified) = (None, None);
        for (count, line) in lines.split(|&byte| byte == b'\n').enumerate() {
            if count >= MAX_CGROUP_LINES {
                return Err(CgroupError::TooLong);
            }
            let mut parts = line.splitn(3, |&byte| byte == b':');
            let (Some(id), Some(controllers), Some(path)) =
                (parts.next(), parts.next(), parts.next())
            else {
                return Err(CgroupError::Malformed);
            };
            let slot = match (id, controllers) {
                (b"0", b"") => &mut unified,
                (_, b"name=systemd") => &mut named,
                _ => continue,
            };
            if slot.replace(path).is_some() {
                return Err(CgroupError::NoHierarchy);
            }
        }
        let path = named.or(unified).ok_or(CgroupError::NoHierarchy)?;
        Self::at(path)
    }

    /// Reads a path alone, from the hierarchy's root, as the third part of such a line is: what a kernel says of its own
    /// process.
    ///
    /// # Errors
    /// Why nothing can be said.
    pub fn at(path: &'a [u8]) -> Result<Self, CgroupError> {
        let path = core::str::from_utf8(path).map_err(|_| CgroupError::Foreign)?;
        if path.ends_with(DELETED) {
            return Err(CgroupError::Deleted);
        }
        let below = path.strip_prefix('/').ok_or(CgroupError::Foreign)?;
        let mut names = Names(Some(below));
        let plain = below.is_empty() || names.all(|name| !matches!(name, "" | "." | ".."));
        if !plain {
            return Err(CgroupError::Foreign);
        }
        Ok(Self(below))
    }

    /// The unit of the host's systemd: the first directory that is no slice.
    ///
    /// `None` outside of systemd's tree.
    #[must_use]
    pub fn unit(&self) -> Option<&'a str> {
        // Names that the kernel would take for its own files have a `_` in front (systemd's cg_escape).
        let first = self.below_slices().next()?;
        let name = first.strip_prefix('_').unwrap_or(first);
        is_unit(name).then_some(name)
    }

    /// The container, if a runtime of the host's made one.
    #[must_use]
    pub fn container(&self) -> Option<ContainerId> {
        let mut names = self.below_slices();
        let first = names.next()?;
        let scope = |prefix| first.strip_prefix(prefix)?.strip_suffix(".scope");
        if let Some(id) = SCOPES.into_iter().find_map(scope) {
            return container_id(id);
        }
        // Without systemd: no slices above.
        if !self.0.starts_with(first) {
            return None;
        }
        if PARENTS.contains(&first) {
            let name = names.next()?;
            return container_id(name.strip_prefix("libpod-").unwrap_or(name));
        }
        if first == PODS {
            return names.take(MAX_POD_LEVELS).find_map(container_id);
        }
        None
    }

    fn below_slices(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let names = Names(Some(self.0)).filter(|name| !name.is_empty());
        names.skip_while(|name| name.ends_with(".slice"))
    }
}

/// The names of a path. Not `str::split`, of which the compiler cannot see that it never panics: kernels run this where nothing
/// may.
struct Names<'a>(Option<&'a str>);

impl<'a> Iterator for Names<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        let end = rest.bytes().position(|byte| byte == b'/');
        let (name, after) = match end.and_then(|end| rest.split_at_checked(end)) {
            Some((name, after)) => (name, after.strip_prefix('/')),
            None => (rest, None),
        };
        self.0 = after;
        Some(name)
    }
}

/// 64 hexadecimal digits, in lower case as runtimes write them.
fn container_id(text: &str) -> Option<ContainerId> {
    let digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let mut id = [0; 32];
    if pairs.len() != id.len() || !text.as_bytes().iter().all(digit) {
        return None;
    }
    for (byte, pair) in id.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(ContainerId(id))
}
