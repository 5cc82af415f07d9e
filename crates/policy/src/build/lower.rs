//! Conditions into programs. Expression depth bounds the recursion: every level of operands takes a register.

use alloc::vec::Vec;

use super::encode::Pool;
use super::{BuildError, Expr};
use crate::bounds::{MAX_PROGRAM_INSTRUCTIONS, REGISTERS};
use crate::eval::instruction::{Instruction, Reg};

/// Deepest nesting of a condition, operators that need no register included.
const MAX_DEPTH: u32 = 256;

/// Lowers the kinds that scopes leave to be tested (true: of the principal) and the condition. Returns the number of the
/// program's first instruction plus one, or 0 if there is nothing to run.
pub(super) fn program(
    pool: &mut Pool,
    kinds: [Option<(&str, bool)>; 2],
    condition: Option<&Expr>,
) -> Result<u32, BuildError> {
    let mut lowering = Lowering {
        pool,
        code: Vec::new(),
    };
    let mut ends = Vec::new();
    for (kind, of_principal) in kinds.into_iter().flatten() {
        let kind = lowering.pool.string(kind)?;
        let test = if of_principal {
            Instruction::PrincipalIs { dst: 0, kind }
        } else {
            Instruction::ResourceIs { dst: 0, kind }
        };
        lowering.code.push(test);
        ends.push(lowering.code.len());
        lowering
            .code
            .push(Instruction::JumpIfFalse { a: 0, skip: 0 });
    }
    match condition {
        Some(condition) => lowering.expr(condition, 0, 0)?,
        None if ends.is_empty() => return Ok(0),
        None => {
            // The last test's own result is the program's.
            lowering.code.pop();
            ends.pop();
        }
    }
    lowering.land(ends)?;
    lowering.code.push(Instruction::Return { a: 0 });
    let Lowering { pool, code } = lowering;
    if code.len() >= usize::from(MAX_PROGRAM_INSTRUCTIONS) {
        return Err(BuildError::ConditionTooLong {
            instructions: code.len().saturating_add(1),
        });
    }
    pool.program(&code)
}

struct Lowering<'p> {
    pool: &'p mut Pool,
    code: Vec<Instruction>,
}

impl Lowering<'_> {
    /// Emits code that leaves the expression's value in `dst`, and touches no lower register.
    fn expr(&mut self, expr: &Expr, dst: Reg, depth: u32) -> Result<(), BuildError> {
        if usize::from(dst) >= REGISTERS || depth > MAX_DEPTH {
            return Err(BuildError::ConditionTooDeep);
        }
        if self.code.len() >= usize::from(MAX_PROGRAM_INSTRUCTIONS) {
            return Err(BuildError::ConditionTooLong {
                instructions: self.code.len(),
            });
        }
        let deeper = depth.saturating_add(1);
        let instruction =
            match expr {
                Expr::Bool(value) => Instruction::Bool { dst, value: *value },
                Expr::Long(value) => match i32::try_from(*value) {
                    Ok(value) => Instruction::Long { dst, value },
                    Err(_) => Instruction::LongAt {
                        dst,
                        at: self.pool.long(*value)?,
                    },
                },
                Expr::Attribute(name) => Instruction::Attribute {
                    dst,
                    attribute: self.pool.attribute(name)?,
                },
                Expr::Not(inner) => {
                    self.expr(inner, dst, deeper)?;
                    Instruction::Not { dst, a: dst }
                }
                Expr::All(terms) => return self.chain(terms, dst, deeper, true),
                Expr::AnyOf(terms) => return self.chain(terms, dst, deeper, false),
                Expr::Equal(a, b) => match (small(a), small(b)) {
                    (_, Some(value)) => self.unary(
                        a,
                        dst,
                        deeper,
                        Instruction::EqualLong { dst, a: dst, value },
                    )?,
                    (Some(value), _) => self.unary(
                        b,
                        dst,
                        deeper,
                        Instruction::EqualLong { dst, a: dst, value },
                    )?,
                    _ => self.binary(a, b, dst, deeper, |dst, a, b| Instruction::Equal {
                        dst,
                        a,
                        b,
                    })?,
                },
                Expr::NotEqual(a, b) => match (small(a), small(b)) {
                    (_, Some(value)) => self.unary(
                        a,
                        dst,
                        deeper,
                        Instruction::NotEqualLong { dst, a: dst, value },
                    )?,
                    (Some(value), _) => self.unary(
                        b,
                        dst,
                        deeper,
                        Instruction::NotEqualLong { dst, a: dst, value },
                    )?,
                    _ => self.binary(a, b, dst, deeper, |dst, a, b| Instruction::NotEqual {
                        dst,
                        a,
                        b,
                    })?,
                },
                Expr::Less(a, b) => self.binary(a, b, dst, deeper, |dst, a, b| {
                    Instruction::Less { dst, a, b }
                })?,
                Expr::LessOrEqual(a, b) => self.binary(a, b, dst, deeper, |dst, a, b| {
                    Instruction::LessOrEqual { dst, a, b }
                })?,
                Expr::OneOf(numbers, inner) => {
                    let set = self.pool.set(numbers)?;
                    self.unary(
                        inner,
                        dst,
                        deeper,
                        Instruction::InLongs { dst, a: dst, set },
                    )?
                }
            };
        self.code.push(instruction);
        Ok(())
    }

    fn unary(
        &mut self,
        a: &Expr,
        dst: Reg,
        depth: u32,
        then: Instruction,
    ) -> Result<Instruction, BuildError> {
        self.expr(a, dst, depth)?;
        Ok(then)
    }

    fn binary(
        &mut self,
        a: &Expr,
        b: &Expr,
        dst: Reg,
        depth: u32,
        then: fn(Reg, Reg, Reg) -> Instruction,
    ) -> Result<Instruction, BuildError> {
        let other = dst.saturating_add(1);
        self.expr(a, dst, depth)?;
        self.expr(b, other, depth)?;
        Ok(then(dst, dst, other))
    }

    /// `&&` if `all`, else `||`: each term into `dst`, leaving at the first that settles it.
    fn chain(&mut self, terms: &[Expr], dst: Reg, depth: u32, all: bool) -> Result<(), BuildError> {
        let Some((last, before)) = terms.split_last() else {
            self.code.push(Instruction::Bool { dst, value: all });
            return Ok(());
        };
        let mut ends = Vec::new();
        for term in before {
            self.expr(term, dst, depth)?;
            ends.push(self.code.len());
            let skip = 0;
            self.code.push(if all {
                Instruction::JumpIfFalse { a: dst, skip }
            } else {
                Instruction::JumpIfTrue { a: dst, skip }
            });
        }
        self.expr(last, dst, depth)?;
        if !last.is_boolean() {
            self.code.push(Instruction::Test { a: dst });
        }
        self.land(ends)
    }

    /// Makes those jumps lead here.
    fn land(&mut self, jumps: Vec<usize>) -> Result<(), BuildError> {
        let here = self.code.len();
        for at in jumps {
            let distance = here
                .checked_sub(at)
                .and_then(|distance| distance.checked_sub(1));
            let to = distance
                .and_then(|distance| u32::try_from(distance).ok())
                .ok_or(BuildError::TooLong)?;
            if let Some(
                Instruction::JumpIfFalse { skip, .. } | Instruction::JumpIfTrue { skip, .. },
            ) = self.code.get_mut(at)
            {
                *skip = to;
            }
        }
        Ok(())
    }
}

/// A literal that fits an instruction.
fn small(expr: &Expr) -> Option<i32> {
    match expr {
        Expr::Long(value) => i32::try_from(*value).ok(),
        _ => None,
    }
}
