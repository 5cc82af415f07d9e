//! Hostile images: whatever the bytes, a check refuses them or every decision by them ends within the proven cost; and
//! nothing panics, not even a decision by bytes that no check saw.
//!
//! `TIDELOCK_HOSTILE_TIMES` is how many times as many cases are tried; given, the seed is another each time.
#![cfg(feature = "alloc")]

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tidelock_policy::bounds::{MAX_ANCESTORS, MAX_COST, MAX_IMAGE_BYTES};
use tidelock_policy::{
    Attribute, Binary, Context, Entity, EntityRef, Expr, IMAGE_VERSION, Image, ImageBuilder,
    ImageError, Request, Rule, Scope, Unary, Value,
};

const NAMES: [&str; 6] = [
    "a",
    "b",
    "c",
    "a much longer name than sixteen bytes",
    "",
    "é",
];
const KINDS: [&str; 3] = ["Workload", "Service", ""];

fn build(rules: &[Rule<'_>]) -> Vec<u8> {
    let mut builder = ImageBuilder::new();
    rules.iter().for_each(|rule| builder.push(rule).unwrap());
    builder.build().unwrap()
}

/// A condition of everything that is dear or reads the request's values.
fn wide() -> Expr {
    let boxed = Box::new;
    let get = |of: Expr, name: &str| boxed(Expr::Get(boxed(of), name.into()));
    let binary = |op, a: Box<Expr>, b: Box<Expr>| Expr::Binary(op, a, b);
    let text = |text: &str| Expr::Str(text.into());
    let entity = || Expr::Entity("Workload".into(), "a".into());
    let set = || boxed(Expr::attribute("set"));
    let record = || {
        Expr::Record(vec![
            ("a".into(), Expr::attribute("set")),
            ("port".into(), Expr::attribute("port")),
        ])
    };
    let address = || Expr::Ip(tidelock_policy::Ip::v4([10, 0, 0, 0], 8).unwrap());
    let literals = Expr::Set(vec![
        Expr::Set(vec![text("a"), Expr::Long(1)]),
        Expr::Record(vec![("a".into(), address())]),
        entity(),
        Expr::Decimal(i64::MAX),
    ]);
    Expr::AnyOf(vec![
        Expr::Equal(set(), set()),
        Expr::Equal(boxed(record()), get(Expr::Resource, "record")),
        Expr::NotEqual(set(), boxed(literals.clone())),
        Expr::Equal(
            boxed(text("a much longer text")),
            get(Expr::Principal, "name"),
        ),
        binary(Binary::Contains, set(), boxed(record())),
        binary(
            Binary::Contains,
            boxed(Expr::Set(vec![text("a"), entity()])),
            set(),
        ),
        binary(Binary::ContainsAll, set(), boxed(literals)),
        binary(Binary::ContainsAny, set(), get(Expr::Context, "set")),
        binary(Binary::In, boxed(Expr::Principal), boxed(entity())),
        binary(Binary::In, get(Expr::Principal, "friend"), set()),
        binary(Binary::HasTag, boxed(Expr::Resource), boxed(text("a"))),
        Expr::Equal(
            boxed(binary(Binary::GetTag, boxed(entity()), boxed(text("a")))),
            get(*get(entity(), "friend"), "name"),
        ),
        Expr::Has(get(record(), "a"), "b".into()),
        Expr::Has(boxed(Expr::Principal), "name".into()),
        Expr::Like(get(Expr::Principal, "name"), "*a*b\\*".into()),
        Expr::Is(get(Expr::Principal, "friend"), "Workload".into()),
        Expr::If(
            boxed(Expr::ActionIn(vec!["connect".into()])),
            boxed(binary(Binary::IsInRange, boxed(address()), set())),
            boxed(Expr::Unary(Unary::IsEmpty, set())),
        ),
        Expr::Less(
            boxed(Expr::Unary(Unary::ToDays, boxed(Expr::Duration(1 << 40)))),
            boxed(binary(
                Binary::Add,
                boxed(Expr::attribute("port")),
                boxed(Expr::Long(1)),
            )),
        ),
    ])
}

/// Images that together have every section and instruction.
fn seeds() -> Vec<Vec<u8>> {
    let port = || Box::new(Expr::attribute("port"));
    let condition = Expr::All(vec![
        Expr::AnyOf(vec![
            Expr::attribute("flag"),
            Expr::attribute("port").one_of(&[1, 2, i64::MAX]),
        ]),
        Expr::NotEqual(port(), Box::new(Expr::attribute("other"))),
        Expr::Equal(port(), port()),
        Expr::Less(Box::new(Expr::Long(i64::MIN)), port()),
        Expr::Not(Box::new(Expr::LessOrEqual(port(), Box::new(Expr::Long(3))))),
        Expr::attribute("port").equals(4),
        Expr::Bool(true),
        wide(),
        Expr::attribute("flag"),
    ]);
    let port_443 = Expr::attribute("port").equals(443);
    let entity = |kind, id| EntityRef::new(KINDS[kind], NAMES[id]);
    let rules = [
        Rule::forbid("port").when(&port_443),
        Rule::permit("any"),
        Rule::permit("when").when(&condition),
        Rule::forbid("eq")
            .principal(Scope::Eq(entity(0, 0)))
            .actions(&["connect"]),
        Rule::permit("in")
            .principal(Scope::In(entity(0, 1)))
            .resource(Scope::Eq(entity(1, 2))),
        Rule::permit("in too")
            .principal(Scope::In(entity(0, 1)))
            .resource(Scope::In(entity(1, 3))),
        Rule::permit("is")
            .principal(Scope::Is("Workload"))
            .actions(&["listen", "connect"]),
        Rule::permit("is in")
            .principal(Scope::IsIn("Workload", entity(0, 3)))
            .when(&port_443),
        Rule::forbid("resource")
            .resource(Scope::IsIn("Service", entity(1, 1)))
            .when(&condition),
    ];
    (0..=rules.len())
        .map(|count| build(&rules[..count]))
        .collect()
}

#[derive(Clone, Debug)]
struct Asked {
    principal: (usize, usize, Vec<(usize, usize)>),
    resource: (usize, usize, Vec<(usize, usize)>),
    action: &'static str,
    attributes: Vec<(&'static str, u8)>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let name = || (0..KINDS.len(), 0..NAMES.len());
    let entity = move || {
        (
            0..KINDS.len(),
            0..NAMES.len(),
            prop_oneof![vec(name(), 0..4), vec(name(), 0..=MAX_ANCESTORS + 1)],
        )
    };
    let attribute = (
        select(vec!["port", "flag", "other", "none", "set", "set"]),
        any::<u8>(),
    );
    (
        entity(),
        entity(),
        select(vec!["connect", "listen", "fly"]),
        vec(attribute, 0..5),
    )
        .prop_map(|(principal, resource, action, attributes)| Asked {
            principal,
            resource,
            action,
            attributes,
        })
}

/// Decides; returns the steps it took.
fn decide(image: &Image<'_>, asked: &Asked) -> u64 {
    let names = |ancestors: &[(usize, usize)]| -> Vec<EntityRef<'_>> {
        ancestors
            .iter()
            .map(|&(kind, id)| EntityRef::new(KINDS[kind], NAMES[id]))
            .collect()
    };
    let long = "x".repeat(3000);
    let inner = [
        Value::Long(1),
        Value::Str("a"),
        Value::Str(&long),
        Value::Bool(true),
    ];
    let fields = [
        Attribute::new("a", Value::Set(&inner[..2])),
        Attribute::new("port", Value::Long(3)),
    ];
    let nested = [
        Value::Set(&inner[..2]),
        Value::Record(&fields),
        Value::Set(&inner),
    ];
    let deeper = [Value::Set(&nested), Value::Set(&nested[..2])];
    let sets = [
        Value::Set(&inner[..2]),
        Value::Record(&fields),
        Value::Entity(EntityRef::new("Workload", "b")),
        Value::Set(&deeper),
        Value::Set(&nested),
    ];
    let known = [
        Attribute::new("name", Value::Str("aab much longer than a step")),
        Attribute::new("friend", Value::Entity(EntityRef::new("Workload", "a"))),
        Attribute::new("record", Value::Record(&fields)),
    ];
    let attributes: Vec<_> = asked
        .attributes
        .iter()
        .map(|&(name, value)| {
            let value = match value {
                _ if name == "set" => Value::Set(&sets[..usize::from(value) % (sets.len() + 1)]),
                0..64 => Value::Bool(value % 2 == 0),
                64..128 => Value::Str(NAMES[usize::from(value) % NAMES.len()]),
                _ => Value::Long(i64::from(value) - 130),
            };
            Attribute::new(name, value)
        })
        .collect();
    let (principal, resource) = (names(&asked.principal.2), names(&asked.resource.2));
    let entities = [Entity::new("Workload", "a", &[])
        .with_attributes(&known)
        .with_tags(&fields)];
    let request = Request {
        principal: Entity::new(
            KINDS[asked.principal.0],
            NAMES[asked.principal.1],
            &principal,
        )
        .with_attributes(&known),
        action: asked.action,
        resource: Entity::new(KINDS[asked.resource.0], NAMES[asked.resource.1], &resource)
            .with_attributes(&known)
            .with_tags(&fields),
        context: Context::new(&attributes).with_entities(&entities),
    };
    let (decision, steps) = image.decide_counted(&request);
    assert!(decision.policies().count() <= 16);
    steps
}

/// One change to an image.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    /// Small values at word boundaries reach more than random ones.
    Word(Index, u32),
    Insert(Index, u8),
    Remove(Index),
    Truncate(Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, to)| Change::Set(at, to)),
        4 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        6 => (any::<Index>(), prop_oneof![0..40u32, Just(u32::MAX), any::<u32>()])
            .prop_map(|(at, to)| Change::Word(at, to)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => any::<Index>().prop_map(Change::Remove),
        1 => any::<Index>().prop_map(Change::Truncate),
    ]
}

