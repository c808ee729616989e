//! Probes from templates: a sender's first probe is built, the others are copies with a new number and time.
//!
//! The memory of packets that were sent comes back and is used again, so that nothing is allocated for a probe.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;
use vmscope_wire::{ProbeTemplate, WireError};

use crate::packet::{ProbeHeader, ProbeShape, build_probe};
use crate::spec::TunnelSpec;
use crate::time::Instant;

/// Packets whose memory is kept at most.
const SPARE_MAX: usize = 256;

/// The probe that a sender's others are copies of.
#[derive(Debug)]
struct Template {
    packet: Box<[u8]>,
    template: ProbeTemplate,
}

/// The templates of all senders, by task and tunnel.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    by_task: FxHashMap<u32, FxHashMap<u32, Template>>,
    spare: Vec<Vec<u8>>,
}

impl Templates {
    /// A probe, ready for the wire. A sender's tunnel and shape must always be the same.
    pub(crate) fn write(
        &mut self,
        tunnel: &TunnelSpec,
        shape: &ProbeShape,
        header: &ProbeHeader,
    ) -> Result<Vec<u8>, WireError> {
        let senders = self.by_task.entry(header.task).or_default();
        let Template { packet, template } = match senders.entry(header.tunnel) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Template::new(tunnel, shape, header)?),
        };
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(packet);
        let sent_ns = header.sent.as_ns();
        template.fill(&mut bytes, header.warmup, header.seq, sent_ns)?;
        Ok(bytes)
    }

    /// A task sends no more.
    pub(crate) fn forget(&mut self, task: u32) {
        self.by_task.remove(&task);
    }

    /// The memory of a packet that is no longer needed.
    pub(crate) fn take_back(&mut self, bytes: Vec<u8>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(bytes);
        }
    }
}

impl Template {
    fn new(
        tunnel: &TunnelSpec,
        shape: &ProbeShape,
        header: &ProbeHeader,
    ) -> Result<Template, WireError> {
        let blank = ProbeHeader {
            seq: 0,
            warmup: false,
            sent: Instant::ZERO,
            ..*header
        };
        let packet = build_probe(tunnel, shape, &blank)?.into_boxed_slice();
        let template = ProbeTemplate::new(&packet, usize::from(shape.payload_bytes))?;
        Ok(Template { packet, template })
    }
}
