//! Which parts of a lab this kernel has: each is asked for over netlink, in a network namespace that goes right away.

use std::io;
use std::mem::MaybeUninit;

use nix::sched::{CloneFlags, unshare};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Fact, Fit, Needed};

/// Kinds of devices, and queueing disciplines and filters, that a lab needs.
const LINKS: &[&str] = &["veth", "gre", "dummy"];
const QDISCS: &[&str] = &["netem", "ingress"];
const FILTERS: &[&str] = &["matchall"];

const RTM_NEWLINK: u16 = 16;
const RTM_NEWQDISC: u16 = 36;
const RTM_NEWTFILTER: u16 = 44;
const NLMSG_ERROR: u16 = 2;
/// NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
const FLAGS: u16 = 0x1 | 0x4 | 0x400 | 0x200;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const LOOPBACK_INDEX: u32 = 1;

/// One fact a part.
pub fn features() -> Vec<Fact> {
    // A thread's network namespace is its own and ends with it.
    let asked = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let socket = Socket::new(
            Domain::from(libc::AF_NETLINK),
            Type::RAW,
            Some(Protocol::from(libc::NETLINK_ROUTE)),
        )?;
        all()
            .map(|(name, message)| Ok((name, ask(&socket, &message)?)))
            .collect::<io::Result<Vec<_>>>()
    });
    match asked.join() {
        Ok(Ok(answers)) => answers
            .into_iter()
            .map(|(name, has)| fact(name, Some(has)))
            .collect(),
        Ok(Err(_)) | Err(_) => all().map(|(name, _)| fact(name, None)).collect(),
    }
}

fn fact(name: &str, has: Option<bool>) -> Fact {
    let (found, fit) = match has {
        Some(true) => ("yes", Fit::Yes),
        Some(false) => ("this kernel has none", Fit::No),
        None => ("only root can ask", Fit::Unknown),
    };
    let remedy = match has {
        Some(false) => {
            format!("a kernel with {name} built in or as a module (Debian: linux-image-amd64)")
        }
        _ => "ask again as root".to_owned(),
    };
    Fact {
        name: name.to_owned(),
        found: found.to_owned(),
        fit,
        needed_by: Needed::Native,
        remedy,
    }
}

fn all() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let links = LINKS.iter().map(|kind| (*kind, new_link(kind)));
    let qdiscs = QDISCS.iter().map(|kind| (*kind, new_qdisc(kind)));
    let filters = FILTERS.iter().map(|kind| (*kind, new_filter(kind)));
    links.chain(qdiscs).chain(filters)
}

/// Whether the kernel knows what the message asks for. Any other refusal (an address is missing, a name is taken) means
/// that it does.
fn ask(socket: &Socket, message: &[u8]) -> io::Result<bool> {
    socket.send(message)?;
    let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
    let count = socket.recv(&mut buffer)?;
    // SAFETY: `recv` has initialised the first `count` bytes.
    let answer: Vec<u8> = buffer[..count]
        .iter()
        .map(|byte| unsafe { byte.assume_init() })
        .collect();
    let unknown = [libc::EOPNOTSUPP, libc::ENOENT].map(|errno| -errno);
    let kind = answer
        .get(4..6)
        .and_then(|b| b.try_into().ok())
        .map(u16::from_ne_bytes);
    let error = answer
        .get(16..20)
        .and_then(|b| b.try_into().ok())
        .map(i32::from_ne_bytes);
    match (kind, error) {
        (Some(NLMSG_ERROR), Some(error)) => Ok(!unknown.contains(&error)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn new_link(kind: &str) -> Vec<u8> {
    let info = attribute(IFLA_LINKINFO, &attribute(IFLA_INFO_KIND, &terminated(kind)));
    // struct ifinfomsg, all zero: a new device with a name of the kernel's choice.
    message(RTM_NEWLINK, &[vec![0; 16], info].concat())
}

fn new_qdisc(kind: &str) -> Vec<u8> {
    // TC_H_INGRESS takes a parent of its own; the rest goes to the root.
    let (handle, parent) = if kind == "ingress" {
        (0xffff_0000, 0xffff_fff1)
    } else {
        (0, 0xffff_ffff)
    };
    let options = if kind == "netem" {
        attribute(TCA_OPTIONS, &[0; 24])
    } else {
        Vec::new()
    };
    let body = [
        traffic_control(handle, parent, 0),
        attribute(TCA_KIND, &terminated(kind)),
        options,
    ];
    message(RTM_NEWQDISC, &body.concat())
}

/// To the ingress discipline made just before. Priority 1, protocol ETH_P_ALL.
fn new_filter(kind: &str) -> Vec<u8> {
    let info = (1 << 16) | u32::from(0x0003u16.to_be());
    let body = [
        traffic_control(0, 0xffff_0000, info),
        attribute(TCA_KIND, &terminated(kind)),
        attribute(TCA_OPTIONS, &[]),
    ];
    message(RTM_NEWTFILTER, &body.concat())
}

/// struct tcmsg on the loopback device.
fn traffic_control(handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, LOOPBACK_INDEX, handle, parent, info]
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect()
}

fn terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = (content.len() + 4) as u16;
    let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = (body.len() + 16) as u32;
    let (sequence, port) = (1u32.to_ne_bytes(), 0u32.to_ne_bytes());
    [
        &length.to_ne_bytes()[..],
        &kind.to_ne_bytes(),
        &FLAGS.to_ne_bytes(),
        &sequence,
        &port,
        body,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_is_told_from_a_known_one() {
        if !nix::unistd::geteuid().is_root() {
            assert!(
                features().iter().all(|fact| fact.fit == Fit::Unknown),
                "without root nothing is claimed"
            );
            return;
        }
        let answers = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let socket = Socket::new(
                Domain::from(libc::AF_NETLINK),
                Type::RAW,
                Some(Protocol::from(libc::NETLINK_ROUTE)),
            )
            .unwrap();
            [
                new_link("veth"),
                new_link("nonsense"),
                new_qdisc("pfifo"),
                new_qdisc("nonsense"),
            ]
            .map(|message| ask(&socket, &message).unwrap())
        });
        assert_eq!(answers.join().unwrap(), [true, false, true, false]);
    }
}
