//! Cedar's tree into rules. Recursion is bounded by the nesting that [`super::source`] lets through.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cedar_policy::pst::{self, BinaryOp, Clause, EntityOrSlot, Literal, UnaryOp, Var};
use cedar_policy::pst::{ActionConstraint, PrincipalConstraint, ResourceConstraint};

use super::actions::ActionNames;
use super::error::Unsupported;
use super::source::{Chunk, Token};
use crate::build::{Actions, Effect, Expr, Rule, Scope};
use crate::request::EntityRef;

/// A rule that owns its names.
#[derive(Debug)]
pub(super) struct Lowered {
    effect: Effect,
    principal: OwnedScope,
    actions: Option<Vec<String>>,
    resource: OwnedScope,
    condition: Option<Expr>,
}

#[derive(Debug)]
enum OwnedScope {
    Any,
    Is(String),
    Eq(String, String),
    In(String, String),
    IsIn(String, String, String),
}

impl OwnedScope {
    fn lend(&self) -> Scope<'_> {
        match self {
            Self::Any => Scope::Any,
            Self::Is(kind) => Scope::Is(kind),
            Self::Eq(kind, id) => Scope::Eq(EntityRef::new(kind, id)),
            Self::In(kind, id) => Scope::In(EntityRef::new(kind, id)),
            Self::IsIn(is, kind, id) => Scope::IsIn(is, EntityRef::new(kind, id)),
        }
    }
}

impl Lowered {
    /// Lends the rule, under a name.
    pub(super) fn with_rule<R>(&self, name: &str, then: impl FnOnce(&Rule<'_>) -> R) -> R {
        let actions: Option<Vec<&str>> = self
            .actions
            .as_ref()
            .map(|actions| actions.iter().map(String::as_str).collect());
        then(&Rule {
            name,
            effect: self.effect,
            principal: self.principal.lend(),
            actions: actions.as_deref().map_or(Actions::Any, Actions::OneOf),
            resource: self.resource.lend(),
            condition: self.condition.as_ref(),
        })
    }
}

/// Something refused, and the byte of the source where it stands.
pub(super) type Refusal = (usize, Unsupported);

/// Lowers one policy, or names everything in it that cannot be.
pub(super) fn lower(
    policy: &pst::StaticPolicy,
    names: &ActionNames,
    chunk: &Chunk<'_>,
) -> Result<Lowered, Vec<Refusal>> {
    let body = policy.body();
    let mut lowering = Lowering::new(chunk);
    let principal = match &body.principal {
        PrincipalConstraint::Any => OwnedScope::Any,
        PrincipalConstraint::Is(kind) => OwnedScope::Is(kind.to_string()),
        PrincipalConstraint::Eq(entity) => lowering.scope(entity, OwnedScope::Eq),
        PrincipalConstraint::In(entity) => lowering.scope(entity, OwnedScope::In),
        PrincipalConstraint::IsIn(kind, entity) => {
            lowering.scope(entity, |k, id| OwnedScope::IsIn(kind.to_string(), k, id))
        }
    };
    let resource = match &body.resource {
        ResourceConstraint::Any => OwnedScope::Any,
        ResourceConstraint::Is(kind) => OwnedScope::Is(kind.to_string()),
        ResourceConstraint::Eq(entity) => lowering.scope(entity, OwnedScope::Eq),
        ResourceConstraint::In(entity) => lowering.scope(entity, OwnedScope::In),
        ResourceConstraint::IsIn(kind, entity) => {
            lowering.scope(entity, |k, id| OwnedScope::IsIn(kind.to_string(), k, id))
        }
    };
    let actions = match &body.action {
        ActionConstraint::Any => None,
        ActionConstraint::Eq(action) => Some(Vec::from([names.exact(action)])),
        ActionConstraint::In(actions) => Some(names.within(actions)),
    };
    let clauses: Vec<Expr> = body
        .clauses()
        .iter()
        .map(|clause| lowering.clause(clause))
        .collect();
    let condition = match <[Expr; 1]>::try_from(clauses) {
        Ok([only]) => Some(only),
        Err(none) if none.is_empty() => None,
        Err(several) => Some(Expr::All(several)),
    };
    let effect = match body.effect {
        pst::Effect::Permit => Effect::Permit,
        pst::Effect::Forbid => Effect::Forbid,
    };
    match lowering.refusals {
        none if none.is_empty() => Ok(Lowered {
            effect,
            principal,
            actions,
            resource,
            condition,
        }),
        refusals => Err(refusals),
    }
}

struct Lowering<'c, 's> {
    chunk: &'c Chunk<'s>,
    /// The tokens of the conditions.
    tokens: Vec<Token<'s>>,
    refusals: Vec<Refusal>,
    /// How many tokens of each text were passed, to find the next one's place.
    passed: BTreeMap<String, usize>,
}

impl<'c, 's> Lowering<'c, 's> {
    fn new(chunk: &'c Chunk<'s>) -> Self {
        let tokens = chunk.conditions();
        Self {
            chunk,
            tokens,
            refusals: Vec::new(),
            passed: BTreeMap::new(),
        }
    }

