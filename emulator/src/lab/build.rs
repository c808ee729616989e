//! From a plan to namespaces, wires, attachments, addresses, routes and tunnels.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Lab, LabError, WIRE_ROOM, split_horizon, unknown, wire_device};
use crate::{
    kernel::{
        KernelError, Netns, gre,
        link::{self, CORE_MTU, CUSTOMER_MTU, VethEnd},
        netem::NetemOptions,
        netns::Forwarding,
        qdisc, route,
    },
    plan::{Attachment, Cidr, End, Namespace, Plan, Wire, WireKind},
    scenario::Impairment,
};

/// Everything but the routers.
pub async fn network(prefix: &str, plan: &Plan) -> Result<Lab, LabError> {
    let mut lab = Lab {
        routers: BTreeMap::new(),
        namespaces: BTreeMap::new(),
        wire_room: Netns::create(prefix, WIRE_ROOM)?,
        plan: plan.clone(),
        folder: PathBuf::from("/run/mvpnlab").join(if prefix.is_empty() { "lab" } else { prefix }),
    };
    lab.wire_room.prepare(Forwarding::Off)?;
    for namespace in &plan.namespaces {
        lab.namespaces
            .insert(namespace.name.clone(), host(prefix, namespace).await?);
    }
    for (number, wire) in plan.wires.iter().enumerate() {
        lay(&mut lab, number, wire).await?;
    }
    for (number, attachment) in plan.attachments.iter().enumerate() {
        attach(&mut lab.namespaces, number, attachment).await?;
    }
    // Before the routes: some of them lead over an MDT. A device towards a group needs its underlay up, but no route.
    for device in plan.gre.iter().filter(|g| g.present) {
        tunnel(&mut lab.namespaces, device).await?;
    }
    for device in plan.gre.iter().filter(|g| g.present) {
        split_horizon::keep(&lab, device).await?;
    }
    for planned in &plan.routes {
        route::add(lab.namespace(&planned.namespace)?, planned.to, planned.via).await?;
    }
    Ok(lab)
}

/// A GRE device, with netem on it: what it does not impair it counts.
pub async fn tunnel(
    namespaces: &mut BTreeMap<String, Netns>,
    device: &crate::plan::GreDevice,
) -> Result<(), LabError> {
    let namespace = get(namespaces, &device.end.namespace)?;
    gre::create(namespace, device).await?;
    Ok(qdisc::impair(
        namespace,
        &device.end.interface,
        &NetemOptions::of(&Impairment::default()),
    )
    .await?)
}

async fn host(prefix: &str, plan: &Namespace) -> Result<Netns, KernelError> {
    let namespace = Netns::create(prefix, &plan.name)?;
    namespace.prepare(if plan.forwards {
        Forwarding::On
    } else {
        Forwarding::Off
    })?;
    link::up(&namespace, "lo").await?;
    for address in &plan.loopback {
        link::add_address(&namespace, "lo", *address).await?;
    }
    Ok(namespace)
}

/// Both halves of a wire, joined in the wire room.
async fn lay(lab: &mut Lab, number: usize, wire: &Wire) -> Result<(), LabError> {
    let mtu = match wire.kind {
        WireKind::Backbone | WireKind::Monitor => CORE_MTU,
        WireKind::Customer { .. } => CUSTOMER_MTU,
    };
    let (near, far) = (wire_device(number, 'a'), wire_device(number, 'b'));
    for (end, device, side) in [(&wire.a, &near, 0), (&wire.b, &far, 1)] {
        let room = VethEnd {
            namespace: &mut lab.wire_room,
            device,
            mac: mac(0x10 + side, number),
        };
        let node = get(&mut lab.namespaces, &end.namespace)?;
        let node = VethEnd {
            namespace: node,
            device: &end.interface,
            mac: mac(side, number),
        };
        link::create_veth(room, node, mtu).await?;
    }
    for (from, to) in [(&near, &far), (&far, &near)] {
        qdisc::impair(
            &lab.wire_room,
            to,
            &NetemOptions::of(&Impairment::default()),
        )
        .await?;
        qdisc::redirect(&lab.wire_room, from, to).await?;
    }
    for device in [&near, &far] {
        link::up(&lab.wire_room, device).await?;
    }
    connect(
        &mut lab.namespaces,
        (&wire.a, mac(0, number)),
        (&wire.b, mac(1, number)),
    )
    .await
}

/// A VRF's way into its PE: not a link, so neither tapped nor impaired.
async fn attach(
    namespaces: &mut BTreeMap<String, Netns>,
    number: usize,
    attachment: &Attachment,
) -> Result<(), LabError> {
    let (pe, vrf) = (&attachment.pe, &attachment.vrf);
    // Both ends are needed at once, and a map lends one at a time.
    let mut vrf_namespace = namespaces
        .remove(&vrf.namespace)
        .ok_or_else(|| missing(namespaces, &vrf.namespace))?;
    let made = async {
        let a = VethEnd {
            namespace: get(namespaces, &pe.namespace)?,
            device: &pe.interface,
            mac: mac(0x20, number),
        };
        let b = VethEnd {
            namespace: &mut vrf_namespace,
            device: &vrf.interface,
            mac: mac(0x21, number),
        };
        Ok(link::create_veth(a, b, CORE_MTU).await?)
    };
    let made: Result<(u32, u32), LabError> = made.await;
    namespaces.insert(vrf.namespace.clone(), vrf_namespace);
    made?;
    connect(
        namespaces,
        (pe, mac(0x20, number)),
        (vrf, mac(0x21, number)),
    )
    .await
}

/// Addresses, up, and each end told of the other.
async fn connect(
    namespaces: &mut BTreeMap<String, Netns>,
    a: (&End, [u8; 6]),
    b: (&End, [u8; 6]),
) -> Result<(), LabError> {
    for (end, _) in [a, b] {
        let namespace = get(namespaces, &end.namespace)?;
        link::add_address(namespace, &end.interface, end.address).await?;
        link::up(namespace, &end.interface).await?;
    }
    for (here, there) in [(a, b), (b, a)] {
        let Cidr { address, .. } = there.0.address;
        let namespace = get(namespaces, &here.0.namespace)?;
        link::add_neighbor(namespace, &here.0.interface, address, there.1).await?;
    }
    Ok(())
}

/// Locally administered: kind and side, then the link's number.
fn mac(kind: u8, number: usize) -> [u8; 6] {
    let [.., high, low] = (number as u32).to_be_bytes();
    [0x02, 0, kind, 0, high, low]
}

fn get<'a>(
    namespaces: &'a mut BTreeMap<String, Netns>,
    name: &str,
) -> Result<&'a mut Netns, LabError> {
    if !namespaces.contains_key(name) {
        return Err(missing(namespaces, name));
    }
    namespaces.get_mut(name).ok_or_else(|| LabError::Refused {
        attempted: format!("find {name}"),
        found: "gone".into(),
    })
}

fn missing(namespaces: &BTreeMap<String, Netns>, name: &str) -> LabError {
    unknown("namespace", name, namespaces.keys())
}
