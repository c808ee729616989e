//! A lab for real, in the sealed place: what is asked of the kernel is what `tc` and sockets find, and what is
//! taken away is gone. Needs QEMU; without it this fails, it does not skip.
//!
//! The checks run inside, one after another in one lab: each leaves it as it found it. The guest's init is this
//! test's own executable, so it has a `main` of its own instead of libtest's.

mod lab_inside {
    pub mod agents;
    pub mod checks;
    pub mod probe;
}

use std::{
    io::{stdin, stdout},
    process::ExitCode,
    time::Duration,
};

use mvpnlab_emulator::{
    lab::agents::{ROUTE_MIB, route_mib},
    place::{Execution, Files, Program, Sealed, Start, guest},
    plan::Plan,
    scenario::Scenario,
};

/// Two PEs of one MVPN, a customer behind each, a monitor whose second tunnel comes later.
const SCENARIO: &str = r#"
title = "The lab's own test"
duration = "10s"
[backbone]
rp = "P"
[nodes]
MON = { role = "monitor" }
P = { role = "p" }
PE1 = { role = "pe" }
PE2 = { role = "pe" }
CE1 = { role = "ce" }
CE2 = { role = "ce" }
[[link]]
ends = "MON-P"
[[link]]
ends = "PE1-P"
[[link]]
ends = "PE2-P"
[[link]]
ends = "PE1-CE1"
[[link]]
ends = "PE2-CE2"
[mvpn.red]
default_mdt = "239.1.1.1"
sites = { PE1 = "CE1", PE2 = "CE2" }
[[tunnel]]
name = "a"
at = "PE1"
key = 77
[[tunnel]]
name = "late"
at = "P"
present = false
[[at]]
time = "1s"
do = "tunnel-add"
tunnel = "late"
[[expect]]
check = "forwarded"
node = "P"
group = "239.1.1.1"
yes = true
"#;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("guest") => match guest::init(&|_| {
            Some(Box::<lab_inside::checks::Checks>::default() as Box<dyn Program>)
        }) {
            Ok(never) => match never {},
            Err(message) => fail(&message),
        },
        // Asked by the SNMP agent in the guest.
        Some(ROUTE_MIB) => match route_mib::serve(stdin().lock(), stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.to_string()),
        },
        Some("--list") => {
            lab_inside::checks::NAMES
                .iter()
                .for_each(|name| println!("{name}: test"));
            ExitCode::SUCCESS
        }
        Some(filter)
            if !filter.starts_with('-')
                && !lab_inside::checks::NAMES
                    .iter()
                    .any(|name| name.contains(filter)) =>
        {
            println!("0 passed; all filtered out");
            ExitCode::SUCCESS
        }
        Some(_) | None => match run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => fail(&message),
        },
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::FAILURE
}

fn run() -> Result<(), String> {
    let scenario = Scenario::parse("lab.toml", SCENARIO).map_err(|e| e.to_string())?;
    let plan = serde_json::to_vec(&Plan::of(&scenario)).map_err(|e| e.to_string())?;
    let topology = Files::from([("plan.json".to_owned(), plan)]);
    let mut say = |line: &str| println!("{line}");
    let place = Sealed::open(&mut say).map_err(|e| e.to_string())?;
    let execution = Execution {
        topology: &topology,
        job: &Files::new(),
        seed: 1,
        deadline: Duration::from_secs(600),
        start: Start::Cold,
        memory_mib: 512,
    };
    let results = place
        .execute(&execution, &mut say)
        .map_err(|e| e.to_string())?;
    let failed: Vec<_> = results
        .iter()
        .filter(|(_, verdict)| verdict.as_slice() != b"ok")
        .collect();
    for (name, verdict) in &failed {
        println!(
            "test {name} ... FAILED: {}",
            String::from_utf8_lossy(verdict)
        );
    }
    println!(
        "\n{} passed; {} failed",
        results.len() - failed.len(),
        failed.len()
    );
    if failed.is_empty() {
        Ok(())
    } else {
        Err("the lab is not what it should be".into())
    }
}
