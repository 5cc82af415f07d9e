//! Conditions as trees.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::image::layout::PORT;
use crate::value::Ip;

/// A condition, or a part of one. It means what the like-named Cedar expression means, evaluation errors included.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Expr {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Long(i64),
    /// A string.
    Str(String),
    /// An entity: its kind and its id.
    Entity(String, String),
    /// An address.
    Ip(Ip),
    /// A decimal, in ten-thousandths.
    Decimal(i64),
    /// A datetime, in milliseconds since 1970.
    Datetime(i64),
    /// A duration, in milliseconds.
    Duration(i64),
    /// `[a, b, …]`.
    Set(Vec<Self>),
    /// `{name: a, …}`, of different names.
    Record(Vec<(String, Self)>),
    /// `principal`.
    Principal,
    /// `resource`.
    Resource,
    /// `context`.
    Context,
    /// `context.name`.
    Attribute(String),
    /// `!a`.
    Not(Box<Self>),
    /// `a && b && …`, from left to right up to the first that is false.
    All(Vec<Self>),
    /// `a || b || …`, from left to right up to the first that is true.
    AnyOf(Vec<Self>),
    /// `if a then b else c`.
    If(Box<Self>, Box<Self>, Box<Self>),
    /// `a == b`.
    Equal(Box<Self>, Box<Self>),
    /// `a != b`.
    NotEqual(Box<Self>, Box<Self>),
    /// `a < b`, of numbers, datetimes or durations.
    Less(Box<Self>, Box<Self>),
    /// `a <= b`, of numbers, datetimes or durations.
    LessOrEqual(Box<Self>, Box<Self>),
    /// `[1, 2, …].contains(a)`.
    OneOf(Vec<i64>, Box<Self>),
    /// `a.name`, of an entity or record.
    Get(Box<Self>, String),
    /// `a has name`, of an entity or record.
    Has(Box<Self>, String),
    /// `a is Kind`.
    Is(Box<Self>, String),
    /// Whether the action is one of these.
    ActionIn(Vec<String>),
    /// `a like pattern`: `*` is any text, and `\` makes a literal of the character after it.
    Like(Box<Self>, String),
    /// An operation of one operand.
    Unary(Unary, Box<Self>),
    /// An operation of two operands.
    Binary(Binary, Box<Self>, Box<Self>),
}

/// An operation of one operand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unary {
    /// `-a`.
    Neg,
    /// `a.isEmpty()`.
    IsEmpty,
    /// `a.isIpv4()`.
    IsIpv4,
    /// `a.isIpv6()`.
    IsIpv6,
    /// `a.isLoopback()`.
    IsLoopback,
    /// `a.isMulticast()`.
    IsMulticast,
    /// `a.toDate()`.
    ToDate,
    /// `a.toTime()`.
    ToTime,
    /// `a.toMilliseconds()`.
    ToMilliseconds,
    /// `a.toSeconds()`.
    ToSeconds,
    /// `a.toMinutes()`.
    ToMinutes,
    /// `a.toHours()`.
    ToHours,
    /// `a.toDays()`.
    ToDays,
}

/// An operation of two operands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Binary {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a * b`.
    Mul,
    /// `a in b`, an entity or a set of entities.
    In,
    /// `a.contains(b)`.
    Contains,
    /// `a.containsAll(b)`.
    ContainsAll,
    /// `a.containsAny(b)`.
    ContainsAny,
    /// `a.getTag(b)`.
    GetTag,
    /// `a.hasTag(b)`.
    HasTag,
    /// `a.isInRange(b)`.
    IsInRange,
    /// `a.lessThan(b)`, of decimals.
    DecimalLess,
    /// `a.lessThanOrEqual(b)`, of decimals.
    DecimalLessOrEqual,
    /// `a.offset(b)`.
    Offset,
    /// `a.durationSince(b)`.
    DurationSince,
}

impl Expr {
    /// `context.name`.
    #[must_use]
    pub fn attribute(name: &str) -> Self {
        Self::Attribute(name.into())
    }

    /// `self == number`.
    #[must_use]
    pub fn equals(self, number: i64) -> Self {
        Self::Equal(Box::new(self), Box::new(Self::Long(number)))
    }

    /// `[numbers].contains(self)`.
    #[must_use]
    pub fn one_of(self, numbers: &[i64]) -> Self {
        Self::OneOf(numbers.into(), Box::new(self))
    }

    /// The port that it wants before anything else: with another it is false, without one it cannot be evaluated.
    pub(crate) fn first_port(&self) -> Option<u32> {
        match self {
            Self::All(terms) => terms.first()?.first_port(),
            Self::Equal(a, b) => match (&**a, &**b) {
                (Self::Attribute(name), Self::Long(port))
                | (Self::Long(port), Self::Attribute(name))
                    if name == PORT =>
                {
                    u32::try_from(*port).ok().filter(|port| *port < u32::MAX)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// What it asks after the port that [`Self::first_port`] found; `None` is nothing.
    pub(crate) fn after_port(&self) -> Option<Self> {
        let Self::All(terms) = self else {
            return None;
        };
        let (first, rest) = terms.split_first()?;
        let rest: Vec<Self> = first
            .after_port()
            .into_iter()
            .chain(rest.iter().cloned())
            .collect();
        (!rest.is_empty()).then_some(Self::All(rest))
    }

    /// Whether it has a truth value if it has any value.
    pub(crate) fn is_boolean(&self) -> bool {
        match self {
            Self::Bool(_)
            | Self::Not(_)
            | Self::All(_)
            | Self::AnyOf(_)
            | Self::Equal(..)
            | Self::NotEqual(..)
            | Self::Less(..)
            | Self::LessOrEqual(..)
            | Self::OneOf(..)
            | Self::Has(..)
            | Self::Is(..)
            | Self::ActionIn(_)
            | Self::Like(..) => true,
            Self::Unary(op, _) => matches!(
                op,
                Unary::IsEmpty
                    | Unary::IsIpv4
                    | Unary::IsIpv6
                    | Unary::IsLoopback
                    | Unary::IsMulticast
            ),
            Self::Binary(op, ..) => matches!(
                op,
                Binary::In
                    | Binary::Contains
                    | Binary::ContainsAll
                    | Binary::ContainsAny
                    | Binary::HasTag
                    | Binary::IsInRange
                    | Binary::DecimalLess
                    | Binary::DecimalLessOrEqual
            ),
            _ => false,
        }
    }

    /// Whether it is written out: its value does not depend on the request.
    pub(crate) fn is_literal(&self) -> bool {
        match self {
            Self::Set(members) => members.iter().all(Self::is_literal),
            Self::Record(fields) => fields.iter().all(|(_, value)| value.is_literal()),
            Self::Bool(_)
            | Self::Long(_)
            | Self::Str(_)
            | Self::Entity(..)
            | Self::Ip(_)
            | Self::Decimal(_)
            | Self::Datetime(_)
            | Self::Duration(_) => true,
            _ => false,
        }
    }

    /// How many levels of sets and records are written out in it.
    pub(crate) fn literal_depth(&self) -> usize {
        let deepest = match self {
            Self::Set(members) => members.iter().map(Self::literal_depth).max(),
            Self::Record(fields) => fields.iter().map(|(_, value)| value.literal_depth()).max(),
            _ => return 0,
        };
        deepest.unwrap_or(0).saturating_add(1)
    }
}
