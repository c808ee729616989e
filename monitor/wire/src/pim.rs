//! PIM version 2 (RFC 7761 §4.9) over IPv4: sparse mode, bootstrap (RFC 5059), bidirectional (RFC 5015) and
//! dense mode (RFC 3973). Addresses in it may be IPv4 or IPv6; PIM over IPv6, whose checksum covers a pseudo
//! header, is not read here.
//!
//! Reserved bits are ignored, bytes behind a message of known length too; lists without a count fill theirs.

mod address;
mod assert;
mod bootstrap;
mod cursor;
mod df_election;
mod hello;
mod join_prune;
mod list;
mod options;
mod register;
mod source;

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

pub use address::GroupRange;
pub use assert::{Assert, PREFERENCE_MAX, StateRefresh};
pub use bootstrap::{Bootstrap, CandidateRp, GroupRanges, Rp, RpRange, RpRanges, Rps};
pub use df_election::{DfElection, DfMetric, DfStep, DfSubtype};
pub use hello::Hello;
pub use join_prune::{Action, Entry, Group, Groups, HOLDTIME_FOREVER, JoinPrune, Route, Sources};
pub use list::{List, ListIter};
pub use options::{
    Addresses, HelloOption, HelloOptions, LanPruneDelay, OptionType, PROPAGATION_DELAY_MAX_MS,
};
pub use register::{Register, RegisterStop};
pub use source::{Attribute, AttributeType, Attributes, Source};

use crate::bytes::{put_u16, u16_at};
use crate::checksum::{Sum, checksum_without};
use crate::error::{Field, Protocol, Result};
use crate::open_enum::open_enum;
use cursor::{Reader, Writer, flags};

open_enum! {
    /// The type field, four bits.
    pub enum PimType(u8) {
        /// RFC 7761 §4.9.2.
        Hello = 0 => "Hello",
        /// RFC 7761 §4.9.3; Null-Registers too.
        Register = 1 => "Register",
        /// RFC 7761 §4.9.4.
        RegisterStop = 2 => "Register-Stop",
        /// RFC 7761 §4.9.5.
        JoinPrune = 3 => "Join/Prune",
        /// RFC 5059 §4.1.
        Bootstrap = 4 => "Bootstrap",
        /// RFC 7761 §4.9.6.
        Assert = 5 => "Assert",
        /// RFC 3973 §4.7.7.
        Graft = 6 => "Graft",
        /// RFC 3973 §4.7.8.
        GraftAck = 7 => "Graft-Ack",
        /// RFC 5059 §4.2.
        CandidateRp = 8 => "Candidate-RP-Advertisement",
        /// RFC 3973 §4.7.10.
        StateRefresh = 9 => "State Refresh",
        /// RFC 5015 §3.7.
        DfElection = 10 => "DF Election",
        /// RFC 6754; its body is kept as it was.
        EcmpRedirect = 11 => "ECMP Redirect",
        /// PIM Flooding Mechanism, RFC 8364; its body is kept as it was.
        Flooding = 12 => "PFM",
    }
}

/// 224.0.0.13, where all but unicast messages go, with TTL 1.
pub const ALL_PIM_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 13);
/// Version, type, flags and checksum: what every message begins with, in bytes.
pub const HEADER_LEN: usize = 4;

pub(crate) const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Pim,
        name,
        offset,
    }
}

const HEADER: Field = field("header", 0);
const VERSION: u8 = 2;
const KIND_MAX: u8 = 0x0f;
const FLAGS: usize = 1;
const CHECKSUM: Field = field("checksum", 2);
/// From here on, four of the flags' bits are a subtype (RFC 9436 §5).
const FIRST_WITH_SUBTYPE: u8 = 13;
/// P: an Assert that packs several in a format of its own (RFC 9466 §4.2).
const PACKED: u8 = 0x01;

