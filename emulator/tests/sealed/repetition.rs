//! The same seed gives the same bytes: whoever made the lab, however it was started, whatever the host is doing.

use std::sync::atomic::{AtomicBool, Ordering};

use mvpnlab_emulator::place::{Files, Start, shell};

use super::support::{execution, place, place_at, run, topology};

/// Two namespaces and a veth whose one end loses and delays at random.
const BUILD: &str = "
ip netns add a; ip netns add b; ip link add va netns a type veth peer name vb netns b
ip -n a addr add 10.0.0.1/24 dev va; ip -n b addr add 10.0.0.2/24 dev vb
ip -n a link set va up; ip -n b link set vb up
sleep 5
";
/// Every source of chance and of time there is: the generator, the clocks, netem, address-space layout, process ids.
const RUN: &str = "
head -c 32 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/uuid /proc/uptime /proc/self/stat; date -u
ip netns exec a tc qdisc add dev va root netem delay 20ms 5ms loss 20%
ip netns exec a ping -c 40 -i 0.1 10.0.0.2
ip netns exec a tc -s qdisc show dev va
";

fn lossy() -> (Files, Files) {
    (
        shell::topology(Some(BUILD)),
        Files::from([(shell::SCRIPT.to_owned(), RUN.into())]),
    )
}

fn text(files: &Files) -> String {
    assert_eq!(
        files[shell::STATUS],
        b"0",
        "{}",
        String::from_utf8_lossy(&files[shell::OUTPUT])
    );
    String::from_utf8_lossy(&files[shell::OUTPUT]).into_owned()
}

/// Which of the pings came back: netem's choices, apart from all other differences.
fn arrivals(output: &str) -> Vec<&str> {
    output
        .lines()
        .filter_map(|line| line.split("seq=").nth(1)?.split(' ').next())
        .collect()
}

pub fn labs_made_apart() {
    let (topology, job) = lossy();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let outputs = folders.each_ref().map(|folder| {
        let place = place_at(folder.path());
        [5, 5, 6]
            .map(|seed| text(&run(&place, &execution(&topology, &job, seed, Start::Warm)).unwrap()))
    });
    let [first, again, other] = &outputs[0];
    assert_eq!(first, again, "two forks of one lab");
    assert_ne!(
        arrivals(first),
        arrivals(other),
        "another seed loses other packets"
    );
    assert!((20..40).contains(&arrivals(first).len()), "{first}");
    let ram = |n: usize| {
        let labs = std::fs::read_dir(folders[n].path().join("warm"))
            .unwrap()
            .map(|lab| lab.unwrap().path());
        let mut labs: Vec<_> = labs.collect();
        labs.sort();
        labs.into_iter().map(|lab| {
            (
                lab.file_name().unwrap().to_owned(),
                std::fs::read(lab.join("ram")).unwrap(),
            )
        })
    };
    assert!(
        ram(0).eq(ram(1)),
        "the labs' memories are equal to the byte"
    );
}

pub fn cold_start() {
    let (topology, job) = lossy();
    let [warm, cold] = [Start::Warm, Start::Cold]
        .map(|start| run(place(), &execution(&topology, &job, 5, start)).unwrap());
    assert_eq!(text(&warm), text(&cold));
}

pub fn busy_host() {
    let (topology, job) = lossy();
    let quiet = run(place(), &execution(&topology, &job, 9, Start::Warm)).unwrap();
    let stop = AtomicBool::new(false);
    let busy = std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let result = run(place(), &execution(&topology, &job, 9, Start::Warm));
        stop.store(true, Ordering::Relaxed);
        result.unwrap()
    });
    assert_eq!(text(&quiet), text(&busy));
}

pub fn files_in_and_out() {
    let large: Vec<u8> = (0..4_000_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let job = Files::from([
        ("a/large".to_owned(), large),
        ("empty".to_owned(), Vec::new()),
    ]);
    let output = run(
        place(),
        &execution(&topology("echo", &[]), &job, 1, Start::Warm),
    )
    .unwrap();
    assert!(output == job, "16 MB came back changed");
}

pub fn idle_time() {
    let output = run(
        place(),
        &execution(&topology("idle", &[]), &Files::new(), 1, Start::Warm),
    )
    .unwrap();
    let slept_ns: u64 = String::from_utf8_lossy(&output["slept_ns"])
        .parse()
        .unwrap();
    let hour_ns = 3_600_000_000_000;
    assert!(
        (hour_ns..hour_ns + 1_000_000).contains(&slept_ns),
        "{slept_ns}"
    );
}
