//! Templates and what is linked of them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::str::FromStr;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, PolicyId, PolicySet, SlotId, Template};

use super::lower::Slots;
use super::words::with_help;
use super::{Body, Compilation, CompileError, Parsed, Reason, error};
use crate::request::EntityRef;

/// What is said of a template that nothing links. Documents link none.
const UNLINKED: &str = "decides nothing: it is a template, and nothing links it. Write an entity in place of the slot, or link it by \
                        `compile::compile_linked`";

/// A policy made of a template by filling its slots.
#[derive(Clone, Copy, Debug)]
pub struct Link<'s> {
    /// The template's name: its annotation `@id`, or `policyN` by its place. Of two with one name the first is meant.
    pub template: &'s str,
    /// The name that decisions give.
    pub name: &'s str,
    /// What `?principal` stands for.
    pub principal: Option<EntityRef<'s>>,
    /// What `?resource` stands for.
    pub resource: Option<EntityRef<'s>>,
}

impl<'s> Link<'s> {
    pub(super) fn slots(&self) -> Slots<'s> {
        Slots {
            principal: self.principal,
            resource: self.resource,
        }
    }

    /// Links the template of that id in a set; the error is in Cedar's words.
    pub(super) fn add(
        &self,
        set: &mut PolicySet,
        template: String,
        id: String,
    ) -> Result<(), String> {
        let slots = [
            (SlotId::principal(), self.principal),
            (SlotId::resource(), self.resource),
        ];
        let filled = slots
            .into_iter()
            .filter_map(|(slot, entity)| Some((slot, entity?)))
            .map(|(slot, EntityRef { kind, id })| {
                let kind = EntityTypeName::from_str(kind).map_err(|error| with_help(&error))?;
                let entity = EntityUid::from_type_name_and_id(kind, EntityId::new(id));
                Ok((slot, entity))
            });
        let filled = filled.collect::<Result<_, String>>()?;
        set.link(PolicyId::new(template), PolicyId::new(id), filled)
            .map_err(|error| match core::error::Error::source(&error) {
                Some(why) => format!("{error}: {why}"),
                None => with_help(&error),
            })
    }
}

impl<'s> Compilation<'s> {
    /// Adds links after all policies.
    pub(super) fn link(&mut self, links: &[Link<'s>]) {
        let mut templates = BTreeMap::new();
        for (at, parsed) in self.parsed.iter().enumerate() {
            if matches!(parsed.body, Body::Template(_)) {
                templates
                    .entry(String::from(self.name(parsed)))
                    .or_insert(at);
            }
        }
        for link in links {
            let template = templates.get(link.template);
            let Some(template) = template.and_then(|at| self.parsed.get(*at)) else {
                let text = format!(
                    "there is no template `{}` for `{}`",
                    link.template, link.name
                );
                let reason = Reason::Link(text);
                let place = None;
                self.errors
                    .push((usize::MAX, CompileError { place, reason }));
                continue;
            };
            let parsed = Parsed {
                number: self.places.len(),
                lines: template.lines,
                chunk: Rc::clone(&template.chunk),
                lies: template.lies,
                body: Body::Link(template.number, *link),
            };
            let place = parsed.lines.place(parsed.chunk.at, link.name);
            self.places.push(place);
            self.parsed.push(parsed);
        }
    }

    /// What to warn of: templates that nothing links, which are easily taken for policies.
    pub(super) fn unlinked(&self) -> Vec<CompileError> {
        let linked: BTreeSet<usize> = self
            .parsed
            .iter()
            .filter_map(|parsed| match parsed.body {
                Body::Link(template, _) => Some(template),
                Body::Policy(_) | Body::Template(_) => None,
            })
            .collect();
        let unlinked = self.parsed.iter().filter(|parsed| {
            matches!(parsed.body, Body::Template(_)) && !linked.contains(&parsed.number)
        });
        unlinked
            .map(|parsed| {
                let slot = parsed.chunk.tokens.iter().find(|token| token.text == "?");
                let place = self.place(parsed, slot.map_or(parsed.chunk.at, |slot| slot.at));
                error(place, Reason::Warning(UNLINKED.into()))
            })
            .collect()
    }

    /// The template with that number.
    pub(super) fn template(&self, number: usize) -> Option<&Template> {
        let parsed = self
            .parsed
            .binary_search_by_key(&number, |parsed| parsed.number);
        match &self.parsed.get(parsed.ok()?)?.body {
            Body::Template(template) => Some(template),
            _ => None,
        }
    }
}
