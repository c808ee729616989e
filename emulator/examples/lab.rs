//! A lab by hand, in the sealed place: `lab SCENARIO.toml [STEPS]` builds and converges the scenario's topology and
//! then does what STEPS, a text file, says line by line. `lab describe SCENARIO.toml` prints the plan.
//!
//! Steps: `sleep S` · `link-down L` · `link-up L` · `kill N` · `restart N` · `converge` · `impair L TOWARD JSON` ·
//! `impair-tunnel T JSON` · `tunnel-add T` · `tunnel-drop T` · `counters` · `mroutes` · `states [NS]` ·
//! `in NS COMMAND` (waited for) · `start NS COMMAND` (not waited for; its output at the end)

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use mvpnlab_emulator::{
    lab::{Lab, Process},
    place::{self, Execution, Files, Program, Sealed, Start, guest},
    plan::{Cidr, End, GreDevice, GrePurpose, Plan},
    scenario::Scenario,
};

const STEPS: &str = "steps";

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["guest", ..] => {
            guest::init(&|_| Some(Box::new(ByHand::default()))).map(|never| match never {})
        }
        ["describe", scenario] => plan(scenario).map(|plan| {
            println!(
                "{}",
                serde_json::to_string_pretty(&plan).unwrap_or_default()
            )
        }),
        [scenario, options @ ..] => run(scenario, options),
        [] => Err("usage: lab SCENARIO.toml [STEPS] [cold] | lab describe SCENARIO.toml".into()),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            std::process::ExitCode::from(3)
        }
    }
}

fn plan(path: &str) -> Result<Plan, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))?;
    let scenario = Scenario::parse(path, &text).map_err(|e| e.to_string())?;
    Ok(Plan::of(&scenario))
}

fn run(scenario: &str, options: &[&str]) -> Result<(), String> {
    let plan = plan(scenario)?;
    let topology = Files::from([(
        "plan.json".to_owned(),
        serde_json::to_vec(&plan).map_err(|e| e.to_string())?,
    )]);
    let mut topology = topology;
    if let Ok(early) = std::env::var("EARLY") {
        topology.insert("early".into(), early.into_bytes());
    }
    let mut job = Files::new();
    for path in options.iter().filter(|o| **o != "cold") {
        let name = if path.ends_with("/mc") { "mc" } else { STEPS };
        job.insert(
            name.to_owned(),
            fs::read(path).map_err(|e| format!("cannot read {path}: {e}"))?,
        );
    }
    let execution = Execution {
        topology: &topology,
        job: &job,
        seed: 1,
        deadline: Duration::from_secs(900),
        start: if options.contains(&"cold") {
            Start::Cold
        } else {
            Start::Warm
        },
        memory_mib: place::DEFAULT_MEMORY_MIB,
    };
    let mut say = |line: &str| println!("{line}");
    let files = Sealed::open(&mut say)
        .map_err(|e| e.to_string())?
        .execute(&execution, &mut say);
    for (name, content) in files.map_err(|e| e.to_string())? {
        println!("== {name}\n{}", String::from_utf8_lossy(&content));
    }
    Ok(())
}

#[derive(Default)]
struct ByHand {
    running: Option<(tokio::runtime::Runtime, Lab)>,
}

impl Program for ByHand {
    fn build(&mut self, topology: &Files, log: &mut dyn FnMut(&str)) -> Result<(), String> {
        let log = &mut |line: &str| log(&format!("[{:.3}] {line}", uptime()));
        let plan: Plan =
            serde_json::from_slice(&topology["plan.json"]).map_err(|e| e.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| e.to_string())?;
        let lab = runtime.block_on(async {
            let mut lab = Lab::up(&with_kernel_monitor(plan), log).await?;
            if let Some(early) = topology.get("early") {
                let s: f64 = String::from_utf8_lossy(early).trim().parse().unwrap_or(3.0);
                tokio::time::sleep(Duration::from_secs_f64(s)).await;
                for (name, text) in lab.router_states().await? {
                    log(&format!("== {name}\n{}", String::from_utf8_lossy(&text)));
                }
            }
            if let Err(error) = lab.converge(log).await {
                for (name, text) in lab.router_states().await? {
                    log(&format!("== {name}\n{}", String::from_utf8_lossy(&text)));
                }
                return Err(error);
            }
            Ok(lab)
        });
        self.running = Some((runtime, lab.map_err(|e| e.to_string())?));
        Ok(())
    }

