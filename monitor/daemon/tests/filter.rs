//! However many tunnels there are, the kernel takes the capture filter, and customers' packets stay out.

use std::fmt::Write;
use std::net::Ipv4Addr;

use pcap::{Capture, Linktype};
use vmscope_core::config::Config;
use vmscope_core::session::{Options, Session};
use vmscope_core::time::Instant;

/// Linux: BPF_MAXINSNS.
const INSTRUCTIONS_MAX: usize = 4_096;
const MONITOR: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);

/// Where a router is: scattered, so that no prefix is a lucky one.
fn router(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0b00_0000 | n.wrapping_mul(0x9e37_79b9) >> 8)
}

fn configuration(tunnels: u32, mvpns: u32, passives: u32) -> String {
    let mut toml = String::new();
    for n in 0..tunnels {
        let key = if n % 3 == 0 {
            format!("key = {n}\n")
        } else {
            String::new()
        };
        writeln!(
            toml,
            "[[tunnels]]\nname = \"t{n}\"\nouter_local = \"{MONITOR}\"\nouter_remote = \"{}\"\n\
             inner_local = \"10.77.1.2\"\ninner_remote = \"10.77.1.1\"\nping_interval = \"1s\"\n{key}",
            router(n)
        )
        .unwrap();
    }
    toml += "[[tunnels]]\nname = \"lan\"\nencapsulation = \"none\"\ninner_local = \"10.1.0.2\"\ninner_remote = \"10.1.0.1\"\n";
    for n in 0..mvpns {
        let group = Ipv4Addr::from(0xef00_0000 | n.wrapping_mul(0x9e37_79b9) >> 8);
        let over = if n % 2 == 0 {
            "lan".to_owned()
        } else {
            format!("t{}", n % tunnels)
        };
        writeln!(
            toml,
            "[[mvpns]]\nname = \"m{n}\"\ngroup = \"{group}\"\nwatch = {{ tunnels = [\"{over}\"] }}"
        )
        .unwrap();
    }
    for n in 0..passives {
        writeln!(
            toml,
            "[[passive]]\nname = \"p{n}\"\ngroup = \"238.1.1.{n}\"\ntunnels = [\"t1\", \"lan\"]"
        )
        .unwrap();
    }
    toml
}

fn session(tunnels: u32, mvpns: u32, passives: u32) -> Session {
    let now = Instant::from_ns(1);
    let mut session = Session::new(now, Options::default());
    let config = Config::from_toml(&configuration(tunnels, mvpns, passives)).unwrap();
    session.load(now, &config).unwrap();
    session
}

#[test]
fn the_kernel_takes_the_filter_of_any_number_of_tunnels() {
    for (tunnels, mvpns, passives) in [
        (1, 0, 0),
        (64, 32, 64),
        (65, 33, 64),
        (1_000, 1_000, 64),
        (16_000, 1_000, 64),
    ] {
        let session = session(tunnels, mvpns, passives);
        let program = Capture::dead(Linktype::ETHERNET)
            .unwrap()
            .compile(session.filter(), true)
            .unwrap_or_else(|error| panic!("{tunnels} tunnels: {error}: {}", session.filter()));
        let length = program.get_instructions().len();
        println!(
            "{tunnels} tunnels, {mvpns} watched MVPNs, {passives} observations: {length} instructions"
        );
        assert!(
            length <= INSTRUCTIONS_MAX,
            "{tunnels} tunnels: {length} instructions"
        );
    }
}

fn ip(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + payload.len() as u16).to_be_bytes();
    let mut packet = vec![0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    packet
}

fn gre(inner: &[u8]) -> Vec<u8> {
    [&[0, 0, 8, 0], inner].concat()
}

fn frame(datagram: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], datagram].concat()
}

#[test]
fn with_ten_thousand_tunnels_customers_stay_out_of_the_monitor() {
    let mut session = session(10_000, 100, 0);
    let program = Capture::dead(Linktype::ETHERNET)
        .unwrap()
        .compile(session.filter(), true)
        .unwrap();
    let passes = |datagram: &[u8]| program.filter(&frame(datagram));
    // What the monitor sends it also sees leave: pings, keyed and not.
    let mut seen = 0;
    let end = Instant::from_ns(1_000_000_000);
    while let Some(packet) = session.poll_transmit(end) {
        assert!(passes(&packet.bytes), "{packet:?}");
        seen += 1;
    }
    assert!(seen > 9_000, "{seen}");
    let (customer, group) = (Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::new(239, 7, 7, 7));
    let data = ip(customer, group, 17, &[0; 64]);
    let mdt = ip(
        Ipv4Addr::new(11, 0, 0, 9),
        Ipv4Addr::new(239, 1, 1, 1),
        47,
        &gre(&data),
    );
    for n in [1, 2, 9_998] {
        let igmp = ip(
            router(n),
            MONITOR,
            47,
            &gre(&ip(customer, group, 2, &[0; 8])),
        );
        assert!(passes(&igmp), "a router's query");
        assert!(
            !passes(&ip(router(n), MONITOR, 47, &gre(&mdt))),
            "a customer's packet on its MDT"
        );
    }
    assert!(!passes(&mdt), "a customer's packet in the backbone");
    let elsewhere = ip(
        router(1),
        Ipv4Addr::new(10, 1, 0, 3),
        47,
        &gre(&ip(customer, group, 2, &[0; 8])),
    );
    assert!(!passes(&elsewhere), "a tunnel of another host");
    assert!(!passes(&data), "a customer's packet by itself");
}