    /// Notes a refusal. Cedar's tree has no places: the place is that of the next token of that text in the conditions.
    fn refuse(&mut self, what: Unsupported, token: &str) -> Expr {
        let at = self.pass(token).unwrap_or(self.chunk.at);
        self.refusals.push((at, what));
        Expr::Bool(false)
    }

    /// Passes the next token of that text, or string literal for `"`, and returns its place.
    fn pass(&mut self, token: &str) -> Option<usize> {
        let passed = self.passed.entry(token.to_owned()).or_default();
        let same = |text: &str| text == token || (token == "\"" && text.starts_with('"'));
        let found = self.tokens.iter().filter(|t| same(t.text)).nth(*passed);
        *passed = passed.saturating_add(1);
        found.map(|token| token.at)
    }

    fn scope(
        &mut self,
        entity: &EntityOrSlot,
        scope: impl FnOnce(String, String) -> OwnedScope,
    ) -> OwnedScope {
        match entity {
            EntityOrSlot::Entity(entity) => scope(entity.ty.to_string(), entity.eid.to_string()),
            EntityOrSlot::Slot(_) => {
                self.refusals.push((self.chunk.at, Unsupported::Slot));
                OwnedScope::Any
            }
        }
    }

    fn clause(&mut self, clause: &Clause) -> Expr {
        match clause {
            Clause::When(expr) => self.expr(expr),
            Clause::Unless(expr) => Expr::Not(Box::new(self.expr(expr))),
        }
    }

    fn expr(&mut self, expr: &pst::Expr) -> Expr {
        match expr {
            pst::Expr::Literal(literal) => self.literal(literal),
            pst::Expr::UnaryOp {
                op: UnaryOp::Not,
                expr,
            } => Expr::Not(Box::new(self.expr(expr))),
            pst::Expr::UnaryOp {
                op: UnaryOp::Neg,
                expr,
            } => self.negated(expr),
            pst::Expr::UnaryOp { op, expr } => {
                let name = unary_name(*op);
                self.refuse(Unsupported::Operation(name), name);
                self.expr(expr)
            }
            pst::Expr::BinaryOp { op, left, right } => self.binary(*op, left, right),
            pst::Expr::GetAttr { expr, attr } => match &**expr {
                pst::Expr::Var(Var::Context) => Expr::Attribute(attr.as_str().to_owned()),
                _ => self.refuse(Unsupported::Attribute, attr),
            },
            pst::Expr::Var(var) => {
                let name = match var {
                    Var::Principal => "principal",
                    Var::Action => "action",
                    Var::Resource => "resource",
                    Var::Context => "context",
                };
                self.refuse(Unsupported::Variable(name), name)
            }
            pst::Expr::HasAttr { .. } => self.refuse(Unsupported::Operation("has"), "has"),
            pst::Expr::Like { .. } => self.refuse(Unsupported::Operation("like"), "like"),
            pst::Expr::Is { .. } => self.refuse(Unsupported::Operation("is"), "is"),
            pst::Expr::IfThenElse { .. } => self.refuse(Unsupported::Operation("if"), "if"),
            pst::Expr::Set(_) => self.refuse(Unsupported::Set, "["),
            pst::Expr::Record(_) => self.refuse(Unsupported::Literal("a record"), "{"),
            pst::Expr::Slot(_) => self.refuse(Unsupported::Slot, "?"),
            _ => self.refuse(Unsupported::Unknown, "when"),
        }
    }

    fn literal(&mut self, literal: &Literal) -> Expr {
        match literal {
            Literal::Bool(value) => Expr::Bool(*value),
            Literal::Long(value) => Expr::Long(*value),
            Literal::String(_) => self.refuse(Unsupported::Literal("a string"), "\""),
            Literal::EntityUID(_) => {
                self.pass("\"");
                self.refuse(Unsupported::Literal("an entity"), "::")
            }
            _ => self.refuse(Unsupported::Unknown, "when"),
        }
    }

