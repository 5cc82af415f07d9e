//! Cedar's operations by ours.

use alloc::boxed::Box;

use cedar_policy::pst::{BinaryOp, UnaryOp};

use crate::build::{Binary, Expr, Unary};

/// How an operation of two operands is built.
pub(super) enum Twofold {
    /// Of both, in their order.
    Plain(fn(Box<Expr>, Box<Expr>) -> Expr),
    /// Of both, the second first.
    Turned(fn(Box<Expr>, Box<Expr>) -> Expr),
    Binary(Binary),
    TurnedBinary(Binary),
}

/// The name of what makes a value of a string.
pub(super) fn constructor(op: UnaryOp) -> Option<&'static str> {
    match op {
        UnaryOp::Datetime => Some("datetime"),
        UnaryOp::Decimal => Some("decimal"),
        UnaryOp::Duration => Some("duration"),
        UnaryOp::Ip => Some("ip"),
        _ => None,
    }
}

pub(super) fn unary(op: UnaryOp) -> Option<Unary> {
    Some(match op {
        UnaryOp::Neg => Unary::Neg,
        UnaryOp::IsEmpty => Unary::IsEmpty,
        UnaryOp::IsIPv4 => Unary::IsIpv4,
        UnaryOp::IsIPV6 => Unary::IsIpv6,
        UnaryOp::IsLoopback => Unary::IsLoopback,
        UnaryOp::IsMulticast => Unary::IsMulticast,
        UnaryOp::ToDate => Unary::ToDate,
        UnaryOp::ToTime => Unary::ToTime,
        UnaryOp::ToMilliseconds => Unary::ToMilliseconds,
        UnaryOp::ToSeconds => Unary::ToSeconds,
        UnaryOp::ToMinutes => Unary::ToMinutes,
        UnaryOp::ToHours => Unary::ToHours,
        UnaryOp::ToDays => Unary::ToDays,
        _ => return None,
    })
}

pub(super) fn binary(op: BinaryOp) -> Option<Twofold> {
    Some(match op {
        BinaryOp::Eq => Twofold::Plain(Expr::Equal),
        BinaryOp::NotEq => Twofold::Plain(Expr::NotEqual),
        BinaryOp::Less => Twofold::Plain(Expr::Less),
        BinaryOp::LessEq => Twofold::Plain(Expr::LessOrEqual),
        BinaryOp::Greater => Twofold::Turned(Expr::Less),
        BinaryOp::GreaterEq => Twofold::Turned(Expr::LessOrEqual),
        BinaryOp::Add => Twofold::Binary(Binary::Add),
        BinaryOp::Sub => Twofold::Binary(Binary::Sub),
        BinaryOp::Mul => Twofold::Binary(Binary::Mul),
        BinaryOp::In => Twofold::Binary(Binary::In),
        BinaryOp::ContainsAll => Twofold::Binary(Binary::ContainsAll),
        BinaryOp::ContainsAny => Twofold::Binary(Binary::ContainsAny),
        BinaryOp::GetTag => Twofold::Binary(Binary::GetTag),
        BinaryOp::HasTag => Twofold::Binary(Binary::HasTag),
        BinaryOp::IsInRange => Twofold::Binary(Binary::IsInRange),
        BinaryOp::Offset => Twofold::Binary(Binary::Offset),
        BinaryOp::DurationSince => Twofold::Binary(Binary::DurationSince),
        BinaryOp::DecimalLessThan => Twofold::Binary(Binary::DecimalLess),
        BinaryOp::DecimalLessEq => Twofold::Binary(Binary::DecimalLessOrEqual),
        BinaryOp::DecimalGreater => Twofold::TurnedBinary(Binary::DecimalLess),
        BinaryOp::DecimalGreaterEq => Twofold::TurnedBinary(Binary::DecimalLessOrEqual),
        _ => return None,
    })
}
