//! Policy rules: which packets may look up which routes.

use std::net::IpAddr;

use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    rule::{RuleAction, RuleAttribute, RuleMessage},
};

use super::{Batch, Netns, netlink::CREATE};
use crate::plan::Cidr;

/// The main routing table (RT_TABLE_MAIN).
const MAIN: u8 = 254;
/// Before the main table's own rule (32766), behind the local addresses' (0).
const ALLOWED: u32 = 100;
const FORBIDDEN: u32 = 101;

/// Of what comes in by `device`, forwards only what goes to these networks, and drops the rest without a word. What is
/// for the node itself, and multicast, is not touched.
pub fn forward_only<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
    device: &str,
    networks: &[Cidr],
) {
    for network in networks {
        add(batch, namespace, rule(device, Some(*network)));
    }
    add(batch, namespace, rule(device, None));
}

/// Allows the network; without one, drops everything.
fn rule(device: &str, network: Option<Cidr>) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header.family = AddressFamily::Inet;
    rule.attributes
        .push(RuleAttribute::Iifname(device.to_owned()));
    match network {
        Some(Cidr { address, prefix }) => {
            rule.header.action = RuleAction::ToTable;
            rule.header.table = MAIN;
            rule.header.dst_len = prefix;
            rule.attributes
                .push(RuleAttribute::Destination(IpAddr::V4(address)));
            rule.attributes.push(RuleAttribute::Priority(ALLOWED));
        }
        None => {
            rule.header.action = RuleAction::Blackhole;
            rule.attributes.push(RuleAttribute::Priority(FORBIDDEN));
        }
    }
    rule
}

fn add<'a>(batch: &mut Batch<'a>, namespace: &'a Netns, rule: RuleMessage) {
    let attempted = format!("add the rule {:?}", rule.attributes);
    batch.add(
        namespace,
        RouteNetlinkMessage::NewRule(rule),
        CREATE,
        attempted,
    );
}