    fn negated(&mut self, expr: &pst::Expr) -> Expr {
        match number(expr).and_then(i64::checked_neg) {
            Some(value) => Expr::Long(value),
            None => self.refuse(Unsupported::Negation, "-"),
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &pst::Expr, right: &pst::Expr) -> Expr {
        match op {
            BinaryOp::And | BinaryOp::Or => self.chain(op, left, right),
            BinaryOp::Eq => self.compare(Expr::Equal, left, right),
            BinaryOp::NotEq => self.compare(Expr::NotEqual, left, right),
            BinaryOp::Less => self.compare(Expr::Less, left, right),
            BinaryOp::LessEq => self.compare(Expr::LessOrEqual, left, right),
            BinaryOp::Greater => self.compare(|a, b| Expr::Less(b, a), left, right),
            BinaryOp::GreaterEq => self.compare(|a, b| Expr::LessOrEqual(b, a), left, right),
            BinaryOp::Contains => self.contains(left, right),
            _ => {
                let name = binary_name(op);
                self.refuse(Unsupported::Operation(name), name);
                self.expr(left);
                self.expr(right)
            }
        }
    }

    fn compare(
        &mut self,
        op: fn(Box<Expr>, Box<Expr>) -> Expr,
        left: &pst::Expr,
        right: &pst::Expr,
    ) -> Expr {
        op(Box::new(self.expr(left)), Box::new(self.expr(right)))
    }

    /// `a && b && c` is a tree that leans left as far as it is long: it is walked in a loop.
    fn chain(&mut self, op: BinaryOp, left: &pst::Expr, right: &pst::Expr) -> Expr {
        let mut terms = Vec::from([right]);
        let mut rest = left;
        while let pst::Expr::BinaryOp {
            op: inner,
            left,
            right,
        } = rest
        {
            if *inner != op {
                break;
            }
            terms.push(right);
            rest = left;
        }
        terms.push(rest);
        let terms = terms
            .into_iter()
            .rev()
            .map(|term| self.expr(term))
            .collect();
        if op == BinaryOp::And {
            Expr::All(terms)
        } else {
            Expr::AnyOf(terms)
        }
    }

    fn contains(&mut self, set: &pst::Expr, member: &pst::Expr) -> Expr {
        let numbers = match set {
            pst::Expr::Set(members) => members.iter().map(|member| number(member)).collect(),
            _ => {
                self.refuse(Unsupported::Contains, "contains");
                Some(Vec::new())
            }
        };
        match numbers {
            None => drop(self.refuse(Unsupported::Set, "[")),
            Some(_) => drop(self.pass("[")),
        }
        Expr::OneOf(numbers.unwrap_or_default(), Box::new(self.expr(member)))
    }
}

/// A number written out, signed or not.
fn number(expr: &pst::Expr) -> Option<i64> {
    match expr {
        pst::Expr::Literal(Literal::Long(value)) => Some(*value),
        pst::Expr::UnaryOp {
            op: UnaryOp::Neg,
            expr,
        } => match &**expr {
            pst::Expr::Literal(Literal::Long(value)) => value.checked_neg(),
            _ => None,
        },
        _ => None,
    }
}

/// How an operation of one operand is written.
fn unary_name(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::IsEmpty => "isEmpty",
        UnaryOp::Datetime => "datetime",
        UnaryOp::Decimal => "decimal",
        UnaryOp::Duration => "duration",
        UnaryOp::Ip => "ip",
        UnaryOp::IsIPv4 => "isIpv4",
        UnaryOp::IsIPV6 => "isIpv6",
        UnaryOp::IsLoopback => "isLoopback",
        UnaryOp::IsMulticast => "isMulticast",
        UnaryOp::ToDate => "toDate",
        UnaryOp::ToTime => "toTime",
        UnaryOp::ToMilliseconds => "toMilliseconds",
        UnaryOp::ToSeconds => "toSeconds",
        UnaryOp::ToMinutes => "toMinutes",
        UnaryOp::ToHours => "toHours",
        UnaryOp::ToDays => "toDays",
        _ => "this function",
    }
}

/// How an operation of two operands is written.
fn binary_name(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::In => "in",
        BinaryOp::ContainsAll => "containsAll",
        BinaryOp::ContainsAny => "containsAny",
        BinaryOp::GetTag => "getTag",
        BinaryOp::HasTag => "hasTag",
        BinaryOp::IsInRange => "isInRange",
        BinaryOp::Offset => "offset",
        BinaryOp::DurationSince => "durationSince",
        BinaryOp::DecimalLessThan => "lessThan",
        BinaryOp::DecimalLessEq => "lessThanOrEqual",
        BinaryOp::DecimalGreater => "greaterThan",
        BinaryOp::DecimalGreaterEq => "greaterThanOrEqual",
        _ => "this function",
    }
}
