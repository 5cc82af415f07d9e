//! What would be if one op code meant something else: in an image of which every such instruction is replaced by one that
//! does the other thing, some decision must be another. That holds the generator to reach where op codes differ.

/// An instruction as stored.
pub(crate) type Code = [u8; 8];

/// An op code, what is done to it, and how.
pub(crate) type Mutation = (u8, &'static str, fn(Code) -> Code);

/// The op codes, each with its name and what it is made to mean. An operand that the new op code takes is the old one's.
pub(crate) const MUTATIONS: &[Mutation] = &[
    (0x01, "Begin: the program ends at once", |c| with(c, 2, 0)),
    (0x02, "Return as Test", |c| with(c, 0, 0x31)),
    (0x03, "JumpIfFalse as JumpIfTrue", |c| with(c, 0, 0x04)),
    (0x04, "JumpIfTrue as JumpIfFalse", |c| with(c, 0, 0x03)),
    (0x05, "Jump goes nowhere", |c| number(c, 0)),
    (0x10, "Long: one more", |c| add(c, 1)),
    (0x11, "LongAt: the place as number", |c| with(c, 0, 0x10)),
    (0x12, "Bool: the other one", |c| {
        number(c, u32::from(c[4] == 0))
    }),
    (0x13, "Constant as Principal", |c| with(c, 0, 0x19)),
    (0x14, "Move as Resource", |c| with(c, 0, 0x1a)),
    (0x18, "Attribute as HasAttribute", |c| with(c, 0, 0x88)),
    (0x19, "Principal as Resource", |c| with(c, 0, 0x1a)),
    (0x1a, "Resource as Principal", |c| with(c, 0, 0x19)),
    (0x1b, "Context as Principal", |c| with(c, 0, 0x19)),
    (0x20, "Equal as NotEqual", |c| with(c, 0, 0x21)),
    (0x21, "NotEqual as Equal", |c| with(c, 0, 0x20)),
    (0x22, "Less as LessOrEqual", |c| with(c, 0, 0x23)),
    (0x23, "LessOrEqual as Less", |c| with(c, 0, 0x22)),
    (0x28, "EqualLong as NotEqualLong", |c| with(c, 0, 0x29)),
    (0x29, "NotEqualLong as EqualLong", |c| with(c, 0, 0x28)),
    (0x2a, "EqualConstant as NotEqualConstant", |c| {
        with(c, 0, 0x2b)
    }),
    (0x2b, "NotEqualConstant as EqualConstant", |c| {
        with(c, 0, 0x2a)
    }),
    (0x2c, "EqualDeep as ContainsAll", |c| with(c, 0, 0x53)),
    (0x2d, "NotEqualDeep as EqualDeep", |c| with(c, 0, 0x2c)),
    (0x30, "Not as Move", |c| with(c, 0, 0x14)),
    (0x31, "Test tests nothing", |c| {
        with(with(c, 1, c[2]), 0, 0x14)
    }),
    (0x40, "Add as Sub", |c| with(c, 0, 0x41)),
    (0x41, "Sub as Add", |c| with(c, 0, 0x40)),
    (0x42, "Mul as Add", |c| with(c, 0, 0x40)),
    (0x43, "Neg as Move", |c| with(c, 0, 0x14)),
    (0x50, "InLongs of the first set", |c| number(c, 0)),
    (0x51, "InListed as EqualConstant", |c| with(c, 0, 0x2a)),
    (0x52, "Contains as ContainsAny", |c| with(c, 0, 0x54)),
    (0x53, "ContainsAll as ContainsAny", |c| with(c, 0, 0x54)),
    (0x54, "ContainsAny as ContainsAll", |c| with(c, 0, 0x53)),
    (0x55, "IsEmpty is true", |c| number(with(c, 0, 0x12), 1)),
    (0x56, "MakeSet of one less", |c| add(c, u32::MAX)),
    (0x60, "Like is true", |c| number(with(c, 0, 0x12), 1)),
    (0x70, "PrincipalIs as ResourceIs", |c| with(c, 0, 0x71)),
    (0x71, "ResourceIs as PrincipalIs", |c| with(c, 0, 0x70)),
    (0x72, "Is as PrincipalIs", |c| with(c, 0, 0x70)),
    (0x73, "In as Equal", |c| with(c, 0, 0x20)),
    (0x74, "PrincipalIn as ResourceIn", |c| with(c, 0, 0x75)),
    (0x75, "ResourceIn as PrincipalIn", |c| with(c, 0, 0x74)),
    (0x76, "ActionIn of the first set", |c| number(c, 0)),
    (0x80, "Get as Has", |c| with(c, 0, 0x84)),
    (0x81, "Field as HasField", |c| with(c, 0, 0x85)),
    (0x82, "PrincipalGet as ResourceGet", |c| with(c, 0, 0x83)),
    (0x83, "ResourceGet as PrincipalGet", |c| with(c, 0, 0x82)),
    (0x84, "Has as Get", |c| with(c, 0, 0x80)),
    (0x85, "HasField as Field", |c| with(c, 0, 0x81)),
    (0x86, "PrincipalHas as ResourceHas", |c| with(c, 0, 0x87)),
    (0x87, "ResourceHas as PrincipalHas", |c| with(c, 0, 0x86)),
    (0x88, "HasAttribute as Attribute", |c| with(c, 0, 0x18)),
    (0x8a, "GetTag as HasTag", |c| with(c, 0, 0x8b)),
    (0x8b, "HasTag as GetTag", |c| with(c, 0, 0x8a)),
    (0x8c, "MakeRecord of the registers before", |c| {
        with(c, 2, c[2].saturating_sub(1))
    }),
    (0x90, "IsIpv4 as IsIpv6", |c| with(c, 0, 0x91)),
    (0x91, "IsIpv6 as IsIpv4", |c| with(c, 0, 0x90)),
    (0x92, "IsLoopback as IsMulticast", |c| with(c, 0, 0x93)),
    (0x93, "IsMulticast as IsLoopback", |c| with(c, 0, 0x92)),
    (0x94, "IsInRange as Equal", |c| with(c, 0, 0x20)),
    (0xa0, "DecimalLess as DecimalLessOrEqual", |c| {
        with(c, 0, 0xa1)
    }),
    (0xa1, "DecimalLessOrEqual as DecimalLess", |c| {
        with(c, 0, 0xa0)
    }),
    (0xb0, "Offset moves nothing", |c| with(c, 0, 0x14)),
    (0xb1, "DurationSince as Offset", |c| with(c, 0, 0xb0)),
    (0xb2, "ToDate as Move", |c| with(c, 0, 0x14)),
    (0xb3, "ToTime as ToDate", |c| with(c, 0, 0xb2)),
    (0xb4, "Whole of other units", |c| add(c, 1)),
];

fn with(mut code: Code, at: usize, byte: u8) -> Code {
    code[at] = byte;
    code
}

fn imm(code: Code) -> u32 {
    u32::from_le_bytes([code[4], code[5], code[6], code[7]])
}

fn number(mut code: Code, imm: u32) -> Code {
    code[4..].copy_from_slice(&imm.to_le_bytes());
    code
}

fn add(code: Code, more: u32) -> Code {
    number(code, imm(code).wrapping_add(more))
}

/// Where the instructions of an image are.
pub(crate) fn code(image: &[u8]) -> std::ops::Range<usize> {
    section(image, 6)
}

/// A policy as stored: its third word is the port that it is filed under.
const POLICY_BYTES: usize = 20;

/// How many policies are filed under a port.
pub(crate) fn filed(image: &[u8]) -> u32 {
    let policies = image[section(image, 2)].chunks(POLICY_BYTES);
    let filed = policies.filter(|policy| policy[8..12] != [0; 4]);
    u32::try_from(filed.count()).unwrap()
}

/// The image with every such policy filed under the next port.
pub(crate) fn misfiled(image: &[u8]) -> Vec<u8> {
    let mut changed = image.to_vec();
    for policy in changed[section(image, 2)].chunks_mut(POLICY_BYTES) {
        let port = u32::from_le_bytes(policy[8..12].try_into().unwrap());
        if port != 0 {
            policy[8..12].copy_from_slice(&port.saturating_add(1).to_le_bytes());
        }
    }
    changed
}

/// Where a section of an image is.
fn section(image: &[u8], tag: u8) -> std::ops::Range<usize> {
    let sections = usize::from(u16::from_le_bytes([image[6], image[7]]));
    let mut at = 20 + 6 * sections;
    for entry in image[20..].chunks(6).take(sections) {
        let len = u32::from_le_bytes(entry[2..].try_into().unwrap()) as usize;
        if entry[0] == tag {
            return at..at + len;
        }
        at += len;
    }
    0..0
}

/// The image with every instruction of an op code changed; `None` if it has none.
pub(crate) fn mutated(image: &[u8], op: u8, change: fn(Code) -> Code) -> Option<Vec<u8>> {
    let mut changed = image.to_vec();
    let mut any = false;
    for instruction in changed[code(image)].as_chunks_mut::<8>().0 {
        if instruction[0] == op {
            *instruction = change(*instruction);
            any = true;
        }
    }
    any.then_some(changed)
}
