//! Enumerations of what is known on a wire, which keep what is not known.

/// Declares an enum over a number with named values and an `Unknown(n)` arm, its conversions both
/// ways, and `Display`. `From` is the constructor: it never makes an `Unknown` of a known number.
macro_rules! open_enum {
    (
        $(#[$outer:meta])*
        pub enum $name:ident($number:ty) {
            $( $(#[$inner:meta])* $variant:ident = $value:literal => $shown:literal, )+
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$inner])* $variant, )+
            /// A number without a name here, kept as it was.
            Unknown($number),
        }

        impl From<$number> for $name {
            fn from(number: $number) -> Self {
                match number {
                    $( $value => Self::$variant, )+
                    other => Self::Unknown(other),
                }
            }
        }

        impl From<$name> for $number {
            fn from(name: $name) -> Self {
                match name {
                    $( $name::$variant => $value, )+
                    $name::Unknown(other) => other,
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self {
                    $( Self::$variant => f.write_str($shown), )+
                    Self::Unknown(number) => write!(f, "unknown ({number:#x})"),
                }
            }
        }
    };
}

pub(crate) use open_enum;
