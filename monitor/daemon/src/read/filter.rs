//! The capture filter of a live monitor, on packets that were captured by somebody else.

use pcap::{BpfProgram, Capture, Linktype};

use super::error::ReadError;

/// libpcap's number for packets without a link header: its `DLT_RAW` on this system.
const RAW: Linktype = Linktype(12);

/// A compiled filter. It looks at packets from their outermost IPv4 header on, whatever link they were captured on; a
/// live capture looks at the same bytes behind its Ethernet header.
pub struct Filter(BpfProgram);

impl Filter {
    /// Compiles an expression of `Session::filter`.
    pub fn compile(expression: &str) -> Result<Filter, ReadError> {
        let program = Capture::dead(RAW)?.compile(expression, true)?;
        Ok(Filter(program))
    }

    /// Whether a live monitor's kernel would have handed the packet on.
    pub fn passes(&self, datagram: &[u8]) -> bool {
        self.0.filter(datagram)
    }
}
