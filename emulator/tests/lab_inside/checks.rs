//! The checks, as they run inside.

use std::{net::Ipv4Addr, process::Command, time::Duration};

use mvpnlab_emulator::{
    kernel::process::Ended,
    lab::{Lab, LabError, WIRE_ROOM},
    place::{Files, Program},
    plan::Plan,
    scenario::{Distribution, GilbertElliott, Impairment, Probability, Span},
};
use serde_json::Value;

use super::{agents, probe::arrivals};

/// In the order in which they run.
pub const NAMES: [&str; 9] = [
    "netem_is_what_tc_reads",
    "a_replaced_impairment_leaves_nothing_behind",
    "loss_has_one_direction",
    "a_link_that_is_down_carries_nothing",
    "unknown_names_are_answered_with_the_known",
    "a_tunnel_comes_and_goes",
    "a_crash_loses_the_trees_and_a_restart_brings_them_back",
    "a_process_ends_when_asked_or_is_killed",
    "agents_answer_and_export",
];

type Checked = Result<(), String>;

/// The program of the guest.
#[derive(Default)]
pub struct Checks {
    running: Option<(tokio::runtime::Runtime, Lab)>,
}

impl Program for Checks {
    fn build(&mut self, topology: &Files, log: &mut dyn FnMut(&str)) -> Result<(), String> {
        let plan: Plan = serde_json::from_slice(&topology["plan.json"]).map_err(text)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(text)?;
        let lab = runtime.block_on(async {
            let mut lab = Lab::up(&plan, log).await?;
            lab.converge(log).await?;
            Ok::<_, LabError>(lab)
        });
        self.running = Some((runtime, lab.map_err(text)?));
        Ok(())
    }

    fn run(&mut self, _: &Files, log: &mut dyn FnMut(&str)) -> Result<Files, String> {
        let (runtime, lab) = self.running.as_mut().ok_or("not built")?;
        let mut results = Files::new();
        for name in NAMES {
            let verdict = runtime.block_on(check(name, lab, log));
            log(&format!(
                "test {name} ... {}",
                if verdict.is_ok() { "ok" } else { "FAILED" }
            ));
            results.insert(
                name.to_owned(),
                verdict.err().unwrap_or_else(|| "ok".into()).into_bytes(),
            );
        }
        Ok(results)
    }
}

async fn check(name: &str, lab: &mut Lab, log: &mut dyn FnMut(&str)) -> Checked {
    match name {
        "netem_is_what_tc_reads" => netem(lab).await,
        "a_replaced_impairment_leaves_nothing_behind" => replaced(lab).await,
        "loss_has_one_direction" => direction(lab).await,
        "a_link_that_is_down_carries_nothing" => link(lab).await,
        "unknown_names_are_answered_with_the_known" => names(lab).await,
        "a_tunnel_comes_and_goes" => tunnel(lab, log).await,
        "a_crash_loses_the_trees_and_a_restart_brings_them_back" => crash(lab, log).await,
        "a_process_ends_when_asked_or_is_killed" => process(lab).await,
        "agents_answer_and_export" => agents::answer_and_export(lab),
        other => Err(format!("no check is called {other}")),
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn must(holds: bool, what: impl std::fmt::Display) -> Checked {
    if holds { Ok(()) } else { Err(what.to_string()) }
}

fn ms(n: u64) -> Option<Span> {
    Some(Span { ns: n * 1_000_000 })
}

fn everything() -> Impairment {
    Impairment {
        delay: ms(30),
        jitter: ms(5),
        distribution: Some(Distribution::Normal),
        burst: Some(GilbertElliott {
            p: Probability(0.01),
            r: Probability(0.25),
            bad_loss: Probability(0.75),
            good_loss: Probability(0.0),
        }),
        duplicate: Some(Probability(0.02)),
        reorder: Some(Probability(0.25)),
        corrupt: Some(Probability(0.125)),
        rate: Some(mvpnlab_emulator::scenario::Bitrate(8_000_000)),
        queue_packets: Some(50),
        ..Impairment::default()
    }
}

/// What tc makes of the netem that impairs PE1-P towards P.
async fn tc_options(lab: &mut Lab) -> Result<Value, String> {
    // The wire's second end, P's, is w1b: wires are counted in the scenario's order.
    let wires = lab.wire_room().map_err(text)?;
    let output = mvpnlab_emulator::traffic::socket::inside(&wires, || {
        Command::new("tc")
            .args(["-j", "qdisc", "show", "dev", "w1b", "root"])
            .output()
    });
    let listed: Value = serde_json::from_slice(&output.map_err(text)?.stdout).map_err(text)?;
    must(listed[0]["kind"] == "netem", format!("no netem: {listed}"))?;
    Ok(listed[0]["options"].clone())
}

async fn netem(lab: &mut Lab) -> Checked {
    lab.impair_link("PE1-P", "P", &everything())
        .await
        .map_err(text)?;
    let found = tc_options(lab).await?;
    for (pointer, expected) in [
        ("/limit", 50.0),
        ("/delay/delay", 0.030),
        ("/delay/jitter", 0.005),
        ("/loss-gemodel/p", 0.01),
        ("/loss-gemodel/r", 0.25),
        ("/loss-gemodel/1-h", 0.75),
        ("/loss-gemodel/1-k", 0.0),
        ("/duplicate/duplicate", 0.02),
        ("/reorder/reorder", 0.25),
        ("/corrupt/corrupt", 0.125),
        ("/rate/rate", 1_000_000.0),
    ] {
        let value = found.pointer(pointer).and_then(Value::as_f64);
        let near = value.is_some_and(|value| (value - expected).abs() <= 1e-6 * expected.max(1.0));
        must(
            near,
            format!("{pointer} is {value:?}, not {expected}, in {found}"),
        )?;
    }
    lab.impair_link("PE1-P", "P", &Impairment::default())
        .await
        .map_err(text)
}

async fn replaced(lab: &mut Lab) -> Checked {
    lab.impair_link("PE1-P", "P", &everything())
        .await
        .map_err(text)?;
    lab.impair_link(
        "PE1-P",
        "P",
        &Impairment {
            delay: ms(7),
            ..Impairment::default()
        },
    )
    .await
    .map_err(text)?;
    let found = tc_options(lab).await?;
    let delay = found.pointer("/delay/delay").and_then(Value::as_f64);
    must(
        delay == Some(0.007),
        format!("the delay is {delay:?} in {found}"),
    )?;
    must(
        found.pointer("/delay/jitter").and_then(Value::as_f64) == Some(0.0),
        format!("jitter stays: {found}"),
    )?;
    for gone in [
        "loss-gemodel",
        "loss-random",
        "duplicate",
        "reorder",
        "corrupt",
        "rate",
    ] {
        must(found.get(gone).is_none(), format!("{gone} stays: {found}"))?;
    }
    lab.impair_link("PE1-P", "P", &Impairment::default())
        .await
        .map_err(text)
}

const AT_P: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 1);
const AT_PE1: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 2);

