//! Conditions as trees.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// A condition, or a part of one. It means what the like-named Cedar expression means, evaluation errors included.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Expr {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Long(i64),
    /// `context.name`.
    Attribute(String),
    /// `!a`.
    Not(Box<Self>),
    /// `a && b && …`, from left to right up to the first that is false.
    All(Vec<Self>),
    /// `a || b || …`, from left to right up to the first that is true.
    AnyOf(Vec<Self>),
    /// `a == b`.
    Equal(Box<Self>, Box<Self>),
    /// `a != b`.
    NotEqual(Box<Self>, Box<Self>),
    /// `a < b`, of numbers.
    Less(Box<Self>, Box<Self>),
    /// `a <= b`, of numbers.
    LessOrEqual(Box<Self>, Box<Self>),
    /// `[1, 2, …].contains(a)`.
    OneOf(Vec<i64>, Box<Self>),
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

    /// Whether it has a truth value if it has any.
    pub(crate) fn is_boolean(&self) -> bool {
        !matches!(self, Self::Long(_) | Self::Attribute(_))
    }
}
