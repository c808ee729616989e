//! Single streams turned into another tree, on their way out of a GRE device towards a group.
//!
//! Such a device keeps the outer header as a link-layer header before the packet until it sends it (`ipgre_header`,
//! `ipgre_xmit` of Linux' net/ipv4/ip_gre.c). So another outer destination, written there by traffic control, is
//! another tree: no second device, and the forwarding entry goes on naming the one that it named.

use std::net::Ipv4Addr;

use netlink_packet_core::DefaultNla;
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{
        TcAction, TcActionAttribute, TcActionOption, TcAttribute, TcFilterU32, TcFilterU32Option,
        TcHandle, TcMessage, TcOption, TcU32Key, TcU32Selector, TcU32SelectorFlags,
    },
};

use super::{
    Batch, KernelError, Netns,
    netlink::{CHANGE, CREATE},
    qdisc::ALL_PROTOCOLS,
};

/// linux/tc_act/tc_pedit.h: `struct tc_pedit_sel` and its keys.
const TCA_PEDIT_PARMS: u16 = 2;
/// TC_ACT_OK: the packet goes its way.
const GOES_ON: u32 = 0;
/// Source and destination in an IPv4 header (RFC 791 section 3.1), which is where u32 counts from.
const SOURCE_AT: i32 = 12;
const DESTINATION_AT: i32 = 16;
/// The outer destination, seen from there: before the inner header are four bytes of GRE, and before those it.
const OUTER_DESTINATION_AT: i32 = -8;
/// Where filters of the way out hang (TC_H_CLSACT, TC_H_MIN_EGRESS).
const EGRESS: TcHandle = TcHandle {
    major: u16::MAX,
    minor: TcHandle::MIN_EGRESS,
};

/// Makes a device one whose streams can be turned.
pub fn prepare<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
    device: &str,
) -> Result<(), KernelError> {
    let mut message = TcMessage::with_index(namespace.index(device)? as i32);
    message.header.parent = TcHandle::CLSACT;
    message.header.handle = TcHandle::from(0xffff_0000);
    message.attributes = vec![TcAttribute::Kind("clsact".to_owned())];
    batch.add(
        namespace,
        RouteNetlinkMessage::NewQueueDiscipline(message),
        CREATE,
        format!("prepare {device} for filters"),
    );
    Ok(())
}

/// A stream that is turned.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Its filter's priority, of its own on the device.
    pub priority: u16,
    /// Source of its packets.
    pub source: Ipv4Addr,
    /// Group of its packets.
    pub group: Ipv4Addr,
    /// What their outer destination becomes.
    pub outer: Ipv4Addr,
}

/// Turns a stream into another tree from now on.
pub fn turn<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
    device: &str,
    turn: Turn,
) -> Result<(), KernelError> {
    let mut message = filter(namespace, device, turn.priority)?;
    message.attributes = vec![
        TcAttribute::Kind(TcFilterU32::KIND.to_owned()),
        TcAttribute::Options(vec![
            TcOption::U32(TcFilterU32Option::Selector(selector(turn))),
            TcOption::U32(TcFilterU32Option::Action(vec![rewrite(turn.outer)])),
        ]),
    ];
    batch.add(
        namespace,
        RouteNetlinkMessage::NewTrafficFilter(message),
        CREATE,
        format!(
            "turn ({}, {}) on {device} to {}",
            turn.source, turn.group, turn.outer
        ),
    );
    Ok(())
}

/// Lets the stream of that priority go its old way again.
pub fn turn_back<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
    device: &str,
    priority: u16,
) -> Result<(), KernelError> {
    batch.add(
        namespace,
        RouteNetlinkMessage::DelTrafficFilter(filter(namespace, device, priority)?),
        CHANGE,
        format!("take filter {priority} from {device}"),
    );
    Ok(())
}

