//! Labs that people work in: every verb, in real time and in virtual time, from outside.

mod world;

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use world::World;

/// A lab in real time needs the processors to itself, or its routers miss each other's Hellos: one test after the other.
static HOST: Mutex<()> = Mutex::new(());

/// Up, whatever this host's own kernel could do.
fn up(world: &World, more: &[&str]) {
    let file = world.scenario();
    let file = file.to_str().unwrap();
    world.expect(&[&["up", file][..], more].concat());
}

/// Runs a verb until what it prints fits.
fn await_output(world: &World, verb: &[&str], fits: &dyn Fn(&str) -> bool) {
    let began = Instant::now();
    loop {
        let output = world.expect(verb);
        if fits(&output) {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{verb:?} still says {output}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_lab_in_real_time_is_looked_into_changed_and_taken_down() {
    let _alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::new();
    world.expect_refusal(&["show", "links"], 2, "no lab is up");
    up(&world, &["--sealed"]);
    let file = world.scenario();
    world.expect_refusal(&["up", file.to_str().unwrap()], 2, "is up already");
    commands(&world);
    routers(&world);
    links(&world);
    captures(&world);
    traces(&world);
    crashes(&world);
    world.expect_refusal(&["step", "1s"], 2, "time passes by itself");
    world.expect(&["down", "--lab", "small"]);
    assert!(world.processes().is_empty());
    assert!(!world.expect(&["ls"]).contains("small"));
}

/// Streams apart, status passed on, input only when it is asked for, namespaces told apart.
fn commands(world: &World) {
    let output = world.run(&[
        "exec",
        "PE1",
        "--",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 7",
    ]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b"out\n"[..], &b"err\n"[..])
    );
    world.expect_refusal(&["exec", "PE1", "--", "nonesuch"], 125, "cannot start");
    world.expect_refusal(&["exec", "PE9", "--", "true"], 125, "no node \"PE9\"");
    let addresses = |node| world.expect(&["exec", node, "--", "ip", "-br", "address"]);
    assert!(addresses("PE1").contains("vrf-red") && !addresses("PE1").contains("mdt"));
    assert!(addresses("PE1.red").contains("mdt") && !addresses("PE1.red").contains("to-P1"));
    let echoed = with_input(world, &["exec", "-i", "PE2", "--", "cat"], "a line\n");
    assert_eq!(echoed, "a line\n");
    assert_eq!(
        with_input(world, &["exec", "PE2", "--", "cat"], "a line\n"),
        ""
    );
    let shell = with_input(world, &["shell", "PE2"], "echo $MVPNLAB_NODE\nexit 0\n");
    assert_eq!(shell, "PE2\n");
    let status = world.expect(&["exec", "MON", "--", "vmscope", "task", "list"]);
    assert!(status.contains("all-pairs"), "{status}");
}

fn with_input(world: &World, verb: &[&str], input: &str) -> String {
    let mut command = world.command(verb);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may have ended before it is written to.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let mut output = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut output)
        .unwrap();
    assert!(child.wait().unwrap().success(), "{verb:?}");
    output
}

fn routers(world: &World) {
    let neighbors = world.expect(&["show", "neighbors", "PE1"]);
    assert!(
        neighbors.contains("OSPF") && neighbors.contains("Full"),
        "{neighbors}"
    );
    assert!(
        neighbors.contains("PIM") && neighbors.contains("mdt"),
        "{neighbors}"
    );
    await_output(world, &["show", "igmp", "PE1"], &|rows| {
        rows.contains("tun-t1")
    });
    await_output(world, &["show", "mroutes", "P1"], &|rows| {
        rows.contains("239.1.1.1")
    });
    assert!(
        world
            .expect(&["show", "routes", "PE1", "--json"])
            .contains("\"protocol\": \"ospf\"")
    );
    assert!(world.expect(&["show", "tunnels"]).contains("t2"));
    assert!(
        world
            .expect(&["vty", "PE1", "show", "ip", "ospf", "neighbor"])
            .contains("Full")
    );
    world.expect_refusal(&["vty", "PE1", "show", "nonsense"], 2, "was refused");
    world.expect_refusal(&["show", "links", "XX"], 2, "no node \"XX\"");
    let tree = world.expect(&["graph", "--group", "239.1.1.1", "--source", "t1"]);
    assert!(
        tree.contains("Tree of (10.77.0.2, 239.1.1.1): to sites PE1.red, PE2.red"),
        "{tree}"
    );
}

/// Only what is named changes, and only there.
fn links(world: &World) {
    let p = "10.255.0.1";
    let ping = |count| world.run(&["exec", "PE1", "--", "ping", "-c", "1", "-W", count, p]);
    world.expect(&["until", "converged"]);
    assert!(ping("2").status.success());
    world.expect(&["link", "P1-PE1", "--delay", "20ms"]);
    let shown = world.expect(&["link", "PE1-P1", "--loss", "1%", "--toward", "P1"]);
    let row = |node: &str| {
        shown
            .lines()
            .find(|l| l.split_whitespace().nth(1) == Some(node))
            .unwrap()
    };
    assert!(
        row("P1").contains("20ms, loss 1%") && !row("PE1").contains("loss"),
        "{shown}"
    );
    assert!(!world.expect(&["link", "PE2-P1"]).contains("20ms"));
    world.expect_refusal(
        &["link", "PE2-P1", "--reorder", "5%"],
        2,
        "`reorder` without `delay`",
    );
    world.expect_refusal(&["link", "PE2-P1", "--loss", "x"], 2, "--loss");
    world.expect(&["link", "PE1-P1", "down"]);
    assert!(!ping("1").status.success());
    assert!(world.expect(&["link", "PE1-P1"]).contains("down"));
    world.expect(&["link", "PE1-P1", "up"]);
    world.expect(&["link", "PE1-P1", "--clear"]);
    world.expect(&["until", "converged"]);
    assert!(ping("2").status.success());
}

/// What is asked for comes, live, and the rest does not.
fn captures(world: &World) {
    let capture = |filter| {
        let verb = ["capture", "PE1-P1", "--filter", filter, "-w", "-"];
        let mut child = world.command(&verb).stdout(Stdio::piped()).spawn().unwrap();
        // The head of the file says that it has begun.
        let mut bytes = vec![0; 1];
        let mut stream = child.stdout.take().unwrap();
        stream.read_exact(&mut bytes).unwrap();
        world.expect(&[
            "exec",
            "PE1",
            "--",
            "ping",
            "-c",
            "3",
            "-i",
            "0.2",
            "10.255.0.1",
        ]);
        std::thread::sleep(Duration::from_millis(500));
        child.kill().unwrap();
        stream.read_to_end(&mut bytes).unwrap();
        child.wait().unwrap();
        packets(&bytes)
    };
    // Four sightings of each echo: entering and leaving, there and back.
    assert_eq!(capture("icmp and host 10.255.0.1"), 12);
    assert_eq!(capture("icmp and host 10.99.99.99"), 0);
    let bad = ["capture", "PE1-P1", "--filter", "no such filter", "-w", "-"];
    world.expect_refusal(&bad, 2, "cannot read the filter");
}

fn packets(file: &[u8]) -> usize {
    let mut reader = pcap_file::pcapng::PcapNgReader::new(file).unwrap();
    let mut count = 0;
    while let Some(block) = reader.next_block() {
        match block {
            Ok((block, _)) => count += usize::from(block.into_enhanced_packet().is_some()),
            // The capture was ended in the middle of a block.
            Err(_) => break,
        }
    }
    count
}

fn traces(world: &World) {
    world.expect(&["link", "PE2-P1", "--toward", "PE2", "--loss", "100%"]);
    await_output(world, &["trace", "--lost"], &|lost| {
        lost.contains("on PE2-P1 towards PE2") && lost.contains("random loss of 100%")
    });
    world.expect(&["link", "PE2-P1", "--clear"]);
    let lost = world.expect(&["trace", "--lost", "--all"]);
    let there = lost
        .lines()
        .find(|line| line.contains("on PE2-P1 towards PE2"));
    let one = there.unwrap().split_whitespace().next().unwrap();
    let followed = world.expect(&["trace", one]);
    assert!(
        followed.contains("lost on PE2-P1 towards PE2 after"),
        "{followed}"
    );
    world.expect_refusal(&["trace", "nonesuch/t1#1"], 2, "nonesuch");
}

fn crashes(world: &World) {
    world.expect(&["node", "PE2", "kill"]);
    assert!(!world.expect(&["show", "neighbors", "PE2"]).contains("Full"));
    assert!(!world.expect(&["show", "routes", "PE2"]).contains("ospf"));
    assert!(world.expect(&["show", "neighbors", "PE1"]).contains("Full"));
    world.expect(&["node", "PE2", "restart"]);
    world.expect(&["until", "converged"]);
    assert!(world.expect(&["show", "neighbors", "PE2"]).contains("Full"));
    let why = "it belongs to the MVPN";
    world.expect_refusal(&["pe", "PE1", "red", "join"], 2, why);
    world.expect_refusal(&["pe", "PE9", "red", "silent"], 2, "no VRF of that MVPN");
}

/// Two labs of one seed, treated alike, say the same to the byte, while time passes only when it is told to.
#[test]
fn labs_in_virtual_time_repeat_to_the_byte() {
    let _alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::new();
    let told = |name: &str, seed: &str| {
        up(&world, &["--virtual", "--name", name, "--seed", seed]);
        let verbs: [&[&str]; 9] = [
            &["exec", "PE1", "--", "date", "+%s.%N"],
            &["step", "8s"],
            &[
                "link", "PE1-P1", "--loss", "20%", "--delay", "5ms", "--jitter", "2ms",
            ],
            &["step", "20s"],
            &["show", "links"],
            &["trace"],
            &["trace", "--lost"],
            &[
                "exec",
                "PE1",
                "--",
                "sh",
                "-c",
                "head -c 8 /dev/urandom | od -x",
            ],
            &["exec", "PE1", "--", "date", "+%s.%N"],
        ];
        let mut said = String::new();
        for verb in verbs {
            let separator = verb
                .iter()
                .position(|word| *word == "--")
                .unwrap_or(verb.len());
            let (verb, rest) = verb.split_at(separator);
            let (verb, node) = verb.split_at(1);
            said += &world.expect(&[verb, &["--lab", name], node, rest].concat());
            std::thread::sleep(Duration::from_millis(20));
        }
        world.expect(&["down", name]);
        said.replace(&format!("--lab {name} "), "")
    };
    let first = told("one", "1");
    // However busy the host is.
    let load: Vec<Busy> = (0..3).map(|_| Busy::start()).collect();
    assert!(first.contains("random loss of 20%"), "{first}");
    assert_eq!(told("two", "1"), first);
    drop(load);
    assert_ne!(told("three", "2"), first);
}

/// A process that only uses a processor, until it is dropped.
struct Busy(std::process::Child);

impl Busy {
    fn start() -> Self {
        let mut command = std::process::Command::new("sh");
        Self(command.args(["-c", "while :; do :; done"]).spawn().unwrap())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // Ours, and running.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
