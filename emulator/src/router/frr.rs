//! FRR 8.4: zebra, ospfd, pimd; one configuration file each.

use std::fmt::Write as _;

use super::{InterfaceInput, InterfaceKind, RouterInput, join_line, whole_seconds};
use crate::plan::{Daemon, DaemonProgram};

/// zebra, ospfd (with a router id), FRR's pimd.
pub fn render(input: &RouterInput) -> Vec<Daemon> {
    let mut daemons = render_unicast(input);
    daemons.push(Daemon {
        program: DaemonProgram::FrrPimd,
        config: pimd(input),
    });
    daemons
}

/// zebra and, with a router id, ospfd: the unicast half, also of a troglobit backbone.
pub(super) fn render_unicast(input: &RouterInput) -> Vec<Daemon> {
    let mut daemons = vec![Daemon {
        program: DaemonProgram::Zebra,
        config: zebra(input),
    }];
    if input.router_id.is_some() {
        daemons.push(Daemon {
            program: DaemonProgram::Ospfd,
            config: ospfd(input),
        });
    }
    daemons
}

/// Appends one line; writing to a `String` cannot fail.
macro_rules! line {
    ($text:expr, $($arg:tt)*) => { let _ = writeln!($text, $($arg)*); };
}

fn preamble(input: &RouterInput) -> String {
    format!("hostname {}\nlog stdout informational\n!\n", input.hostname)
}

fn zebra(input: &RouterInput) -> String {
    let mut text = preamble(input);
    // FRR does not resolve RPF through a default route unless told to; VRFs and CEs have little else.
    line!(text, "ip nht resolve-via-default");
    if let Some(id) = input.router_id {
        line!(text, "router-id {id}");
    }
    text
}

fn ospfd(input: &RouterInput) -> String {
    let mut text = preamble(input);
    let hello = whole_seconds(input.timers.ospf_hello);
    for interface in input.interfaces.iter().filter(|i| speaks_ospf(i.kind)) {
        line!(text, "interface {}", interface.name);
        line!(text, " ip ospf area 0");
        if interface.kind == InterfaceKind::Core {
            line!(text, " ip ospf network point-to-point");
            line!(text, " ip ospf hello-interval {hello}");
            line!(text, " ip ospf dead-interval {}", 4 * hello);
            line!(text, " ip ospf retransmit-interval 1");
            line!(text, " ip ospf cost {}", interface.cost.unwrap_or(10));
        } else {
            line!(text, " ip ospf passive");
        }
        line!(text, "!");
    }
    line!(text, "router ospf");
    if let Some(id) = input.router_id {
        line!(text, " ospf router-id {id}");
    }
    // Delay, first and longest hold of the SPF in ms: a lab converges as soon as it hears of a change.
    line!(text, " timers throttle spf 10 100 1000");
    line!(text, " timers throttle lsa all 100");
    line!(text, " timers lsa min-arrival 0");
    text
}

fn speaks_ospf(kind: InterfaceKind) -> bool {
    use InterfaceKind::*;
    match kind {
        Loopback | Core | VrfAttachment | MonitorTunnel { .. } | HostLink | MonitorLink => true,
        Mdt | Customer | Silent => false,
    }
}

fn pimd(input: &RouterInput) -> String {
    let mut text = preamble(input);
    line!(
        text,
        "ip pim join-prune-interval {}",
        whole_seconds(input.timers.pim_join_prune)
    );
    for rp in &input.rps {
        for group in &rp.groups {
            line!(
                text,
                "ip pim rp {} {}/{}",
                rp.address,
                group.address,
                group.prefix
            );
        }
    }
    for interface in &input.interfaces {
        pim_interface(&mut text, input, interface);
    }
    text
}

fn pim_interface(text: &mut String, input: &RouterInput, interface: &InterfaceInput) {
    use InterfaceKind::*;
    let hello = whole_seconds(input.timers.pim_hello);
    let query = whole_seconds(input.timers.igmp_query);
    let (passive, igmp) = match interface.kind {
        MonitorLink | Silent => return,
        Loopback | Core | Mdt => (false, None),
        Customer => (false, Some(3)),
        VrfAttachment | HostLink => (true, Some(3)),
        MonitorTunnel { igmp } => (true, Some(igmp)),
    };
    line!(text, "interface {}", interface.name);
    line!(text, " ip pim");
    line!(text, " ip pim hello {hello}");
    if passive {
        line!(text, " ip pim passive");
    }
    if let Some(version) = igmp {
        line!(text, " ip igmp");
        line!(text, " ip igmp version {version}");
        line!(text, " ip igmp query-interval {query}");
    }
    for join in input.joins.iter().filter(|j| j.interface == interface.name) {
        line!(text, " {}", join_line(join.group, join.source));
    }
    line!(text, "!");
}
