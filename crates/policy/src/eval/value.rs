//! What registers hold: small values themselves, and where larger ones are.

use super::Fault;
use super::meter::Meter;
use crate::bounds::{MAX_ATTRIBUTES, MAX_STRING_BYTES, REGISTERS};
use crate::eval::instruction::Reg;
use crate::image::Image;
use crate::image::constant::Constant;
use crate::request::{EntityRef, Request};
use crate::value::{Attribute, Ip, Value};

/// A value. Sets and records are read where they lie: in the request, in the image, or in other registers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Val<'x> {
    Bool(bool),
    Long(i64),
    Str(&'x [u8]),
    Ip(Ip),
    Decimal(i64),
    Datetime(i64),
    Duration(i64),
    Principal,
    Resource,
    /// An entity that the request names.
    Entity(&'x EntityRef<'x>),
    /// An entity that the image names: references to kind and id.
    EntityAt(u32, u32),
    Set(&'x [Value<'x>]),
    Record(&'x [Attribute<'x>]),
    /// The first member among CONSTANTS, and how many there are.
    SetAt(u32, u32),
    /// The first name among CONSTANTS, and how many fields there are.
    RecordAt(u32, u32),
    /// Registers from the first on.
    SetOf(Reg, Reg),
    /// Registers from the first on, and the first name among CONSTANTS; as many of each.
    RecordOf(Reg, Reg, u32),
}

impl<'x> Val<'x> {
    /// The value that a request gives.
    pub(crate) fn given(value: &'x Value<'x>) -> Result<Self, Fault> {
        Ok(match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::Long(value) => Self::Long(*value),
            Value::Str(value) => Self::Str(short(value)?),
            Value::Entity(name) => {
                short(name.kind)?;
                short(name.id)?;
                Self::Entity(name)
            }
            Value::Set(members) => Self::Set(members),
            Value::Record(fields) if fields.len() <= MAX_ATTRIBUTES => Self::Record(fields),
            Value::Record(_) => return Err(Fault::TooLarge),
            Value::Ip(ip) => Self::Ip(*ip),
            Value::Decimal(value) => Self::Decimal(*value),
            Value::Datetime(value) => Self::Datetime(*value),
            Value::Duration(value) => Self::Duration(*value),
        })
    }
}

/// A string within the bound that costs are reckoned with.
fn short(string: &str) -> Result<&[u8], Fault> {
    match string.len() {
        0..=MAX_STRING_BYTES => Ok(string.as_bytes()),
        _ => Err(Fault::TooLarge),
    }
}

/// Compares two strings.
pub(crate) fn same<M: Meter>(a: &[u8], b: &[u8], meter: &mut M) -> bool {
    if a.len() == b.len() {
        meter.bytes(a.len());
        a == b
    } else {
        meter.step();
        false
    }
}