/// A view of a PIM message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A view of a message: version, lengths, counts and address families are checked all through, the
    /// checksum is not.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self> {
        HEADER.needs(HEADER_LEN, bytes)?;
        field("version", 0).equals(VERSION, bytes[0] >> 4)?;
        let packet = Self { bytes };
        packet.read().map(|_| packet)
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> PimType {
        PimType::from(self.bytes[0] & KIND_MAX)
    }

    /// The byte behind the type: what its bits mean depends on the type (RFC 9436 §4).
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.bytes[FLAGS]
    }

    /// The subtype, in types that have one: DF Election (RFC 5015 §3.7.1), and 13 to 15 (RFC 9436 §5).
    #[must_use]
    pub fn subtype(&self) -> Option<u8> {
        let has_one =
            self.kind() == PimType::DfElection || u8::from(self.kind()) >= FIRST_WITH_SUBTYPE;
        has_one.then_some(self.flags() >> 4)
    }

    /// The checksum as it stands in the message.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        u16_at(self.bytes, CHECKSUM.offset)
    }

    /// The bytes behind the checksum.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[HEADER_LEN..]
    }

    /// The checksum must agree with the message; a Register's only with its first 8 bytes, though one over all
    /// of it is accepted too (RFC 7761 §4.9).
    pub fn verify_checksum(&self) -> Result<()> {
        let whole = checksum_without(self.bytes, CHECKSUM.offset);
        if self.kind() != PimType::Register || whole == self.checksum() {
            return CHECKSUM.checksum(whole, self.checksum());
        }
        let header = &self.bytes[..register::HEADER_LEN];
        CHECKSUM.checksum(checksum_without(header, CHECKSUM.offset), self.checksum())
    }

    fn read(&self) -> Result<Repr<'a>> {
        let flags = self.flags();
        let mut reader = Reader::new(self.bytes, HEADER_LEN);
        let read = match self.kind() {
            PimType::Hello => Repr::Hello(Hello::read(reader)?),
            PimType::Register => Repr::Register(Register::read(&mut reader)?),
            PimType::RegisterStop => Repr::RegisterStop(RegisterStop::read(&mut reader)?),
            PimType::JoinPrune => Repr::JoinPrune(JoinPrune::read(&mut reader)?),
            PimType::Bootstrap => Repr::Bootstrap(Bootstrap::read(flags, &mut reader)?),
            PimType::Assert if flags & PACKED == 0 => Repr::Assert(Assert::read(&mut reader)?),
            PimType::Graft => Repr::Graft(JoinPrune::read(&mut reader)?),
            PimType::GraftAck => Repr::GraftAck(JoinPrune::read(&mut reader)?),
            PimType::CandidateRp => Repr::CandidateRp(CandidateRp::read(&mut reader)?),
            PimType::StateRefresh => Repr::StateRefresh(StateRefresh::read(&mut reader)?),
            PimType::DfElection => {
                match DfElection::read(DfSubtype::from(flags >> 4), &mut reader)? {
                    Some(election) => Repr::DfElection(election),
                    None => self.unknown(),
                }
            }
            PimType::Assert | PimType::EcmpRedirect | PimType::Flooding | PimType::Unknown(_) => {
                self.unknown()
            }
        };
        Ok(read)
    }

    fn unknown(&self) -> Repr<'a> {
        Repr::Unknown {
            kind: self.kind(),
            flags: self.flags(),
            body: self.body(),
        }
    }
}

