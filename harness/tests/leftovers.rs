//! Whatever is killed, whenever: `gc` leaves nothing of ours, and touches nothing else.
//!
//! Some process of an `up`, a `run` or a `down` gets SIGKILL at a random moment, the first time with no warm lab to start
//! from. `MVPNLAB_KILLS` says how often (24 unless told, in about half a minute; the full test is 200, in about five),
//! `MVPNLAB_KILL_SEED` from which seed.

mod world;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mvpnlab_emulator::kernel::netns::Netns;
use mvpnlab_emulator::place::Cache;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use world::World;

/// How long the kernel may take to end what belonged to a killed process.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest moment that is waited for: a boot and the beginning of a build from cold, all of it from warm.
const MOMENT_MS: u64 = 4_000;

const NAMESPACE: &str = "mvpnlab-stranger-";
const THEIRS: &str = "theirs";

/// A cache of their own, with everybody's image.
fn world() -> World {
    let world = World::new();
    let cache = world.path("cache");
    fs::create_dir(&cache).unwrap();
    symlink(
        Cache::from_environment().folder("image"),
        cache.join("image"),
    )
    .unwrap();
    world.with("MVPNLAB_CACHE", cache)
}

fn kill_one(world: &World, chance: &mut ChaCha8Rng) {
    let ours = world.processes();
    if !ours.is_empty() {
        let victim = ours[chance.random_range(0..ours.len())];
        // It may have ended in this moment.
        let _ = kill(Pid::from_raw(victim), Signal::SIGKILL);
    }
}

/// A lab whose `up` was killed after it was up is a lab, and taken down as one.
fn take_down_the_living(world: &World) {
    let listing = world.expect(&["ls", "--json"]);
    let labs: Vec<serde_json::Value> = serde_json::from_str(&listing).unwrap();
    for lab in labs {
        // Its keeper may be on its way down already.
        world.run(&["down", lab["name"].as_str().unwrap()]);
    }
}

fn must_be_clean(world: &World, what: &str) {
    let began = Instant::now();
    loop {
        take_down_the_living(world);
        world.expect(&["gc"]);
        let left = left(world);
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{what} left {left:?}");
        sleep(Duration::from_millis(20));
    }
}

/// Processes, labs' folders, half-made warm labs.
fn left(world: &World) -> Vec<String> {
    let processes = world.processes();
    let mut left: Vec<String> = processes
        .iter()
        .map(|pid| format!("process {pid}"))
        .collect();
    left.extend(names(&world.path("runtime/mvpnlab")));
    let warm = names(&world.path("cache/warm")).into_iter();
    left.extend(warm.filter(|name| name.starts_with('.')));
    left
}

fn names(folder: &Path) -> Vec<String> {
    let listing = fs::read_dir(folder).into_iter().flatten();
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    listing.filter_map(Result::ok).map(name).collect()
}

/// What others have: processes of the same names as ours, a named namespace, files where ours are too.
struct Strangers {
    processes: Vec<Ended>,
    /// With the number by which the kernel knows it; only where we may make one.
    namespace: Option<(Netns, u64)>,
    files: Vec<PathBuf>,
    names: BTreeSet<String>,
}

impl Strangers {
    fn new(world: &World) -> Self {
        let sleeping = |name: &str| {
            let mut command = Command::new("sleep");
            Ended(command.arg0(name).arg("100000").spawn().unwrap())
        };
        let files = ["runtime/other", "cache/other", "mvpnlab-0"].map(|folder| {
            let file = world.path(folder).join("lock");
            fs::create_dir_all(world.path(folder)).unwrap();
            fs::write(&file, THEIRS).unwrap();
            file
        });
        Self {
            processes: ["sleep", "mvpnlab", "qemu-system-x86_64"]
                .map(sleeping)
                .into(),
            namespace: namespace(),
            files: files.into(),
            names: shared_names(),
        }
    }

    /// All of it is still there, and as it was.
    fn must_be_untouched(&mut self, what: &str) {
        for process in &mut self.processes {
            let ended = process.0.try_wait().unwrap();
            assert_eq!(ended, None, "{what}: a stranger's process was ended");
        }
        if let Some((namespace, number)) = &self.namespace {
            let found = number_of(namespace);
            assert_eq!(found, Some(*number), "{what}: a stranger's namespace");
        }
        for file in &self.files {
            let text = fs::read_to_string(file).unwrap_or_default();
            assert_eq!(text, THEIRS, "{what}: {} was touched", file.display());
        }
        let now = shared_names();
        let gone: Vec<_> = self.names.difference(&now).collect();
        assert!(gone.is_empty(), "{what}: {gone:?} are gone");
    }
}

/// A namespace under a name like that of a lab's own.
fn namespace() -> Option<(Netns, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    match Netns::create(NAMESPACE, &std::process::id().to_string()) {
        Ok(made) => {
            let number = number_of(&made).unwrap();
            Some((made, number))
        }
        Err(error) => {
            eprintln!("without a stranger's namespace: {error}");
            None
        }
    }
}

fn number_of(namespace: &Netns) -> Option<u64> {
    let path = Path::new("/run/netns").join(format!("{NAMESPACE}{}", namespace.name()));
    fs::metadata(path).map(|found| found.ino()).ok()
}

/// Where everybody on this machine may have things.
fn shared_names() -> BTreeSet<String> {
    let folders = ["/run/netns", "/dev/shm", "/run/mvpnlab"];
    let names = folders.iter().flat_map(|folder| names(Path::new(folder)));
    names.collect()
}

fn number(name: &str, otherwise: u64) -> u64 {
    let told = std::env::var(name).ok().and_then(|text| text.parse().ok());
    told.unwrap_or(otherwise)
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already, and is reaped then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nothing_is_left_whatever_is_killed_and_nothing_else_is_touched() {
    let world = world();
    let file = world.scenario();
    let file = file.to_str().unwrap();
    let seed = number("MVPNLAB_KILL_SEED", 1);
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut strangers = Strangers::new(&world);
    for kill in 0..number("MVPNLAB_KILLS", 24) {
        let moment = Duration::from_millis(chance.random_range(0..MOMENT_MS));
        let (verb, mut command) = match chance.random_range(0..4) {
            0 => ("run", world.command(&["run", "--jobs", "1", file])),
            1 => {
                world.run(&["up", "--sealed", file]);
                ("down", world.command(&["down"]))
            }
            _ => ("up", world.command(&["up", "--sealed", file])),
        };
        let what = format!("seed {seed}, kill {kill}: {verb} after {moment:?}");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = Ended(command.spawn().unwrap());
        let began = Instant::now();
        while began.elapsed() < moment && child.0.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(1));
        }
        kill_one(&world, &mut chance);
        drop(child);
        must_be_clean(&world, &what);
        strangers.must_be_untouched(&what);
    }
}