/// What a program works on.
pub(crate) struct World<'x> {
    pub(crate) image: &'x Image<'x>,
    pub(crate) request: &'x Request<'x>,
    /// A register that a program reads before writing it holds what an earlier program left: no checked compiler emits
    /// that, and in a hostile image it is one more arbitrary value.
    low: [Val<'x>; LOW_REGISTERS],
    /// The others, which few conditions need.
    high: Option<[Val<'x>; HIGH_REGISTERS]>,
}

/// Registers that are there from the start.
const LOW_REGISTERS: usize = 4;
const HIGH_REGISTERS: usize = REGISTERS.saturating_sub(LOW_REGISTERS);

impl<'x> World<'x> {
    pub(crate) const fn new(image: &'x Image<'x>, request: &'x Request<'x>) -> Self {
        Self {
            image,
            request,
            low: [Val::Bool(false); LOW_REGISTERS],
            high: None,
        }
    }

    pub(crate) fn value(&self, reg: Reg) -> Result<Val<'x>, Fault> {
        let at = usize::from(reg);
        if let Some(value) = self.low.get(at) {
            return Ok(*value);
        }
        let at = at.saturating_sub(LOW_REGISTERS);
        match &self.high {
            Some(high) => high.get(at).copied().ok_or(Fault::Malformed),
            None => Ok(Val::Bool(false)),
        }
    }

    pub(crate) fn set(&mut self, reg: Reg, value: Val<'x>) -> Result<(), Fault> {
        let at = usize::from(reg);
        let place = match self.low.get_mut(at) {
            Some(place) => Some(place),
            None => self
                .high
                .get_or_insert([Val::Bool(false); HIGH_REGISTERS])
                .get_mut(at.saturating_sub(LOW_REGISTERS)),
        };
        *place.ok_or(Fault::Malformed)? = value;
        Ok(())
    }

    pub(crate) fn bool(&self, reg: Reg) -> Result<bool, Fault> {
        match self.value(reg)? {
            Val::Bool(value) => Ok(value),
            _ => Err(Fault::Type),
        }
    }

    pub(crate) fn long(&self, reg: Reg) -> Result<i64, Fault> {
        match self.value(reg)? {
            Val::Long(value) => Ok(value),
            _ => Err(Fault::Type),
        }
    }

    pub(crate) fn ip(&self, reg: Reg) -> Result<Ip, Fault> {
        match self.value(reg)? {
            Val::Ip(value) => Ok(value),
            _ => Err(Fault::Type),
        }
    }

    pub(crate) fn text(&self, reg: Reg) -> Result<&'x [u8], Fault> {
        match self.value(reg)? {
            Val::Str(value) => Ok(value),
            _ => Err(Fault::Type),
        }
    }

    /// A string of the image.
    pub(crate) fn string(&self, at: u32) -> Result<&'x [u8], Fault> {
        self.image.string(at).ok_or(Fault::Malformed)
    }

    /// A constant of the image.
    pub(crate) fn constant(&self, at: u32) -> Result<Val<'x>, Fault> {
        Ok(match self.image.constant(at).ok_or(Fault::Malformed)? {
            Constant::Bool(value) => Val::Bool(value),
            Constant::Long(value) => Val::Long(value),
            Constant::Str(at) => Val::Str(self.string(at)?),
            Constant::Entity(kind, id) => Val::EntityAt(kind, id),
            Constant::Set(first, count) => Val::SetAt(first, count),
            Constant::Record(first, count) => Val::RecordAt(first, count),
            Constant::Ip(at) => Val::Ip(Ip::read(self.string(at)?).ok_or(Fault::Malformed)?),
            Constant::Decimal(value) => Val::Decimal(value),
            Constant::Datetime(value) => Val::Datetime(value),
            Constant::Duration(value) => Val::Duration(value),
        })
    }

    /// The kind and the id of an entity.
    pub(crate) fn name(&self, value: Val<'x>) -> Result<(&'x [u8], &'x [u8]), Fault> {
        let given = |name: EntityRef<'x>| Ok((name.kind.as_bytes(), name.id.as_bytes()));
        match value {
            Val::Principal => given(self.request.principal.name()),
            Val::Resource => given(self.request.resource.name()),
            Val::Entity(name) => given(*name),
            Val::EntityAt(kind, id) => Ok((self.string(kind)?, self.string(id)?)),
            _ => Err(Fault::Type),
        }
    }

    /// How many members a set has, repeated ones included.
    pub(crate) fn count(&self, set: Val<'x>) -> Result<usize, Fault> {
        match set {
            Val::Set(members) => Ok(members.len()),
            Val::SetAt(_, count) => usize::try_from(count).map_err(|_| Fault::Malformed),
            Val::SetOf(_, count) => Ok(usize::from(count)),
            _ => Err(Fault::Type),
        }
    }

    /// A member of a set.
    pub(crate) fn member(&self, set: Val<'x>, at: usize) -> Result<Val<'x>, Fault> {
        match set {
            Val::Set(members) => Val::given(members.get(at).ok_or(Fault::Malformed)?),
            Val::SetAt(first, _) => self.constant(offset(first, at)?),
            Val::SetOf(first, _) => self.value(register(first, at)?),
            _ => Err(Fault::Type),
        }
    }

    /// How many fields a record has.
    pub(crate) fn width(&self, record: Val<'x>) -> Result<usize, Fault> {
        match record {
            Val::Record(fields) => Ok(fields.len()),
            Val::RecordAt(_, count) => usize::try_from(count).map_err(|_| Fault::Malformed),
            Val::RecordOf(_, count, _) => Ok(usize::from(count)),
            _ => Err(Fault::Type),
        }
    }

    /// The name of a record's field.
    pub(crate) fn field_name(&self, record: Val<'x>, at: usize) -> Result<&'x [u8], Fault> {
        let named = |first, at| match self.constant(offset(first, at)?)? {
            Val::Str(name) => Ok(name),
            _ => Err(Fault::Malformed),
        };
        match record {
            Val::Record(fields) => short(fields.get(at).ok_or(Fault::Malformed)?.name),
            Val::RecordAt(first, _) => named(first, at.saturating_mul(2)),
            Val::RecordOf(_, _, names) => named(names, at),
            _ => Err(Fault::Type),
        }
    }

    /// The value of a record's field.
    pub(crate) fn field_value(&self, record: Val<'x>, at: usize) -> Result<Val<'x>, Fault> {
        match record {
            Val::Record(fields) => Val::given(&fields.get(at).ok_or(Fault::Malformed)?.value),
            Val::RecordAt(first, _) => {
                self.constant(offset(first, at.saturating_mul(2).saturating_add(1))?)
            }
            Val::RecordOf(first, _, _) => self.value(register(first, at)?),
            _ => Err(Fault::Type),
        }
    }

    /// Where a record has the field of that name. It has at most [`MAX_ATTRIBUTES`].
    pub(crate) fn field<M: Meter>(
        &self,
        record: Val<'x>,
        name: &[u8],
        meter: &mut M,
    ) -> Result<Option<usize>, Fault> {
        for at in 0..self.width(record)?.min(MAX_ATTRIBUTES) {
            meter.check()?;
            if same(self.field_name(record, at)?, name, meter) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}

/// The constant that lies so many after another.
fn offset(first: u32, at: usize) -> Result<u32, Fault> {
    u32::try_from(at)
        .ok()
        .and_then(|at| first.checked_add(at))
        .ok_or(Fault::Malformed)
}

/// The register that lies so many after another.
fn register(first: Reg, at: usize) -> Result<Reg, Fault> {
    Reg::try_from(at)
        .ok()
        .and_then(|at| first.checked_add(at))
        .ok_or(Fault::Malformed)
}
