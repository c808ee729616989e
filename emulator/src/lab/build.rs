//! From a plan to namespaces, wires, attachments, addresses, routes and tunnels.
//!
//! In phases, each a few datagrams to the kernel: all namespaces, then all devices, then all that is on them. Within a
//! phase nothing depends on anything else, and everything has the order of the plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{
    Lab, LabError, WIRE_ROOM, Wires, agents::Agents, mdts::Mdts, split_horizon, unknown,
    wire_device,
};
use crate::{
    kernel::{
        Batch, KernelError, Netns, gre,
        link::{self, CORE_MTU, CUSTOMER_MTU, VethEnd},
        netem::NetemOptions,
        netns::Forwarding,
        qdisc::{self, CatchAll},
        route,
    },
    plan::{End, GreDevice, Plan, WireKind},
    scenario::Impairment,
};

/// Everything but the routers.
pub async fn network(prefix: &str, wires: Wires, plan: &Plan) -> Result<Lab, LabError> {
    let mut lab = rooms(prefix, plan)?;
    register(&mut lab, plan)?;
    lay(&lab, plan).await?;
    join(&lab.wire_room, wires, plan.wires.len()).await?;
    connect(&lab, plan).await?;
    // Before the routes: some of them lead over an MDT. A device towards a group needs its underlay up, but no route.
    let present: Vec<&GreDevice> = plan.gre.iter().filter(|g| g.present).collect();
    tunnels(&mut lab.namespaces, &present).await?;
    let mut batch = Batch::new();
    for device in &plan.gre {
        split_horizon::keep(&mut batch, &lab, device)?;
    }
    for planned in plan
        .routes
        .iter()
        .filter(|route| !plan.is_rogue(&route.namespace))
    {
        let namespace = lab.namespace(&planned.namespace)?;
        route::add(&mut batch, namespace, planned.to, planned.via);
    }
    batch.send().await?;
    Ok(lab)
}

/// GRE devices, with netem on each: what it does not impair it counts.
pub async fn tunnels(
    namespaces: &mut BTreeMap<String, Netns>,
    devices: &[&GreDevice],
) -> Result<(), LabError> {
    let mut by_namespace: BTreeMap<&str, Vec<&GreDevice>> = BTreeMap::new();
    for device in devices {
        let own = by_namespace.entry(&device.end.namespace).or_default();
        own.push(device);
    }
    for (name, devices) in by_namespace {
        let namespace = get(namespaces, name)?;
        gre::create(namespace, &devices).await?;
        let names = devices.iter().map(|device| device.end.interface.as_str());
        qdisc::impair(namespace, names.map(unimpaired)).await?;
    }
    Ok(())
}

/// All namespaces, fitted for what they are.
fn rooms(prefix: &str, plan: &Plan) -> Result<Lab, KernelError> {
    let planned = plan.namespaces.iter().map(|planned| planned.name.as_str());
    let names: Vec<&str> = [WIRE_ROOM].into_iter().chain(planned).collect();
    let mut made = Netns::create_all(prefix, &names)?.into_iter();
    let wire_room = made
        .next()
        .ok_or_else(|| KernelError::new("create the wire room", WIRE_ROOM, "none was made"))?;
    wire_room.prepare(Forwarding::Off)?;
    let mut namespaces = BTreeMap::new();
    for (namespace, planned) in made.zip(&plan.namespaces) {
        namespace.prepare(match planned.forwards {
            true => Forwarding::On,
            false => Forwarding::Off,
        })?;
        namespaces.insert(planned.name.clone(), namespace);
    }
    Ok(Lab {
        agents: Agents::default(),
        routers: BTreeMap::new(),
        namespaces,
        wire_room,
        plan: plan.clone(),
        folder: PathBuf::from("/run/mvpnlab").join(if prefix.is_empty() { "lab" } else { prefix }),
        impairments: BTreeMap::new(),
        rogues: BTreeSet::new(),
        mdts: Mdts::default(),
    })
}

/// Gives all veth devices their indices.
fn register(lab: &mut Lab, plan: &Plan) -> Result<(), LabError> {
    for number in 0..plan.wires.len() {
        for side in ['a', 'b'] {
            lab.wire_room.register(&wire_device(number, side));
        }
    }
    for ((a, _), (b, _)) in links(plan) {
        for end in [a, b] {
            get(&mut lab.namespaces, &end.namespace)?.register(&end.interface);
        }
    }
    Ok(())
}

