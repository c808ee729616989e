//! `mvpnlab check` and `mvpnlab plan`: what scenarios say, without running them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mvpnlab_emulator::plan::{Plan, WireKind};

use crate::run::suite::{self, Case};
use crate::run::{infrastructure, output, usage};
use crate::verdict::Exit;

/// Reads and plans all scenarios; lists them, or everything that is wrong with any of them.
pub fn check(paths: &[PathBuf]) -> Exit {
    let cases = match suite::load(paths) {
        Ok(cases) => cases,
        Err(errors) => return usage(&errors),
    };
    let line = |case: &Case| {
        format!("{:<28} {:>5.0} s  {:>2} expectations  {}", case.name, case.scenario.duration.ns as f64 / 1e9, case.scenario.expectations.len(), case.scenario.title)
    };
    let lines: Vec<String> = cases.iter().map(line).collect();
    say(&format!("{}\n{} scenarios are sound", lines.join("\n"), cases.len()))
}

/// Describes what would be built.
pub fn plan(file: &Path, json: bool) -> Exit {
    let cases = match suite::load(&[file.to_owned()]) {
        Ok(cases) => cases,
        Err(errors) => return usage(&errors),
    };
    let texts: Result<Vec<String>, serde_json::Error> = cases
        .iter()
        .map(|case| if json { serde_json::to_string_pretty(&case.plan) } else { Ok(describe(case)) })
        .collect();
    match texts {
        Ok(texts) => say(&texts.join("\n")),
        Err(error) => infrastructure(&error),
    }
}

fn say(text: &str) -> Exit {
    match output::print(text) {
        Ok(()) => Exit::Pass,
        Err(error) => infrastructure(&error),
    }
}

fn describe(case: &Case) -> String {
    let Plan { namespaces, wires, gre, routers, mvpns, tunnels, converged, .. } = &case.plan;
    let mut out = format!("{}: {}\n", case.name, case.scenario.title);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\nnamespaces");
    for namespace in namespaces {
        let loopback: Vec<String> = namespace.loopback.iter().map(|c| c.address.to_string()).collect();
        let role = format!("{:?}", namespace.role).to_lowercase();
        let vrf = namespace.vrf.as_ref().map_or(String::new(), |mvpn| format!(" VRF of {mvpn}"));
        let _ = writeln!(out, "  {:<14} {role}{vrf} {}", namespace.name, loopback.join(" "));
    }
    let _ = writeln!(out, "\nwires");
    for wire in wires {
        let kind = match &wire.kind {
            WireKind::Backbone => "backbone".into(),
            WireKind::Monitor => "monitor".into(),
            WireKind::Customer { mvpn } => format!("customer of {mvpn}"),
        };
        let _ = writeln!(out, "  {:<14} {} … {}  ({kind})", wire.name, wire.a.address.address, wire.b.address.address);
    }
    let _ = writeln!(out, "\nGRE devices");
    for device in gre {
        let late = if device.present { "" } else { "  (added later)" };
        let _ = writeln!(out, "  {:<22} {} -> {}{late}", format!("{}/{}", device.end.namespace, device.end.interface), device.local, device.remote);
    }
    let _ = writeln!(out, "\nMVPNs");
    for (name, mvpn) in mvpns {
        let sites: Vec<String> = mvpn.sites.iter().map(|site| format!("{}:{}", site.pe, site.ce.as_deref().unwrap_or("-"))).collect();
        let _ = writeln!(out, "  {name:<14} {} {} {}", mvpn.default_mdt, if mvpn.ssm { "SSM" } else { "ASM" }, sites.join(" "));
    }
    let _ = writeln!(out, "\nmonitor tunnels");
    for tunnel in tunnels {
        let _ = writeln!(out, "  {:>3} {:<12} {:<8} outer {} inner {} IGMPv{}", tunnel.id, tunnel.name, tunnel.at, tunnel.router_outer, tunnel.router_inner, tunnel.igmp);
    }
    let daemons: usize = routers.iter().map(|router| router.daemons.len()).sum();
    let _ = write!(out, "\n{daemons} routing daemons in {} namespaces; {} facts make it converged", routers.len(), converged.len());
    out
}
