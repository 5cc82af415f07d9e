//! Cedar's expressions into conditions. Recursion is bounded by the nesting that [`super::source`] lets through.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cedar_policy::pst::{self, BinaryOp, Literal, PatternElem, UnaryOp, Var};

use super::actions::ActionNames;
use super::error::Unsupported;
use super::literal;
use super::lower::Refusal;
use super::operation::{self, Twofold};
use super::source::{Chunk, Token};
use crate::build::{Binary, Expr};

/// One policy's conditions being lowered.
pub(super) struct Lowering<'c, 's> {
    chunk: &'c Chunk<'s>,
    names: &'c ActionNames,
    /// The tokens of the conditions.
    tokens: Vec<Token<'s>>,
    refusals: Vec<Refusal>,
    /// How many tokens of each text were passed, to find the next one's place.
    passed: BTreeMap<String, usize>,
}

impl<'c, 's> Lowering<'c, 's> {
    pub(super) fn new(chunk: &'c Chunk<'s>, names: &'c ActionNames) -> Self {
        Self {
            chunk,
            names,
            tokens: chunk.conditions(),
            refusals: Vec::new(),
            passed: BTreeMap::new(),
        }
    }

    /// What could not be lowered.
    pub(super) fn into_refusals(self) -> Vec<Refusal> {
        self.refusals
    }

    /// Notes a refusal. Cedar's tree has no places: the place is that of the next token of that text in the conditions.
    pub(super) fn refuse(&mut self, what: Unsupported, token: &str) -> Expr {
        let at = self.pass(token).unwrap_or(self.chunk.at);
        self.refusals.push((at, what));
        Expr::Bool(false)
    }

    /// Passes the next token of that text and returns its place.
    fn pass(&mut self, token: &str) -> Option<usize> {
        let passed = self.passed.entry(token.to_owned()).or_default();
        let found = self.tokens.iter().filter(|t| t.text == token).nth(*passed);
        *passed = passed.saturating_add(1);
        found.map(|token| token.at)
    }

    fn boxed(&mut self, expr: &pst::Expr) -> Box<Expr> {
        Box::new(self.expr(expr))
    }

    pub(super) fn expr(&mut self, expr: &pst::Expr) -> Expr {
        match expr {
            pst::Expr::Literal(literal) => self.literal(literal),
            pst::Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            pst::Expr::BinaryOp { op, left, right } => self.binary(*op, left, right),
            pst::Expr::GetAttr { expr, attr } => match &**expr {
                pst::Expr::Var(Var::Context) => Expr::Attribute(attr.as_str().to_owned()),
                _ => Expr::Get(self.boxed(expr), attr.to_string()),
            },
            pst::Expr::Var(var) => match var {
                Var::Principal => Expr::Principal,
                Var::Resource => Expr::Resource,
                Var::Context => Expr::Context,
                Var::Action => self.refuse(Unsupported::Action, "action"),
            },
            pst::Expr::HasAttr { expr, attrs } => self.has(expr, attrs.iter()),
            pst::Expr::Like { expr, pattern } => {
                Expr::Like(self.boxed(expr), pattern_text(pattern))
            }
            pst::Expr::Is {
                expr,
                entity_type,
                in_expr,
            } => self.is(expr, &entity_type.to_string(), in_expr.as_deref()),
            pst::Expr::IfThenElse {
                cond,
                then_expr,
                else_expr,
            } => {
                let (condition, then) = (self.boxed(cond), self.boxed(then_expr));
                Expr::If(condition, then, self.boxed(else_expr))
            }
            pst::Expr::Set(members) => {
                Expr::Set(members.iter().map(|member| self.expr(member)).collect())
            }
            pst::Expr::Record(fields) => {
                let field = |(name, value): (&String, &alloc::sync::Arc<pst::Expr>)| {
                    (name.clone(), self.expr(value))
                };
                Expr::Record(fields.iter().map(field).collect())
            }
            pst::Expr::Slot(_) => self.refuse(Unsupported::Slot, "?"),
            _ => self.refuse(Unsupported::Unknown, "when"),
        }
    }

    fn literal(&mut self, literal: &Literal) -> Expr {
        match literal {
            Literal::Bool(value) => Expr::Bool(*value),
            Literal::Long(value) => Expr::Long(*value),
            Literal::String(value) => Expr::Str(value.to_string()),
            Literal::EntityUID(entity) => {
                if self.names.is_action(entity) {
                    return self.refuse(Unsupported::Action, "Action");
                }
                Expr::Entity(entity.ty.to_string(), entity.eid.to_string())
            }
            _ => self.refuse(Unsupported::Unknown, "when"),
        }
    }

