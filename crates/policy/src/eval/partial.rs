//! What a condition can come to, whoever asks: where all that is known of a request is its action, and which attributes of
//! the context it may have.
//!
//! The program itself is run, instruction by instruction, on what registers may hold instead of what they hold. Jumps lead
//! forward only, so one pass over the code is enough. What an instruction does beyond truth values and the presence of
//! attributes is not followed: it may then come to anything, and fail. So what is said to be impossible is.

use alloc::vec;
use alloc::vec::Vec;

use super::action_bit;
use super::instruction::{Instruction, Op, Reg};
use super::meter::Unmetered;
use crate::bounds::REGISTERS;
use crate::image::{Image, read};

/// Whether the requests that are asked about have an attribute of the context. What they have is within the crate's bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    /// All of them.
    Always,
    /// Some of them.
    Sometimes,
    /// None of them.
    Never,
}

/// What the condition of a policy can come to, its actions included. The scope is taken to match.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Prospect {
    /// It may hold.
    pub(crate) holds: bool,
    /// It may be that it cannot be evaluated.
    pub(crate) fails: bool,
}

/// What a register may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Held {
    /// This truth value.
    Bool(bool),
    /// A truth value.
    Truth,
    /// Anything.
    Any,
}

impl Held {
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => Self::Any,
            (Self::Bool(a), Self::Bool(b)) if a == b => self,
            _ => Self::Truth,
        }
    }

    fn may_be(self, value: bool) -> bool {
        self != Self::Bool(!value)
    }
}

type Registers = [Held; REGISTERS];

/// What the condition of a policy can come to. `None` only for an image that no check accepted.
pub(crate) fn prospect(
    image: &Image<'_>,
    policy: u32,
    action: &str,
    told: &dyn Fn(&str) -> Told,
) -> Option<Prospect> {
    let policy = image.policy(policy)?;
    let action = action_bit(image, action, &mut Unmetered);
    let acts = |set| read::quad(image.action_sets, set).map(|set| set & action != 0);
    if let Some(set) = policy.actions.checked_sub(1)
        && !acts(u32::from(set))?
    {
        return Some(Prospect::default());
    }
    let Some(start) = policy.program.checked_sub(1) else {
        return Some(Prospect {
            holds: true,
            fails: false,
        });
    };
    let len = usize::from(image.instruction(start)?.len());
    let mut walk = Walk {
        image,
        acts: &acts,
        told,
        reached: vec![None; len.checked_add(1)?],
        prospect: Prospect::default(),
    };
    walk.arrive(1, [Held::Any; REGISTERS])?;
    let mut number = start;
    for at in 1..=len {
        number = number.checked_add(1)?;
        if let Some(registers) = walk.reached.get_mut(at)?.take() {
            walk.step(at, image.instruction(number)?, registers)?;
        }
    }
    Some(walk.prospect)
}

struct Walk<'w> {
    image: &'w Image<'w>,
    acts: &'w dyn Fn(u32) -> Option<bool>,
    told: &'w dyn Fn(&str) -> Told,
    /// With what the registers may hold there, the instructions that may be reached.
    reached: Vec<Option<Registers>>,
    prospect: Prospect,
}

impl Walk<'_> {
    fn arrive(&mut self, at: usize, registers: Registers) -> Option<()> {
        let place = self.reached.get_mut(at)?;
        match place {
            None => *place = Some(registers),
            Some(before) => {
                for (before, held) in before.iter_mut().zip(registers) {
                    *before = before.or(held);
                }
            }
        }
        Some(())
    }

    fn step(&mut self, at: usize, i: Instruction, registers: Registers) -> Option<()> {
        let next = at.checked_add(1)?;
        let target = || next.checked_add(usize::try_from(i.imm).ok()?);
        match i.op {
            Op::Return => {
                let result = get(&registers, i.a)?;
                self.prospect.holds |= result.may_be(true);
                self.prospect.fails |= result == Held::Any;
                Some(())
            }
            Op::Jump => self.arrive(target()?, registers),
            Op::JumpIfFalse | Op::JumpIfTrue => {
                let tested = get(&registers, i.a)?;
                self.prospect.fails |= tested == Held::Any;
                let jumps = i.op == Op::JumpIfTrue;
                for (value, to) in [(jumps, target()?), (!jumps, next)] {
                    if tested.may_be(value) {
                        self.arrive(to, set(registers, i.a, Held::Bool(value))?)?;
                    }
                }
                Some(())
            }
            Op::Test => {
                let tested = get(&registers, i.a)?;
                self.prospect.fails |= tested == Held::Any;
                let known = if tested == Held::Any {
                    Held::Truth
                } else {
                    tested
                };
                self.arrive(next, set(registers, i.a, known)?)
            }
            _ => {
                let (held, fails) = self.result(i, &registers)?;
                self.prospect.fails |= fails;
                match held {
                    Some(held) => self.arrive(next, set(registers, i.dst, held)?),
                    None => Some(()),
                }
            }
        }
    }

    /// What an instruction that goes on with the next may leave, `None` if it always fails; and whether it may fail.
    fn result(&self, i: Instruction, registers: &Registers) -> Option<(Option<Held>, bool)> {
        Some(match i.op {
            Op::Bool => (Some(Held::Bool(i.imm != 0)), false),
            Op::Move => (Some(get(registers, i.a)?), false),
            Op::Not => match get(registers, i.a)? {
                Held::Bool(value) => (Some(Held::Bool(!value)), false),
                Held::Truth => (Some(Held::Truth), false),
                Held::Any => (Some(Held::Truth), true),
            },
            Op::ActionIn => (Some(Held::Bool((self.acts)(i.imm)?)), false),
            Op::Attribute => match self.told(i.imm)? {
                Told::Always => (Some(Held::Any), false),
                Told::Sometimes => (Some(Held::Any), true),
                Told::Never => (None, true),
            },
            Op::HasAttribute => match self.told(i.imm)? {
                Told::Always => (Some(Held::Bool(true)), false),
                Told::Sometimes => (Some(Held::Truth), false),
                Told::Never => (Some(Held::Bool(false)), false),
            },
            Op::EqualLong
            | Op::NotEqualLong
            | Op::PrincipalIs
            | Op::ResourceIs
            | Op::PrincipalIn
            | Op::ResourceIn => (Some(Held::Truth), false),
            Op::Long | Op::LongAt | Op::Constant | Op::Principal | Op::Resource | Op::Context => {
                (Some(Held::Any), false)
            }
            _ => (Some(Held::Any), true),
        })
    }

    fn told(&self, attribute: u32) -> Option<Told> {
        Some((self.told)(self.image.attribute_name(attribute)?))
    }
}

fn get(registers: &Registers, reg: Reg) -> Option<Held> {
    registers.get(usize::from(reg)).copied()
}

fn set(mut registers: Registers, reg: Reg, held: Held) -> Option<Registers> {
    *registers.get_mut(usize::from(reg))? = held;
    Some(registers)
}
