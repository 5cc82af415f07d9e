//! Enums whose numbers are part of the contract.

/// Declares an enum with stable numbers: `number`, `from_number`, `ALL`, and `Display` from the text.
macro_rules! numbered {
    ($(#[$meta:meta])* pub enum $name:ident: $int:ty {
        $($(#[$vmeta:meta])* $variant:ident = $number:literal => $text:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vmeta])* $variant,)*
        }

        impl $name {
            /// Every value, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number on the wire, which never changes.
            #[must_use]
            pub const fn number(self) -> $int {
                match self { $(Self::$variant => $number,)* }
            }

            /// The value with this number, if there is one.
            #[must_use]
            pub const fn from_number(number: $int) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// What it means, in one line.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.text())
            }
        }
    };
}
