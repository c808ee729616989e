//! Labs that live on: what is said comes back, in every place and pace, and nothing is left of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mvpnlab_emulator::place::{
    Execution, Files, LIVE_ENTRY, Living, Native, Pace, PlaceError, Start,
};

use super::failures::own_children;
use super::support::{LONG, execution, place, topology};

fn job(pace: Pace) -> Files {
    Files::from([(LIVE_ENTRY.to_owned(), pace.name().into())])
}

fn sealed(pace: Pace) -> Living {
    let (topology, job) = (topology("parrot", &[]), job(pace));
    let execution = execution(&topology, &job, 1, Start::Warm);
    Living::sealed(place(), &execution, pace, &mut |_| {}).unwrap()
}

fn native() -> Living {
    let (topology, job) = (topology("parrot", &[]), job(Pace::Real));
    let execution: Execution = execution(&topology, &job, 1, Start::Cold);
    let native = Native::unchecked(std::env::current_exe().unwrap());
    Living::native(&native, &execution).unwrap()
}

/// Says something and waits for as many bytes.
fn talk(living: &mut Living, said: &[u8]) -> Result<Vec<u8>, PlaceError> {
    let mut outgoing: VecDeque<u8> = said.iter().copied().collect();
    let mut heard = Vec::new();
    let began = Instant::now();
    while heard.len() < said.len() {
        heard.extend(living.exchange(&mut outgoing)?.bytes);
        assert!(began.elapsed() < LONG, "nothing comes back");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(heard)
}

/// More than either ring holds at once, so that both run full.
fn much() -> Vec<u8> {
    (0..9_000_000u32).map(|n| (n % 251) as u8).collect()
}

fn talks(mut living: Living) {
    assert_eq!(talk(&mut living, b"hello").unwrap(), b"hello");
    assert!(talk(&mut living, &much()).unwrap() == much());
    drop(living);
    assert_eq!(own_children(), Vec::<u32>::new());
}

pub fn in_virtual_time() {
    let mut living = sealed(Pace::Virtual);
    assert_eq!(talk(&mut living, b"hello").unwrap(), b"hello");
    while living.is_running() {
        living.exchange(&mut VecDeque::new()).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    // Nothing is said, and no time passes.
    std::thread::sleep(Duration::from_millis(300));
    living.exchange(&mut VecDeque::new()).unwrap();
    assert!(!living.is_running());
    let began = Instant::now();
    assert_eq!(talk(&mut living, b"again").unwrap(), b"again");
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(1),
        "a second of virtual time took {took:?}"
    );
    talks(living);
}

pub fn in_real_time() {
    let mut living = sealed(Pace::Real);
    let began = Instant::now();
    assert_eq!(talk(&mut living, b"hello").unwrap(), b"hello");
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(900),
        "a second of real time took {took:?}"
    );
    talks(living);
}

pub fn in_this_kernel() {
    if nix::unistd::geteuid().is_root() {
        talks(native());
    }
}

pub fn ends() {
    let mut labs = vec![sealed(Pace::Virtual), sealed(Pace::Real)];
    if nix::unistd::geteuid().is_root() {
        labs.push(native());
    }
    for mut living in labs {
        let error = talk(&mut living, b".").unwrap_err().to_string();
        assert!(error.contains("fell off its perch"), "{error}");
    }
    assert_eq!(own_children(), Vec::<u32>::new());
}