    fn run(&mut self, job: &Files, log: &mut dyn FnMut(&str)) -> Result<Files, String> {
        let (runtime, lab) = self.running.as_mut().ok_or("not built")?;
        if let Some(tool) = job.get("mc") {
            use std::os::unix::fs::PermissionsExt;
            fs::write("/usr/bin/mc", tool).map_err(|e| e.to_string())?;
            fs::set_permissions("/usr/bin/mc", fs::Permissions::from_mode(0o755))
                .map_err(|e| e.to_string())?;
        }
        let steps =
            String::from_utf8_lossy(job.get(STEPS).map_or(&[][..], Vec::as_slice)).into_owned();
        runtime.block_on(async {
            let mut started = BTreeMap::new();
            for (number, line) in steps.lines().enumerate() {
                log(&format!("[{:.3}] {line}", uptime()));
                step(lab, line, number, &mut started, log)
                    .await
                    .map_err(|e| format!("{line}: {e}"))?;
            }
            for (path, mut process) in started {
                process.wait().await.map_err(|e| e.to_string())?;
                log(&format!(
                    "{}: {}",
                    path,
                    fs::read_to_string(&path).unwrap_or_default()
                ));
            }
            Ok::<_, String>(())
        })?;
        Ok(Files::new())
    }
}

fn uptime() -> f64 {
    mvpnlab_emulator::truth::clock::monotonic_ns() as f64 / 1e9
}

async fn step(
    lab: &mut Lab,
    line: &str,
    number: usize,
    started: &mut BTreeMap<String, Process>,
    log: &mut dyn FnMut(&str),
) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let text = |e: mvpnlab_emulator::lab::LabError| e.to_string();
    let json = |words: &[&str]| serde_json::from_str(&words.join(" ")).map_err(|e| e.to_string());
    match words.as_slice() {
        [] => Ok(()),
        ["sleep", s] => {
            tokio::time::sleep(Duration::from_secs_f64(s.parse().map_err(|_| "no number")?)).await;
            Ok(())
        }
        ["link-down", link] => lab.link_down(link).await.map_err(text),
        ["link-up", link] => lab.link_up(link).await.map_err(text),
        ["kill", node] => lab.node_kill(node).await.map_err(text),
        ["restart", node] => lab.node_restart(node).await.map_err(text),
        ["converge"] => lab.converge(log).await.map_err(text),
        ["impair", link, toward, rest @ ..] => lab
            .impair_link(link, toward, &json(rest)?)
            .await
            .map_err(text),
        ["impair-tunnel", tunnel, rest @ ..] => {
            lab.impair_tunnel(tunnel, &json(rest)?).await.map_err(text)
        }
        ["tunnel-add", tunnel] => lab.tunnel_add(tunnel).await.map_err(text),
        ["tunnel-drop", tunnel] => lab.tunnel_drop(tunnel).await.map_err(text),
        ["counters"] => {
            let snapshot = lab.counters("now").await.map_err(text)?;
            log(&serde_json::to_string_pretty(&snapshot).map_err(|e| e.to_string())?);
            Ok(())
        }
        ["mroutes"] => {
            for m in lab.counters("now").await.map_err(text)?.mroutes {
                log(&format!(
                    "{} ({}, {}) {:?} -> {:?} {}",
                    m.namespace, m.source, m.group, m.incoming, m.outgoing, m.packets
                ));
            }
            Ok(())
        }
        ["states", only @ ..] => {
            for (name, content) in lab.router_states().await.map_err(text)? {
                if only.is_empty()
                    || only
                        .iter()
                        .any(|o| name.starts_with(&format!("routers/{o}/")))
                {
                    log(&format!("== {name}\n{}", String::from_utf8_lossy(&content)));
                }
            }
            Ok(())
        }
        ["in", namespace, command @ ..] => {
            let path = format!("/tmp/step{number}");
            let mut process = lab
                .spawn(namespace, shell(command), Path::new(&path))
                .map_err(text)?;
            process.wait().await.map_err(|e| e.to_string())?;
            log(&fs::read_to_string(&path).unwrap_or_default());
            Ok(())
        }
        ["start", namespace, command @ ..] => {
            let path = format!("/tmp/step{number}");
            let process = lab
                .spawn(namespace, shell(command), Path::new(&path))
                .map_err(text)?;
            started.insert(path, process);
            Ok(())
        }
        _ => Err("no such step".into()),
    }
}

fn shell(words: &[&str]) -> Command {
    let mut command = Command::new("/usr/bin/dash");
    command.arg("-c").arg(words.join(" "));
    command
}

/// The monitor's ends of the tunnels as kernel devices (`m-t1`), so that plain sockets can speak through them.
fn with_kernel_monitor(mut plan: Plan) -> Plan {
    let Some(monitor) = plan.monitor.clone() else {
        return plan;
    };
    for tunnel in plan.tunnels.clone() {
        plan.gre.push(GreDevice {
            end: End {
                namespace: monitor.namespace.clone(),
                interface: format!("m-{}", tunnel.name),
                address: Cidr {
                    address: tunnel.monitor_inner,
                    prefix: 30,
                },
            },
            local: tunnel.monitor_outer,
            remote: tunnel.router_outer,
            underlay: None,
            key: tunnel.key,
            ttl: 64,
            purpose: GrePurpose::MonitorTunnel {
                tunnel: format!("m-{}", tunnel.name),
            },
            present: true,
        });
    }
    plan
}
