//! Which SPIFFE ID a template gives a process, of what is attested of it and of nothing that it says itself.

use std::borrow::Cow;

use tidelock_attest::{FillError, Template, Variable};
use tidelock_kabi::EvidenceFlags;
use tidelock_proto::{MAX_FILLED_IDS_PER_ENTRY, MAX_FILLED_IDS_PER_NODE, RESERVED_PATH_PREFIX};
use tidelock_spiffe_core::SpiffeIdBuf;

use super::entry::{Entry, EntryId};
use super::process::Process;
use crate::measure::Surroundings;

/// Why a process that matches an entry has no identity of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unfilled {
    /// Its template gives this process no SPIFFE ID.
    #[error("{0}")]
    Fill(FillError),
    /// It gives one that Tidelock keeps for itself.
    #[error("IDs below `{RESERVED_PATH_PREFIX}` are Tidelock's own")]
    Reserved,
    /// As many others have one of the same entry as may.
    #[error(
        "{MAX_FILLED_IDS_PER_ENTRY} SPIFFE IDs of this identity are in use, and no more may be"
    )]
    EntryFull,
    /// As many others have one of any template as may.
    #[error(
        "{MAX_FILLED_IDS_PER_NODE} SPIFFE IDs of templates are in use on this node, and no more may be"
    )]
    NodeFull,
}

impl Unfilled {
    /// Is it over once another process ends?
    pub(super) fn may_pass(self) -> bool {
        matches!(self, Self::EntryFull | Self::NodeFull)
    }
}

impl Entry {
    /// The SPIFFE ID of a process that matches.
    ///
    /// # Errors
    /// What is not known of the process, or cannot stand in a SPIFFE ID: nothing is escaped or left out.
    pub(super) fn id_of(
        &self,
        process: &Process,
        surroundings: Option<&Surroundings>,
    ) -> Result<Cow<'_, str>, Unfilled> {
        match &self.spiffe_id {
            EntryId::Fixed(id) => Ok(Cow::Borrowed(id.as_str())),
            EntryId::Template(template) => fill(template, process, surroundings).map(Cow::Owned),
        }
    }
}

fn fill(
    template: &Template,
    process: &Process,
    surroundings: Option<&Surroundings>,
) -> Result<String, Unfilled> {
    let value = |variable| match variable {
        Variable::Uid => Some(process.uid.to_string()),
        Variable::Gid => Some(process.gid.to_string()),
        Variable::Unit => surroundings?.unit.clone(),
        Variable::ExeName => exe_name(process),
        Variable::User => surroundings?.user.clone(),
        Variable::TrustDomain | Variable::NodeName | Variable::NodeGroup => None,
    };
    let filled = template.fill(value).and_then(|filled| filled.id());
    let id = filled.map_err(Unfilled::Fill)?;
    let id = SpiffeIdBuf::parse(&id).map_err(|_| Unfilled::Fill(FillError::NoId))?;
    // Without regard to case, as the control plane has it.
    let path = format!("{}/", id.path());
    let first = path.get(..RESERVED_PATH_PREFIX.len());
    if first.is_some_and(|first| first.eq_ignore_ascii_case(RESERVED_PATH_PREFIX)) {
        return Err(Unfilled::Reserved);
    }
    Ok(id.as_str().to_owned())
}

