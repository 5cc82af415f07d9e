//! Conditions into programs. Expression depth bounds the recursion: every level of operands takes a register.

use alloc::vec::Vec;

use super::encode::Pool;
use super::operation::{binary, unary};
use super::types::{Types, may_nest};
use super::{Binary, BuildError, Expr};
use crate::bounds::{MAX_PROGRAM_INSTRUCTIONS, MAX_VALUE_DEPTH, REGISTERS};
use crate::eval::instruction::{Instruction, Op, Reg};

/// Deepest nesting of a condition, operators that need no register included.
const MAX_DEPTH: u32 = 256;

/// Lowers the kinds that scopes leave to be tested (true: of the principal) and the condition. Returns the number of the
/// program's first instruction plus one, or 0 if there is nothing to run.
pub(super) fn program(
    pool: &mut Pool,
    types: Option<&Types>,
    kinds: [Option<(&str, bool)>; 2],
    condition: Option<&Expr>,
) -> Result<u32, BuildError> {
    let mut lowering = Lowering {
        pool,
        types,
        code: Vec::new(),
    };
    let mut ends = Vec::new();
    for (kind, of_principal) in kinds.into_iter().flatten() {
        let kind = lowering.pool.string(kind)?;
        let op = if of_principal {
            Op::PrincipalIs
        } else {
            Op::ResourceIs
        };
        lowering.code.push(Instruction::new(op).with(kind));
        ends.push(lowering.jump(Op::JumpIfFalse, 0));
    }
    match condition {
        Some(condition) => drop(lowering.expr(condition, 0, 0)?),
        None if ends.is_empty() => return Ok(0),
        None => {
            // The last test's own result is the program's.
            lowering.code.pop();
            ends.pop();
        }
    }
    lowering.land(ends)?;
    lowering.code.push(Instruction::new(Op::Return));
    let Lowering { pool, code, .. } = lowering;
    if code.len() >= usize::from(MAX_PROGRAM_INSTRUCTIONS) {
        return Err(BuildError::ConditionTooLong {
            instructions: code.len().saturating_add(1),
        });
    }
    pool.program(&code)
}

pub(super) struct Lowering<'p> {
    pub(super) pool: &'p mut Pool,
    pub(super) types: Option<&'p Types>,
    pub(super) code: Vec<Instruction>,
}

