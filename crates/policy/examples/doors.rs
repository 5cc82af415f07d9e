//! Embedding the crate in something that is no network: the doors of an office.
//!
//! The control room compiles Cedar once, against a schema of its own, and sends the image to the doors. A door has no
//! allocator to spare: it checks the image when it arrives and then only decides.
//!
//! `cargo run -p tidelock-policy --features compile --example doors`

use std::error::Error;

use tidelock_policy::compile::compile_with_schema;
use tidelock_policy::{
    Attribute, Context, Entity, EntityRef, Image, Outcome, Request, Source, Value,
};

const SCHEMA: &str = "
    entity Team;
    entity Person in [Team];
    entity Floor;
    entity Door in [Floor];
    action open appliesTo { principal: Person, resource: Door, context: { hour: Long, fire: Bool } };
";

const POLICY: &str = r#"
    @id("staff by day")
    permit(principal in Team::"staff", action == Action::"open", resource)
    when { context.hour >= 7 && context.hour < 20 };

    @id("guards always")
    permit(principal in Team::"guards", action, resource);

    @id("vault")
    forbid(principal, action, resource in Floor::"vault")
    unless { [9, 10, 11].contains(context.hour) };

    @id("way out")
    permit(principal, action, resource) when { context.fire };
"#;

fn main() -> Result<(), Box<dyn Error>> {
    // The control room.
    let source = Source {
        name: "doors.cedar",
        text: POLICY,
    };
    let compiled = compile_with_schema(SCHEMA, &[source]).map_err(|errors| {
        errors
            .iter()
            .map(|error| format!("{error}\n"))
            .collect::<String>()
    })?;
    println!(
        "{} bytes, at most {} steps a decision",
        compiled.image.len(),
        compiled.cost
    );

    // The door.
    let image = Image::check(&compiled.image)?;
    let staff = [EntityRef::new("Team", "staff")];
    let guards = [EntityRef::new("Team", "guards")];
    let vault = [EntityRef::new("Floor", "vault")];
    let ann = Entity::new("Person", "ann", &staff);
    let gus = Entity::new("Person", "gus", &guards);
    let office = Entity::new("Door", "12", &[]);
    let safe = Entity::new("Door", "0", &vault);
    let decides = |principal: Entity<'_>, resource: Entity<'_>, hour, fire| {
        let attributes = [
            Attribute::new("hour", Value::Long(hour)),
            Attribute::new("fire", Value::Bool(fire)),
        ];
        let context = Context::new(&attributes);
        let decision = image.decide(&Request {
            principal,
            action: "open",
            resource,
            context,
        });
        let policies: Vec<_> = decision.policies().collect();
        println!(
            "{} at {hour}: {:?} by {policies:?}",
            principal.id,
            decision.outcome()
        );
        decision.outcome()
    };
    assert_eq!(decides(ann, office, 8, false), Outcome::Permitted);
    assert_eq!(decides(ann, office, 22, false), Outcome::NoPermit);
    assert_eq!(decides(ann, office, 22, true), Outcome::Permitted);
    assert_eq!(decides(gus, office, 22, false), Outcome::Permitted);
    assert_eq!(decides(gus, safe, 22, false), Outcome::Forbidden);
    assert_eq!(decides(gus, safe, 10, false), Outcome::Permitted);
    Ok(())
}

#[test]
fn the_doors_open_as_they_should() {
    main().expect("each decision is asserted");
}
