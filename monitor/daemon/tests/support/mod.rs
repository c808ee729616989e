//! A whole network for one daemon, inside this process: a network namespace of its own, a TAP
//! device as the monitor's link, and a stand-in for the PEs at its other end.
#![allow(dead_code)]

pub mod captures;
pub mod daemon;
pub mod mark;
pub mod mdt;
pub mod reflector;
pub mod tap;

/// The monitor's address on the link.
pub const MONITOR: [u8; 4] = [10, 1, 0, 2];

/// The outer address of router `k`.
pub const fn router(k: u8) -> [u8; 4] {
    [10, 254, 1, k]
}

/// A configuration with tunnels to routers 1 to `tunnels`, and more TOML behind it.
pub fn config(directory: &std::path::Path, tunnels: u8, more: &str) -> String {
    let mut text = format!(
        "interface = \"{}\"\nsocket = \"{1}/run/vmscope.sock\"\ndatabase = \"{1}/results.sqlite\"\nlog = \"debug\"\n",
        tap::NAME,
        directory.display()
    );
    for k in 1..=tunnels {
        text.push_str(&format!(
            "[[tunnels]]\nname = \"t{k}\"\nid = {k}\nouter_local = \"10.1.0.2\"\nouter_remote = \"10.254.1.{k}\"\n\
             inner_local = \"10.77.{k}.2\"\ninner_remote = \"10.77.{k}.1\"\nping_interval = \"100ms\"\n"
        ));
    }
    text + more
}