/// A PIM message that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repr<'a> {
    /// A router says that it is there.
    Hello(Hello<'a>),
    /// A Register or Null-Register.
    Register(Register<'a>),
    /// A Register-Stop.
    RegisterStop(RegisterStop),
    /// Joins and prunes.
    JoinPrune(JoinPrune<'a>),
    /// A Bootstrap message or a fragment of one.
    Bootstrap(Bootstrap<'a>),
    /// An Assert that is not packed.
    Assert(Assert),
    /// Joins that want an answer: dense mode.
    Graft(JoinPrune<'a>),
    /// The answer.
    GraftAck(JoinPrune<'a>),
    /// A Candidate-RP-Advertisement.
    CandidateRp(CandidateRp<'a>),
    /// A State Refresh: dense mode.
    StateRefresh(StateRefresh),
    /// A message of the election of a designated forwarder: bidirectional.
    DfElection(DfElection),
    /// Any other message, as it was.
    Unknown {
        /// The type.
        kind: PimType,
        /// The byte behind it.
        flags: u8,
        /// The bytes behind the checksum.
        body: &'a [u8],
    },
}

impl<'a> Repr<'a> {
    /// Reads the message; the checksum must be right.
    pub fn parse(packet: &Packet<'a>) -> Result<Self> {
        packet.verify_checksum()?;
        packet.read()
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> PimType {
        match *self {
            Self::Hello(_) => PimType::Hello,
            Self::Register(_) => PimType::Register,
            Self::RegisterStop(_) => PimType::RegisterStop,
            Self::JoinPrune(_) => PimType::JoinPrune,
            Self::Bootstrap(_) => PimType::Bootstrap,
            Self::Assert(_) => PimType::Assert,
            Self::Graft(_) => PimType::Graft,
            Self::GraftAck(_) => PimType::GraftAck,
            Self::CandidateRp(_) => PimType::CandidateRp,
            Self::StateRefresh(_) => PimType::StateRefresh,
            Self::DfElection(_) => PimType::DfElection,
            Self::Unknown { kind, .. } => kind,
        }
    }

    /// Length of the message, in bytes.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        let body = match self {
            Self::Hello(hello) => hello.options.buffer_len(),
            Self::Register(register) => register.buffer_len(),
            Self::RegisterStop(stop) => stop.buffer_len(),
            Self::JoinPrune(message) | Self::Graft(message) | Self::GraftAck(message) => {
                message.buffer_len()
            }
            Self::Bootstrap(bootstrap) => bootstrap.buffer_len(),
            Self::Assert(assert) => assert.buffer_len(),
            Self::CandidateRp(candidate) => candidate.buffer_len(),
            Self::StateRefresh(refresh) => refresh.buffer_len(),
            Self::DfElection(election) => election.buffer_len(),
            Self::Unknown { body, .. } => body.len(),
        };
        HEADER_LEN + body
    }

    /// Writes the message to the front of `buffer`.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<()> {
        HEADER.fits(self.buffer_len(), buffer)?;
        let kind = u8::from(self.kind());
        field("type", 0).at_most(KIND_MAX.into(), kind.into())?;
        let message = &mut buffer[..self.buffer_len()];
        message[..HEADER_LEN].copy_from_slice(&[(VERSION << 4) | kind, self.flags(), 0, 0]);
        self.emit_body(&mut Writer::new(message, HEADER_LEN))?;
        let covered = match self {
            Self::Register(_) => &message[..register::HEADER_LEN],
            _ => &message[..],
        };
        let checksum = Sum::of(covered).checksum();
        put_u16(message, CHECKSUM.offset, checksum);
        Ok(())
    }

    fn flags(&self) -> u8 {
        match self {
            Self::Bootstrap(bootstrap) => flags([(bootstrap.no_forward, bootstrap::NO_FORWARD)]),
            Self::DfElection(election) => u8::from(election.subtype()) << 4,
            Self::Unknown { flags, .. } => *flags,
            _ => 0,
        }
    }

    fn emit_body(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self {
            Self::Hello(hello) => hello.options.emit(writer),
            Self::Register(register) => {
                register.emit(writer);
                Ok(())
            }
            Self::RegisterStop(stop) => stop.emit(writer),
            Self::JoinPrune(message) | Self::Graft(message) | Self::GraftAck(message) => {
                message.emit(writer)
            }
            Self::Bootstrap(bootstrap) => bootstrap.emit(writer),
            Self::Assert(assert) => assert.emit(writer),
            Self::CandidateRp(candidate) => candidate.emit(writer),
            Self::StateRefresh(refresh) => refresh.emit(writer),
            Self::DfElection(election) => election.emit(writer),
            Self::Unknown { body, .. } => {
                writer.bytes(body);
                Ok(())
            }
        }
    }

    /// Where the message is sent, as far as that is in it: all PIM routers, or the neighbor a Graft is for.
    /// Registers, their answers, Graft-Acks and Candidate-RP-Advertisements go to one router.
    #[must_use]
    pub fn destination(&self) -> Option<Ipv4Addr> {
        match self {
            Self::Hello(_)
            | Self::JoinPrune(_)
            | Self::Bootstrap(_)
            | Self::Assert(_)
            | Self::StateRefresh(_)
            | Self::DfElection(_) => Some(ALL_PIM_ROUTERS),
            Self::Graft(graft) => match graft.upstream {
                IpAddr::V4(upstream) => Some(upstream),
                IpAddr::V6(_) => None,
            },
            Self::Register(_)
            | Self::RegisterStop(_)
            | Self::GraftAck(_)
            | Self::CandidateRp(_)
            | Self::Unknown { .. } => None,
        }
    }
}

impl fmt::Display for Repr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PIM ")?;
        match self {
            Self::Hello(hello) => write!(f, "Hello {}", hello.options),
            Self::Register(register) => register.fmt(f),
            Self::RegisterStop(stop) => stop.fmt(f),
            Self::JoinPrune(message) | Self::Graft(message) | Self::GraftAck(message) => {
                write!(f, "{} {message}", self.kind())
            }
            Self::Bootstrap(bootstrap) => bootstrap.fmt(f),
            Self::Assert(assert) => assert.fmt(f),
            Self::CandidateRp(candidate) => candidate.fmt(f),
            Self::StateRefresh(refresh) => refresh.fmt(f),
            Self::DfElection(election) => election.fmt(f),
            Self::Unknown { kind, flags, body } => {
                write!(f, "{kind} flags {flags:#04x}, {} bytes", body.len())
            }
        }
    }
}
