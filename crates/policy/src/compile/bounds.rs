//! Bounds of compilation. Cedar's parser recurses, and aborts the process where its stack ends; so what it may be given is
//! bounded before. A debug build on a stack of 2 MiB was seen to overflow between 128 and 192 brackets and between 512 and 640
//! operators; the figures leave half of that stack (`tests/compile_bounds.rs`).

/// Most bytes of policy in one compilation.
pub const MAX_SOURCE_BYTES: usize = 64 * 1024 * 1024;

/// Most policies in one compilation.
pub const MAX_POLICIES: usize = 200_000;

/// Longest policy, in bytes, annotations and comments included.
pub const MAX_POLICY_BYTES: usize = 64 * 1024;

/// Deepest nesting of `(`, `[` and `{` in a policy, those of the scope and of `when { }` included.
pub const MAX_NESTING: usize = 32;

/// Most operators in one policy that can follow one another without brackets: of logic and arithmetic, `.` but for that of
/// `context.`, and the keywords of conditions. Comparisons cannot.
pub const MAX_OPERATORS: usize = 256;
