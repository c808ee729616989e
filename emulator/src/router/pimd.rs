//! troglobit pimd 2.3.2 for PIM, on top of FRR's unicast.

use std::fmt::Write as _;

use super::{InterfaceKind, RouterInput, frr, whole_seconds};
use crate::plan::{Daemon, DaemonProgram};

/// zebra, ospfd, troglobit's pimd.
pub fn render(input: &RouterInput) -> Vec<Daemon> {
    let mut daemons = frr::render_unicast(input);
    daemons.push(Daemon {
        program: DaemonProgram::Pimd,
        config: pimd(input),
    });
    daemons
}

fn pimd(input: &RouterInput) -> String {
    use InterfaceKind::*;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "hello-interval {}",
        whole_seconds(input.timers.pim_hello)
    );
    let _ = writeln!(
        text,
        "igmp-query-interval {}",
        whole_seconds(input.timers.igmp_query)
    );
    for interface in &input.interfaces {
        let setting = match interface.kind {
            MonitorLink | Silent | Loopback => "disable".to_owned(),
            MonitorTunnel { igmp } => format!("enable igmpv{igmp}"),
            Core | VrfAttachment | HostLink | Mdt | Customer => "enable igmpv3".to_owned(),
        };
        let _ = writeln!(text, "phyint {} {setting}", interface.name);
    }
    for rp in &input.rps {
        for group in &rp.groups {
            let _ = writeln!(
                text,
                "rp-address {} {}/{}",
                rp.address, group.address, group.prefix
            );
        }
    }
    text
}