impl Lowering<'_> {
    /// Emits code that leaves the expression's value in `dst`, and touches no lower register. Returns the first register
    /// above that the value does not need: a set or record made in registers lies there.
    pub(super) fn expr(&mut self, expr: &Expr, dst: Reg, depth: u32) -> Result<Reg, BuildError> {
        if usize::from(dst) >= REGISTERS || depth > MAX_DEPTH {
            return Err(BuildError::ConditionTooDeep);
        }
        if self.code.len() >= usize::from(MAX_PROGRAM_INSTRUCTIONS) {
            return Err(BuildError::ConditionTooLong {
                instructions: self.code.len(),
            });
        }
        if expr.literal_depth() > MAX_VALUE_DEPTH {
            return Err(BuildError::ValueTooDeep);
        }
        let deeper = depth.saturating_add(1);
        let instruction = match expr {
            Expr::Bool(_) | Expr::Long(_) => self.number(expr)?,
            literal if literal.is_literal() => {
                Instruction::new(Op::Constant).with(self.pool.constant(literal)?)
            }
            Expr::Principal => Instruction::new(Op::Principal),
            Expr::Resource => Instruction::new(Op::Resource),
            Expr::Context => Instruction::new(Op::Context),
            Expr::Attribute(name) => {
                Instruction::new(Op::Attribute).with(self.pool.attribute(name)?)
            }
            Expr::ActionIn(names) => Instruction::new(Op::ActionIn).with(self.action_set(names)?),
            Expr::Set(members) => {
                let (first, free) = self.run(members.iter(), dst, deeper)?;
                let count = u32::try_from(members.len()).map_err(|_| BuildError::TooLong)?;
                let make = Instruction::new(Op::MakeSet).of(first, 0).with(count);
                self.code.push(make.to(dst));
                return Ok(free);
            }
            Expr::Record(fields) => {
                let (first, free) = self.run(fields.iter().map(|(_, value)| value), dst, deeper)?;
                let names = self
                    .pool
                    .names(fields.iter().map(|(name, _)| name.as_str()))?;
                let make = Instruction::new(Op::MakeRecord).of(first, 0).with(names);
                self.code.push(make.to(dst));
                return Ok(free);
            }
            Expr::All(terms) => return self.chain(terms, dst, deeper, true),
            Expr::AnyOf(terms) => return self.chain(terms, dst, deeper, false),
            Expr::If(condition, then, other) => {
                return self.branch([condition, then, other], dst, deeper);
            }
            Expr::Get(of, name) => return self.get(of, name, dst, deeper),
            Expr::Has(of, name) => self.has(of, name, dst, deeper)?,
            Expr::Binary(Binary::GetTag, of, name) => {
                let free = self.expr(of, dst, deeper)?;
                self.expr(name, free, deeper)?;
                self.code
                    .push(Instruction::new(Op::GetTag).to(dst).of(dst, free));
                return Ok(free);
            }
            Expr::Not(inner) => self.one(Op::Not, inner, dst, deeper)?,
            Expr::Unary(op, inner) => {
                let (op, imm) = unary(*op);
                self.one(op, inner, dst, deeper)?.with(imm)
            }
            Expr::Equal(a, b) => self.equality(a, b, dst, deeper, true)?,
            Expr::NotEqual(a, b) => self.equality(a, b, dst, deeper, false)?,
            Expr::Less(a, b) => self.two(Op::Less, a, b, dst, deeper)?,
            Expr::LessOrEqual(a, b) => self.two(Op::LessOrEqual, a, b, dst, deeper)?,
            Expr::OneOf(numbers, inner) => {
                let set = self.pool.set(numbers)?;
                self.one(Op::InLongs, inner, dst, deeper)?.with(set)
            }
            Expr::Is(of, kind) => self.is(of, kind, dst, deeper)?,
            Expr::Like(text, pattern) => {
                let pattern = self.pool.string(pattern)?;
                self.one(Op::Like, text, dst, deeper)?.with(pattern)
            }
            Expr::Binary(Binary::In, a, b) => self.is_in(a, b, dst, deeper)?,
            Expr::Binary(Binary::Contains, a, b) => self.contains(a, b, dst, deeper)?,
            Expr::Binary(op, a, b) => self.two(binary(*op), a, b, dst, deeper)?,
            // Literals, which are above.
            _ => return Err(BuildError::TooLong),
        };
        self.code.push(instruction.to(dst));
        Ok(dst.saturating_add(1))
    }

    fn number(&mut self, literal: &Expr) -> Result<Instruction, BuildError> {
        Ok(match literal {
            Expr::Long(value) => match i32::try_from(*value) {
                Ok(value) => Instruction::new(Op::Long).with(value.cast_unsigned()),
                Err(_) => Instruction::new(Op::LongAt).with(self.pool.long(*value)?),
            },
            other => Instruction::new(Op::Bool).with(u32::from(matches!(other, Expr::Bool(true)))),
        })
    }

    fn action_set(&mut self, names: &[alloc::string::String]) -> Result<u32, BuildError> {
        let names: Vec<&str> = names.iter().map(alloc::string::String::as_str).collect();
        let number = self.pool.actions(&names)?;
        Ok(u32::from(number).saturating_sub(1))
    }

    pub(super) fn one(
        &mut self,
        op: Op,
        a: &Expr,
        dst: Reg,
        depth: u32,
    ) -> Result<Instruction, BuildError> {
        self.expr(a, dst, depth)?;
        Ok(Instruction::new(op).of(dst, 0))
    }

    pub(super) fn two(
        &mut self,
        op: Op,
        a: &Expr,
        b: &Expr,
        dst: Reg,
        depth: u32,
    ) -> Result<Instruction, BuildError> {
        let other = self.expr(a, dst, depth)?;
        self.expr(b, other, depth)?;
        Ok(Instruction::new(op).of(dst, other))
    }

    /// Values side by side above `dst`; returns where the first is, and the first register above all.
    fn run<'e>(
        &mut self,
        values: impl ExactSizeIterator<Item = &'e Expr>,
        dst: Reg,
        depth: u32,
    ) -> Result<(Reg, Reg), BuildError> {
        let deep = BuildError::ConditionTooDeep;
        let first = dst.saturating_add(1);
        let count = Reg::try_from(values.len()).map_err(|_| deep)?;
        let mut free = first.checked_add(count).ok_or(deep)?;
        if usize::from(free) > REGISTERS {
            return Err(deep);
        }
        for (place, value) in (first..).zip(values) {
            if value.is_literal() || matches!(value, Expr::Attribute(_)) {
                self.expr(value, place, depth)?;
            } else {
                let after = self.expr(value, free, depth)?;
                self.code
                    .push(Instruction::new(Op::Move).to(place).of(free, 0));
                // What only the value itself needed is free again.
                if may_nest(self.types, value) {
                    free = after;
                }
            }
        }
        Ok((first, free))
    }

    fn branch(
        &mut self,
        [condition, then, other]: [&Expr; 3],
        dst: Reg,
        depth: u32,
    ) -> Result<Reg, BuildError> {
        self.expr(condition, dst, depth)?;
        let unless = self.jump(Op::JumpIfFalse, dst);
        let above = self.expr(then, dst, depth)?;
        let end = self.jump(Op::Jump, 0);
        self.land([unless])?;
        let free = self.expr(other, dst, depth)?.max(above);
        self.land([end])?;
        Ok(free)
    }

    /// `&&` if `all`, else `||`: each term into `dst`, leaving at the first that settles it.
    fn chain(
        &mut self,
        terms: &[Expr],
        dst: Reg,
        depth: u32,
        all: bool,
    ) -> Result<Reg, BuildError> {
        let free = dst.saturating_add(1);
        let Some((last, before)) = terms.split_last() else {
            let value = Instruction::new(Op::Bool).to(dst).with(u32::from(all));
            self.code.push(value);
            return Ok(free);
        };
        let mut ends = Vec::new();
        let op = if all { Op::JumpIfFalse } else { Op::JumpIfTrue };
        for term in before {
            self.expr(term, dst, depth)?;
            ends.push(self.jump(op, dst));
        }
        self.expr(last, dst, depth)?;
        if !last.is_boolean() {
            self.code.push(Instruction::new(Op::Test).of(dst, 0));
        }
        self.land(ends)?;
        Ok(free)
    }

    /// Emits a jump to be landed, and returns its place.
    fn jump(&mut self, op: Op, a: Reg) -> usize {
        self.code.push(Instruction::new(op).of(a, 0));
        self.code.len().saturating_sub(1)
    }

    /// Makes those jumps lead here.
    fn land(&mut self, jumps: impl IntoIterator<Item = usize>) -> Result<(), BuildError> {
        let here = self.code.len();
        for at in jumps {
            let distance = here
                .checked_sub(at)
                .and_then(|distance| distance.checked_sub(1));
            let to = distance
                .and_then(|distance| u32::try_from(distance).ok())
                .ok_or(BuildError::TooLong)?;
            if let Some(jump) = self.code.get_mut(at) {
                jump.imm = to;
            }
        }
        Ok(())
    }
}
