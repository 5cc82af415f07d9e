//! The device, and beside it the model of what it must say.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use tidelock_kabi::bounds::{MAX_RECORD_BYTES, MAX_TO_AGENT_BYTES};
use tidelock_kabi::{HEADER_BYTES, KernelEnd, Refused, RefusedReason, ToAgent, ToKernel};

/// Where it is.
pub(crate) const PATH: &str = "/dev/tidelock";

/// `O_NONBLOCK` on x86-64.
const NONBLOCK: i32 = 0o4000;
/// Error numbers of x86-64.
const E2BIG: i32 = 7;
const EINVAL: i32 = 22;
const EPROTO: i32 = 71;
const EMSGSIZE: i32 = 90;

/// What became of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It took effect.
    Accepted,
    /// It is no record that may come now, as the model said.
    Refused,
    /// It is one, and could not be carried out.
    Declined,
}

/// What was heard, as far as the fuzzer makes use of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Processes that await an answer.
    pub subjects: Vec<u64>,
    /// Keys that await a certificate: identity, key, request.
    pub requests: Vec<(u32, u64, Vec<u8>)>,
    /// Identities whose certificates are in use.
    pub installed: Vec<u32>,
    /// The generation that the answer to our hello named.
    pub hello: Option<u64>,
    /// The newest refusal.
    refused: Option<Refused>,
    /// Generations that came into force, newest last.
    applied: Option<u64>,
    /// The kernel ran out of room and says so.
    lost: bool,
    /// How many records were heard.
    records: u64,
}

/// How many processes and keys are remembered.
const MOST: usize = 64;

/// An open device.
#[derive(Debug)]
pub(crate) struct Device {
    file: File,
    model: KernelEnd,
    /// Records accepted in this session.
    accepted: u64,
    /// The generation that the next session has to begin at.
    pub in_force: u64,
    /// What it said.
    pub heard: Heard,
}

impl Device {
    /// Opens it on a kernel at this generation.
    ///
    /// # Errors
    /// As the kernel says.
    pub(crate) fn open(generation: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(NONBLOCK)
            .open(PATH)?;
        Ok(Self {
            file,
            model: KernelEnd::new(generation),
            accepted: 0,
            in_force: generation,
            heard: Heard::default(),
        })
    }

    /// The number that the next record has to have.
    pub(crate) fn next_seq(&self) -> u64 {
        self.accepted.wrapping_add(1)
    }

    /// The generation in force, as the model has it.
    pub(crate) const fn generation(&self) -> u64 {
        self.model.generation()
    }

    /// Another handle of the same open device.
    ///
    /// # Errors
    /// When there are too many files open.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Writes a record and compares what becomes of it with the model.
    ///
    /// # Errors
    /// What is wrong with the module, in words.
    pub(crate) fn put(&mut self, record: &[u8]) -> Result<Outcome, String> {
        let before = self.model;
        let written = self
            .file
            .write(record)
            .map_err(|error| error.raw_os_error());
        self.heard.refused = None;
        self.listen()?;
        if record.is_empty() || record.len() > MAX_RECORD_BYTES {
            let expected = if record.is_empty() { EINVAL } else { E2BIG };
            return match written {
                Err(Some(errno)) if errno == expected => Ok(Outcome::Refused),
                other => Err(format!("a record of {} bytes: {other:?}", record.len())),
            };
        }
        match (before.parse(record), written) {
            (Err(refused), Err(errno)) => self.must_be(refused, errno),
            (Err(refused), Ok(_)) => {
                Err(format!("taken, and should have been refused: {refused:?}"))
            }
            (Ok(command), Ok(len)) if len == record.len() => {
                self.model.accept(command.taken());
                self.accepted = command.seq;
                self.took(&command.record)
            }
            (Ok(_), Ok(len)) => Err(format!("{len} of {} bytes were taken", record.len())),
            (Ok(command), Err(errno)) => self.declined(command.seq, &command.record, errno),
        }
    }

