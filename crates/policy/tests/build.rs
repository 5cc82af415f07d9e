//! What the builder makes, and the bounds it refuses to pass.
#![cfg(feature = "alloc")]

use tidelock_policy::bounds::{
    MAX_ACTIONS, MAX_COST, MAX_IMAGE_ATTRIBUTES, MAX_STRING_BYTES, REGISTERS,
};
use tidelock_policy::{
    Attribute, BuildError, Context, Entity, EntityRef, Expr, Image, ImageBuilder, ImageError,
    Outcome, Request, Rule, Scope, Value,
};

fn build(rules: &[Rule<'_>]) -> Result<Vec<u8>, BuildError> {
    let mut builder = ImageBuilder::new();
    rules.iter().try_for_each(|rule| builder.push(rule))?;
    builder.build()
}

fn condition(condition: &Expr) -> Result<Vec<u8>, BuildError> {
    build(&[Rule::permit("p").when(condition)])
}

/// Decides a condition with the context attributes `n`, a number, `b`, a truth value, and `s`, a string.
fn holds(expr: &Expr) -> Outcome {
    let bytes = build(&[Rule::permit("p").when(expr)]).unwrap();
    let image = Image::check(&bytes).unwrap();
    let attributes = [
        Attribute::new("n", Value::Long(5)),
        Attribute::new("b", Value::Bool(true)),
        Attribute::new("s", Value::Str("text")),
    ];
    let (decision, steps) = image.decide_counted(&Request {
        principal: Entity::new("P", "p", &[]),
        action: "act",
        resource: Entity::new("R", "r", &[]),
        context: Context::new(&attributes),
    });
    assert!(steps <= u64::from(image.cost()));
    match (decision.outcome(), decision.errors()) {
        (Outcome::NoPermit, 1) => Outcome::Forbidden, // Stands for an error here: nothing forbids.
        (outcome, _) => outcome,
    }
}

#[test]
fn equal_rules_make_equal_bytes() {
    let rules = [
        Rule::permit("a").principal(Scope::Eq(EntityRef::new("P", "a"))),
        Rule::forbid("b")
            .principal(Scope::In(EntityRef::new("P", "b")))
            .actions(&["act"]),
    ];
    assert_eq!(build(&rules), build(&rules));
}

#[test]
fn an_image_lists_its_policies() {
    let bytes = build(&[Rule::permit("a"), Rule::permit("b")]).unwrap();
    let image = Image::check(&bytes).unwrap();
    assert!(image.policy_names().eq(["a", "b"]));
    assert_eq!(image.policy_count(), 2);
}

#[test]
fn conditions_of_any_type_mean_what_cedar_means() {
    let (n, b, s) = (
        Expr::attribute("n"),
        Expr::attribute("b"),
        Expr::attribute("s"),
    );
    let equal = |x: &Expr, y: &Expr| Expr::Equal(Box::new(x.clone()), Box::new(y.clone()));
    let less = |x: &Expr, y: &Expr| Expr::Less(Box::new(x.clone()), Box::new(y.clone()));
    let (permitted, none, error) = (Outcome::Permitted, Outcome::NoPermit, Outcome::Forbidden);
    for (expr, expected) in [
        (b.clone(), permitted),
        (n.clone(), error),
        (s.clone(), error),
        (equal(&s, &s), permitted),
        (equal(&n, &n), permitted),
        (equal(&n, &s), none),
        (equal(&s, &Expr::Long(5)), none),
        (equal(&Expr::Long(5), &n), permitted),
        (equal(&Expr::Long(i64::MAX), &n), none),
        (less(&n, &Expr::Long(i64::MAX)), permitted),
        (less(&s, &n), error),
        (less(&n, &Expr::attribute("missing")), error),
        (s.clone().one_of(&[5]), none),
        (n.clone().one_of(&[]), none),
        (Expr::Not(Box::new(b.clone())), none),
        (Expr::Not(Box::new(n.clone())), error),
        (Expr::All(vec![]), permitted),
        (Expr::AnyOf(vec![]), none),
        (Expr::All(vec![b.clone(), n.clone()]), error),
        (Expr::All(vec![n.clone(), b.clone()]), error),
        (Expr::All(vec![Expr::Bool(false), n.clone()]), none),
        (Expr::AnyOf(vec![b.clone(), n.clone()]), permitted),
        (Expr::AnyOf(vec![Expr::Bool(false), n.clone()]), error),
        // The last term's type is tested where nothing after it would.
        (equal(&Expr::All(vec![b.clone(), n.clone()]), &n), error),
        (equal(&Expr::All(vec![b.clone(), b.clone()]), &b), permitted),
    ] {
        assert_eq!(holds(&expr), expected, "{expr:?}");
    }
}

#[test]
fn strings_are_bounded() {
    let (fits, long) = (
        "x".repeat(MAX_STRING_BYTES),
        "x".repeat(MAX_STRING_BYTES + 1),
    );
    let error = Err(BuildError::StringTooLong { len: long.len() });
    assert!(build(&[Rule::permit(&fits).principal(Scope::Is(&fits))]).is_ok());
    assert_eq!(build(&[Rule::permit(&long)]), error);
    assert_eq!(build(&[Rule::permit("p").actions(&[&long])]), error);
    assert_eq!(
        build(&[Rule::permit("p").resource(Scope::In(EntityRef::new("R", &long)))]),
        error
    );
    assert_eq!(condition(&Expr::attribute(&long)), error);
}

#[test]
fn actions_and_attributes_are_bounded() {
    let names: Vec<String> = (0..=MAX_ACTIONS).map(|n| format!("a{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(build(&[Rule::permit("p").actions(&names[..MAX_ACTIONS])]).is_ok());
    assert_eq!(
        build(&[Rule::permit("p").actions(&names)]),
        Err(BuildError::TooManyActions)
    );
    let read = |count| {
        Expr::All(
            names[..count]
                .iter()
                .map(|name| Expr::attribute(name))
                .collect(),
        )
    };
    assert!(condition(&read(MAX_IMAGE_ATTRIBUTES)).is_ok());
    assert_eq!(
        condition(&read(MAX_IMAGE_ATTRIBUTES + 1)),
        Err(BuildError::TooManyAttributes)
    );
}

#[test]
fn conditions_are_bounded() {
    let nested = |depth| {
        (0..depth).fold(Expr::attribute("n"), |inner, _| {
            Expr::Equal(Box::new(Expr::attribute("n")), Box::new(inner))
        })
    };
    assert!(condition(&nested(REGISTERS - 1)).is_ok());
    assert_eq!(
        condition(&nested(REGISTERS)),
        Err(BuildError::ConditionTooDeep)
    );
    let negated = |depth| (0..depth).fold(Expr::Bool(true), |e, _| Expr::Not(Box::new(e)));
    assert!(condition(&negated(256)).is_ok());
    assert_eq!(condition(&negated(300)), Err(BuildError::ConditionTooDeep));
    let long = |terms| Expr::All(vec![Expr::Bool(true); terms]);
    assert!(condition(&long(500)).is_ok());
    assert!(matches!(
        condition(&long(600)),
        Err(BuildError::ConditionTooLong { .. })
    ));
}

#[test]
fn cost_is_bounded_by_what_can_match_at_once() {
    let dear = Expr::Equal(
        Box::new(Expr::attribute("n")),
        Box::new(Expr::attribute("b")),
    );
    let names: Vec<String> = (0..20_000).map(|n| format!("p{n}")).collect();
    // As many policies as these, but of principals of which a request has one.
    let scoped: Vec<_> = names
        .iter()
        .map(|name| {
            Rule::permit(name)
                .principal(Scope::Eq(EntityRef::new("P", name)))
                .when(&dear)
        })
        .collect();
    let bytes = build(&scoped).unwrap();
    let cost = Image::check(&bytes).unwrap().cost();
    assert!(cost < 100_000, "{cost}");
    let unscoped: Vec<_> = names
        .iter()
        .map(|name| Rule::permit(name).when(&dear))
        .collect();
    let Err(BuildError::Refused(ImageError::TooCostly {
        cost,
        limit: MAX_COST,
    })) = build(&unscoped)
    else {
        panic!("accepted")
    };
    assert!(cost > u64::from(MAX_COST));
}

#[test]
fn many_scopes_are_all_found() {
    let names: Vec<String> = (0..5_000)
        .map(|n| format!("spiffe://example.org/{n}"))
        .collect();
    let rules: Vec<_> = names
        .iter()
        .map(|name| Rule::permit(name).principal(Scope::Eq(EntityRef::new("Workload", name))))
        .collect();
    let bytes = build(&rules).unwrap();
    let image = Image::check(&bytes).unwrap();
    for name in &names {
        let decision = image.decide(&Request {
            principal: Entity::new("Workload", name, &[]),
            action: "act",
            resource: Entity::new("R", "r", &[]),
            context: Context::EMPTY,
        });
        assert!(decision.policies().eq([name.as_str()]), "{name}");
    }
}
