//! Which instruction does what an operation says.

use super::{Binary, Unary};
use crate::eval::instruction::Op;
use crate::eval::time::DAY_MILLIS;

/// The instruction and its last word.
pub(super) fn unary(op: Unary) -> (Op, u32) {
    let whole = |millis: i64| (Op::Whole, u32::try_from(millis).unwrap_or_default());
    match op {
        Unary::Neg => (Op::Neg, 0),
        Unary::IsEmpty => (Op::IsEmpty, 0),
        Unary::IsIpv4 => (Op::IsIpv4, 0),
        Unary::IsIpv6 => (Op::IsIpv6, 0),
        Unary::IsLoopback => (Op::IsLoopback, 0),
        Unary::IsMulticast => (Op::IsMulticast, 0),
        Unary::ToDate => (Op::ToDate, 0),
        Unary::ToTime => (Op::ToTime, 0),
        Unary::ToMilliseconds => whole(1),
        Unary::ToSeconds => whole(1000),
        Unary::ToMinutes => whole(60 * 1000),
        Unary::ToHours => whole(60 * 60 * 1000),
        Unary::ToDays => whole(DAY_MILLIS),
    }
}

pub(super) fn binary(op: Binary) -> Op {
    match op {
        Binary::Add => Op::Add,
        Binary::Sub => Op::Sub,
        Binary::Mul => Op::Mul,
        Binary::In => Op::In,
        Binary::Contains => Op::Contains,
        Binary::ContainsAll => Op::ContainsAll,
        Binary::ContainsAny => Op::ContainsAny,
        Binary::GetTag => Op::GetTag,
        Binary::HasTag => Op::HasTag,
        Binary::IsInRange => Op::IsInRange,
        Binary::DecimalLess => Op::DecimalLess,
        Binary::DecimalLessOrEqual => Op::DecimalLessOrEqual,
        Binary::Offset => Op::Offset,
        Binary::DurationSince => Op::DurationSince,
    }
}
