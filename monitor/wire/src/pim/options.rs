//! The options of a Hello (RFC 7761 §4.9.2), those among them that other RFCs brought to IANA's registry.

use core::fmt;
use core::net::IpAddr;

use super::cursor::{Reader, Writer, flags};
use super::list::{Element, List};
use crate::error::Result;
use crate::open_enum::open_enum;

/// The options of a Hello.
pub type HelloOptions<'a> = List<'a, HelloOption<'a>>;
/// Addresses of a router.
pub type Addresses<'a> = List<'a, IpAddr>;

/// One option of a Hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelloOption<'a> {
    /// How long the neighbor is to be believed in, in seconds: zero says farewell,
    /// [`HOLDTIME_FOREVER`](super::HOLDTIME_FOREVER) for ever.
    Holdtime {
        /// In seconds.
        seconds: u16,
    },
    /// How long joins and prunes take to be overheard and overridden on this LAN.
    LanPruneDelay(LanPruneDelay),
    /// The higher, the rather a designated router.
    DrPriority(u32),
    /// Random per start of the interface: a new one says that the neighbor has forgotten everything.
    GenerationId(u32),
    /// State Refresh Capable (RFC 3973 §4.7.5.3).
    StateRefresh {
        /// 1.
        version: u8,
        /// How often the router sends them, in seconds.
        interval_seconds: u8,
    },
    /// Bidirectional Capable (RFC 5015 §3.7.4).
    Bidirectional,
    /// The interface's other addresses.
    AddressList(Addresses<'a>),
    /// Understands join attributes (RFC 5384 §3.3.1).
    JoinAttribute,
    /// Which interface of which router this is (RFC 6395 §2).
    InterfaceId {
        /// Zero, or the router's identifier, often one of its addresses.
        router: u32,
        /// The interface's number there.
        interface: u32,
    },
    /// Understands ECMP Redirect (RFC 6754 §5.1).
    EcmpRedirect,
    /// Understands hierarchical join attributes (RFC 7887 §3).
    HierarchicalJoinAttribute,
    /// Understands packed Asserts (RFC 9466 §4.1).
    PackedAssert,
    /// Any other option, as it was.
    Other {
        /// Its type.
        kind: OptionType,
        /// Its value.
        value: &'a [u8],
    },
}

/// The LAN Prune Delay option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LanPruneDelay {
    /// T: the router can do without join suppression.
    pub can_track_joins: bool,
    /// Expected propagation delay on the LAN, in milliseconds, at most [`PROPAGATION_DELAY_MAX_MS`].
    pub propagation_delay_ms: u16,
    /// How long others may take to override a prune, in milliseconds.
    pub override_interval_ms: u16,
}

/// What fits in the fifteen bits of a propagation delay, in milliseconds.
pub const PROPAGATION_DELAY_MAX_MS: u16 = 0x7fff;
/// Type and length.
const HEADER_LEN: usize = 4;
const CAN_TRACK: u16 = 0x8000;

open_enum! {
    /// The type of an option.
    pub enum OptionType(u16) {
        /// RFC 7761.
        Holdtime = 1 => "holdtime",
        /// RFC 7761.
        LanPruneDelay = 2 => "LAN prune delay",
        /// RFC 7761.
        DrPriority = 19 => "DR priority",
        /// RFC 7761.
        GenerationId = 20 => "generation ID",
        /// RFC 3973.
        StateRefresh = 21 => "state refresh",
        /// RFC 5015.
        Bidirectional = 22 => "bidirectional",
        /// RFC 7761.
        AddressList = 24 => "addresses",
        /// RFC 5384.
        JoinAttribute = 26 => "join attributes",
        /// RFC 6559; its value is kept as it was.
        OverTcp = 27 => "PIM over TCP",
        /// RFC 6559; its value is kept as it was.
        OverSctp = 28 => "PIM over SCTP",
        /// RFC 6807; its value is kept as it was.
        PopCount = 29 => "pop-count",
        /// RFC 6420; its value is kept as it was.
        MtId = 30 => "MT-ID",
        /// RFC 6395.
        InterfaceId = 31 => "interface ID",
        /// RFC 6754.
        EcmpRedirect = 32 => "ECMP redirect",
        /// RFC 8775; its value is kept as it was.
        DrLoadBalancing = 34 => "DR load balancing",
        /// RFC 8775; its value is kept as it was.
        DrLoadBalancingList = 35 => "DR load balancing list",
        /// RFC 7887.
        HierarchicalJoinAttribute = 36 => "hierarchical join attributes",
        /// RFC 9466.
        PackedAssert = 40 => "packed asserts",
    }
}

impl OptionType {
    /// The length of its value in bytes, if it is always the same and the value is read here.
    fn value_len(self) -> Option<usize> {
        match self {
            Self::Holdtime => Some(2),
            Self::LanPruneDelay | Self::DrPriority | Self::GenerationId | Self::StateRefresh => {
                Some(4)
            }
            Self::InterfaceId => Some(8),
            Self::Bidirectional
            | Self::JoinAttribute
            | Self::EcmpRedirect
            | Self::HierarchicalJoinAttribute
            | Self::PackedAssert => Some(0),
            Self::AddressList
            | Self::OverTcp
            | Self::OverSctp
            | Self::PopCount
            | Self::MtId
            | Self::DrLoadBalancing
            | Self::DrLoadBalancingList
            | Self::Unknown(_) => None,
        }
    }
}

