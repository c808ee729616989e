//! How fast a lab comes up natively: `ring ROUTERS wires|pairs [RUNS]` builds a ring of plain routers in named
//! namespaces, pings over every link, takes it down, and prints a line of seconds for each run. Needs root; leaves nothing.
//!
//! `up`: everything there and acknowledged. `ping`: an echo over each link answered. `down`: all names gone.
//! `gone`: the kernel's own cleaning done as well, counted from the same start as `down`.

#[path = "../tests/ring/plan.rs"]
mod plan;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use mvpnlab_emulator::{
    kernel::netlink::{CREATE, Netlink},
    lab::{Lab, Wires},
    traffic::socket,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoData, InfoVeth, LinkMessage},
};
use plan::{Links, ring};
use rtnetlink::{LinkUnspec, LinkVeth};

const USAGE: &str = "usage: ring ROUTERS wires|pairs [RUNS]";
/// A device whose other end is in the lab's last namespace: it goes when the kernel has cleaned up there.
const CANARY: &str = "canary";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (routers, links, runs) = match words.as_slice() {
        [routers, links] => (*routers, *links, "1"),
        [routers, links, runs] => (*routers, *links, *runs),
        _ => return Err(USAGE.into()),
    };
    let routers = match routers.parse::<u16>() {
        Ok(routers) if routers >= 2 => routers,
        Ok(_) | Err(_) => return Err(format!("{routers:?} routers make no ring; {USAGE}")),
    };
    let links = match links {
        "wires" => Links::Wires,
        "pairs" => Links::Pairs,
        other => return Err(format!("there are no links {other:?}; {USAGE}")),
    };
    let runs: u32 = runs
        .parse()
        .map_err(|e| format!("{runs:?} runs: {e}; {USAGE}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start a runtime: {e}"))?;
    for _ in 0..runs {
        runtime.block_on(measure(routers, links))?;
    }
    Ok(())
}

async fn measure(routers: u16, links: Links) -> Result<(), String> {
    let plan = ring(routers, links);
    let prefix = format!("ring{}-", std::process::id());
    let start = Instant::now();
    let lab = Lab::up_as(&prefix, Wires::Plain, &plan, &mut |_| {}).await;
    let lab = lab.map_err(|e| e.to_string())?;
    let up = start.elapsed();

    let start = Instant::now();
    lab.echo(Duration::from_secs(5))
        .map_err(|e| e.to_string())?;
    let ping = start.elapsed();

    plant_canary(&lab)?;
    let start = Instant::now();
    drop(lab);
    tokio::task::yield_now().await;
    let down = start.elapsed();
    wait_for_canary().await?;
    let gone = start.elapsed();
    println!(
        "up {:.3} ping {:.3} down {:.3} gone {:.3}",
        up.as_secs_f64(),
        ping.as_secs_f64(),
        down.as_secs_f64(),
        gone.as_secs_f64()
    );
    Ok(())
}

fn plant_canary(lab: &Lab) -> Result<(), String> {
    let ours = LinkUnspec::new_with_name(CANARY)
        .setns_by_pid(std::process::id())
        .build();
    let pair = LinkVeth::new(CANARY, CANARY)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(ours)))
        .build();
    let room = lab.wire_room().map_err(|e| e.to_string())?;
    let make = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let netlink = Netlink::open()?;
            netlink
                .act(RouteNetlinkMessage::NewLink(pair), CREATE)
                .await
        })
    };
    socket::inside(room, make).map_err(|e| format!("cannot plant the canary: {e}"))
}

async fn wait_for_canary() -> Result<(), String> {
    let netlink = Netlink::open().map_err(|e| format!("cannot open a netlink socket: {e}"))?;
    while nix::net::if_::if_nametoindex(CANARY).is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Its name goes first. Any request waits for the kernel's lock, which is free when the devices have gone too.
    let any = LinkMessage::default();
    let _refused = netlink.act(RouteNetlinkMessage::SetLink(any), 0).await;
    Ok(())
}