async fn direction(lab: &mut Lab) -> Checked {
    // PIM and OSPF outlive two seconds of it.
    let black = Impairment {
        loss: Some(Probability::one()),
        ..Impairment::default()
    };
    lab.impair_link("PE1-P", "P", &black).await.map_err(text)?;
    let (to_p, to_pe1) = (
        arrivals(lab, "PE1", "P", AT_P, 20).await?,
        arrivals(lab, "P", "PE1", AT_PE1, 20).await?,
    );
    lab.impair_link("PE1-P", "P", &Impairment::default())
        .await
        .map_err(text)?;
    must(
        to_p == 0,
        format!("{to_p} of 20 arrived where all are lost"),
    )?;
    must(
        to_pe1 == 20,
        format!("{to_pe1} of 20 arrived where none is lost"),
    )?;
    let again = arrivals(lab, "PE1", "P", AT_P, 20).await?;
    must(
        again == 20,
        format!("{again} of 20 arrived after the impairment"),
    )
}

async fn link(lab: &mut Lab) -> Checked {
    let before = lab.counters("before").await.map_err(text)?;
    lab.link_down("PE1-CE1").await.map_err(text)?;
    let ce = Ipv4Addr::new(192, 168, 1, 2);
    let down = arrivals(lab, "PE1.red", "CE1", ce, 10).await?;
    let seen = lab.enter("CE1", || carrier("to-PE1")).map_err(text)?;
    lab.link_up("PE1-CE1").await.map_err(text)?;
    // The kernel tells of a carrier a moment later.
    while lab.enter("PE1.red", || carrier("to-CE1")).map_err(text)? != Some(true) {
        tokio::task::yield_now().await;
    }
    let up = arrivals(lab, "PE1.red", "CE1", ce, 10).await?;
    must(
        down == 0,
        format!("{down} of 10 arrived over a link that is down"),
    )?;
    must(
        seen == Some(false),
        format!("the CE's carrier is {seen:?} while the link is down"),
    )?;
    must(
        up == 10,
        format!("{up} of 10 arrived over a link that is up"),
    )?;
    let after = lab.counters("after").await.map_err(text)?;
    let (sent, was) = (
        after.qdiscs["PE1-CE1/CE1"].sent_packets,
        before.qdiscs["PE1-CE1/CE1"].sent_packets,
    );
    must(
        sent - was >= 10,
        format!("the wire's queue counted {was}, then {sent}"),
    )?;
    must(
        after.interfaces.contains_key(&format!("{WIRE_ROOM}/w3a")),
        "the wire room's devices are not counted",
    )
}

/// Whether a device of the calling thread's namespace has a carrier, as its flags say.
fn carrier(device: &str) -> Option<bool> {
    let output = Command::new("ip")
        .args(["-j", "link", "show", device])
        .output()
        .ok()?;
    let listed: Value = serde_json::from_slice(&output.stdout).ok()?;
    Some(
        listed[0]["flags"]
            .as_array()?
            .iter()
            .any(|flag| flag == "LOWER_UP"),
    )
}