fn apply(image: &mut Vec<u8>, change: &Change) {
    if image.is_empty() {
        return;
    }
    let len = image.len();
    match change {
        Change::Set(at, to) => image[at.index(len)] = *to,
        Change::Flip(at, bit) => image[at.index(len)] ^= 1 << bit,
        Change::Word(at, to) => {
            let at = at.index(len) / 4 * 4;
            let bytes = to.to_le_bytes();
            image
                .iter_mut()
                .skip(at)
                .zip(bytes)
                .for_each(|(byte, to)| *byte = to);
        }
        Change::Insert(at, byte) => image.insert(at.index(len), *byte),
        Change::Remove(at) => drop(image.remove(at.index(len))),
        Change::Truncate(at) => image.truncate(at.index(len)),
    }
}

/// Holds any bytes to the rule of this file. True if a check accepted them.
fn hold(bytes: &[u8], asked: &[Asked]) -> bool {
    if let Ok(unchecked) = Image::reopen(bytes) {
        for asked in asked {
            decide(&unchecked, asked);
        }
        unchecked.policy_names().for_each(drop);
    }
    let Ok(image) = Image::check(bytes) else {
        return false;
    };
    assert!(image.cost() <= MAX_COST);
    for asked in asked {
        let steps = decide(&image, asked);
        assert!(
            steps <= u64::from(image.cost()),
            "{steps} steps, proven {}",
            image.cost()
        );
    }
    true
}

