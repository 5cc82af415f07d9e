//! QEMU, of a Debian release that has a sound one, kept in the cache: the host's is not used.
//!
//! Emulating several CPUs, QEMU before 8.1 could translate a page of code while another CPU was writing to it. Linux
//! patches its own code all the time, so once in hundreds of boots a CPU saw a half-made patch: `Oops: int3`. Debian 12
//! has QEMU 7.2. A new one also emulates `fork()` three times as fast.

use crate::cmd::Cmd;
use crate::failure::Result;
use crate::places::Places;
use crate::unpacked::Unpacked;

/// The package that has the program, and what it needs comes with it.
const PACKAGE: &str = "qemu-system-x86";

/// An unpacked QEMU with every library it needs.
#[derive(Clone, Debug)]
pub(crate) struct Emulator(Unpacked);

impl Emulator {
    /// Unpacks it into the cache if it is not there.
    ///
    /// # Errors
    /// When a package cannot be fetched or unpacked.
    pub(crate) fn ensure(places: &Places) -> Result<Self> {
        Unpacked::ensure(places, "emulators", "the emulator", PACKAGE).map(Self)
    }

    /// QEMU, without its arguments. It ends with us, whatever ends us: a signal too.
    pub(crate) fn command(&self) -> Cmd {
        let command = Cmd::new("setpriv").args(["--pdeathsig", "KILL"]);
        self.0
            .program(command, "usr/bin/qemu-system-x86_64")
            .arg("-L")
            .arg(self.0.inside("usr/share/qemu"))
            .arg("-L")
            .arg(self.0.inside("usr/share/seabios"))
    }
}