/// Only where paths are the host's: elsewhere, who owns the mount namespace says what files are called.
fn exe_name(process: &Process) -> Option<String> {
    let path = std::str::from_utf8(&process.exe).ok()?;
    let (_, name) = path.rsplit_once('/')?;
    let host = process.flags.contains(EvidenceFlags::HOST_MNT);
    host.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use tidelock_proto::v1 as proto;

    use super::*;
    use crate::core::EntryProblem;
    use crate::measure::FileId;

    fn entry(spiffe_id: &str, selectors: &str) -> Result<Entry, EntryProblem> {
        Entry::parse(proto::Entry {
            id: "a".into(),
            spiffe_id: spiffe_id.into(),
            selectors: selectors.split(' ').map(str::to_owned).collect(),
            x509_ttl_secs: 60,
            expression: None,
            version: tidelock_proto::ENTRY_VERSION,
        })
    }

    fn process(exe: &str) -> Process {
        Process {
            subject: 1,
            start_ns: 0,
            pid: 1,
            uid: 1000,
            gid: 33,
            flags: EvidenceFlags::HOST_MNT,
            file: FileId {
                dev: 1,
                ino: 1,
                size: 1,
                ctime_ns: 1,
            },
            exe: exe.into(),
            shebang: None,
            cwd: b"/from-the-process".to_vec(),
            argv: b"from-the-process".to_vec(),
        }
    }

    fn filled(template: &str, process: &Process, unit: Option<&str>) -> Result<String, Unfilled> {
        let entry = entry(&format!("spiffe://td/{template}"), "unix:path:/bin/a").expect("good");
        let surroundings = Surroundings {
            unit: unit.map(str::to_owned),
            user: unit.map(|unit| unit.trim_end_matches(".service").to_owned()),
            ..Surroundings::default()
        };
        let id = entry.id_of(process, Some(&surroundings));
        id.map(Cow::into_owned)
    }

    #[test]
    fn every_variable_is_what_is_attested() {
        for (template, expected) in [
            ("n1/user/{{unix.uid}}", "spiffe://td/n1/user/1000"),
            ("g{{unix.gid}}", "spiffe://td/g33"),
            ("{{exe.name}}/x", "spiffe://td/a-b/x"),
            ("{{systemd.unit}}", "spiffe://td/nginx.service"),
            ("by/{{unix.user}}", "spiffe://td/by/nginx"),
        ] {
            let id = filled(template, &process("/opt/a-b"), Some("nginx.service"));
            assert_eq!(id.as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_no_segment_can_hold_is_refused_and_never_escaped() {
        let a = process("/bin/a");
        let elsewhere = Process {
            flags: EvidenceFlags::default(),
            ..process("/bin/a")
        };
        let nobody = Process {
            uid: u32::MAX,
            ..process("/bin/a")
        };
        let value = |variable| Unfilled::Fill(FillError::Value(variable));
        let unknown = |variable| Unfilled::Fill(FillError::Unknown(variable));
        let (unit, name) = (Variable::Unit, Variable::ExeName);
        for (template, process, of_unit, why) in [
            (
                "{{systemd.unit}}",
                &a,
                Some("user@1000.service"),
                value(unit),
            ),
            ("{{systemd.unit}}", &a, None, unknown(unit)),
            ("{{unix.user}}", &a, None, unknown(Variable::User)),
            ("{{unix.user}}", &a, Some("svc$"), value(Variable::User)),
            ("{{exe.name}}", &process("/bin/a b"), None, value(name)),
            (
                "{{exe.name}}",
                &process("/bin/a (deleted)"),
                None,
                value(name),
            ),
            (
                "{{exe.name}}",
                &process("/bin/.."),
                None,
                Unfilled::Fill(FillError::NoId),
            ),
            ("{{exe.name}}", &process(""), None, unknown(name)),
            ("{{exe.name}}", &elsewhere, None, unknown(name)),
            (
                "{{exe.name}}/agent",
                &process("/bin/Tidelock"),
                None,
                Unfilled::Reserved,
            ),
            ("{{unix.uid}}", &nobody, None, value(Variable::Uid)),
        ] {
            assert_eq!(filled(template, process, of_unit), Err(why), "{template}");
        }
    }

    #[test]
    fn an_entry_with_a_variable_that_is_not_ours_to_fill_is_refused() {
        let (id, variable) = ("spiffe://td/{{node.name}}".to_owned(), Variable::NodeName);
        let refused = entry(&id, "unix:path:/bin/a");
        assert_eq!(refused, Err(EntryProblem::Variable { id, variable }));
        let id = "spiffe://td/{{exe.name}}".to_owned();
        let by_content = format!("unix:sha256:{} unix:uid:1", "0".repeat(64));
        let refused = entry(&id, &by_content);
        assert_eq!(refused, Err(EntryProblem::ExeName { id }));
    }
}
