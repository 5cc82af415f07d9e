//! The cheapest instruction for what is compared, sought or read.

use alloc::vec::Vec;

use super::lower::Lowering;
use super::types::{may_be_entity, may_nest};
use super::{BuildError, Expr};
use crate::bounds::MAX_LISTED;
use crate::eval::instruction::{Instruction, Op, Reg};

impl Lowering<'_> {
    pub(super) fn equality(
        &mut self,
        a: &Expr,
        b: &Expr,
        dst: Reg,
        depth: u32,
        equal: bool,
    ) -> Result<Instruction, BuildError> {
        let [long, constant, flat, deep] = if equal {
            [Op::EqualLong, Op::EqualConstant, Op::Equal, Op::EqualDeep]
        } else {
            [
                Op::NotEqualLong,
                Op::NotEqualConstant,
                Op::NotEqual,
                Op::NotEqualDeep,
            ]
        };
        for (literal, other) in [(b, a), (a, b)] {
            if let Some(value) = small(literal) {
                let same = self.one(long, other, dst, depth)?;
                return Ok(same.with(value.cast_unsigned()));
            }
            if literal.is_literal() && literal.literal_depth() == 0 {
                let at = self.pool.constant(literal)?;
                return Ok(self.one(constant, other, dst, depth)?.with(at));
            }
        }
        if may_nest(self.types, a) && may_nest(self.types, b) {
            self.two(deep, a, b, dst, depth)
        } else {
            self.two(flat, a, b, dst, depth)
        }
    }

    pub(super) fn contains(
        &mut self,
        set: &Expr,
        member: &Expr,
        dst: Reg,
        depth: u32,
    ) -> Result<Instruction, BuildError> {
        let Expr::Set(members) = set else {
            return self.two(Op::Contains, set, member, dst, depth);
        };
        let numbers = members.iter().map(|member| match member {
            Expr::Long(value) => Some(*value),
            _ => None,
        });
        if let Some(numbers) = numbers.collect::<Option<Vec<i64>>>() {
            let set = self.pool.set(&numbers)?;
            return Ok(self.one(Op::InLongs, member, dst, depth)?.with(set));
        }
        let few = u32::try_from(members.len()).is_ok_and(|count| count <= MAX_LISTED);
        if few && set.is_literal() && set.literal_depth() == 1 {
            let set = self.pool.constant(set)?;
            return Ok(self.one(Op::InListed, member, dst, depth)?.with(set));
        }
        self.two(Op::Contains, set, member, dst, depth)
    }

    pub(super) fn is(
        &mut self,
        of: &Expr,
        kind: &str,
        dst: Reg,
        depth: u32,
    ) -> Result<Instruction, BuildError> {
        let kind = self.pool.string(kind)?;
        Ok(match of {
            Expr::Principal => Instruction::new(Op::PrincipalIs),
            Expr::Resource => Instruction::new(Op::ResourceIs),
            _ => self.one(Op::Is, of, dst, depth)?,
        }
        .with(kind))
    }

    pub(super) fn is_in(
        &mut self,
        a: &Expr,
        b: &Expr,
        dst: Reg,
        depth: u32,
    ) -> Result<Instruction, BuildError> {
        let op = match (a, b) {
            (Expr::Principal, Expr::Entity(..)) => Op::PrincipalIn,
            (Expr::Resource, Expr::Entity(..)) => Op::ResourceIn,
            _ => return self.two(Op::In, a, b, dst, depth),
        };
        Ok(Instruction::new(op).with(self.pool.constant(b)?))
    }

    pub(super) fn get(
        &mut self,
        of: &Expr,
        name: &str,
        dst: Reg,
        depth: u32,
    ) -> Result<Reg, BuildError> {
        let mut free = dst.saturating_add(1);
        let instruction = match of {
            Expr::Context => Instruction::new(Op::Attribute).with(self.pool.attribute(name)?),
            Expr::Principal => Instruction::new(Op::PrincipalGet).with(self.pool.string(name)?),
            Expr::Resource => Instruction::new(Op::ResourceGet).with(self.pool.string(name)?),
            _ => {
                free = self.expr(of, dst, depth)?;
                let op = if may_be_entity(self.types, of) {
                    Op::Get
                } else {
                    Op::Field
                };
                Instruction::new(op)
                    .of(dst, 0)
                    .with(self.pool.string(name)?)
            }
        };
        self.code.push(instruction.to(dst));
        Ok(free)
    }

    pub(super) fn has(
        &mut self,
        of: &Expr,
        name: &str,
        dst: Reg,
        depth: u32,
    ) -> Result<Instruction, BuildError> {
        Ok(match of {
            Expr::Context => Instruction::new(Op::HasAttribute).with(self.pool.attribute(name)?),
            Expr::Principal => Instruction::new(Op::PrincipalHas).with(self.pool.string(name)?),
            Expr::Resource => Instruction::new(Op::ResourceHas).with(self.pool.string(name)?),
            _ => {
                let op = if may_be_entity(self.types, of) {
                    Op::Has
                } else {
                    Op::HasField
                };
                let name = self.pool.string(name)?;
                self.one(op, of, dst, depth)?.with(name)
            }
        })
    }
}

/// A literal that fits an instruction.
fn small(expr: &Expr) -> Option<i32> {
    match expr {
        Expr::Long(value) => i32::try_from(*value).ok(),
        _ => None,
    }
}
