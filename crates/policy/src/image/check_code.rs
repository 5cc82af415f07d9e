//! The check of the section CODE.

use crate::bounds::{MAX_LISTED, MAX_PROGRAM_INSTRUCTIONS, REGISTERS};
use crate::eval::instruction::{Imm, Instruction, Op, Reg};
use crate::image::check::{count, string};
use crate::image::constant::Constant;
use crate::image::cost;
use crate::image::layout;
use crate::image::{Image, ImageError, read};

/// CODE is a row of programs: each a `Begin`, instructions whose jumps stay inside, and one `Return` at the end.
pub(super) fn code(image: &Image<'_>) -> Result<(), ImageError> {
    let end = count(image.code);
    let mut at = 0;
    while at < end {
        let bad = ImageError::Instruction { at };
        let begin = canonical(image, at)?;
        let len = begin.len();
        let last = at
            .checked_add(u32::from(len))
            .filter(|&last| last < end)
            .ok_or(bad)?;
        if begin.op != Op::Begin || len == 0 || len >= MAX_PROGRAM_INSTRUCTIONS {
            return Err(bad);
        }
        let mut cost = 0u64;
        for inner in at.saturating_add(1)..=last {
            let instruction = canonical(image, inner)?;
            let fits = match instruction.op {
                Op::Begin => false,
                Op::Return => inner == last,
                Op::JumpIfFalse | Op::JumpIfTrue | Op::Jump => inner
                    .checked_add(instruction.imm)
                    .is_some_and(|target| target < last),
                _ => inner != last && operands(image, instruction),
            };
            if !fits {
                return Err(ImageError::Instruction { at: inner });
            }
            cost = cost.saturating_add(cost::instruction(image, instruction));
        }
        if u64::from(begin.imm) != cost {
            return Err(bad);
        }
        at = last.saturating_add(1);
    }
    Ok(())
}

fn canonical(image: &Image<'_>, at: u32) -> Result<Instruction, ImageError> {
    read::record(image.code, at)
        .and_then(|bytes| Instruction::canonical(*bytes))
        .ok_or(ImageError::Instruction { at })
}

/// What an instruction refers to is there, and is what it should be.
fn operands(image: &Image<'_>, i: Instruction) -> bool {
    match i.op.shape().imm {
        Imm::None | Imm::Number | Imm::Flag | Imm::Skip | Imm::Cost => true,
        Imm::Long => image.long(i.imm).is_some(),
        Imm::Longs => image.set(i.imm).is_some(),
        Imm::String => string(image, layout::CODE, i.imm).is_ok(),
        Imm::Attribute => read::word(image.attributes, i.imm).is_some(),
        Imm::Actions => read::quad(image.action_sets, i.imm).is_some(),
        Imm::Constant => image.constant(i.imm).is_some(),
        Imm::Flat => image.constant(i.imm).is_some_and(Constant::is_flat),
        Imm::Entity => matches!(image.constant(i.imm), Some(Constant::Entity(..))),
        Imm::Listed => match image.constant(i.imm) {
            Some(Constant::Set(first, count)) => {
                count <= MAX_LISTED && members(image, first, count, Constant::is_flat)
            }
            _ => false,
        },
        Imm::Names => match image.constant(i.imm) {
            Some(Constant::Set(first, count)) => {
                registers(i.a, count)
                    && members(image, first, count, |name| matches!(name, Constant::Str(_)))
            }
            _ => false,
        },
        Imm::Count => registers(i.a, i.imm),
    }
}

/// All members of a set of constants are such.
fn members(image: &Image<'_>, first: u32, count: u32, such: fn(Constant) -> bool) -> bool {
    (first..first.saturating_add(count)).all(|at| image.constant(at).is_some_and(such))
}

/// So many registers from one on exist.
fn registers(first: Reg, count: u32) -> bool {
    usize::try_from(count)
        .ok()
        .and_then(|count| count.checked_add(usize::from(first)))
        .is_some_and(|end| end <= REGISTERS)
}
