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
fn the_limit_to_cost_is_the_last_that_is_accepted() {
    let plain = |count: u32| build(&vec![Rule::permit("p"); usize::try_from(count).unwrap()]);
    let cost = |count| Image::check(&plain(count).unwrap()).unwrap().cost();
    let each = cost(2) - cost(1);
    let fits = 1 + (MAX_COST - cost(1)) / each;
    let bytes = plain(fits).unwrap();
    let image = Image::check(&bytes).unwrap();
    assert!(image.cost() <= MAX_COST && MAX_COST - image.cost() < each);
    let Err(BuildError::Refused(ImageError::TooCostly { cost, limit })) = plain(fits + 1) else {
        panic!("accepted")
    };
    assert_eq!(cost, u64::from(image.cost() + each));
    assert_eq!(limit, MAX_COST);
    assert_eq!(
        Image::check_within(&bytes, image.cost() - 1).unwrap_err(),
        ImageError::TooCostly {
            cost: image.cost().into(),
            limit: image.cost() - 1
        }
    );
}

#[test]
fn cost_does_not_grow_with_policies_of_other_ports_or_principals() {
    let conditions: Vec<Expr> = (0..20_000)
        .map(|port| Expr::attribute("port").equals(port))
        .collect();
    let names: Vec<String> = (0..20_000).map(|n| format!("p{n}")).collect();
    let permits: Vec<_> = names
        .iter()
        .map(|name| Rule::permit(name).principal(Scope::Eq(EntityRef::new("P", name))))
        .collect();
    let cost = |rules: &[Rule<'_>]| Image::check(&build(rules).unwrap()).unwrap().cost();
    assert!(cost(&permits) < 1_000, "{}", cost(&permits));
    let ports: Vec<_> = conditions
        .iter()
        .map(|condition| Rule::permit("p").when(condition))
        .collect();
    // A request without a port has a look at each of them, and no more.
    let (all, half) = (cost(&ports), cost(&ports[..10_000]));
    assert!(all - half <= 30_030, "{all} {half}");
}

#[test]
fn policies_filed_by_port_decide_as_their_conditions_do() {
    let port = |port| Expr::attribute("port").equals(port);
    let turned = Expr::Equal(Box::new(Expr::Long(80)), Box::new(Expr::attribute("port")));
    let more = Expr::All(vec![port(80), Expr::attribute("b")]);
    let (eighty, other, large) = (port(80), port(443), port(1 << 40));
    let low = Expr::Less(Box::new(Expr::attribute("port")), Box::new(Expr::Long(81)));
    let r = EntityRef::new("R", "r");
    let rules = [
        Rule::permit("eighty").when(&eighty),
        Rule::permit("turned").when(&turned).resource(Scope::Eq(r)),
        Rule::permit("more").when(&more),
        Rule::forbid("other").when(&other),
        Rule::forbid("acts").when(&other).actions(&["fly"]),
        Rule::permit("large").when(&large),
        Rule::permit("low").when(&low),
        Rule::permit("kind")
            .when(&eighty)
            .principal(Scope::IsIn("Q", r)),
    ];
    let bytes = build(&rules).unwrap();
    let image = Image::check(&bytes).unwrap();
    let ask = |attributes: &[Attribute<'_>]| {
        let above = [r];
        let (decision, steps) = image.decide_counted(&Request {
            principal: Entity::new("P", "p", &above),
            action: "act",
            resource: Entity::new("R", "r", &[]),
            context: Context::new(attributes),
        });
        assert!(steps <= u64::from(image.cost()));
        let mut names: Vec<_> = decision.policies().map(String::from).collect();
        names.sort();
        (decision.outcome(), names.join(" "), decision.errors())
    };
    let given = |value| Attribute::new("port", value);
    let b = Attribute::new("b", Value::Bool(true));
    assert_eq!(
        ask(&[given(Value::Long(80)), b]),
        (Outcome::Permitted, "eighty low more turned".into(), 0)
    );
    assert_eq!(
        ask(&[given(Value::Long(80))]),
        (Outcome::Permitted, "eighty low turned".into(), 1)
    );
    assert_eq!(
        ask(&[given(Value::Long(443))]),
        (Outcome::Forbidden, "other".into(), 0)
    );
    assert_eq!(
        ask(&[given(Value::Long(1 << 40))]),
        (Outcome::Permitted, "large".into(), 0)
    );
    assert_eq!(
        ask(&[given(Value::Long(-1))]),
        (Outcome::Permitted, "low".into(), 0)
    );
    // Text is no port, and less than nothing.
    assert_eq!(
        ask(&[given(Value::Str("80"))]),
        (Outcome::NoPermit, String::new(), 1)
    );
    // Without a port none can be evaluated, but for the one of another action and the one of another kind.
    assert_eq!(ask(&[]), (Outcome::Forbidden, "other".into(), 6));
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
