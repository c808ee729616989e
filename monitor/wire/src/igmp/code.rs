//! The floating point codes of IGMPv3 (RFC 3376 §4.1.1 and §4.1.7).

use core::fmt;

/// A value in eight bits: below 128 itself, from there on a mantissa of 4 and an exponent of 3 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FloatCode(
    /// The code, as on the wire.
    pub u8,
);

impl FloatCode {
    /// The largest value that a code stands for.
    pub const VALUE_MAX: u32 = 31_744;

    /// The value that the code stands for.
    #[must_use]
    pub fn value(self) -> u32 {
        let code = u32::from(self.0);
        if code < 128 {
            return code;
        }
        let (exponent, mantissa) = ((code >> 4) & 0x7, code & 0xf);
        (mantissa | 0x10) << (exponent + 3)
    }

    /// The code of the largest value that is not above `value`.
    #[must_use]
    pub fn at_most(value: u32) -> Self {
        if value < 128 {
            return Self(value as u8);
        }
        let value = value.min(Self::VALUE_MAX);
        // The leading bit is the mantissa's implied fifth; 128 has it at bit 7 with exponent 0.
        let exponent = value.ilog2() - 7;
        let mantissa = (value >> (exponent + 3)) & 0xf;
        Self((0x80 | exponent << 4 | mantissa) as u8)
    }
}

impl fmt::Display for FloatCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}
