//! Whatever goes wrong inside or around the guest is an error that says so, in time, and leaves nothing behind.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use mvpnlab_emulator::place::error::Phase;
use mvpnlab_emulator::place::qemu::Qemu;
use mvpnlab_emulator::place::{Cache, Files, PlaceError, Sealed, Start};

use super::support::{FULL_DISK, cache_at, execution, place, run, topology};

fn misbehave(how: &str) -> PlaceError {
    let topology = topology("misbehave", &[("how", how)]);
    let error = run(
        place(),
        &execution(&topology, &Files::new(), 1, Start::Warm),
    )
    .unwrap_err();
    assert_eq!(
        own_children(),
        Vec::<u32>::new(),
        "{how}: every child is reaped"
    );
    error
}

pub fn program_fails() {
    let PlaceError::Program {
        phase,
        message,
        words,
    } = misbehave("fail in build")
    else {
        panic!("another error")
    };
    assert_eq!((phase, message.as_str()), (Phase::Build, "no such wire"));
    assert_eq!(words.log.last().map(String::as_str), Some("building badly"));
    let PlaceError::Program {
        phase,
        message,
        words,
    } = misbehave("fail in run")
    else {
        panic!("another error")
    };
    assert_eq!(
        (phase, message.as_str()),
        (Phase::Run, "the routers went home")
    );
    assert_eq!(words.log.last().map(String::as_str), Some("running badly"));
}

pub fn program_panics() {
    let text = misbehave("panic in build").to_string();
    assert!(
        text.starts_with(
            "the sealed lab could not be built: the program panicked: the wires are crossed"
        ),
        "{text}"
    );
    let text = misbehave("panic in run").to_string();
    assert!(
        text.starts_with(
            "the sealed lab could not be run: the program panicked: lost in the woods"
        ),
        "{text}"
    );
    assert!(
        text.contains("programs.rs"),
        "the console says where: {text}"
    );
}

pub fn program_dies() {
    let text = misbehave("die").to_string();
    assert!(
        text.starts_with("the sealed lab's init failed: its worker was ended by SIGKILL"),
        "{text}"
    );
    let text = misbehave("exit").to_string();
    assert!(
        text.starts_with("the sealed lab's init failed: its worker ended with exit status 7"),
        "{text}"
    );
}

pub fn unknown_program() {
    let error = run(
        place(),
        &execution(&topology("nobody", &[]), &Files::new(), 1, Start::Warm),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has no program named \"nobody\""),
        "{error}"
    );
}

pub fn hang() {
    let topology = topology("misbehave", &[("how", "hang")]);
    let files = Files::new();
    let mut execution = execution(&topology, &files, 1, Start::Warm);
    place().warm_up(&execution, &mut |_| {}).unwrap();
    execution.deadline = Duration::from_secs(5);
    let error = run(place(), &execution).unwrap_err();
    let PlaceError::Deadline { words, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(words.log.last().map(String::as_str), Some("running badly"));
    assert_eq!(own_children(), Vec::<u32>::new());
}

pub fn panic_and_early_exit() {
    let error = misbehave("crash the kernel");
    let PlaceError::GuestPanic { words } = error else {
        panic!("{error}")
    };
    assert!(
        words.console.iter().any(|line| line.contains("sysrq")),
        "{words}"
    );
    let error = misbehave("switch off");
    assert!(matches!(error, PlaceError::EarlyExit { .. }), "{error}");
}

pub fn killed_qemu() {
    let topology = topology("misbehave", &[("how", "hang")]);
    let files = Files::new();
    let execution = execution(&topology, &files, 1, Start::Warm);
    place().warm_up(&execution, &mut |_| {}).unwrap();
    let result = place().execute(&execution, &mut |line| {
        if line == "running badly" {
            for child in own_children() {
                let pid = nix::unistd::Pid::from_raw(child as i32);
                nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            }
        }
    });
    let error = result.unwrap_err();
    assert!(matches!(error, PlaceError::QemuDied { .. }), "{error}");
    assert!(error.to_string().contains("was it killed"), "{error}");
    assert_eq!(own_children(), Vec::<u32>::new());
}

pub fn missing_qemu() {
    let error = Qemu::at(PathBuf::from("/nonexistent/qemu")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("apt-get install qemu-system-x86"),
        "{error}"
    );
    let error = Qemu::at(PathBuf::from("/bin/true")).unwrap_err();
    assert!(matches!(error, PlaceError::NoQemu { .. }), "{error}");
}

pub fn guest_outside() {
    let own = std::env::current_exe().unwrap();
    let output = Command::new(own).arg("guest").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("inside the sealed lab"));
}

/// The disk is a small tmpfs in a mount namespace of a child's own.
pub fn full_disk() {
    let folder = tempfile::tempdir().unwrap();
    cache_at(folder.path());
    let image = std::fs::read_link(folder.path().join("image")).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .arg(FULL_DISK)
        .args([folder.path(), &image])
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("no space left while writing"), "{said}");
}

/// The child: prints the error it got; fails if there was none or something stayed behind.
pub fn full_disk_child() -> ExitCode {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    let arguments: Vec<PathBuf> = std::env::args_os().skip(2).map(PathBuf::from).collect();
    let (folder, image) = (&arguments[0], &arguments[1]);
    let private = if nix::unistd::geteuid().is_root() {
        CloneFlags::empty()
    } else {
        CloneFlags::CLONE_NEWUSER
    };
    unshare(private | CloneFlags::CLONE_NEWNS).unwrap();
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .unwrap();
    mount(
        Some("tmpfs"),
        folder,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=8m"),
    )
    .unwrap();
    std::os::unix::fs::symlink(image, folder.join("image")).unwrap();
    let own = std::env::current_exe().unwrap();
    let place = Sealed::with(&Cache::at(folder), Qemu::find().unwrap(), &own, &mut |_| {}).unwrap();
    let error = run(
        &place,
        &execution(&topology("echo", &[]), &Files::new(), 1, Start::Warm),
    )
    .unwrap_err();
    eprintln!("{error}");
    assert!(matches!(error, PlaceError::NoSpace { .. }), "{error}");
    assert_eq!(
        std::fs::read_dir(folder.join("warm")).unwrap().count(),
        0,
        "nothing stays behind"
    );
    ExitCode::SUCCESS
}

/// Processes whose parent is this one, by their ids.
pub fn own_children() -> Vec<u32> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let ids = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    ids.filter(|id| parent(&Path::new("/proc").join(id.to_string())).is_some_and(|p| p == own))
        .collect()
}

fn parent(process: &Path) -> Option<String> {
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    status
        .lines()
        .find_map(|line| Some(line.strip_prefix("PPid:")?.trim().to_owned()))
}
