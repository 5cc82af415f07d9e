//! What a panic does: it ends the job of the lane it happens on, nothing more.

use core::fmt::Write;
use core::panic::PanicInfo;

use crate::ffi;
use crate::text::Text;

/// Longest message handed to C, in bytes.
const MESSAGE_BYTES: usize = 256;

/// Hands the message to C, which ends the worker and fails its job.
///
/// It holds the place and, if it is plain text, the message: no value that code was working on,
/// which might be a secret.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut message = Text::<MESSAGE_BYTES>::new();
    if let Some(at) = info.location() {
        let _ = write!(message, "{}:{}", at.file(), at.line());
    }
    if let Some(text) = info.message().as_str() {
        let _ = write!(message, ": {text}");
    }
    let text = message.bytes();
    // SAFETY: the text lives on this stack, which C leaves as it is until it has read it.
    unsafe { ffi::tl_c_panic(text.as_ptr(), ffi::len_u64(text)) };
    // SAFETY: C does not return; should it, this traps. objtool needs to see where flow ends.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}
