//! One fuzz target per untrusted input: `cargo +nightly fuzz run TARGET [SEEDS]`, with the seeds of
//! `crates/*/tests/corpus`. What is found becomes a test case of the crate that it was found in.
//!
//! Without a fuzzer the targets are programs that any compiler builds: `cargo run -p tidelock-fuzz --bin TARGET FILE…`
//! plays the files, such as those that a fuzzer left.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Makes a fuzz target of a closure over anything that can be made of bytes.
#[macro_export]
macro_rules! target {
    (|$input:ident: $kind:ty| $body:expr) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|$input: $kind| $body);

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::play(|bytes| {
                let bytes = arbitrary::Unstructured::new(bytes);
                if let Ok($input) = <$kind as arbitrary::Arbitrary<'_>>::arbitrary_take_rest(bytes)
                {
                    $body
                }
            })
        }
    };
}

/// Runs a target's body on the content of each file that the program was given. It panics where the fuzzer would.
#[must_use]
pub fn play(body: impl Fn(&[u8])) -> ExitCode {
    for path in std::env::args_os().skip(1) {
        match std::fs::read(&path) {
            Ok(bytes) => body(&bytes),
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