/// Where an image carries its cost, and where its sum.
const COST: std::ops::Range<usize> = 12..16;
const SUM: std::ops::Range<usize> = 16..20;

/// Writes the proven cost and the sum into an image that lacks nothing else.
fn mend(bytes: &mut [u8]) {
    // The sum, so that the cost is proven; the cost; the sum of that.
    for _ in 0..3 {
        match Image::check(bytes) {
            Err(ImageError::Damaged { sum, .. }) => {
                bytes[SUM].copy_from_slice(&sum.to_le_bytes());
            }
            Err(ImageError::WrongCost { proven, .. }) => {
                let cost = u32::try_from(proven).unwrap_or(u32::MAX).to_le_bytes();
                bytes[COST].copy_from_slice(&cost);
            }
            _ => return,
        }
    }
}

fn run<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let times: Option<u32> = std::env::var("TIDELOCK_HOSTILE_TIMES")
        .ok()
        .and_then(|times| times.parse().ok());
    let config = Config {
        cases: cases.saturating_mul(times.unwrap_or(1)),
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed = *b"tidelock policy hostile image 01";
    if times.is_some() {
        let random = RandomState::new().hash_one("seed");
        println!("seed {random:#x}");
        seed[..8].copy_from_slice(&random.to_le_bytes());
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let result = TestRunner::new_with_rng(config, rng).run(&strategy, |value| {
        test(value);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn changed_images_are_refused_or_decide_within_their_cost() {
    let seeds = seeds();
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    let strategy = (select(seeds), vec(change(), 0..4), vec(asked(), 4));
    run(6_000, strategy, |(mut bytes, changes, asked)| {
        changes.iter().for_each(|change| apply(&mut bytes, change));
        mend(&mut bytes);
        let counter = if hold(&bytes, &asked) {
            &accepted
        } else {
            &refused
        };
        counter.set(counter.get() + 1);
    });
    assert!(
        accepted.get() > 1_000 && refused.get() > 1_000,
        "{accepted:?} {refused:?}"
    );
}

#[test]
fn random_sections_are_refused_or_decide_within_their_cost() {
    let word = prop_oneof![4 => 0..12u32, 1 => any::<u32>()];
    let section = vec(word, 0..40);
    run(
        10_000,
        (vec(section, 10), vec(asked(), 2)),
        |(sections, asked)| {
            let present = || {
                (1u16..)
                    .zip(&sections)
                    .filter(|(_, words)| !words.is_empty())
            };
            let payload: Vec<u8> = sections
                .iter()
                .flatten()
                .flat_map(|word| word.to_le_bytes())
                .collect();
            let count = present().count();
            let len = u32::try_from(20 + 6 * count + payload.len()).unwrap();
            let mut bytes = Vec::from(*b"TLPI");
            bytes.extend(IMAGE_VERSION.to_le_bytes());
            bytes.extend(u16::try_from(count).unwrap().to_le_bytes());
            bytes.extend(len.to_le_bytes());
            bytes.extend([0; 8]);
            for (tag, words) in present() {
                bytes.extend(tag.to_le_bytes());
                bytes.extend(u32::try_from(4 * words.len()).unwrap().to_le_bytes());
            }
            bytes.extend(payload);
            mend(&mut bytes);
            hold(&bytes, &asked);
        },
    );
}

#[test]
fn random_bytes_are_refused() {
    run(20_000, vec(any::<u8>(), 0..200), |bytes| {
        assert!(Image::check(&bytes).is_err())
    });
}

#[test]
fn every_truncation_and_every_flipped_bit_is_refused() {
    for image in seeds() {
        for len in 0..image.len() {
            assert!(Image::check(&image[..len]).is_err(), "cut to {len}");
        }
        for bit in 0..image.len() * 8 {
            let mut flipped = image.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let refused = Image::check(&flipped).map(|image| image.cost());
            let reason = refused.expect_err("a flipped bit");
            // What is not the header's is told apart from nothing but by its sum.
            if bit / 8 >= SUM.start + 4 && !is_about_sections(reason) {
                assert!(matches!(reason, ImageError::Damaged { .. }), "{reason}");
            }
        }
    }
}

fn is_about_sections(reason: ImageError) -> bool {
    matches!(
        reason,
        ImageError::Section { .. }
            | ImageError::SectionBytes { .. }
            | ImageError::TrailingBytes { .. }
    )
}

#[test]
fn flipped_bits_that_the_sum_does_not_tell_are_refused_or_decide_within_their_cost() {
    let image = seeds().pop().unwrap();
    let mut runner = TestRunner::deterministic();
    let asked: Vec<_> = (0..3)
        .map(|_| asked().new_tree(&mut runner).unwrap().current())
        .collect();
    for bit in 0..image.len() * 8 {
        let mut flipped = image.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        mend(&mut flipped);
        hold(&flipped, &asked);
    }
}

#[test]
fn refusals_name_what_is_wrong() {
    let image = seeds().pop().unwrap();
    let with = |at: usize, byte: u8| {
        let mut changed = image.clone();
        changed[at] = byte;
        Image::check(&changed)
            .map(|image| image.cost())
            .unwrap_err()
    };
    assert_eq!(
        Image::check(&[]).unwrap_err(),
        ImageError::Truncated { len: 0, want: 20 }
    );
    assert_eq!(with(0, b'X'), ImageError::BadMagic);
    assert_eq!(with(4, 1), ImageError::Version { version: 1 });
    assert!(matches!(with(20, 200), ImageError::Section { tag: 200 }));
    let newer = IMAGE_VERSION + 1;
    assert_eq!(
        with(4, newer.to_le_bytes()[0]),
        ImageError::Version { version: newer }
    );
    assert!(matches!(with(SUM.start, 0), ImageError::Damaged { carried, sum } if carried != sum));
    let last = image.len() - 1;
    assert!(matches!(
        with(last, image[last] ^ 1),
        ImageError::Damaged { .. }
    ));
    let longer = [image.as_slice(), &[0]].concat();
    assert_eq!(
        Image::check(&longer).unwrap_err(),
        ImageError::TrailingBytes { count: 1 }
    );
    let cost = Image::check(&image).unwrap().cost();
    let error = Image::check_within(&image, cost - 1).unwrap_err();
    assert_eq!(
        error,
        ImageError::TooCostly {
            cost: u64::from(cost),
            limit: cost - 1
        }
    );
    assert!(Image::check_within(&image, cost).is_ok());
    let mut cheap = image.clone();
    cheap[COST].fill(0);
    let Err(ImageError::Damaged { sum, .. }) = Image::check(&cheap) else {
        panic!("another cost is another sum");
    };
    cheap[SUM].copy_from_slice(&sum.to_le_bytes());
    assert!(matches!(
        Image::check(&cheap),
        Err(ImageError::WrongCost { carried: 0, .. })
    ));
    let long = vec![0; MAX_IMAGE_BYTES + 1];
    assert_eq!(
        Image::check(&long).unwrap_err(),
        ImageError::TooLong { len: long.len() }
    );
}

/// Not a test of anything: writes seeds for the fuzz target `policy_image` to the folder `TIDELOCK_FUZZ_CORPUS`.
#[test]
#[ignore = "writes files, and only where it is told"]
fn write_a_corpus() {
    let folder = std::env::var_os("TIDELOCK_FUZZ_CORPUS").expect("a folder");
    for (at, seed) in seeds().into_iter().enumerate() {
        std::fs::write(
            std::path::Path::new(&folder).join(format!("seed{at}")),
            seed,
        )
        .unwrap();
    }
}
