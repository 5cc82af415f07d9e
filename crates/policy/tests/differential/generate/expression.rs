//! Random expressions of a type, as text.

use super::Draw;
use super::schema::{ACTIONS, Declared, NAMES, Schema, Ty};
use super::world::{DATETIMES, DECIMALS, DURATIONS, IDS, IPS, LONGS, STRINGS};

/// What expressions are drawn with.
pub(crate) struct Expressions<'d, 'b, 's> {
    pub(crate) draw: &'d mut Draw<'b>,
    pub(crate) schema: &'s Schema,
}

/// A path to a value, and the test that it is there.
struct Path {
    text: String,
    ty: Ty,
    guard: Vec<String>,
}

/// A Cedar string literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Expressions<'_, '_, '_> {
    fn pick(&mut self, choices: &[&str]) -> String {
        self.draw.pick(choices).to_string()
    }

    fn entity(&mut self, kind: &str) -> String {
        format!("{kind}::{}", quoted(self.draw.pick(&IDS)))
    }

    fn literal(&mut self, ty: &Ty) -> String {
        match ty {
            Ty::Bool => self.pick(&["true", "false"]),
            Ty::Long => LONGS[self.draw.below(LONGS.len())].to_string(),
            Ty::Str => quoted(self.draw.pick(&STRINGS)),
            Ty::Entity(kind) => self.entity(kind),
            Ty::Ip => format!("ip(\"{}\")", IPS[self.draw.below(IPS.len())].0),
            Ty::Decimal => {
                let text = DECIMALS[self.draw.below(DECIMALS.len())].0;
                format!("decimal(\"{text}\")")
            }
            Ty::Datetime => {
                let text = DATETIMES[self.draw.below(DATETIMES.len())].0;
                format!("datetime(\"{text}\")")
            }
            Ty::Duration => {
                let text = DURATIONS[self.draw.below(DURATIONS.len())].0;
                format!("duration(\"{text}\")")
            }
            Ty::Set(of) => {
                let members: Vec<_> = (0..1 + self.draw.below(3))
                    .map(|_| self.literal(of))
                    .collect();
                format!("[{}]", members.join(", "))
            }
            Ty::Record(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, ty)| format!("{name}: {}", self.literal(ty)))
                    .collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }

    /// Everything that can be read, to a depth.
    fn paths(&self) -> Vec<Path> {
        let root = |text: &str, ty| Path {
            text: text.into(),
            ty,
            guard: vec![],
        };
        let mut paths = vec![
            root("principal", Ty::Entity("User")),
            root("resource", Ty::Entity("Doc")),
        ];
        let below = |of: &str, guard: &[String], declared: &Declared| {
            let mut guard = guard.to_vec();
            if !declared.required {
                guard.push(format!("{of} has {}", declared.name));
            }
            Path {
                text: format!("{of}.{}", declared.name),
                ty: declared.ty.clone(),
                guard,
            }
        };
        for declared in &self.schema.context {
            paths.push(below("context", &[], declared));
        }
        let mut at = 0;
        while at < paths.len() && at < 60 {
            let Path { text, ty, guard } = &paths[at];
            let (text, guard) = (text.clone(), guard.clone());
            at += 1;
            if text.matches('.').count() >= 3 {
                continue;
            }
            match ty.clone() {
                Ty::Entity(kind) => {
                    for declared in self.schema.attributes(kind) {
                        paths.push(below(&text, &guard, declared));
                    }
                }
                Ty::Record(fields) => {
                    for (name, ty) in fields {
                        let required = true;
                        paths.push(below(&text, &guard, &Declared { name, ty, required }));
                    }
                }
                _ => {}
            }
        }
        paths
    }

    /// Something of that type that is read; a literal if there is no such thing.
    fn path(&mut self, ty: &Ty) -> String {
        let paths = self.paths();
        let mut fitting: Vec<_> = paths.iter().filter(|path| path.ty == *ty).collect();
        fitting.truncate(200);
        if fitting.is_empty() {
            return self.literal(ty);
        }
        let path = fitting[self.draw.below(fitting.len())];
        if path.guard.is_empty() {
            return path.text.clone();
        }
        let other = self.literal(ty);
        format!(
            "(if {} then {} else {other})",
            path.guard.join(" && "),
            path.text
        )
    }

    /// A tag of that type, if an entity has such.
    fn tag(&mut self, ty: &Ty, depth: usize) -> Option<String> {
        let kinds: Vec<_> = ["User", "Doc"]
            .into_iter()
            .filter(|kind| self.schema.tags(kind) == Some(ty))
            .collect();
        let kind = *kinds.get(self.draw.below(kinds.len().max(1)))?;
        let (of, name) = self.tagged(kind, depth);
        let other = self.literal(ty);
        Some(format!(
            "(if {of}.hasTag({name}) then {of}.getTag({name}) else {other})"
        ))
    }

    /// An entity with tags, and a tag's name.
    fn tagged(&mut self, kind: &'static str, depth: usize) -> (String, String) {
        let of = match (kind, self.draw.below(3)) {
            ("User", 0 | 1) => "principal".into(),
            ("Doc", 0 | 1) => "resource".into(),
            _ => self.entity(kind),
        };
        let name = if self.draw.percent(20) && depth > 0 {
            self.path(&Ty::Str)
        } else {
            quoted(self.draw.pick(&STRINGS[..4]))
        };
        (of, name)
    }

    fn some_type(&mut self) -> Ty {
        let paths = self.paths();
        paths[self.draw.below(paths.len().min(256))].ty.clone()
    }

    fn kind(&mut self) -> &'static str {
        self.draw.pick(&["User", "Doc", "Team", "Folder"])
    }

    /// An expression of that type.
    pub(crate) fn of(&mut self, ty: &Ty, depth: usize) -> String {
        if depth == 0 || !self.draw.left() {
            return match self.draw.below(3) {
                0 => self.literal(ty),
                _ => self.path(ty),
            };
        }
        match self.draw.below(12) {
            0 | 1 => return self.path(ty),
            2 => {
                let (condition, then) = (self.of(&Ty::Bool, depth - 1), self.of(ty, depth - 1));
                let other = self.of(ty, depth - 1);
                return format!("(if {condition} then {then} else {other})");
            }
            3 => {
                if let Some(tag) = self.tag(ty, depth) {
                    return tag;
                }
            }
            4 => {
                let (own, other) = (self.of(ty, depth - 1), self.of(&Ty::Long, 0));
                let name = self.draw.pick(&NAMES);
                return format!("({{{name}: {own}, zz: {other}}}.{name})");
            }
            _ => {}
        }
        let depth = depth - 1;
        match ty {
            Ty::Bool => self.truth(depth),
            Ty::Long => self.number(depth),
            Ty::Datetime => {
                let base = self.of(&Ty::Datetime, depth);
                match self.draw.below(3) {
                    0 => format!("{base}.toDate()"),
                    1 => format!("{base}.offset({})", self.of(&Ty::Duration, depth)),
                    _ => self.literal(ty),
                }
            }
            Ty::Duration => match self.draw.below(3) {
                0 => format!("{}.toTime()", self.of(&Ty::Datetime, depth)),
                1 => {
                    let (a, b) = (self.of(&Ty::Datetime, depth), self.of(&Ty::Datetime, depth));
                    format!("{a}.durationSince({b})")
                }
                _ => self.literal(ty),
            },
            Ty::Set(of) => {
                let members: Vec<_> = (0..1 + self.draw.below(3))
                    .map(|_| self.of(of, depth.min(1)))
                    .collect();
                format!("[{}]", members.join(", "))
            }
            Ty::Record(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, ty)| format!("{name}: {}", self.of(ty, depth.min(1))))
                    .collect();
                format!("{{{}}}", fields.join(", "))
            }
            _ => self.literal(ty),
        }
    }

    fn number(&mut self, depth: usize) -> String {
        match self.draw.below(8) {
            0 | 1 => self.literal(&Ty::Long),
            2 => format!("(-{})", self.bracketed(&Ty::Long, depth)),
            3 => {
                let unit = self.pick(&[
                    "toMilliseconds",
                    "toSeconds",
                    "toMinutes",
                    "toHours",
                    "toDays",
                ]);
                format!("{}.{unit}()", self.of(&Ty::Duration, depth))
            }
            _ => {
                let op = self.pick(&["+", "-", "*"]);
                let (a, b) = (
                    self.bracketed(&Ty::Long, depth),
                    self.bracketed(&Ty::Long, depth),
                );
                format!("({a} {op} {b})")
            }
        }
    }

    fn bracketed(&mut self, ty: &Ty, depth: usize) -> String {
        format!("({})", self.of(ty, depth))
    }

    fn truth(&mut self, depth: usize) -> String {
        match self.draw.below(24) {
            20 => {
                let own = self.draw.pick(&["==", "!=", "<", "<="]);
                format!("({} {own} {})", self.path(&Ty::Long), self.draw.below(3))
            }
            21 => match self.draw.below(12) {
                0 => "([context].contains(context))".into(),
                1 => format!("({{zz: context}}.zz has {})", self.draw.pick(&NAMES)),
                5 | 6 | 8 | 9 => {
                    let last = self.path(&Ty::Bool);
                    format!("((1 == 1 && {last}) == {})", self.literal(&Ty::Bool))
                }
                2 | 7 => format!("(resource in {})", self.entity("Folder")),
                3 => format!("(principal in {})", self.entity("User")),
                _ => format!("(principal in {})", self.entity("Team")),
            },
            22 => {
                let ip = self.path(&Ty::Ip);
                let what = self.pick(&["isIpv4", "isIpv6", "isLoopback", "isMulticast"]);
                format!("{ip}.{what}()")
            }
            23 => format!("({} == {})", self.path(&Ty::Long), self.number(depth)),
            0 | 1 => {
                let op = self.pick(&["&&", "||"]);
                let terms: Vec<_> = (0..2 + self.draw.below(2))
                    .map(|_| self.bracketed(&Ty::Bool, depth))
                    .collect();
                format!("({})", terms.join(&format!(" {op} ")))
            }
            2 => format!("!{}", self.bracketed(&Ty::Bool, depth)),
            3..=6 => {
                let ty = self.some_type();
                let op = self.pick(&["==", "!="]);
                let (a, b) = (self.bracketed(&ty, depth), self.bracketed(&ty, depth));
                format!("({a} {op} {b})")
            }
            7 | 8 => {
                let ty = match self.draw.below(4) {
                    0 => Ty::Datetime,
                    1 => Ty::Duration,
                    _ => Ty::Long,
                };
                let op = self.pick(&["<", "<=", ">", ">="]);
                let (a, b) = (self.bracketed(&ty, depth), self.bracketed(&ty, depth));
                format!("({a} {op} {b})")
            }
            9..=11 => self.set_question(depth),
            12 => {
                let pattern = self.pick(&[
                    "*", "a*", "*b", "a*b", "*a*b*", "a\\\\*b", "ab", "", "*é*", "aab", "*ab",
                ]);
                let pattern = pattern.replace("\\\\*", "\\*");
                format!("({} like \"{pattern}\")", self.bracketed(&Ty::Str, depth))
            }
            13 | 14 => self.membership(depth),
            15 => self.presence(depth),
            16 => {
                let ip = self.bracketed(&Ty::Ip, depth);
                match self.draw.below(6) {
                    0 => format!("{ip}.isIpv4()"),
                    1 => format!("{ip}.isIpv6()"),
                    2 => format!("{ip}.isLoopback()"),
                    3 => format!("{ip}.isMulticast()"),
                    _ => format!("{ip}.isInRange({})", self.of(&Ty::Ip, depth)),
                }
            }
            17 => {
                let op = self.pick(&[
                    "lessThan",
                    "lessThanOrEqual",
                    "greaterThan",
                    "greaterThanOrEqual",
                ]);
                let (a, b) = (
                    self.bracketed(&Ty::Decimal, depth),
                    self.of(&Ty::Decimal, depth),
                );
                format!("{a}.{op}({b})")
            }
            18 => {
                let kind = self.draw.pick(&["User", "Doc"]);
                let kind = if kind == "User" { "User" } else { "Doc" };
                let (of, name) = self.tagged(kind, depth);
                format!("{of}.hasTag({name})")
            }
            _ => self.action(),
        }
    }

    fn action(&mut self) -> String {
        let action = |draw: &mut Draw<'_>| format!("Action::\"{}\"", draw.pick(&ACTIONS));
        match self.draw.below(5) {
            0 => format!("(action == {})", action(self.draw)),
            1 => format!("(action != {})", action(self.draw)),
            2 => "(action in Action::\"any\")".into(),
            3 => format!("(action in [{}, {}])", action(self.draw), action(self.draw)),
            _ => "(action is Action)".into(),
        }
    }

    fn set_question(&mut self, depth: usize) -> String {
        let ty = match self.draw.below(3) {
            0 => Ty::Long,
            1 => Ty::Str,
            _ => self.some_type(),
        };
        let set = Ty::Set(Box::new(ty.clone()));
        match self.draw.below(7) {
            0 | 1 => {
                let (set, member) = (self.literal(&set), self.of(&ty, depth));
                format!("{set}.contains({member})")
            }
            2 | 3 => {
                let (set, member) = (self.of(&set, depth), self.of(&ty, depth));
                format!("{set}.contains({member})")
            }
            4 => format!("{}.isEmpty()", self.of(&set, depth)),
            at => {
                let op = if at == 5 {
                    "containsAll"
                } else {
                    "containsAny"
                };
                let (a, b) = (self.of(&set, depth), self.of(&set, depth));
                format!("{a}.{op}({b})")
            }
        }
    }

    fn membership(&mut self, depth: usize) -> String {
        let own = self.draw.pick(&["User", "Doc", "Team"]);
        let own = NAMED.into_iter().find(|kind| *kind == own).unwrap();
        let of = self.of(&Ty::Entity(own), depth);
        let above = match (own, self.draw.below(3)) {
            ("User", 0) => "User",
            ("User" | "Team", _) => "Team",
            _ => "Folder",
        };
        match self.draw.below(7) {
            0 => format!("({of} is {})", self.kind()),
            1 => format!("({of} is {own} in {})", self.entity(above)),
            2 | 3 => format!("({of} in {})", self.entity(above)),
            4 => {
                let literal = self.literal(&Ty::Set(Box::new(Ty::Entity(above))));
                format!("({of} in {literal})")
            }
            5 => format!("({of} in {})", self.of(&Ty::Entity(above), depth)),
            _ => {
                let set = self.of(&Ty::Set(Box::new(Ty::Entity(above))), depth);
                format!("({of} in {set})")
            }
        }
    }

    /// `has`, of what can be read without a guard.
    fn presence(&mut self, depth: usize) -> String {
        let paths = self.paths();
        let holders: Vec<_> = paths
            .iter()
            .filter(|path| {
                path.guard.is_empty() && matches!(path.ty, Ty::Record(_) | Ty::Entity(_))
            })
            .map(|path| path.text.as_str())
            .chain(["context", "context", "principal", "resource"])
            .collect();
        let of = holders[self.draw.below(holders.len().min(256))];
        let name = self.draw.pick(&NAMES);
        match self.draw.below(4) {
            0 => {
                let field = self.of(&Ty::Long, depth);
                format!("({{{name}: {field}}} has {})", self.draw.pick(&NAMES))
            }
            1 => format!("({of} has {name}.{})", self.draw.pick(&NAMES)),
            _ => format!("({of} has {name})"),
        }
    }
}

const NAMED: [&str; 3] = ["User", "Doc", "Team"];
