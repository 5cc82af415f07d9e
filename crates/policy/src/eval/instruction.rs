//! The instructions of the condition machine.
//!
//! Eight bytes each: `op u8 | dst u8 | a u8 | b u8 | imm u32`. Fields that an instruction does not use are zero. Jumps
//! skip forward only, so a program runs at most its own length. Op codes are grouped by what they work on, with room left:
//! 0x0_ control, 0x1_ loads, 0x2_ comparison, 0x3_ logic, 0x4_ arithmetic, 0x5_ sets, 0x6_ strings, 0x7_ entities,
//! 0x8_ records and tags, 0x9_ ip, 0xa_ decimal, 0xb_ datetime and duration.

use crate::bounds::REGISTERS;
use crate::image::layout::INSTRUCTION_BYTES;

/// The number of a register, below [`REGISTERS`] once checked.
pub(crate) type Reg = u8;

/// One instruction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Instruction {
    /// Opens a program of `len` further instructions, the last of which is the only `Return`, that cost at most `cost`.
    /// `len` stands where `a` and `b` do.
    Begin { len: u16, cost: u32 },
    /// Ends with the truth value in `a`.
    Return { a: Reg },
    /// Skips the next `skip` instructions if `a` is false.
    JumpIfFalse { a: Reg, skip: u32 },
    /// Skips the next `skip` instructions if `a` is true.
    JumpIfTrue { a: Reg, skip: u32 },
    /// Loads a small number.
    Long { dst: Reg, value: i32 },
    /// Loads a number from LONGS.
    LongAt { dst: Reg, at: u32 },
    /// Loads a truth value.
    Bool { dst: Reg, value: bool },
    /// Loads a context attribute by its number in ATTRIBUTES; an error if the request has none of that name.
    Attribute { dst: Reg, attribute: u32 },
    /// Whether `a` is this number; what is no number is not. Costs less than `Equal`, which may have to compare strings.
    EqualLong { dst: Reg, a: Reg, value: i32 },
    /// Whether `a` is not this number.
    NotEqualLong { dst: Reg, a: Reg, value: i32 },
    /// `a == b`; values of different types are unequal.
    Equal { dst: Reg, a: Reg, b: Reg },
    /// `a != b`.
    NotEqual { dst: Reg, a: Reg, b: Reg },
    /// `a < b`, of numbers.
    Less { dst: Reg, a: Reg, b: Reg },
    /// `a <= b`, of numbers.
    LessOrEqual { dst: Reg, a: Reg, b: Reg },
    /// `!a`.
    Not { dst: Reg, a: Reg },
    /// An error unless `a` is a truth value.
    Test { a: Reg },
    /// Whether the set of numbers contains `a`; nothing but a number is in it.
    InLongs { dst: Reg, a: Reg, set: u32 },
    /// Whether the principal is of the kind that the string reference names.
    PrincipalIs { dst: Reg, kind: u32 },
    /// Whether the resource is of that kind.
    ResourceIs { dst: Reg, kind: u32 },
}

const BEGIN: u8 = 0x01;
const RETURN: u8 = 0x02;
const JUMP_IF_FALSE: u8 = 0x03;
const JUMP_IF_TRUE: u8 = 0x04;
const LONG: u8 = 0x10;
const LONG_AT: u8 = 0x11;
const BOOL: u8 = 0x12;
const ATTRIBUTE: u8 = 0x18;
const EQUAL: u8 = 0x20;
const NOT_EQUAL: u8 = 0x21;
const LESS: u8 = 0x22;
const LESS_OR_EQUAL: u8 = 0x23;
const EQUAL_LONG: u8 = 0x28;
const NOT_EQUAL_LONG: u8 = 0x29;
const NOT: u8 = 0x30;
const TEST: u8 = 0x31;
const IN_LONGS: u8 = 0x50;
const PRINCIPAL_IS: u8 = 0x70;
const RESOURCE_IS: u8 = 0x71;

