//! A process on a node.

use serde::Serialize;
use tidelock_proto::v1::Process;

use super::known;

/// A process as its node saw it.
#[derive(Debug, Serialize)]
pub(crate) struct ProcessView {
    pub(crate) subject: u64,
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) exe: Option<String>,
    pub(crate) script: Option<String>,
}

impl From<Process> for ProcessView {
    fn from(process: Process) -> Self {
        Self {
            subject: process.subject,
            pid: process.pid,
            uid: process.uid,
            gid: process.gid,
            exe: known(process.exe),
            script: known(process.script),
        }
    }
}

impl ProcessView {
    /// `/usr/bin/curl[812]`, or with its script `/usr/bin/python3 /srv/app.py[812]`.
    pub(crate) fn text(&self) -> String {
        let exe = self.exe.as_deref().unwrap_or("?");
        match &self.script {
            Some(script) => format!("{exe} {script}[{}]", self.pid),
            None => format!("{exe}[{}]", self.pid),
        }
    }
}

/// A process that may be missing from the message.
pub(crate) fn view(process: Option<Process>) -> ProcessView {
    process.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_prints_executable_script_and_pid() {
        let mut process = Process {
            pid: 812,
            exe: "/usr/bin/python3".into(),
            ..Process::default()
        };
        assert_eq!(
            ProcessView::from(process.clone()).text(),
            "/usr/bin/python3[812]"
        );
        process.script = "/srv/app.py".into();
        assert_eq!(
            ProcessView::from(process).text(),
            "/usr/bin/python3 /srv/app.py[812]"
        );
        assert_eq!(view(None).text(), "?[0]");
    }
}
