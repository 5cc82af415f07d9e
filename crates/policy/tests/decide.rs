//! What decisions mean, rule by rule.
#![cfg(feature = "alloc")]

use tidelock_policy::{
    Attribute, Context, Decision, Entity, EntityRef, Expr, Image, ImageBuilder, Outcome, Request,
    Rule, Scope, Value,
};

const WEB: &str = "spiffe://example.org/shop/web";
const ANCESTORS: &[EntityRef<'_>] = &[
    EntityRef::new("Workload", "spiffe://example.org"),
    EntityRef::new("Workload", "spiffe://example.org/shop"),
    EntityRef::new("TrustDomain", "example.org"),
];

fn image(rules: &[Rule<'_>]) -> Vec<u8> {
    let mut builder = ImageBuilder::new();
    rules.iter().for_each(|rule| builder.push(rule).unwrap());
    builder.build().unwrap()
}

fn request<'a>(resource: &'a str, attributes: &'a [Attribute<'a>]) -> Request<'a> {
    Request {
        principal: Entity::new("Workload", WEB, ANCESTORS),
        action: "connect",
        resource: Entity::new("Service", resource, &[]),
        context: Context::new(attributes),
    }
}

/// Decides, holding the decision to the image's proven cost.
fn decide(rules: &[Rule<'_>], request: &Request<'_>) -> (Outcome, Vec<String>) {
    let bytes = image(rules);
    let image = Image::check(&bytes).unwrap();
    let (decision, steps) = image.decide_counted(request);
    assert!(
        steps <= u64::from(image.cost()),
        "{steps} steps, proven {}",
        image.cost()
    );
    (decision.outcome(), names(&decision))
}

fn names(decision: &Decision<'_>) -> Vec<String> {
    let mut names: Vec<_> = decision.policies().map(String::from).collect();
    names.sort();
    names
}

#[test]
fn no_policy_denies() {
    assert_eq!(
        decide(&[], &request("db", &[])),
        (Outcome::NoPermit, vec![])
    );
}

#[test]
fn a_plain_permit_takes_at_most_64_bytes() {
    let bytes = image(&[Rule::permit("policy0")]);
    assert!(bytes.len() <= 64, "{} bytes", bytes.len());
    assert!(
        Image::check(&bytes)
            .unwrap()
            .decide(&request("db", &[]))
            .allow()
    );
}

#[test]
fn scopes_match_themselves_and_descendants() {
    let own = EntityRef::new("Workload", WEB);
    let shop = EntityRef::new("Workload", "spiffe://example.org/shop");
    let other = EntityRef::new("Workload", "spiffe://example.org/other");
    let rules = [
        Rule::permit("eq").principal(Scope::Eq(own)),
        Rule::permit("eq-ancestor").principal(Scope::Eq(shop)),
        Rule::permit("in-self").principal(Scope::In(own)),
        Rule::permit("in-ancestor").principal(Scope::In(shop)),
        Rule::permit("in-other").principal(Scope::In(other)),
        Rule::permit("is").principal(Scope::Is("Workload")),
        Rule::permit("is-other").principal(Scope::Is("User")),
        Rule::permit("is-in").principal(Scope::IsIn("Workload", shop)),
        Rule::permit("is-other-in").principal(Scope::IsIn("User", shop)),
        Rule::permit("is-in-other").principal(Scope::IsIn("Workload", other)),
        Rule::permit("resource")
            .principal(Scope::In(shop))
            .resource(Scope::Eq(EntityRef::new("Service", "db"))),
        Rule::permit("resource-other")
            .principal(Scope::In(shop))
            .resource(Scope::Eq(EntityRef::new("Service", "cache"))),
        Rule::permit("resource-is").resource(Scope::Is("Service")),
    ];
    let matching = [
        "eq",
        "in-ancestor",
        "in-self",
        "is",
        "is-in",
        "resource",
        "resource-is",
    ]
    .map(String::from)
    .to_vec();
    assert_eq!(
        decide(&rules, &request("db", &[])),
        (Outcome::Permitted, matching)
    );
}

#[test]
fn an_ancestor_given_twice_counts_once() {
    let shop = EntityRef::new("Workload", "spiffe://example.org/shop");
    let rules = [Rule::permit("shop").principal(Scope::In(shop))];
    let twice = [shop, shop];
    let request = Request {
        principal: Entity::new("Workload", WEB, &twice),
        ..request("db", &[])
    };
    assert_eq!(
        decide(&rules, &request),
        (Outcome::Permitted, vec!["shop".into()])
    );
}

#[test]
fn actions_outside_the_set_do_not_match() {
    let rules = [
        Rule::permit("listen").actions(&["listen"]),
        Rule::permit("none").actions(&[]),
    ];
    assert_eq!(
        decide(&rules, &request("db", &[])),
        (Outcome::NoPermit, vec![])
    );
    let rules = [Rule::permit("both").actions(&["listen", "connect"])];
    assert_eq!(
        decide(&rules, &request("db", &[])),
        (Outcome::Permitted, vec!["both".into()])
    );
}

#[test]
fn forbid_wins() {
    let rules = [
        Rule::permit("all"),
        Rule::forbid("no-web").principal(Scope::Eq(EntityRef::new("Workload", WEB))),
    ];
    assert_eq!(
        decide(&rules, &request("db", &[])),
        (Outcome::Forbidden, vec!["no-web".into()])
    );
}

#[test]
fn conditions_read_the_port() {
    let port = || Expr::attribute("port");
    let high = Expr::Less(Box::new(Expr::Long(1023)), Box::new(port()));
    let web = port().one_of(&[443, 80, 443]);
    let either = Expr::AnyOf(vec![web.clone(), port().equals(22)]);
    let neither = Expr::All(vec![
        Expr::Not(Box::new(web.clone())),
        Expr::NotEqual(Box::new(port()), Box::new(Expr::Long(22))),
    ]);
    let rules = [
        Rule::permit("high").when(&high),
        Rule::permit("web").when(&web),
        Rule::permit("either").when(&either),
        Rule::permit("neither").when(&neither),
    ];
    let matching = |number| decide(&rules, &request("db", &[Attribute::port(number)])).1;
    assert_eq!(matching(443), ["either", "web"]);
    assert_eq!(matching(22), ["either"]);
    assert_eq!(matching(1023), ["neither"]);
    assert_eq!(matching(1024), ["high", "neither"]);
}

#[test]
fn a_permit_that_cannot_be_evaluated_does_not_count() {
    let port = Expr::attribute("port").equals(443);
    let rules = [Rule::permit("port").when(&port)];
    assert_eq!(
        decide(&rules, &request("db", &[])),
        (Outcome::NoPermit, vec![])
    );
    let bytes = image(&rules);
    assert_eq!(
        Image::check(&bytes)
            .unwrap()
            .decide(&request("db", &[]))
            .errors(),
        1
    );
}

#[test]
fn a_forbid_that_cannot_be_evaluated_denies() {
    let port = Expr::attribute("port").equals(443);
    let rules = [Rule::permit("all"), Rule::forbid("port").when(&port)];
    assert_eq!(
        decide(&rules, &request("db", &[])),
        (Outcome::Forbidden, vec!["port".into()])
    );
    let wrong_type = [Attribute::new("port", Value::Str("443"))];
    let less = Expr::Less(Box::new(Expr::attribute("port")), Box::new(Expr::Long(1)));
    let rules = [Rule::permit("all"), Rule::forbid("port").when(&less)];
    assert_eq!(
        decide(&rules, &request("db", &wrong_type)),
        (Outcome::Forbidden, vec!["port".into()])
    );
}

#[test]
fn determining_policies_are_named_up_to_a_bound_and_all_counted() {
    let names: Vec<_> = (0..40).map(|n| format!("p{n}")).collect();
    let rules: Vec<_> = names.iter().map(|name| Rule::permit(name)).collect();
    let bytes = image(&rules);
    let decision = Image::check(&bytes).unwrap().decide(&request("db", &[]));
    assert_eq!(
        (decision.policies().count(), decision.policy_count()),
        (tidelock_policy::bounds::MAX_DETERMINING, 40)
    );
}

#[test]
fn a_request_past_a_bound_is_denied() {
    let many = vec![EntityRef::new("Workload", "x"); tidelock_policy::bounds::MAX_ANCESTORS + 1];
    let request = Request {
        principal: Entity::new("Workload", WEB, &many),
        ..request("db", &[])
    };
    let (outcome, names) = decide(&[Rule::permit("all")], &request);
    assert!(matches!(outcome, Outcome::Undecided(_)) && names.is_empty());
}