impl<'a> HelloOption<'a> {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> OptionType {
        match *self {
            Self::Holdtime { .. } => OptionType::Holdtime,
            Self::LanPruneDelay(_) => OptionType::LanPruneDelay,
            Self::DrPriority(_) => OptionType::DrPriority,
            Self::GenerationId(_) => OptionType::GenerationId,
            Self::StateRefresh { .. } => OptionType::StateRefresh,
            Self::Bidirectional => OptionType::Bidirectional,
            Self::AddressList(_) => OptionType::AddressList,
            Self::JoinAttribute => OptionType::JoinAttribute,
            Self::InterfaceId { .. } => OptionType::InterfaceId,
            Self::EcmpRedirect => OptionType::EcmpRedirect,
            Self::HierarchicalJoinAttribute => OptionType::HierarchicalJoinAttribute,
            Self::PackedAssert => OptionType::PackedAssert,
            Self::Other { kind, .. } => kind,
        }
    }

    /// Reads a value whose length has been checked.
    fn of(kind: OptionType, mut value: Reader<'a>) -> Result<Self> {
        Ok(match kind {
            OptionType::Holdtime => Self::Holdtime {
                seconds: value.u16("holdtime")?,
            },
            OptionType::LanPruneDelay => Self::LanPruneDelay(LanPruneDelay::read(&mut value)?),
            OptionType::DrPriority => Self::DrPriority(value.u32("DR priority")?),
            OptionType::GenerationId => Self::GenerationId(value.u32("generation ID")?),
            OptionType::StateRefresh => Self::StateRefresh {
                version: value.u8("state refresh version")?,
                interval_seconds: value.u8("state refresh interval")?,
            },
            OptionType::Bidirectional => Self::Bidirectional,
            OptionType::AddressList => Self::AddressList(List::filling(value)?),
            OptionType::JoinAttribute => Self::JoinAttribute,
            OptionType::InterfaceId => Self::InterfaceId {
                router: value.u32("router identifier")?,
                interface: value.u32("local interface identifier")?,
            },
            OptionType::EcmpRedirect => Self::EcmpRedirect,
            OptionType::HierarchicalJoinAttribute => Self::HierarchicalJoinAttribute,
            OptionType::PackedAssert => Self::PackedAssert,
            OptionType::OverTcp
            | OptionType::OverSctp
            | OptionType::PopCount
            | OptionType::MtId
            | OptionType::DrLoadBalancing
            | OptionType::DrLoadBalancingList
            | OptionType::Unknown(_) => Self::Other {
                kind,
                value: value.rest(),
            },
        })
    }

    fn value_len(&self) -> usize {
        match self {
            Self::AddressList(addresses) => addresses.buffer_len(),
            Self::Other { value, .. } => value.len(),
            fixed => fixed.kind().value_len().unwrap_or(0),
        }
    }
}

impl<'a> Element<'a> for HelloOption<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let kind = OptionType::from(reader.u16("option type")?);
        let field = reader.field("option length");
        let length = reader.u16("option length")?;
        if let Some(expected) = kind.value_len() {
            field.equals(expected as u64, length)?;
        }
        Self::of(kind, reader.part("option value", length.into())?)
    }

    fn buffer_len(&self) -> usize {
        HEADER_LEN + self.value_len()
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.u16(self.kind().into());
        writer.count_u16("option length", self.value_len())?;
        match *self {
            Self::Holdtime { seconds } => writer.u16(seconds),
            Self::LanPruneDelay(delay) => delay.emit(writer)?,
            Self::DrPriority(value) | Self::GenerationId(value) => writer.u32(value),
            Self::StateRefresh {
                version,
                interval_seconds,
            } => writer.bytes(&[version, interval_seconds, 0, 0]),
            Self::InterfaceId { router, interface } => {
                writer.u32(router);
                writer.u32(interface);
            }
            Self::AddressList(addresses) => addresses.emit(writer)?,
            Self::Other { value, .. } => writer.bytes(value),
            Self::Bidirectional
            | Self::JoinAttribute
            | Self::EcmpRedirect
            | Self::HierarchicalJoinAttribute
            | Self::PackedAssert => {}
        }
        Ok(())
    }
}

impl LanPruneDelay {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let first = reader.u16("propagation delay")?;
        Ok(Self {
            can_track_joins: first & CAN_TRACK != 0,
            propagation_delay_ms: first & PROPAGATION_DELAY_MAX_MS,
            override_interval_ms: reader.u16("override interval")?,
        })
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        let field = writer.field("propagation delay");
        field.at_most(
            PROPAGATION_DELAY_MAX_MS.into(),
            self.propagation_delay_ms.into(),
        )?;
        writer.u16(self.propagation_delay_ms | flags([(self.can_track_joins, CAN_TRACK)]));
        writer.u16(self.override_interval_ms);
        Ok(())
    }
}

impl fmt::Display for HelloOption<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)?;
        match self {
            Self::Holdtime { seconds } => write!(f, " {seconds} s"),
            Self::LanPruneDelay(delay) => {
                let (propagation, override_) =
                    (delay.propagation_delay_ms, delay.override_interval_ms);
                let tracks = if delay.can_track_joins { " T" } else { "" };
                write!(f, " {propagation} + {override_} ms{tracks}")
            }
            Self::DrPriority(priority) => write!(f, " {priority}"),
            Self::GenerationId(id) => write!(f, " {id:#010x}"),
            Self::StateRefresh {
                version,
                interval_seconds,
            } => write!(f, " v{version} every {interval_seconds} s"),
            Self::AddressList(addresses) => write!(f, " {{{addresses}}}"),
            Self::InterfaceId { router, interface } => {
                write!(f, " {interface} of {router:#010x}")
            }
            Self::Other { value, .. } => write!(f, " ({} bytes)", value.len()),
            Self::Bidirectional
            | Self::JoinAttribute
            | Self::EcmpRedirect
            | Self::HierarchicalJoinAttribute
            | Self::PackedAssert => Ok(()),
        }
    }
}
