//! Numbering what is sent, checking what is heard, and knowing which record a refusal is about.

use std::collections::VecDeque;

use tidelock_kabi::{AgentEnd, EncodeError, Pending, Refused, RefusedReason, ToAgent, ToKernel};

use crate::core::Command;

/// One session with the kernel, from opening the device to closing it. Without I/O.
#[derive(Debug, Default)]
pub struct Session {
    end: AgentEnd,
    /// Written and refused; the kernel's reasons follow in the same order.
    refused: VecDeque<Command>,
}

/// A record that could not be sent.
#[derive(Debug, PartialEq)]
pub struct Unsent {
    /// Why; the kernel would have said the same.
    pub why: RefusedReason,
}

/// What the kernel said.
#[derive(Debug, PartialEq)]
pub enum Heard<'a> {
    /// A record.
    Record(ToAgent<'a>),
    /// Why it refused an earlier record of ours; `None` if we do not know which.
    Refused(Option<Command>, Refused),
}

impl Session {
    /// The greeting that opens the session.
    ///
    /// # Errors
    /// The version is not fit for a record.
    pub fn hello(&self, agent_version: &str) -> Result<(Pending, Vec<u8>), Unsent> {
        self.end
            .to_vec(&ToKernel::Hello { agent_version })
            .map_err(unsent)
    }

    /// Encodes a command as the next record. Give what became of it to [`Session::accepted`] or
    /// [`Session::refused`].
    ///
    /// # Errors
    /// The kernel would refuse it; it need not be sent.
    pub fn encode(&self, command: &Command) -> Result<(Pending, Vec<u8>), Unsent> {
        command
            .with_record(|record| self.end.to_vec(record))
            .map_err(unsent)
    }

    /// The kernel took the record.
    pub fn accepted(&mut self, pending: Pending) {
        let in_order = self.end.accepted(pending);
        debug_assert!(in_order, "one record is written at a time");
    }

    /// The kernel refused the record; its number is used again.
    pub fn refused(&mut self, command: Command) {
        self.refused.push_back(command);
    }

    /// Takes one record from the kernel.
    ///
    /// # Errors
    /// The first rule broken. The session is of no more use: open another.
    pub fn handle<'a>(&mut self, record: &'a [u8]) -> Result<Heard<'a>, Refused> {
        match self.end.handle(record)? {
            ToAgent::Refused(refused) => Ok(Heard::Refused(self.refused.pop_front(), refused)),
            record => Ok(Heard::Record(record)),
        }
    }
}

fn unsent(error: EncodeError) -> Unsent {
    match error {
        EncodeError::Fault(fault) => Unsent { why: fault.why },
        _ => Unsent {
            why: RefusedReason::TooLong,
        },
    }
}

#[cfg(test)]
mod tests {
    use tidelock_kabi::KernelEnd;

    use super::*;

    fn open(generation: u64) -> (Session, KernelEnd) {
        let (mut session, mut kernel) = (Session::default(), KernelEnd::new(generation));
        let (pending, bytes) = session.hello("test").unwrap();
        kernel.handle(&bytes).unwrap();
        session.accepted(pending);
        let answer = ToAgent::Hello {
            module_version: "m",
            generation,
            net_ns: 1,
        };
        say(&mut session, &mut kernel, &answer);
        (session, kernel)
    }

    fn say(session: &mut Session, kernel: &mut KernelEnd, record: &ToAgent<'_>) -> Option<Command> {
        let mut buf = [0; 256];
        let len = kernel.encode(record, &mut buf).unwrap();
        match session.handle(&buf[..len]).unwrap() {
            Heard::Refused(command, _) => command,
            Heard::Record(_) => None,
        }
    }

    fn forget(identity: u32) -> Command {
        Command::Forget { identity }
    }

    #[test]
    fn nothing_is_sent_before_the_kernel_greeted() {
        let session = Session::default();
        let unsent = session.encode(&forget(1)).unwrap_err();
        assert_eq!(unsent.why, RefusedReason::HelloFirst);
    }

    #[test]
    fn refusals_name_the_commands_in_the_order_they_were_refused() {
        let (mut session, mut kernel) = open(0);
        for identity in [1, 2] {
            let (_refused, _bytes) = session.encode(&forget(identity)).unwrap();
            session.refused(forget(identity));
        }
        let (pending, bytes) = session.encode(&forget(3)).unwrap();
        kernel
            .handle(&bytes)
            .expect("numbers of refused records are used again");
        session.accepted(pending);
        let refused = ToAgent::Refused(Refused {
            seq: 2,
            why: RefusedReason::Unknown,
            at: 24,
        });
        for expected in [Some(forget(1)), Some(forget(2)), None] {
            assert_eq!(say(&mut session, &mut kernel, &refused), expected);
        }
    }

    #[test]
    fn an_answer_for_another_generation_is_not_even_sent() {
        let (session, _kernel) = open(4);
        let grant = Command::Grant {
            subject: 1,
            generation: 3,
            identity: 1,
            exe_sha256: None,
        };
        let unsent = session.encode(&grant).unwrap_err();
        assert_eq!(unsent.why, RefusedReason::WrongGeneration);
    }
}
