//! Literals into constants.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::encode::Pool;
use super::{BuildError, Expr};
use crate::bounds::MAX_ATTRIBUTES;
use crate::image::constant::Constant;

/// The section CONSTANTS in the making.
#[derive(Debug, Default)]
pub(super) struct Constants {
    pub(super) all: Vec<Constant>,
    places: BTreeMap<Constant, u32>,
    runs: BTreeMap<Vec<Constant>, u32>,
}

impl Constants {
    /// The place of a constant. Equal constants are kept once.
    fn place(&mut self, constant: Constant) -> Result<u32, BuildError> {
        if let Some(&place) = self.places.get(&constant) {
            return Ok(place);
        }
        let place = u32::try_from(self.all.len()).map_err(|_| BuildError::TooLong)?;
        self.all.push(constant);
        self.places.insert(constant, place);
        Ok(place)
    }

    /// The place of the first of constants side by side.
    fn run(&mut self, run: Vec<Constant>) -> Result<u32, BuildError> {
        if let Some(&place) = self.runs.get(&run) {
            return Ok(place);
        }
        let place = u32::try_from(self.all.len()).map_err(|_| BuildError::TooLong)?;
        self.all.extend_from_slice(&run);
        self.runs.insert(run, place);
        Ok(place)
    }
}

impl Pool {
    /// The place of a literal among the constants.
    pub(super) fn constant(&mut self, literal: &Expr) -> Result<u32, BuildError> {
        let constant = self.literal(literal)?;
        self.constants.place(constant)
    }

    /// The place of a set of names, in their order: those of a record's fields.
    pub(super) fn names<'n>(
        &mut self,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<u32, BuildError> {
        let run: Result<Vec<_>, _> = names
            .map(|name| self.string(name).map(Constant::Str))
            .collect();
        let run = run?;
        let count = u32::try_from(run.len()).map_err(|_| BuildError::TooLong)?;
        let set = Constant::Set(self.constants.run(run)?, count);
        self.constants.place(set)
    }

    /// A literal, with what it is made of in place. Its depth, which bounds the recursion, was checked.
    fn literal(&mut self, literal: &Expr) -> Result<Constant, BuildError> {
        Ok(match literal {
            Expr::Bool(value) => Constant::Bool(*value),
            Expr::Long(value) => Constant::Long(*value),
            Expr::Str(string) => Constant::Str(self.string(string)?),
            Expr::Entity(kind, id) => Constant::Entity(self.string(kind)?, self.string(id)?),
            Expr::Ip(ip) => Constant::Ip(self.blob(&ip.write())?),
            Expr::Decimal(value) => Constant::Decimal(*value),
            Expr::Datetime(value) => Constant::Datetime(*value),
            Expr::Duration(value) => Constant::Duration(*value),
            Expr::Set(members) => {
                let run: Result<Vec<_>, _> =
                    members.iter().map(|member| self.literal(member)).collect();
                let mut run = run?;
                run.sort_unstable();
                run.dedup();
                let count = u32::try_from(run.len()).map_err(|_| BuildError::TooLong)?;
                Constant::Set(self.constants.run(run)?, count)
            }
            Expr::Record(fields) => {
                if fields.len() > MAX_ATTRIBUTES {
                    return Err(BuildError::RecordTooWide {
                        fields: fields.len(),
                    });
                }
                let mut run = Vec::new();
                for (name, value) in fields {
                    run.push(Constant::Str(self.string(name)?));
                    run.push(self.literal(value)?);
                }
                let count = u32::try_from(fields.len()).map_err(|_| BuildError::TooLong)?;
                Constant::Record(self.constants.run(run)?, count)
            }
            // No literal: nothing asks for it.
            _ => return Err(BuildError::TooLong),
        })
    }
}