    fn must_be(&self, refused: Refused, errno: Option<i32>) -> Result<Outcome, String> {
        if refused.why == RefusedReason::AbiVersion && errno != Some(EPROTO) {
            return Err(format!("another abi is errno {errno:?}"));
        }
        match self.heard.refused {
            Some(heard) if heard == refused => Ok(Outcome::Refused),
            None if self.heard.lost => Ok(Outcome::Refused),
            heard => Err(format!("refused as {heard:?}, and should be {refused:?}")),
        }
    }

    fn took(&mut self, record: &ToKernel<'_>) -> Result<Outcome, String> {
        if self.heard.refused.is_some() {
            return Err(format!("{:?} was taken and refused", record.kind()));
        }
        match record {
            ToKernel::Hello { .. } if self.heard.hello != Some(self.in_force) => {
                let (said, known) = (self.heard.hello, self.in_force);
                return Err(format!("the hello says {said:?}, and {known} is in force"));
            }
            ToKernel::Config(config) if self.heard.applied != Some(config.generation) => {
                let applied = self.heard.applied;
                return Err(format!(
                    "{applied:?} is in force, not {}",
                    config.generation
                ));
            }
            ToKernel::Config(config) => self.in_force = config.generation,
            // What is drained begins anew.
            ToKernel::Drain => self.in_force = 0,
            _ => {}
        }
        Ok(Outcome::Accepted)
    }

    fn declined(
        &self,
        seq: u64,
        record: &ToKernel<'_>,
        errno: Option<i32>,
    ) -> Result<Outcome, String> {
        let expected = !matches!(record, ToKernel::Hello { .. } | ToKernel::Drain);
        match self.heard.refused {
            Some(heard) if heard.seq == seq && expected => Ok(Outcome::Declined),
            None if self.heard.lost && expected => Ok(Outcome::Declined),
            heard => {
                let kind = record.kind();
                Err(format!(
                    "{kind:?} {seq} declined with errno {errno:?}, and {heard:?}"
                ))
            }
        }
    }

    /// Reads all that there is. Each record has to be well-formed and the next one.
    ///
    /// # Errors
    /// What is wrong with a record.
    pub(crate) fn listen(&mut self) -> Result<(), String> {
        let mut buffer = [0; MAX_TO_AGENT_BYTES];
        loop {
            // No record fits into its own header: it has to be kept.
            let mut small = [0; HEADER_BYTES - 1];
            match self
                .file
                .read(&mut small)
                .map_err(|error| error.raw_os_error())
            {
                Err(Some(EMSGSIZE)) => {}
                Err(_) => return Ok(()),
                Ok(len) => return Err(format!("{len} bytes were read into {}", small.len())),
            }
            let len = self
                .file
                .read(&mut buffer)
                .map_err(|error| format!("a record that was there is not: {error}"))?;
            let (seq, record) = ToAgent::decode(&buffer[..len])
                .map_err(|fault| format!("the kernel says what it may not: {fault:?}"))?;
            self.heard.records += 1;
            if seq != self.heard.records {
                return Err(format!(
                    "record {seq} came as number {}",
                    self.heard.records
                ));
            }
            let of_session = matches!(
                record,
                ToAgent::Hello { .. } | ToAgent::Refused(_) | ToAgent::Lost { .. }
            );
            if self.heard.hello.is_none() && !of_session {
                return Err(format!("{record:?} came before the answer to a hello"));
            }
            self.heard.take(record);
        }
    }
}

impl Heard {
    fn take(&mut self, record: ToAgent<'_>) {
        match record {
            ToAgent::Hello { generation, .. } => self.hello = Some(generation),
            ToAgent::Exec(evidence) if self.subjects.len() < MOST => {
                self.subjects.push(evidence.subject);
            }
            ToAgent::Exit { subject, .. } => self.subjects.retain(|known| *known != subject),
            ToAgent::Csr { identity, key, der } if self.requests.len() < MOST => {
                self.requests.push((identity, key, der.to_vec()));
            }
            ToAgent::Installed { identity, .. } => self.installed.push(identity),
            ToAgent::Applied { generation, .. } => self.applied = Some(generation),
            ToAgent::Refused(refused) => self.refused = Some(refused),
            ToAgent::Lost { .. } => self.lost = true,
            _ => {}
        }
        self.installed.truncate(MOST);
    }
}
