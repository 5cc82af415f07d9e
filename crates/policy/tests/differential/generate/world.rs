//! Random entities and requests.

use super::Draw;
use super::schema::{ACTIONS, Declared, Schema, Ty};

/// A value, as text where Cedar's constructors take text.
#[derive(Clone, Debug)]
pub(crate) enum Datum {
    Bool(bool),
    Long(i64),
    Str(&'static str),
    Entity(&'static str, &'static str),
    /// The text, and what it means.
    Ip(&'static str, tidelock_policy::Ip),
    Decimal(&'static str, i64),
    Datetime(&'static str, i64),
    Duration(&'static str, i64),
    Set(Vec<Datum>),
    Record(Vec<(&'static str, Datum)>),
}

pub(crate) const LONGS: [i64; 9] = [0, 1, 2, 3, -1, 80, 5_000_000_000, i64::MAX, i64::MIN];
pub(crate) const STRINGS: [&str; 7] = ["a", "b", "ab", "", "a*b", "é\\\"x", "aab"];
pub(crate) const IDS: [&str; 4] = ["0", "1", "2", "3"];
pub(crate) const IPS: [(&str, [u8; 16], u8, bool); 10] = [
    ("10.0.0.1", v4([10, 0, 0, 1]), 32, false),
    ("10.0.0.0/8", v4([10, 0, 0, 0]), 8, false),
    ("10.0.0.1/8", v4([10, 0, 0, 1]), 8, false),
    ("127.0.0.1", v4([127, 0, 0, 1]), 32, false),
    ("127.0.0.0/7", v4([127, 0, 0, 0]), 7, false),
    ("224.1.0.0/16", v4([224, 1, 0, 0]), 16, false),
    ("0.0.0.0/0", [0; 16], 0, false),
    ("::1", v6(0, 1), 128, true),
    ("ff02::1", v6(0xff02, 1), 128, true),
    ("::/0", [0; 16], 0, true),
];
pub(crate) const DECIMALS: [(&str, i64); 5] = [
    ("0.0", 0),
    ("1.5", 15_000),
    ("-1.2345", -12_345),
    ("1.50", 15_000),
    ("922337203685477.5807", i64::MAX),
];
pub(crate) const DATETIMES: [(&str, i64); 5] = [
    ("1970-01-01", 0),
    ("1970-01-02T01:00:00Z", 90_000_000),
    ("1969-12-31T23:59:59.999Z", -1),
    ("2024-02-29T00:00:00.000+0100", 1_709_161_200_000),
    ("9999-12-31", 253_402_214_400_000),
];
pub(crate) const DURATIONS: [(&str, i64); 6] = [
    ("0ms", 0),
    ("1h", 3_600_000),
    ("-1d", -86_400_000),
    ("1d2h3m4s5ms", 93_784_005),
    ("9223372036854775807ms", i64::MAX),
    ("-9223372036854775808ms", i64::MIN),
];

const fn v4([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

const fn v6(first: u16, last: u8) -> [u8; 16] {
    let [a, b] = first.to_be_bytes();
    [a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

impl Datum {
    pub(crate) fn draw(draw: &mut Draw<'_>, ty: &Ty) -> Self {
        match ty {
            Ty::Bool => Self::Bool(draw.below(2) == 0),
            Ty::Long => Self::Long(LONGS[draw.below(LONGS.len())]),
            Ty::Str => Self::Str(draw.pick(&STRINGS)),
            Ty::Entity(kind) => Self::Entity(kind, draw.pick(&IDS)),
            Ty::Ip => {
                let (text, bytes, prefix, v6) = IPS[draw.below(IPS.len())];
                let ip = if v6 {
                    tidelock_policy::Ip::v6(bytes, prefix)
                } else {
                    let [a, b, c, d, ..] = bytes;
                    tidelock_policy::Ip::v4([a, b, c, d], prefix)
                };
                Self::Ip(text, ip.unwrap())
            }
            Ty::Decimal => {
                let (text, value) = DECIMALS[draw.below(DECIMALS.len())];
                Self::Decimal(text, value)
            }
            Ty::Datetime => {
                let (text, value) = DATETIMES[draw.below(DATETIMES.len())];
                Self::Datetime(text, value)
            }
            Ty::Duration => {
                let (text, value) = DURATIONS[draw.below(DURATIONS.len())];
                Self::Duration(text, value)
            }
            Ty::Set(of) => Self::Set((0..draw.below(4)).map(|_| Self::draw(draw, of)).collect()),
            Ty::Record(fields) => Self::Record(
                fields
                    .iter()
                    .map(|(name, ty)| (*name, Self::draw(draw, ty)))
                    .collect(),
            ),
        }
    }
}

type Fields = Vec<(&'static str, Datum)>;

fn fields(draw: &mut Draw<'_>, declared: &[Declared]) -> Fields {
    let mut fields = Vec::new();
    for attribute in declared {
        if attribute.required || draw.percent(60) {
            fields.push((attribute.name, Datum::draw(draw, &attribute.ty)));
        }
    }
    fields
}

/// An entity of the store.
#[derive(Clone, Debug)]
pub(crate) struct Being {
    pub(crate) kind: &'static str,
    pub(crate) id: &'static str,
    /// All ancestors.
    pub(crate) ancestors: Vec<(&'static str, &'static str)>,
    pub(crate) attributes: Fields,
    pub(crate) tags: Fields,
}

/// What the entities of a kind may be in.
const ABOVE: [(&str, &[&str]); 4] = [
    ("Team", &["Team"]),
    ("Folder", &["Folder"]),
    ("User", &["Team", "User"]),
    ("Doc", &["Folder"]),
];

/// Entities, some of which are missing.
pub(crate) fn beings(draw: &mut Draw<'_>, schema: &Schema) -> Vec<Being> {
    let mut beings: Vec<Being> = Vec::new();
    for (kind, above) in ABOVE {
        for (at, id) in IDS.into_iter().enumerate() {
            if draw.percent(12) {
                continue;
            }
            let mut parents = Vec::new();
            for &parent in above {
                // A later one of its own kind is never its ancestor.
                let most = if parent == kind { at } else { IDS.len() };
                let some = IDS.into_iter().take(most).filter(|_| draw.percent(35));
                parents.extend(some.map(|id| (parent, id)));
            }
            let inherited = beings
                .iter()
                .filter(|being| parents.contains(&(being.kind, being.id)))
                .flat_map(|being| being.ancestors.clone());
            let mut ancestors: Vec<_> = parents.iter().copied().chain(inherited).collect();
            ancestors.sort();
            ancestors.dedup();
            let mut tags: Fields = Vec::new();
            if let Some(ty) = schema.tags(kind) {
                for name in &STRINGS[..3] {
                    if draw.percent(50) {
                        tags.push((name, Datum::draw(draw, ty)));
                    }
                }
            }
            beings.push(Being {
                kind,
                id,
                ancestors,
                attributes: fields(draw, schema.attributes(kind)),
                tags,
            });
        }
    }
    beings
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) principal: &'static str,
    pub(crate) action: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) context: Fields,
}

impl Question {
    pub(crate) fn draw(draw: &mut Draw<'_>, schema: &Schema) -> Self {
        let mut context = fields(draw, &schema.context);
        // A context that is not valid makes conditions fail.
        if draw.percent(22) && !context.is_empty() {
            let at = draw.below(context.len());
            match draw.below(4) {
                0 => drop(context.remove(at)),
                1 => context[at].1 = Datum::Long(1),
                2 => context[at].1 = Datum::Str("a"),
                _ => context[at].1 = Datum::Set(vec![Datum::Bool(true)]),
            }
        }
        Self {
            principal: draw.pick(&IDS),
            action: draw.pick(&ACTIONS),
            resource: draw.pick(&IDS),
            context,
        }
    }
}
