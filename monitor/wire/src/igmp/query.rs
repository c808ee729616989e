//! The query of IGMPv3 (RFC 3376 §4.1), which grew from version 2's by four bytes and the sources.

use core::fmt;
use core::net::Ipv4Addr;

use super::{CODE, FloatCode, GROUP, Sources, field};
use crate::bytes::{address_at, put_address, put_u16, u16_at};
use crate::error::{Field, Result};

/// Length of a version 3 query without sources, in bytes.
pub(super) const LEN: usize = 12;
/// The largest Querier's Robustness Variable that the field holds.
pub const ROBUSTNESS_MAX: u8 = 7;

const ROBUSTNESS: Field = field("QRV", 8);
const SUPPRESS: u8 = 0x08;
const INTERVAL: usize = 9;
const SOURCE_COUNT: Field = field("number of sources", 10);
const SOURCES: Field = field("sources", LEN);

/// A version 3 query: general, group-specific, or group-and-source-specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryV3<'a> {
    /// Max Resp Time, in tenths of a second.
    pub max_response_tenths: FloatCode,
    /// The group asked about; 0.0.0.0 asks about all.
    pub group: Ipv4Addr,
    /// S: routers are not to update their timers for it.
    pub suppress_router_side: bool,
    /// QRV: the querier's robustness variable, at most 7; zero says that it is larger.
    pub robustness: u8,
    /// QQIC: the querier's query interval, in seconds.
    pub interval_seconds: FloatCode,
    /// The sources asked about; none asks about all.
    pub sources: Sources<'a>,
}

impl<'a> QueryV3<'a> {
    /// The sources that a message of at least [`LEN`] bytes announces must be there.
    pub(super) fn check(message: &[u8]) -> Result<()> {
        SOURCES.needs(source_count(message) * 4, message)
    }

    /// Reads a message that [`QueryV3::check`] has passed.
    pub(super) fn parse(message: &'a [u8]) -> Self {
        Self {
            max_response_tenths: FloatCode(message[CODE]),
            group: address_at(message, GROUP),
            suppress_router_side: message[ROBUSTNESS.offset] & SUPPRESS != 0,
            robustness: message[ROBUSTNESS.offset] & ROBUSTNESS_MAX,
            interval_seconds: FloatCode(message[INTERVAL]),
            sources: Sources::wire(&message[LEN..LEN + source_count(message) * 4]),
        }
    }

    pub(super) fn buffer_len(&self) -> usize {
        LEN + self.sources.buffer_len()
    }

    /// Writes all but type and checksum into a message of the right length.
    pub(super) fn emit(&self, message: &mut [u8]) -> Result<()> {
        ROBUSTNESS.at_most(ROBUSTNESS_MAX.into(), self.robustness.into())?;
        SOURCE_COUNT.at_most(usize::from(u16::MAX), self.sources.len())?;
        let suppress = if self.suppress_router_side {
            SUPPRESS
        } else {
            0
        };
        message[CODE] = self.max_response_tenths.0;
        put_address(message, GROUP, self.group);
        message[ROBUSTNESS.offset] = self.robustness | suppress;
        message[INTERVAL] = self.interval_seconds.0;
        put_u16(message, SOURCE_COUNT.offset, self.sources.len() as u16);
        self.sources.emit(&mut message[LEN..]);
        Ok(())
    }
}

fn source_count(message: &[u8]) -> usize {
    usize::from(u16_at(message, SOURCE_COUNT.offset))
}

impl fmt::Display for QueryV3<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suppress = if self.suppress_router_side { " S" } else { "" };
        write!(
            f,
            "IGMPv3 query {} {} within {} ds{suppress} QRV {} QQI {} s",
            self.group,
            self.sources,
            self.max_response_tenths,
            self.robustness,
            self.interval_seconds
        )
    }
}