async fn names(lab: &mut Lab) -> Checked {
    let refused = |result: Result<(), LabError>, known: &str| match result {
        Ok(()) => Err("an unknown name was accepted".to_owned()),
        Err(error) => must(
            error.to_string().contains(known),
            format!("{error} does not say {known}"),
        ),
    };
    let nothing = Impairment::default();
    refused(lab.impair_link("PE9-P", "P", &nothing).await, "PE1-P")?;
    refused(lab.impair_link("PE1-P", "PE2", &nothing).await, "PE1, P")?;
    refused(lab.link_down("x").await, "MON-P")?;
    refused(lab.node_kill("PE9").await, "PE2")?;
    refused(lab.tunnel_add("z").await, "late")
}

async fn tunnel(lab: &mut Lab, log: &mut dyn FnMut(&str)) -> Checked {
    let there = |lab: &Lab| {
        lab.enter("P", || carrier("tun-late").is_some())
            .map_err(text)
    };
    must(!there(lab)?, "the tunnel is there before it was added")?;
    lab.tunnel_add("late").await.map_err(text)?;
    must(there(lab)?, "the tunnel is not there after it was added")?;
    let lossy = Impairment {
        loss: Some(Probability(0.5)),
        ..Impairment::default()
    };
    lab.impair_tunnel("late", &lossy).await.map_err(text)?;
    let counters = lab.counters("added").await.map_err(text)?;
    must(
        counters.qdiscs.contains_key("tunnel/late"),
        "the tunnel is not counted",
    )?;
    // It is in the router's hands: PE1 learns the way into it.
    let route = mvpnlab_emulator::plan::Fact::Route {
        namespace: "PE1".into(),
        to: mvpnlab_emulator::plan::Cidr {
            address: Ipv4Addr::new(10, 77, 0, 4),
            prefix: 30,
        },
    };
    lab.wait_for(std::slice::from_ref(&route), Duration::from_secs(20), log)
        .await
        .map_err(text)?;
    lab.tunnel_drop("late").await.map_err(text)?;
    must(!there(lab)?, "the tunnel is there after it was dropped")?;
    lab.tunnel_add("late").await.map_err(text)?;
    lab.wait_for(&[route], Duration::from_secs(20), log)
        .await
        .map_err(text)?;
    lab.tunnel_drop("late").await.map_err(text)
}

async fn crash(lab: &mut Lab, log: &mut dyn FnMut(&str)) -> Checked {
    lab.node_kill("PE1").await.map_err(text)?;
    let counters = lab.counters("dead").await.map_err(text)?;
    let left = counters
        .mroutes
        .iter()
        .filter(|m| m.namespace.starts_with("PE1"))
        .count();
    must(
        left == 0,
        format!("{left} forwarding entries outlive the crash"),
    )?;
    // 10.255.0.3 is PE2, two hops away: learned, so forgotten.
    let reached = arrivals(lab, "PE1", "PE2", Ipv4Addr::new(10, 255, 0, 3), 5).await?;
    must(reached == 0, format!("{reached} of 5 left a dead router"))?;
    let facts = lab.plan().converged.clone();
    let early = lab.wait_for(&facts, Duration::from_secs(1), log).await;
    must(
        early.is_err(),
        "a lab with a dead PE says that it has converged",
    )?;
    lab.node_restart("PE1").await.map_err(text)?;
    lab.converge(log).await.map_err(text)?;
    let reached = arrivals(lab, "PE1", "PE2", Ipv4Addr::new(10, 255, 0, 3), 5).await?;
    must(
        reached == 5,
        format!("{reached} of 5 arrived after the restart"),
    )
}

async fn process(lab: &mut Lab) -> Checked {
    let sleeper = |script: &str| {
        let mut command = Command::new("/usr/bin/dash");
        command.arg("-c").arg(script);
        command
    };
    let log = std::path::Path::new("/tmp/process.log");
    let mut obedient = lab
        .spawn("CE1", sleeper("exec busybox sleep 100"), log)
        .map_err(text)?;
    let ended = obedient
        .terminate(Duration::from_secs(2))
        .await
        .map_err(text)?;
    must(
        ended == Ended::Signalled(15),
        format!("asked to end, it {ended:?}"),
    )?;
    let mut stubborn = lab
        .spawn(
            "CE1",
            sleeper("trap '' TERM; echo here; while :; do busybox sleep 1; done"),
            log,
        )
        .map_err(text)?;
    while !std::fs::read_to_string(log).is_ok_and(|text| text.contains("here")) {
        tokio::task::yield_now().await;
    }
    let ended = stubborn
        .terminate(Duration::from_secs(2))
        .await
        .map_err(text)?;
    must(
        ended == Ended::Killed,
        format!("that does not heed, it {ended:?}"),
    )?;
    let mut quick = lab.spawn("CE1", sleeper("exit 7"), log).map_err(text)?;
    let status = quick.wait().await.map_err(text)?;
    must(
        status.code() == Some(7),
        format!("its code is {:?}", status.code()),
    )
}
