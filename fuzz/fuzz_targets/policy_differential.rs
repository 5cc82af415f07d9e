//! A schema, policies, entities and requests drawn from the bytes: the image decides as Cedar does. The body is that of the
//! property test in `crates/policy/tests/differential`.
#![cfg_attr(fuzzing, no_main)]

#[path = "../../crates/policy/tests/differential/body.rs"]
mod body;
#[path = "../../crates/policy/tests/differential/generate/mod.rs"]
mod generate;
#[path = "../../crates/policy/tests/differential/mutation.rs"]
mod mutation;
#[path = "../../crates/policy/tests/differential/oracle.rs"]
mod oracle;
#[path = "../../crates/policy/tests/differential/ours.rs"]
mod ours;
#[path = "../../crates/policy/tests/differential/reach.rs"]
mod reach;

tidelock_fuzz::target!(|bytes: &[u8]| {
    let case = generate::Case::of(bytes);
    if let Err(difference) = body::run(&case, &mut reach::Reach::default()) {
        panic!("{difference}");
    }
});
