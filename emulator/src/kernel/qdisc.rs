//! Queueing disciplines: netem as a device's root, ingress redirection between the two ends of a wire.

use netlink_packet_core::{DefaultNla, Nla};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{
        TcAction, TcActionAttribute, TcActionGeneric, TcActionMirror, TcActionMirrorOption,
        TcActionOption, TcActionType, TcAttribute, TcFilterMatchAll, TcFilterMatchAllOption,
        TcHandle, TcMessage, TcMirror, TcMirrorActionType, TcOption, TcStats2,
    },
};

use super::{
    KernelError, Netns,
    netem::NetemOptions,
    netlink::{CREATE, REPLACE},
};
use crate::truth::QdiscCounters;

const NETEM: &str = "netem";
const TCA_OPTIONS: u16 = 2;
/// ETH_P_ALL in network order, as a filter's protocol is given.
const ALL_PROTOCOLS: u16 = 0x0003u16.to_be();

/// Makes netem the root of a device, or changes it; packets inside stay inside. The result is read back: what the
/// kernel says must be what was asked.
pub async fn impair(
    namespace: &Netns,
    device: &str,
    options: &NetemOptions,
) -> Result<(), KernelError> {
    let index = namespace.index(device)?;
    let mut message = TcMessage::with_index(index as i32);
    message.header.parent = TcHandle::ROOT;
    message.attributes = vec![
        TcAttribute::Kind(NETEM.to_owned()),
        TcAttribute::Other(DefaultNla::new(TCA_OPTIONS, options.emit())),
    ];
    let done = namespace
        .netlink()
        .act(RouteNetlinkMessage::NewQueueDiscipline(message), REPLACE)
        .await;
    let attempted = || format!("impair {device}");
    done.map_err(|e| namespace.error(attempted(), e))?;
    let found = all(namespace)
        .await?
        .into_iter()
        .find(|q| q.index == index)
        .map(|q| q.options);
    match found {
        Some(found) if found == options.readable() => Ok(()),
        found => Err(namespace.error(
            attempted(),
            format!(
                "asked for {:?}, the kernel has {found:?}",
                options.readable()
            ),
        )),
    }
}

/// Everything that arrives at `from` leaves by `to`; both in this namespace.
pub async fn redirect(namespace: &Netns, from: &str, to: &str) -> Result<(), KernelError> {
    let attempted = || format!("join {from} to {to}");
    let index = namespace.index(from)? as i32;
    let mut ingress = TcMessage::with_index(index);
    ingress.header.parent = TcHandle::INGRESS;
    ingress.header.handle = TcHandle::from(0xffff_0000);
    ingress.attributes = vec![TcAttribute::Kind("ingress".to_owned())];
    let done = namespace
        .netlink()
        .act(RouteNetlinkMessage::NewQueueDiscipline(ingress), CREATE)
        .await;
    done.map_err(|e| namespace.error(attempted(), e))?;

    let mut filter = TcMessage::with_index(index);
    filter.header.parent = TcHandle::from(0xffff_0000);
    filter.header.info = u32::from(TcHandle {
        major: 1,
        minor: ALL_PROTOCOLS,
    });
    filter.attributes = vec![
        TcAttribute::Kind(TcFilterMatchAll::KIND.to_owned()),
        TcAttribute::Options(vec![TcOption::MatchAll(TcFilterMatchAllOption::Action(
            vec![egress(namespace.index(to)?)],
        ))]),
    ];
    let done = namespace
        .netlink()
        .act(RouteNetlinkMessage::NewTrafficFilter(filter), CREATE)
        .await;
    done.map_err(|e| namespace.error(attempted(), e))
}

fn egress(index: u32) -> TcAction {
    let mut mirror = TcMirror::default();
    let mut generic = TcActionGeneric::default();
    generic.action = TcActionType::Stolen;
    mirror.generic = generic;
    mirror.eaction = TcMirrorActionType::EgressRedir;
    mirror.ifindex = index;
    let mut action = TcAction::default();
    action.tab = 1;
    action.attributes = vec![
        TcActionAttribute::Kind(TcActionMirror::KIND.to_owned()),
        TcActionAttribute::Options(vec![TcActionOption::Mirror(TcActionMirrorOption::Parms(
            mirror,
        ))]),
    ];
    action
}

/// A netem qdisc as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetemQdisc {
    /// Device.
    pub index: u32,
    /// Settings, as far as the kernel gives them back.
    pub options: NetemOptions,
    /// Statistics.
    pub counters: QdiscCounters,
}

/// All netem qdiscs of a namespace.
pub async fn all(namespace: &Netns) -> Result<Vec<NetemQdisc>, KernelError> {
    let found = namespace
        .netlink()
        .dump(RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default()))
        .await;
    let found = found.map_err(|e| namespace.error("read the queueing disciplines", e))?;
    Ok(found.iter().filter_map(netem_qdisc).collect())
}

fn netem_qdisc(message: &RouteNetlinkMessage) -> Option<NetemQdisc> {
    let RouteNetlinkMessage::NewQueueDiscipline(message) = message else {
        return None;
    };
    let mut is_netem = false;
    let mut options = None;
    let mut counters = QdiscCounters::default();
    for attribute in &message.attributes {
        match attribute {
            TcAttribute::Kind(kind) => is_netem = kind == NETEM,
            TcAttribute::Options(list) => options = list.iter().find_map(raw_options),
            TcAttribute::Stats2(list) => list.iter().for_each(|stats| count(&mut counters, stats)),
            _ => {}
        }
    }
    let index = u32::try_from(message.header.index).ok()?;
    is_netem.then_some(NetemQdisc {
        index,
        options: options?,
        counters,
    })
}

/// Options of a kind that the netlink crate does not know come as one raw attribute.
fn raw_options(option: &TcOption) -> Option<NetemOptions> {
    let TcOption::Other(raw) = option else {
        return None;
    };
    let mut bytes = vec![0; raw.value_len()];
    raw.emit_value(&mut bytes);
    NetemOptions::parse(&bytes)
}

fn count(counters: &mut QdiscCounters, stats: &TcStats2) {
    match stats {
        TcStats2::Basic(basic) => {
            counters.sent_bytes = basic.bytes;
            counters.sent_packets = u64::from(basic.packets);
        }
        TcStats2::Queue(queue) => {
            counters.backlog_packets = u64::from(queue.qlen);
            counters.dropped = u64::from(queue.drops);
            counters.overlimits = u64::from(queue.overlimits);
            counters.requeues = u64::from(queue.requeues);
        }
        _ => {}
    }
}
