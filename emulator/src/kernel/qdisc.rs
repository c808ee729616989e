//! Queueing disciplines: netem as a device's root, ingress redirection between the two ends of a wire.

use std::collections::BTreeMap;

use netlink_packet_core::{DefaultNla, Nla};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{
        TcAction, TcActionAttribute, TcActionGeneric, TcActionMirror, TcActionMirrorOption,
        TcActionOption, TcActionType, TcAttribute, TcFilterMatchAll, TcFilterMatchAllOption,
        TcFilterU32, TcFilterU32Option, TcHandle, TcMessage, TcMirror, TcMirrorActionType,
        TcOption, TcStats2, TcU32Key, TcU32Selector, TcU32SelectorFlags,
    },
};

use super::{
    Batch, KernelError, Netns,
    netem::NetemOptions,
    netlink::{CREATE, REPLACE},
};
use crate::truth::QdiscCounters;

const NETEM: &str = "netem";
const TCA_OPTIONS: u16 = 2;
/// ETH_P_ALL in network order, as a filter's protocol is given.
pub(super) const ALL_PROTOCOLS: u16 = 0x0003u16.to_be();

/// Makes netem the root of devices, or changes it; packets inside stay inside. The result is read back: what the
/// kernel says must be what was asked.
pub async fn impair<'d>(
    namespace: &Netns,
    wanted: impl IntoIterator<Item = (&'d str, NetemOptions)>,
) -> Result<(), KernelError> {
    let wanted: BTreeMap<&str, NetemOptions> = wanted.into_iter().collect();
    let mut batch = Batch::new();
    for (device, options) in &wanted {
        let mut message = TcMessage::with_index(namespace.index(device)? as i32);
        message.header.parent = TcHandle::ROOT;
        message.attributes = vec![
            TcAttribute::Kind(NETEM.to_owned()),
            TcAttribute::Other(DefaultNla::new(TCA_OPTIONS, options.emit())),
        ];
        let request = RouteNetlinkMessage::NewQueueDiscipline(message);
        batch.add(namespace, request, REPLACE, format!("impair {device}"));
    }
    batch.send().await?;
    let found = all(namespace).await?;
    for (device, options) in &wanted {
        let index = namespace.index(device)?;
        let found = found.iter().find(|q| q.index == index).map(|q| &q.options);
        let asked = options.readable();
        if found != Some(&asked) {
            let found = format!("asked for {asked:?}, the kernel has {found:?}");
            return Err(namespace.error(format!("impair {device}"), found));
        }
    }
    Ok(())
}

/// A filter that matches every packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchAll {
    /// The one made for it.
    Matchall,
    /// u32 with an empty mask, where the kernel has no other.
    U32,
}

/// Everything that arrives at `from` leaves by `to`; both in this namespace.
pub fn redirect<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
    from: &str,
    to: &str,
    filter: CatchAll,
) -> Result<(), KernelError> {
    let action = mirror(namespace.index(to)?, TcMirrorActionType::EgressRedir);
    arrivals(
        batch,
        namespace,
        from,
        filter,
        action,
        format!("join {from} to {to}"),
    )
}

/// Everything that arrives at `from` has arrived at `to`; both in this namespace.
pub fn adopt<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
    from: &str,
    to: &str,
    filter: CatchAll,
) -> Result<(), KernelError> {
    let action = mirror(namespace.index(to)?, TcMirrorActionType::IngressRedir);
    let attempted = format!("have {to} receive what {from} receives");
    arrivals(batch, namespace, from, filter, action, attempted)
}

fn arrivals<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
    from: &str,
    filter: CatchAll,
    action: TcAction,
    attempted: String,
) -> Result<(), KernelError> {
    let index = namespace.index(from)? as i32;
    let mut ingress = TcMessage::with_index(index);
    ingress.header.parent = TcHandle::INGRESS;
    ingress.header.handle = TcHandle::from(0xffff_0000);
    ingress.attributes = vec![TcAttribute::Kind("ingress".to_owned())];
    let ingress = RouteNetlinkMessage::NewQueueDiscipline(ingress);
    batch.add(namespace, ingress, CREATE, attempted.clone());

    let mut joint = TcMessage::with_index(index);
    joint.header.parent = TcHandle::from(0xffff_0000);
    joint.header.info = u32::from(TcHandle {
        major: 1,
        minor: ALL_PROTOCOLS,
    });
    joint.attributes = catch_all(filter, action);
    let joint = RouteNetlinkMessage::NewTrafficFilter(joint);
    batch.add(namespace, joint, CREATE, attempted);
    Ok(())
}

fn catch_all(filter: CatchAll, action: TcAction) -> Vec<TcAttribute> {
    let (kind, options) = match filter {
        CatchAll::Matchall => (
            TcFilterMatchAll::KIND,
            vec![TcOption::MatchAll(TcFilterMatchAllOption::Action(vec![
                action,
            ]))],
        ),
        CatchAll::U32 => (
            TcFilterU32::KIND,
            vec![
                TcOption::U32(TcFilterU32Option::Selector(everything())),
                TcOption::U32(TcFilterU32Option::Action(vec![action])),
            ],
        ),
    };
    vec![
        TcAttribute::Kind(kind.to_owned()),
        TcAttribute::Options(options),
    ]
}

/// One key, of which no bit counts.
fn everything() -> TcU32Selector {
    let mut selector = TcU32Selector::default();
    selector.flags = TcU32SelectorFlags::Terminal;
    selector.nkeys = 1;
    selector.keys = vec![TcU32Key::default()];
    selector
}

fn mirror(index: u32, how: TcMirrorActionType) -> TcAction {
    let mut mirror = TcMirror::default();
    let mut generic = TcActionGeneric::default();
    generic.action = TcActionType::Stolen;
    mirror.generic = generic;
    mirror.eaction = how;
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
