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
pub(crate) struct Instruction {
    pub(crate) op: Op,
    pub(crate) dst: Reg,
    pub(crate) a: Reg,
    pub(crate) b: Reg,
    pub(crate) imm: u32,
}

/// What the last word of an instruction is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Imm {
    /// Zero.
    None,
    /// Any number.
    Number,
    /// 0 or 1.
    Flag,
    /// How many instructions to skip.
    Skip,
    /// The cost of a program.
    Cost,
    /// A place in LONGS.
    Long,
    /// A set of LONGS.
    Longs,
    /// A string.
    String,
    /// A context attribute.
    Attribute,
    /// A set of actions.
    Actions,
    /// Any constant.
    Constant,
    /// A constant that is no set and no record.
    Flat,
    /// A constant that is an entity.
    Entity,
    /// A constant that is a set of at most [`MAX_LISTED`](crate::bounds::MAX_LISTED) members, none of them a set or record.
    Listed,
    /// A constant that is a set of strings: the names of a record's fields.
    Names,
    /// How many registers, from `a` on.
    Count,
}

/// Which fields an instruction uses: `dst`, `a`, `b`, and what `imm` is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) dst: bool,
    pub(crate) a: bool,
    pub(crate) b: bool,
    pub(crate) imm: Imm,
}

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident = $code:literal ($($field:ident)*) $imm:ident;)*) => {
        /// What an instruction does.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[repr(u8)]
        pub(crate) enum Op {
            $($(#[$doc])* $name = $code,)*
        }

        impl Op {
            #[inline]
            const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            #[cfg(feature = "alloc")]
            const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            pub(crate) const fn shape(self) -> Shape {
                match self {
                    $(Self::$name => {
                        #[allow(unused_mut, reason = "some instructions use no register")]
                        let mut shape = Shape { dst: false, a: false, b: false, imm: Imm::$imm };
                        $(shape.$field = true;)*
                        shape
                    })*
                }
            }
        }
    };
}

ops! {
    /// Opens a program of `imm` cost at most. How many instructions follow, of which the last is the only `Return`, stands
    /// where `a` and `b` do.
    Begin = 0x01 (a b) Cost;
    /// Ends with the truth value in `a`.
    Return = 0x02 (a) None;
    /// Skips if `a` is false.
    JumpIfFalse = 0x03 (a) Skip;
    /// Skips if `a` is true.
    JumpIfTrue = 0x04 (a) Skip;
    /// Skips.
    Jump = 0x05 () Skip;
    /// Loads a small number.
    Long = 0x10 (dst) Number;
    /// Loads a number from LONGS.
    LongAt = 0x11 (dst) Long;
    /// Loads a truth value.
    Bool = 0x12 (dst) Flag;
    /// Loads a constant.
    Constant = 0x13 (dst) Constant;
    /// Loads what `a` holds.
    Move = 0x14 (dst a) None;
    /// Loads a context attribute by its number in ATTRIBUTES; an error if the request has none of that name.
    Attribute = 0x18 (dst) Attribute;
    /// Loads the principal.
    Principal = 0x19 (dst) None;
    /// Loads the resource.
    Resource = 0x1a (dst) None;
    /// Loads the context.
    Context = 0x1b (dst) None;
    /// `a == b`, of which one is neither set nor record; values of different types are unequal.
    Equal = 0x20 (dst a b) None;
    /// `a != b`, the same.
    NotEqual = 0x21 (dst a b) None;
    /// `a < b`, of numbers, datetimes or durations.
    Less = 0x22 (dst a b) None;
    /// `a <= b`, of numbers, datetimes or durations.
    LessOrEqual = 0x23 (dst a b) None;
    /// Whether `a` is this number; what is no number is not. Costs less than `Equal`, which may have to compare strings.
    EqualLong = 0x28 (dst a) Number;
    /// Whether `a` is not this number.
    NotEqualLong = 0x29 (dst a) Number;
    /// Whether `a` is this constant.
    EqualConstant = 0x2a (dst a) Flat;
    /// Whether `a` is not this constant.
    NotEqualConstant = 0x2b (dst a) Flat;
    /// `a == b`, of anything.
    EqualDeep = 0x2c (dst a b) None;
    /// `a != b`, of anything.
    NotEqualDeep = 0x2d (dst a b) None;
    /// `!a`.
    Not = 0x30 (dst a) None;
    /// An error unless `a` is a truth value.
    Test = 0x31 (a) None;
    /// `a + b`.
    Add = 0x40 (dst a b) None;
    /// `a - b`.
    Sub = 0x41 (dst a b) None;
    /// `a * b`.
    Mul = 0x42 (dst a b) None;
    /// `-a`.
    Neg = 0x43 (dst a) None;
    /// Whether the set of numbers contains `a`; nothing but a number is in it.
    InLongs = 0x50 (dst a) Longs;
    /// Whether the constant set contains `a`.
    InListed = 0x51 (dst a) Listed;
    /// `a.contains(b)`.
    Contains = 0x52 (dst a b) None;
    /// `a.containsAll(b)`.
    ContainsAll = 0x53 (dst a b) None;
    /// `a.containsAny(b)`.
    ContainsAny = 0x54 (dst a b) None;
    /// `a.isEmpty()`.
    IsEmpty = 0x55 (dst a) None;
    /// Loads the set of `imm` registers from `a` on.
    MakeSet = 0x56 (dst a) Count;
    /// `a like pattern`, in which `*` is any text and `\` makes a literal of the next character.
    Like = 0x60 (dst a) String;
    /// Whether the principal is of the kind that the string reference names.
    PrincipalIs = 0x70 (dst) String;
    /// Whether the resource is of that kind.
    ResourceIs = 0x71 (dst) String;
    /// Whether the entity `a` is of that kind.
    Is = 0x72 (dst a) String;
    /// `a in b`, an entity or a set of entities.
    In = 0x73 (dst a b) None;
    /// Whether the principal is in this entity.
    PrincipalIn = 0x74 (dst) Entity;
    /// Whether the resource is in this entity.
    ResourceIn = 0x75 (dst) Entity;
    /// Whether the action is one of a set.
    ActionIn = 0x76 (dst) Actions;
    /// Loads an attribute of the entity or record `a`.
    Get = 0x80 (dst a) String;
    /// Loads an attribute of the record `a`.
    Field = 0x81 (dst a) String;
    /// Loads an attribute of the principal.
    PrincipalGet = 0x82 (dst) String;
    /// Loads an attribute of the resource.
    ResourceGet = 0x83 (dst) String;
    /// Whether the entity or record `a` has an attribute.
    Has = 0x84 (dst a) String;
    /// Whether the record `a` has an attribute.
    HasField = 0x85 (dst a) String;
    /// Whether the principal has an attribute.
    PrincipalHas = 0x86 (dst) String;
    /// Whether the resource has an attribute.
    ResourceHas = 0x87 (dst) String;
    /// Whether the context has an attribute.
    HasAttribute = 0x88 (dst) Attribute;
    /// `a.getTag(b)`.
    GetTag = 0x8a (dst a b) None;
    /// `a.hasTag(b)`.
    HasTag = 0x8b (dst a b) None;
    /// Loads the record of as many registers from `a` on as there are names.
    MakeRecord = 0x8c (dst a) Names;
    /// `a.isIpv4()`.
    IsIpv4 = 0x90 (dst a) None;
    /// `a.isIpv6()`.
    IsIpv6 = 0x91 (dst a) None;
    /// `a.isLoopback()`.
    IsLoopback = 0x92 (dst a) None;
    /// `a.isMulticast()`.
    IsMulticast = 0x93 (dst a) None;
    /// `a.isInRange(b)`.
    IsInRange = 0x94 (dst a b) None;
    /// `a.lessThan(b)`, of decimals.
    DecimalLess = 0xa0 (dst a b) None;
    /// `a.lessThanOrEqual(b)`, of decimals.
    DecimalLessOrEqual = 0xa1 (dst a b) None;
    /// `a.offset(b)`.
    Offset = 0xb0 (dst a b) None;
    /// `a.durationSince(b)`.
    DurationSince = 0xb1 (dst a b) None;
    /// `a.toDate()`.
    ToDate = 0xb2 (dst a) None;
    /// `a.toTime()`.
    ToTime = 0xb3 (dst a) None;
    /// The duration `a` in whole units of so many milliseconds.
    Whole = 0xb4 (dst a) Number;
}

impl Instruction {
    /// An instruction that uses no field.
    #[cfg(feature = "alloc")]
    pub(crate) const fn new(op: Op) -> Self {
        Self {
            op,
            dst: 0,
            a: 0,
            b: 0,
            imm: 0,
        }
    }

    /// The instruction with that result.
    #[cfg(feature = "alloc")]
    pub(crate) const fn to(self, dst: Reg) -> Self {
        Self { dst, ..self }
    }

    /// The instruction with those operands.
    #[cfg(feature = "alloc")]
    pub(crate) const fn of(self, a: Reg, b: Reg) -> Self {
        Self { a, b, ..self }
    }

    /// The instruction with that last word.
    #[cfg(feature = "alloc")]
    pub(crate) const fn with(self, imm: u32) -> Self {
        Self { imm, ..self }
    }

    /// How many instructions follow a `Begin`.
    #[inline]
    pub(crate) const fn len(self) -> u16 {
        u16::from_le_bytes([self.a, self.b])
    }

    /// The last word as a signed number.
    #[inline]
    pub(crate) const fn number(self) -> i32 {
        self.imm.cast_signed()
    }

    /// Reads an instruction; `None` if the op code is unknown. Operands are checked by [`Self::canonical`].
    #[inline]
    pub(crate) fn decode(bytes: [u8; INSTRUCTION_BYTES]) -> Option<Self> {
        let [op, dst, a, b, imm @ ..] = bytes;
        Some(Self {
            op: Op::from_code(op)?,
            dst,
            a,
            b,
            imm: u32::from_le_bytes(imm),
        })
    }

    /// Writes an instruction.
    #[cfg(feature = "alloc")]
    pub(crate) fn encode(self) -> [u8; INSTRUCTION_BYTES] {
        let [i0, i1, i2, i3] = self.imm.to_le_bytes();
        [self.op.code(), self.dst, self.a, self.b, i0, i1, i2, i3]
    }

    /// Reads an instruction whose bytes are the only ones that mean it, and whose registers exist.
    pub(crate) fn canonical(bytes: [u8; INSTRUCTION_BYTES]) -> Option<Self> {
        let instruction = Self::decode(bytes)?;
        let shape = instruction.op.shape();
        let register = |used: bool, reg: Reg| {
            if used {
                instruction.op == Op::Begin || usize::from(reg) < REGISTERS
            } else {
                reg == 0
            }
        };
        let fits = register(shape.dst, instruction.dst)
            && register(shape.a, instruction.a)
            && register(shape.b, instruction.b);
        let most = match shape.imm {
            Imm::None => 0,
            Imm::Flag => 1,
            _ => u32::MAX,
        };
        (fits && instruction.imm <= most).then_some(instruction)
    }
}
