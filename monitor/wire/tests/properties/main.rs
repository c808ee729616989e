//! What must hold for every packet, checked on many random ones (the seed of a failure is printed and kept).

mod arbitrary_bytes;
mod bit_flips;
mod pim;
mod round_trip;
mod strategies;
mod truncation;

#[path = "../../fuzz/src/lib.rs"]
mod oracle;