fn filter(namespace: &Netns, device: &str, priority: u16) -> Result<TcMessage, KernelError> {
    let mut message = TcMessage::with_index(namespace.index(device)? as i32);
    message.header.parent = EGRESS;
    message.header.info = u32::from(TcHandle {
        major: priority,
        minor: ALL_PROTOCOLS,
    });
    Ok(message)
}

fn selector(turn: Turn) -> TcU32Selector {
    let key = |off: i32, address: Ipv4Addr| {
        let mut key = TcU32Key::default();
        key.mask = u32::MAX;
        // The netlink crate puts it in network order.
        key.val = address.to_bits();
        key.off = off;
        key
    };
    let mut selector = TcU32Selector::default();
    selector.flags = TcU32SelectorFlags::Terminal;
    selector.nkeys = 2;
    selector.keys = vec![key(SOURCE_AT, turn.source), key(DESTINATION_AT, turn.group)];
    selector
}

/// An action of a kind that the netlink crate does not know.
fn rewrite(outer: Ipv4Addr) -> TcAction {
    let parameters = DefaultNla::new(TCA_PEDIT_PARMS, pedit(outer));
    let mut action = TcAction::default();
    action.tab = 1;
    action.attributes = vec![
        TcActionAttribute::Kind("pedit".to_owned()),
        TcActionAttribute::Options(vec![TcActionOption::Other(parameters)]),
    ];
    action
}

/// `struct tc_pedit_sel`: index, capabilities, action, reference and bind counts, number of keys, flags, two bytes of
/// padding; then `struct tc_pedit_key`: mask of what stays, value, offset, at, offset's mask and shift.
fn pedit(outer: Ipv4Addr) -> Vec<u8> {
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_ne_bytes()).collect() };
    let mut bytes = words(&[0, 0, GOES_ON, 0, 0]);
    bytes.extend([1, 0, 0, 0]);
    let value = u32::from_ne_bytes(outer.octets());
    bytes.extend(words(&[
        0,
        value,
        OUTER_DESTINATION_AT.cast_unsigned(),
        0,
        0,
        0,
    ]));
    bytes
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Nla;

    use super::*;

    /// As `tc filter add … action pedit munge offset -8 u32 set 0xef020101` of iproute2 6.1 asks for, which then shows
    /// `key #0 at -8: val ef020101 mask 00000000`; little endian.
    #[test]
    #[cfg(target_endian = "little")]
    fn a_rewriting_action_is_what_tc_sends() {
        let bytes = pedit(Ipv4Addr::new(239, 2, 1, 1));
        assert_eq!(bytes.len(), 24 + 24);
        assert_eq!(bytes[20..24], [1, 0, 0, 0]);
        assert_eq!(bytes[24..28], [0; 4], "nothing of the old stays");
        assert_eq!(bytes[28..32], [0xef, 2, 1, 1]);
        assert_eq!(bytes[32..36], [0xf8, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn only_its_own_source_and_group_match_a_stream() {
        let selector = selector(Turn {
            priority: 1,
            source: Ipv4Addr::new(192, 168, 1, 2),
            group: Ipv4Addr::new(239, 9, 9, 9),
            outer: Ipv4Addr::new(239, 2, 1, 1),
        });
        let option = TcFilterU32Option::Selector(selector);
        let mut bytes = vec![0; option.value_len()];
        option.emit_value(&mut bytes);
        // Sixteen bytes of selector, then the keys: mask, value, offset, offset's mask.
        let key = |at: usize| (&bytes[at..at + 8], &bytes[at + 8..at + 12]);
        let wanted = [[0xff; 4], [192, 168, 1, 2]].concat();
        assert_eq!(key(16), (wanted.as_slice(), 12u32.to_ne_bytes().as_slice()));
        let wanted = [[0xff; 4], [239, 9, 9, 9]].concat();
        assert_eq!(key(32), (wanted.as_slice(), 16u32.to_ne_bytes().as_slice()));
    }
}
