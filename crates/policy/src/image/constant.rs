//! Constants: the literals of conditions that are more than a number.

/// A constant as stored: its kind and two words. A number of 64 bits has its lower half in the first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Constant {
    Bool(bool),
    Long(i64),
    /// A reference to a string.
    Str(u32),
    /// References to kind and id.
    Entity(u32, u32),
    /// The first member among CONSTANTS, and how many there are. All lie before the set.
    Set(u32, u32),
    /// The first name among CONSTANTS, and how many fields there are: a name, its value, the next name. All lie before the
    /// record.
    Record(u32, u32),
    /// A reference to a string of bytes that are an address.
    Ip(u32),
    Decimal(i64),
    Datetime(i64),
    Duration(i64),
}

impl Constant {
    /// Reads a constant, of whose words those not used are zero.
    #[inline]
    pub(crate) fn decode([kind, a, b]: [u32; 3]) -> Option<Self> {
        let quad = || i64::from_le_bytes(halves(a, b));
        Some(match kind {
            1 if a <= 1 && b == 0 => Self::Bool(a == 1),
            2 => Self::Long(quad()),
            3 if b == 0 => Self::Str(a),
            4 => Self::Entity(a, b),
            5 => Self::Set(a, b),
            6 => Self::Record(a, b),
            7 if b == 0 => Self::Ip(a),
            8 => Self::Decimal(quad()),
            9 => Self::Datetime(quad()),
            10 => Self::Duration(quad()),
            _ => return None,
        })
    }

    /// Writes a constant.
    #[cfg(feature = "alloc")]
    pub(crate) fn encode(self) -> [u32; 3] {
        let quad = |kind, value: i64| {
            let [a0, a1, a2, a3, b0, b1, b2, b3] = value.to_le_bytes();
            [
                kind,
                u32::from_le_bytes([a0, a1, a2, a3]),
                u32::from_le_bytes([b0, b1, b2, b3]),
            ]
        };
        match self {
            Self::Bool(value) => [1, u32::from(value), 0],
            Self::Long(value) => quad(2, value),
            Self::Str(at) => [3, at, 0],
            Self::Entity(kind, id) => [4, kind, id],
            Self::Set(first, count) => [5, first, count],
            Self::Record(first, count) => [6, first, count],
            Self::Ip(at) => [7, at, 0],
            Self::Decimal(value) => quad(8, value),
            Self::Datetime(value) => quad(9, value),
            Self::Duration(value) => quad(10, value),
        }
    }

    /// Whether it is neither a set nor a record.
    pub(crate) const fn is_flat(self) -> bool {
        !matches!(self, Self::Set(..) | Self::Record(..))
    }
}

fn halves(low: u32, high: u32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (low.to_le_bytes(), high.to_le_bytes());
    [a, b, c, d, e, f, g, h]
}