    fn unary(&mut self, op: UnaryOp, operand: &pst::Expr) -> Expr {
        if let Some(name) = operation::constructor(op) {
            let value = match operand {
                pst::Expr::Literal(Literal::String(text)) => literal::extension(op, text),
                _ => None,
            };
            return value.unwrap_or_else(|| self.refuse(Unsupported::Literal(name), name));
        }
        match (op, operand) {
            (UnaryOp::Not, _) => negated(self.expr(operand)),
            (UnaryOp::Neg, pst::Expr::Literal(Literal::Long(value))) if *value != i64::MIN => {
                Expr::Long(value.saturating_neg())
            }
            _ => match operation::unary(op) {
                Some(op) => Expr::Unary(op, self.boxed(operand)),
                None => self.refuse(Unsupported::Unknown, "when"),
            },
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &pst::Expr, right: &pst::Expr) -> Expr {
        if let Some(about_action) = self.about_action(op, left, right) {
            return about_action;
        }
        let compared = match op {
            BinaryOp::And | BinaryOp::Or => return self.chain(op, left, right),
            BinaryOp::Contains => return self.contains(left, right),
            _ => operation::binary(op),
        };
        let Some(compared) = compared else {
            return self.refuse(Unsupported::Unknown, "when");
        };
        let (a, b) = (self.boxed(left), self.boxed(right));
        match compared {
            Twofold::Plain(build) => build(a, b),
            Twofold::Turned(build) => build(b, a),
            Twofold::Binary(op) => Expr::Binary(op, a, b),
            Twofold::TurnedBinary(op) => Expr::Binary(op, b, a),
        }
    }

    /// `action == Action::"a"`, `action in Action::"g"` and the like are about the action's bit.
    fn about_action(&mut self, op: BinaryOp, left: &pst::Expr, right: &pst::Expr) -> Option<Expr> {
        let is_action = |expr: &pst::Expr| matches!(expr, pst::Expr::Var(Var::Action));
        let entity = |expr: &pst::Expr| match expr {
            pst::Expr::Literal(Literal::EntityUID(entity)) => Some(entity.clone()),
            _ => None,
        };
        let among = match op {
            BinaryOp::Eq | BinaryOp::NotEq if is_action(left) => {
                Vec::from([self.names.exact(&entity(right)?)])
            }
            BinaryOp::Eq | BinaryOp::NotEq if is_action(right) => {
                Vec::from([self.names.exact(&entity(left)?)])
            }
            BinaryOp::In if is_action(left) => match right {
                pst::Expr::Set(members) => {
                    let members: Option<Vec<_>> =
                        members.iter().map(|member| entity(member)).collect();
                    self.names.within(&members?)
                }
                other => self.names.within(&[entity(other)?]),
            },
            _ => return None,
        };
        self.pass("action");
        Some(match op {
            BinaryOp::NotEq => Expr::Not(Box::new(Expr::ActionIn(among))),
            _ => Expr::ActionIn(among),
        })
    }

    /// `e has a.b` is `e has a && e.a has b`.
    fn has<'n>(
        &mut self,
        expr: &pst::Expr,
        attrs: impl Iterator<Item = &'n (impl ToString + 'n)>,
    ) -> Expr {
        let mut of = self.expr(expr);
        let mut terms = Vec::new();
        for attr in attrs {
            let attr = attr.to_string();
            terms.push(Expr::Has(Box::new(of.clone()), attr.clone()));
            of = match of {
                Expr::Context => Expr::Attribute(attr),
                of => Expr::Get(Box::new(of), attr),
            };
        }
        match <[Expr; 1]>::try_from(terms) {
            Ok([only]) => only,
            Err(several) => Expr::All(several),
        }
    }

    /// `e is K in f` is `e is K && e in f`.
    fn is(&mut self, of: &pst::Expr, kind: &str, within: Option<&pst::Expr>) -> Expr {
        if matches!(of, pst::Expr::Var(Var::Action)) {
            if within.is_some() {
                return self.refuse(Unsupported::Action, "action");
            }
            self.pass("action");
            return Expr::ActionIn(self.names.of_kind(kind));
        }
        let of = self.boxed(of);
        let is = Expr::Is(of.clone(), kind.to_owned());
        match within {
            None => is,
            Some(within) => {
                let within = self.boxed(within);
                Expr::All(Vec::from([is, Expr::Binary(Binary::In, of, within)]))
            }
        }
    }

    /// `a && b && c` is a tree as deep as it is long: it is walked in a loop.
    fn chain(&mut self, op: BinaryOp, left: &pst::Expr, right: &pst::Expr) -> Expr {
        let mut rest = Vec::from([right, left]);
        let mut terms = Vec::new();
        while let Some(term) = rest.pop() {
            match term {
                pst::Expr::BinaryOp {
                    op: inner,
                    left,
                    right,
                } if *inner == op => rest.extend([&**right, &**left]),
                other => terms.push(self.expr(other)),
            }
        }
        if op == BinaryOp::And {
            Expr::All(terms)
        } else {
            Expr::AnyOf(terms)
        }
    }

    fn contains(&mut self, set: &pst::Expr, member: &pst::Expr) -> Expr {
        let (set, member) = (self.boxed(set), self.boxed(member));
        Expr::Binary(Binary::Contains, set, member)
    }
}

/// `!a`. Cedar has `a != b` as `!(a == b)`, `a > b` as `!(a <= b)` and `a >= b` as `!(a < b)`.
fn negated(expr: Expr) -> Expr {
    match expr {
        Expr::Equal(a, b) => Expr::NotEqual(a, b),
        Expr::Less(a, b) => Expr::LessOrEqual(b, a),
        Expr::LessOrEqual(a, b) => Expr::Less(b, a),
        other => Expr::Not(Box::new(other)),
    }
}

/// A pattern as [`Expr::Like`] has it.
fn pattern_text(pattern: &[PatternElem]) -> String {
    let mut text = String::new();
    for part in pattern {
        match part {
            PatternElem::Wildcard => text.push('*'),
            PatternElem::Char(c) => {
                if matches!(c, '*' | '\\') {
                    text.push('\\');
                }
                text.push(*c);
            }
        }
    }
    text
}
