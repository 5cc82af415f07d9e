//! Every bound of the crate, and where it comes from.

/// Longest entity kind, entity id, action, attribute name, attribute value or policy name, in bytes (SPIFFE-ID §2.3: the longest SPIFFE ID).
pub const MAX_STRING_BYTES: usize = 2048;

/// Most ancestors a request may give for one entity. A SPIFFE ID's path prefixes and its trust domain are its ancestors.
pub const MAX_ANCESTORS: usize = 64;

/// Most attributes that a context, a record or an entity may have, and most tags of an entity.
pub const MAX_ATTRIBUTES: usize = 32;

/// Most entities a request may tell of besides its principal and its resource.
pub const MAX_ENTITIES: usize = 32;

/// Deepest nesting of sets and records that can be compared. A condition that compares deeper ones cannot be evaluated.
pub const MAX_VALUE_DEPTH: usize = 4;

/// Most steps that one instruction may take whose work depends on the sizes of the request's sets, records and strings. A
/// condition for which that is not enough cannot be evaluated.
pub const MAX_INSTRUCTION_STEPS: u32 = 2048;

/// Most members of a set written out that is searched one by one at the cost of its own members.
pub const MAX_LISTED: u32 = 64;

/// Most distinct context attributes the conditions of one image may read.
pub const MAX_IMAGE_ATTRIBUTES: usize = 32;

/// Most distinct actions one image may name: an action set is 64 bits, of which one is kept back.
pub const MAX_ACTIONS: usize = 63;

/// Longest image, in bytes. What carries an image may allow less.
pub const MAX_IMAGE_BYTES: usize = 32 * 1024 * 1024;

/// The cost above which [`Image::check`](crate::Image::check) refuses an image, in steps (see [`Image::cost`](crate::Image::cost)).
/// It is a bound on time: a `connect()` waits for the decision. A step took one to two nanoseconds of the host
/// that `benches/README.md` describes, whatever it was spent on; the bench `policy/worst` makes the dearest images of each kind that
/// are accepted and prints what they take.
pub const MAX_COST: u32 = 1 << 17;

/// Most instructions in one condition, its `Begin` and `Return` included.
pub const MAX_PROGRAM_INSTRUCTIONS: u16 = 1024;

/// Registers of the condition machine. On a kernel stack they take 24 bytes each.
pub const REGISTERS: usize = 32;

/// Most slots of the scope table that one look-up may read.
pub const MAX_PROBES: u32 = 64;

/// Most determining policies a decision names; it counts all.
pub const MAX_DETERMINING: usize = 16;
