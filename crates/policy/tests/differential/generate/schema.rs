//! Random schemas.

use super::Draw;

/// A type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ty {
    Bool,
    Long,
    Str,
    Entity(&'static str),
    Ip,
    Decimal,
    Datetime,
    Duration,
    Set(Box<Ty>),
    Record(Vec<(&'static str, Ty)>),
}

/// A declared attribute.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) name: &'static str,
    pub(crate) ty: Ty,
    pub(crate) required: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(crate) user: Vec<Declared>,
    pub(crate) doc: Vec<Declared>,
    pub(crate) context: Vec<Declared>,
    pub(crate) user_tags: Ty,
    pub(crate) doc_tags: Ty,
}

/// Names of attributes, of entities, context and records alike.
pub(crate) const NAMES: [&str; 8] = ["port", "b", "c", "d", "e", "f", "g", "owner"];
pub(crate) const ACTIONS: [&str; 3] = ["read", "write", "list"];

impl Ty {
    fn draw(draw: &mut Draw<'_>, depth: usize) -> Self {
        match draw.below(if depth == 0 { 14 } else { 20 }) {
            0 | 1 => Self::Long,
            2 | 3 => Self::Bool,
            4 | 5 => Self::Str,
            6 => Self::Entity("User"),
            7 => Self::Entity("Doc"),
            8 => Self::Entity("Team"),
            9 | 10 => Self::Ip,
            11 => Self::Decimal,
            12 => Self::Datetime,
            13 => Self::Duration,
            14..=16 => Self::Set(Box::new(Self::draw(draw, depth - 1))),
            _ => {
                let count = 1 + draw.below(3);
                let fields = NAMES.into_iter().skip(draw.below(5)).take(count);
                Self::Record(
                    fields
                        .map(|name| (name, Self::draw(draw, depth - 1)))
                        .collect(),
                )
            }
        }
    }

    /// As Cedar's schemas write it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Bool => "Bool".into(),
            Self::Long => "Long".into(),
            Self::Str => "String".into(),
            Self::Entity(kind) => (*kind).into(),
            Self::Ip => "ipaddr".into(),
            Self::Decimal => "decimal".into(),
            Self::Datetime => "datetime".into(),
            Self::Duration => "duration".into(),
            Self::Set(of) => format!("Set<{}>", of.text()),
            Self::Record(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, ty)| format!("{name}: {}", ty.text()));
                format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn attributes(draw: &mut Draw<'_>) -> Vec<Declared> {
    let mut declared = Vec::new();
    for name in NAMES {
        if draw.percent(70) {
            declared.push(Declared {
                name,
                ty: Ty::draw(draw, 2),
                required: !draw.percent(30),
            });
        }
    }
    declared
}

fn text(attributes: &[Declared]) -> String {
    let attribute = |declared: &Declared| {
        let mark = if declared.required { "" } else { "?" };
        format!("{}{mark}: {}", declared.name, declared.ty.text())
    };
    let attributes: Vec<_> = attributes.iter().map(attribute).collect();
    format!("{{ {} }}", attributes.join(", "))
}

impl Schema {
    pub(crate) fn draw(draw: &mut Draw<'_>) -> Self {
        let (user, doc) = (attributes(draw), attributes(draw));
        let mut context = attributes(draw);
        // What images file policies by.
        if draw.percent(25) {
            context.retain(|declared| declared.name != "port");
            context.push(Declared {
                name: "port",
                ty: Ty::Long,
                required: true,
            });
        }
        Self {
            user,
            doc,
            context,
            user_tags: Ty::draw(draw, 1),
            doc_tags: Ty::draw(draw, 1),
        }
    }

    pub(crate) fn attributes(&self, kind: &str) -> &[Declared] {
        match kind {
            "User" => &self.user,
            "Doc" => &self.doc,
            _ => &[],
        }
    }

    pub(crate) fn tags(&self, kind: &str) -> Option<&Ty> {
        match kind {
            "User" => Some(&self.user_tags),
            "Doc" => Some(&self.doc_tags),
            _ => None,
        }
    }

    /// As Cedar writes it.
    pub(crate) fn text(&self) -> String {
        format!(
            "entity Team in [Team];
entity Folder in [Folder];
entity User in [Team, User] {} tags {};
entity Doc in [Folder] {} tags {};
action any;
action read, write in [any] appliesTo {{ principal: User, resource: Doc, context: {context} }};
action list appliesTo {{ principal: User, resource: Doc, context: {context} }};
",
            text(&self.user),
            self.user_tags.text(),
            text(&self.doc),
            self.doc_tags.text(),
            context = text(&self.context),
        )
    }
}
