//! What the PEs of MVPNs tell each other on the default MDTs, as the taps saw it leave them and come to the monitor.
//!
//! A VRF's attachment to its PE is no wire. So a message *leaves* when its first copy enters a wire at the PE, be it on
//! the tree, in a Register, or in the monitor's tunnel; it is *heard* when its first copy leaves the monitor's wire.
//! The reading is the truth's own ([`message`]); what it comes to, by the RFCs' rules, is [`ledger`]'s.

pub mod ledger;
pub mod message;

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use super::{
    TruthError,
    clock::Converter,
    decode::{Decoded, What, decode},
    lane::{Lane, Lanes},
    observation::Observation,
    record::{Direction, RecordReader},
};
use crate::mdt::join;
use crate::plan::Plan;
use message::Said;

/// Copies of the same words that enter wires further apart than this are two messages; nobody repeats himself faster. A
/// copy that is on its way to the monitor for longer is not counted as heard.
const ONE_MESSAGE_NS: u64 = 500_000_000;

/// One message of one PE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utterance {
    /// On whose default MDT.
    pub mvpn: String,
    /// The PE, by its address in the backbone.
    pub pe: Ipv4Addr,
    /// Its VRF's address on the MDT.
    pub address: Ipv4Addr,
    /// When it left the PE.
    pub left_ns: u64,
    /// When it came to the monitor; none if it never did.
    pub heard_ns: Option<u64>,
    /// What it says; none: it was not captured as a whole, or nobody could read it.
    pub said: Option<Said>,
}

/// Everything that was said on the default MDTs of a run, in the order in which it left.
pub(super) fn utterances(
    observation: &Observation<'_>,
    lanes: &Lanes,
    to_monitor: Option<Lane>,
) -> Result<Vec<Utterance>, TruthError> {
    let clock = Converter::new(&observation.clock)?;
    let mut clock = clock.lenient(observation.tap_summary.is_excerpt);
    let mut ear = Ear::of(&observation.plan);
    for record in RecordReader::new(observation.taps)? {
        let record = record?;
        let ns = clock.convert(record.realtime_ns)?;
        let decoded = decode(record.frame, record.is_complete());
        let Some(copy) = ear.copy(&decoded, record.frame, record.is_complete()) else {
            continue;
        };
        let lane = Lane::of(&record);
        match record.direction {
            Direction::Entered => ear.entered(lanes.from(lane), copy, ns),
            Direction::Left if Some(lane) == to_monitor => ear.heard(&copy, ns),
            Direction::Left => {}
        }
    }
    Ok(ear.all)
}

/// One copy of a message, by what is the same in all of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Copy {
    pe: Ipv4Addr,
    p_group: Ipv4Addr,
    address: Ipv4Addr,
    is_pim: bool,
    bytes: Vec<u8>,
}

struct Ear {
    /// MVPNs by their default MDTs.
    mvpns: BTreeMap<Ipv4Addr, String>,
    /// Names of PEs by their addresses in the backbone.
    pes: BTreeMap<Ipv4Addr, String>,
    all: Vec<Utterance>,
    /// The latest with these words.
    latest: HashMap<Copy, usize>,
}

impl Ear {
    fn of(plan: &Plan) -> Self {
        let sites = plan
            .mvpns
            .values()
            .flat_map(|m| m.sites.iter().chain(&m.rogues));
        Self {
            mvpns: plan
                .mvpns
                .iter()
                .map(|(name, mvpn)| (mvpn.default_mdt, name.clone()))
                .collect(),
            pes: sites
                .map(|site| (site.mdt_source, site.pe.clone()))
                .collect(),
            all: Vec::new(),
            latest: HashMap::new(),
        }
    }

    /// A copy of a control message on a default MDT: of PIM, or an MDT Join (RFC 6037 sections 5.1 and 7).
    fn copy(&self, decoded: &Decoded, frame: &[u8], is_complete: bool) -> Option<Copy> {
        let (mdt, inner) = (decoded.mdt?, decoded.ip?);
        let is_pim = matches!(decoded.what, What::Pim { .. });
        let is_mdt_join = matches!(decoded.what, What::Udp { port } if port == join::PORT);
        let is_read = (is_pim || is_mdt_join)
            && inner.destination == join::DESTINATION
            && self.mvpns.contains_key(&mdt.head.destination);
        if !is_read {
            return None;
        }
        // A copy that was cut off says nothing, and cannot be compared with one that was cut off elsewhere.
        let bytes = match is_complete {
            true => frame.get(usize::from(decoded.inner_at)..)?.to_vec(),
            false => Vec::new(),
        };
        Some(Copy {
            pe: mdt.head.source,
            p_group: mdt.head.destination,
            address: inner.source,
            is_pim,
            bytes,
        })
    }

    fn entered(&mut self, node: &str, copy: Copy, ns: u64) {
        if self.pes.get(&copy.pe).map(String::as_str) != Some(node) {
            return;
        }
        let Some(mvpn) = self.mvpns.get(&copy.p_group) else {
            return;
        };
        if self.latest(&copy, ns).is_some() {
            return;
        }
        self.all.push(Utterance {
            mvpn: mvpn.clone(),
            pe: copy.pe,
            address: copy.address,
            left_ns: ns,
            heard_ns: None,
            said: Said::read(copy.is_pim, &copy.bytes),
        });
        self.latest.insert(copy, self.all.len() - 1);
    }

    fn heard(&mut self, copy: &Copy, ns: u64) {
        if let Some(index) = self.latest(copy, ns) {
            self.all[index].heard_ns.get_or_insert(ns);
        }
    }

    /// The message that this is a copy of.
    fn latest(&self, copy: &Copy, ns: u64) -> Option<usize> {
        let index = *self.latest.get(copy)?;
        let left_ns = self.all[index].left_ns;
        (ns < left_ns.saturating_add(ONE_MESSAGE_NS)).then_some(index)
    }
}
