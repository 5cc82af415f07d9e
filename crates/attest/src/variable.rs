//! What can stand in a template.

use core::fmt;

/// Longest value of a variable, in bytes: a unit's name. A file's name is at most 255 bytes as well.
pub const MAX_VALUE_BYTES: usize = 255;

pub(crate) const OPEN: &str = "{{";
pub(crate) const CLOSE: &str = "}}";

/// Something that differs from process to process, or from node to node.
///
/// The control plane fills in what differs from node to node, the node's agent what differs from process to process
/// ([`Variable::is_of_process`]). No variable is what a process itself may say: neither arguments nor environment.
///
/// | variable | who says so | who can choose it, host root aside |
/// |---|---|---|
/// | `trustDomain`, `node.name` | the control plane | nobody |
/// | `node.group` | the control plane, by its NodeGroups | nobody |
/// | `unix.uid` | the kernel, at exec | whoever may run code under the uid: setuid programs, and for uids of `/etc/subuid` their owner |
/// | `unix.gid` | the kernel, at exec | every member of the group (`newgrp`, setgid programs) |
/// | `systemd.unit` | `/proc/PID/cgroup`, after exec | whoever may start a unit of that name, or write to its cgroup |
/// | `exe.name` | the kernel, at exec | nobody: selectors name the path |
/// | `unix.user` | the node's `/etc/passwd`, of the uid | as `unix.uid`, and by the same uid's other names if it has several: the first one counts |
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Variable {
    /// `{{trustDomain}}`, or `{{td}}` for short: the control plane's. Stands where a trust domain stands, and nowhere else.
    TrustDomain,
    /// `{{node.name}}`: the node that attested. The control plane fills it in.
    NodeName,
    /// `{{node.group}}`: the one of the identity's NodeGroups that the node is in. The control plane fills it in.
    NodeGroup,
    /// `{{unix.user}}`: the name that the node's `/etc/passwd` gives the effective uid.
    User,
    /// `{{unix.uid}}`: the effective uid in the initial user namespace.
    Uid,
    /// `{{unix.gid}}`: the effective gid in the initial user namespace.
    Gid,
    /// `{{systemd.unit}}`: see [`Selector::Unit`](crate::Selector::Unit).
    Unit,
    /// `{{exe.name}}`: the last part of the executed file's path. Selectors have to name that path: the content of a file
    /// can be given any name.
    ExeName,
}

impl Variable {
    /// Every variable.
    pub const ALL: [Self; 8] = [
        Self::TrustDomain,
        Self::NodeName,
        Self::NodeGroup,
        Self::User,
        Self::Uid,
        Self::Gid,
        Self::Unit,
        Self::ExeName,
    ];

    /// As templates write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TrustDomain => "trustDomain",
            Self::NodeName => "node.name",
            Self::NodeGroup => "node.group",
            Self::User => "unix.user",
            Self::Uid => "unix.uid",
            Self::Gid => "unix.gid",
            Self::Unit => "systemd.unit",
            Self::ExeName => "exe.name",
        }
    }

    /// The variable of a name that templates may write.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        if name == "td" {
            return Some(Self::TrustDomain);
        }
        Self::ALL.into_iter().find(|of| of.name() == name)
    }

    /// Does it differ from process to process, so that only the node can say what it is?
    #[must_use]
    pub const fn is_of_process(self) -> bool {
        !matches!(self, Self::TrustDomain | Self::NodeName | Self::NodeGroup)
    }

    /// Could it have this value, and may a SPIFFE ID hold it?
    #[must_use]
    pub fn accepts(self, value: &str) -> bool {
        let plain = value.bytes().all(is_plain);
        let id = || value.parse::<u32>().is_ok_and(|id| id != u32::MAX);
        let canonical = || value == "0" || !value.starts_with('0');
        plain
            && (1..=MAX_VALUE_BYTES).contains(&value.len())
            && match self {
                Self::Uid | Self::Gid => id() && canonical(),
                Self::Unit => crate::selector::is_unit(value),
                _ => true,
            }
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OPEN}{}{CLOSE}", self.name())
    }
}

/// SPIFFE-ID §2.2.
pub(crate) const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}