/// All veth pairs: two a wire, one an attachment.
async fn lay(lab: &Lab, plan: &Plan) -> Result<(), LabError> {
    let devices = wire_devices(plan.wires.len());
    let mut batch = Batch::new();
    for (number, (wire, (near, far))) in plan.wires.iter().zip(&devices).enumerate() {
        let mtu = match wire.kind {
            WireKind::Backbone | WireKind::Monitor => CORE_MTU,
            WireKind::Customer { .. } => CUSTOMER_MTU,
        };
        for (end, device, side) in [(&wire.a, near, 0), (&wire.b, far, 1)] {
            let room = VethEnd {
                namespace: &lab.wire_room,
                device,
                mac: mac(0x10 + side, number),
            };
            link::create_veth(&mut batch, room, node(lab, (end, mac(side, number)))?, mtu)?;
        }
    }
    for (pe, vrf) in attached(plan) {
        link::create_veth(&mut batch, node(lab, pe)?, node(lab, vrf)?, CORE_MTU)?;
    }
    batch.send().await?;
    for namespace in lab.namespaces.values().chain([&lab.wire_room]) {
        link::offloads_off(namespace, cabled(namespace))?;
    }
    Ok(())
}

/// The wires' halves joined, in the wire room.
async fn join(room: &Netns, wires: Wires, count: usize) -> Result<(), KernelError> {
    let devices = wire_devices(count);
    let filter = match wires {
        Wires::Impairable => {
            let all = devices.iter().flat_map(|(near, far)| [near, far]);
            qdisc::impair(room, all.map(|device| unimpaired(device))).await?;
            CatchAll::Matchall
        }
        Wires::Plain => CatchAll::U32,
    };
    let mut batch = Batch::new();
    for (near, far) in &devices {
        qdisc::redirect(&mut batch, room, near, far, filter)?;
        qdisc::redirect(&mut batch, room, far, near, filter)?;
        link::up(&mut batch, room, near)?;
        link::up(&mut batch, room, far)?;
    }
    batch.send().await
}

/// Addresses, everything up and carrying, and each end of a link told of the other.
async fn connect(lab: &Lab, plan: &Plan) -> Result<(), LabError> {
    let mut batch = Batch::new();
    for planned in &plan.namespaces {
        let namespace = lab.namespace(&planned.name)?;
        link::up(&mut batch, namespace, "lo")?;
        for address in &planned.loopback {
            link::add_address(&mut batch, namespace, "lo", *address)?;
        }
    }
    for (a, b) in links(plan) {
        for ((here, _), (there, mac)) in [(a, b), (b, a)] {
            let (namespace, device) = (lab.namespace(&here.namespace)?, &here.interface);
            link::add_address(&mut batch, namespace, device, here.address)?;
            link::up(&mut batch, namespace, device)?;
            link::add_neighbor(&mut batch, namespace, device, there.address.address, mac)?;
        }
    }
    batch.send().await?;
    for namespace in lab.namespaces.values().chain([&lab.wire_room]) {
        link::notice_carriers(namespace, cabled(namespace))?;
    }
    Ok(())
}

/// The veth devices of a namespace, as long as it has no others.
fn cabled(namespace: &Netns) -> impl Iterator<Item = &str> {
    let devices = namespace.devices().keys().map(String::as_str);
    devices.filter(|device| *device != "lo")
}

/// An end of a link, and its link-layer address.
type Side<'a> = (&'a End, [u8; 6]);

/// What joins two namespaces: wires, then attachments.
fn links(plan: &Plan) -> impl Iterator<Item = (Side<'_>, Side<'_>)> {
    let wires = plan.wires.iter().enumerate();
    let wires = wires.map(|(number, wire)| ((&wire.a, mac(0, number)), (&wire.b, mac(1, number))));
    wires.chain(attached(plan))
}

/// A VRF's way into its PE: not a link of the scenario, so neither tapped nor impaired.
fn attached(plan: &Plan) -> impl Iterator<Item = (Side<'_>, Side<'_>)> {
    let attachments = plan.attachments.iter().enumerate();
    attachments.map(|(number, attachment)| {
        (
            (&attachment.pe, mac(0x20, number)),
            (&attachment.vrf, mac(0x21, number)),
        )
    })
}

fn node<'a>(lab: &'a Lab, (end, mac): Side<'a>) -> Result<VethEnd<'a>, LabError> {
    Ok(VethEnd {
        namespace: lab.namespace(&end.namespace)?,
        device: &end.interface,
        mac,
    })
}

fn wire_devices(count: usize) -> Vec<(String, String)> {
    (0..count)
        .map(|number| (wire_device(number, 'a'), wire_device(number, 'b')))
        .collect()
}

fn unimpaired(device: &str) -> (&str, NetemOptions) {
    (device, NetemOptions::of(&Impairment::default()))
}

/// Locally administered: kind and side, then the link's number.
fn mac(kind: u8, number: usize) -> [u8; 6] {
    let [.., high, low] = (number as u32).to_be_bytes();
    [0x02, 0, kind, 0, high, low]
}

pub(super) fn get<'a>(
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
