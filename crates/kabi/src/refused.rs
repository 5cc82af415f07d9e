//! Why a record was refused.

use core::fmt;

numbered! {
    /// Why a record was refused. A refused record changes nothing and does not use up its sequence number.
    pub enum RefusedReason: u32 {
        /// Shorter than a header.
        TooShort = 1 => "record is shorter than its header",
        /// Longer than [`MAX_RECORD_BYTES`](crate::bounds::MAX_RECORD_BYTES).
        TooLong = 2 => "record is longer than 1 MiB",
        /// The magic number is wrong.
        Magic = 3 => "not a tidelock record",
        /// Another version of this contract.
        AbiVersion = 4 => "module and agent speak different abi versions: install both from one release",
        /// No record has this kind.
        Kind = 5 => "unknown record kind",
        /// The header's length is not the number of bytes given.
        Length = 6 => "the length in the header is not the length of the record",
        /// A reserved field is not zero.
        Reserved = 7 => "a reserved field is not zero",
        /// A session begins with a hello.
        HelloFirst = 8 => "the first record of a session must be a hello",
        /// A second hello in one session.
        HelloAgain = 9 => "a session has one hello",
        /// Late, repeated or missing records.
        Sequence = 10 => "the sequence number is not the next one",
        /// A configuration that is not newer than the one in force.
        OldGeneration = 11 => "the generation is not newer than the one in force",
        /// An answer for a generation that is not the one in force.
        WrongGeneration = 12 => "the answer is for another generation than the one in force",
        /// A field runs past the end of the record.
        Truncated = 13 => "a field runs past the end of the record",
        /// Bytes follow the last field.
        Trailing = 14 => "bytes follow the last field",
        /// Text that is not UTF-8.
        NotUtf8 = 15 => "text is not utf-8",
        /// A text or byte field above its bound.
        FieldTooLong = 16 => "a field is longer than its bound",
        /// A list above its bound.
        ListTooLong = 17 => "a list has more items than its bound",
        /// A field or list that may not be empty.
        Empty = 18 => "a required field or list is empty",
        /// A number outside the range of its field.
        OutOfRange = 19 => "a number is outside its range",
        /// Rows of a list do not follow each other without gaps.
        Layout = 20 => "rows of a list overlap or leave a gap",
        /// A prefilter entry that would govern every process.
        GovernsAll = 21 => "a prefilter entry names neither executable nor uid",
        /// An address with bits set behind its prefix, or a prefix above 128.
        BadCidr = 22 => "an address range has host bits set or an impossible prefix",
        /// A SPIFFE ID or trust domain name that is not one.
        BadSpiffeId = 23 => "not a spiffe id or trust domain",
        /// The record names a subject, identity or key that the kernel does not have (any more).
        Unknown = 24 => "no such subject, identity or key",
        /// The policy image does not check.
        BadPolicy = 25 => "the policy image is malformed",
        /// The certificate chain does not parse, verify or belong to its key.
        BadChain = 26 => "the certificate chain does not fit the key or the identity",
        /// The kernel has no memory for it.
        NoMemory = 27 => "the kernel is out of memory",
        /// A fault of the kernel's own.
        Internal = 28 => "internal fault: see the kernel log",
        /// Two bundles for one trust domain.
        Duplicate = 29 => "a trust domain has two bundles",
        /// A list that is searched, and is not in order or has an item twice.
        Unsorted = 30 => "a list that has to be sorted is not, or repeats an item",
        /// The name of a server outside that is no DNS name.
        BadServerName = 31 => "not a dns name in lower case",
    }
}

/// What is wrong with a record, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The rule that was broken.
    pub why: RefusedReason,
    /// Offset of the field at fault, in bytes from the start of the record.
    pub at: u32,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.why, self.at)
    }
}

impl core::error::Error for Fault {}

/// A refused record: which one, what is wrong with it, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Its sequence number; 0 if none could be read.
    pub seq: u64,
    /// The rule that was broken.
    pub why: RefusedReason,
    /// Offset of the field at fault, in bytes from the start of the record.
    pub at: u32,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "record {} refused: {} (at byte {})",
            self.seq, self.why, self.at
        )
    }
}

impl core::error::Error for Refused {}

/// Why a record could not be encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer is too small for the record.
    NoSpace,
    /// The other end would refuse it, for this reason and at this offset.
    Fault(Fault),
}

impl From<Fault> for EncodeError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSpace => f.write_str("the buffer is too small for the record"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for EncodeError {}