impl Instruction {
    /// Reads an instruction; `None` if the op code is unknown. Operands are checked by [`Self::canonical`].
    #[inline]
    pub(crate) fn decode(bytes: [u8; INSTRUCTION_BYTES]) -> Option<Self> {
        let [op, dst, a, b, imm @ ..] = bytes;
        let imm = u32::from_le_bytes(imm);
        Some(match op {
            BEGIN => Self::Begin {
                len: u16::from_le_bytes([a, b]),
                cost: imm,
            },
            RETURN => Self::Return { a },
            JUMP_IF_FALSE => Self::JumpIfFalse { a, skip: imm },
            JUMP_IF_TRUE => Self::JumpIfTrue { a, skip: imm },
            LONG => Self::Long {
                dst,
                value: imm.cast_signed(),
            },
            LONG_AT => Self::LongAt { dst, at: imm },
            BOOL => Self::Bool {
                dst,
                value: imm != 0,
            },
            ATTRIBUTE => Self::Attribute {
                dst,
                attribute: imm,
            },
            EQUAL_LONG => Self::EqualLong {
                dst,
                a,
                value: imm.cast_signed(),
            },
            NOT_EQUAL_LONG => Self::NotEqualLong {
                dst,
                a,
                value: imm.cast_signed(),
            },
            EQUAL => Self::Equal { dst, a, b },
            NOT_EQUAL => Self::NotEqual { dst, a, b },
            LESS => Self::Less { dst, a, b },
            LESS_OR_EQUAL => Self::LessOrEqual { dst, a, b },
            NOT => Self::Not { dst, a },
            TEST => Self::Test { a },
            IN_LONGS => Self::InLongs { dst, a, set: imm },
            PRINCIPAL_IS => Self::PrincipalIs { dst, kind: imm },
            RESOURCE_IS => Self::ResourceIs { dst, kind: imm },
            _ => return None,
        })
    }

    /// Writes an instruction.
    pub(crate) fn encode(self) -> [u8; INSTRUCTION_BYTES] {
        let (op, dst, a, b, imm) = match self {
            Self::Begin { len, cost } => {
                let [a, b] = len.to_le_bytes();
                (BEGIN, 0, a, b, cost)
            }
            Self::Return { a } => (RETURN, 0, a, 0, 0),
            Self::JumpIfFalse { a, skip } => (JUMP_IF_FALSE, 0, a, 0, skip),
            Self::JumpIfTrue { a, skip } => (JUMP_IF_TRUE, 0, a, 0, skip),
            Self::Long { dst, value } => (LONG, dst, 0, 0, value.cast_unsigned()),
            Self::LongAt { dst, at } => (LONG_AT, dst, 0, 0, at),
            Self::Bool { dst, value } => (BOOL, dst, 0, 0, u32::from(value)),
            Self::Attribute { dst, attribute } => (ATTRIBUTE, dst, 0, 0, attribute),
            Self::EqualLong { dst, a, value } => (EQUAL_LONG, dst, a, 0, value.cast_unsigned()),
            Self::NotEqualLong { dst, a, value } => {
                (NOT_EQUAL_LONG, dst, a, 0, value.cast_unsigned())
            }
            Self::Equal { dst, a, b } => (EQUAL, dst, a, b, 0),
            Self::NotEqual { dst, a, b } => (NOT_EQUAL, dst, a, b, 0),
            Self::Less { dst, a, b } => (LESS, dst, a, b, 0),
            Self::LessOrEqual { dst, a, b } => (LESS_OR_EQUAL, dst, a, b, 0),
            Self::Not { dst, a } => (NOT, dst, a, 0, 0),
            Self::Test { a } => (TEST, 0, a, 0, 0),
            Self::InLongs { dst, a, set } => (IN_LONGS, dst, a, 0, set),
            Self::PrincipalIs { dst, kind } => (PRINCIPAL_IS, dst, 0, 0, kind),
            Self::ResourceIs { dst, kind } => (RESOURCE_IS, dst, 0, 0, kind),
        };
        let [i0, i1, i2, i3] = imm.to_le_bytes();
        [op, dst, a, b, i0, i1, i2, i3]
    }

    /// Reads an instruction whose bytes are the only ones that mean it, and whose registers exist.
    pub(crate) fn canonical(bytes: [u8; INSTRUCTION_BYTES]) -> Option<Self> {
        let [op, dst, a, b, ..] = bytes;
        let registers = op == BEGIN || [dst, a, b].iter().all(|&reg| usize::from(reg) < REGISTERS);
        Self::decode(bytes).filter(|instruction| registers && instruction.encode() == bytes)
    }
}
