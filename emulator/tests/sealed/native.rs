//! The native place runs the same programs in this host's own kernel. Without root it can only say so.

use std::time::Duration;

use mvpnlab_emulator::place::{Files, Native, PlaceError, Start};

use super::failures::own_children;
use super::support::{execution, topology};

fn native() -> Native {
    Native::unchecked(std::env::current_exe().unwrap())
}

fn run(topology: &Files, job: &Files, deadline: Duration) -> Result<Files, PlaceError> {
    let mut execution = execution(topology, job, 1, Start::Cold);
    execution.deadline = deadline;
    let result = native().execute(&execution, &mut |_| {});
    assert_eq!(own_children(), Vec::<u32>::new());
    result
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

pub fn runs() {
    let job = Files::from([("a/b".to_owned(), b"content".to_vec())]);
    let output = run(&topology("echo", &[]), &job, Duration::from_secs(60));
    match is_root() {
        true => assert_eq!(output.unwrap(), job),
        false => assert!(
            output
                .unwrap_err()
                .to_string()
                .contains("stopped in the middle")
        ),
    }
}

pub fn failures() {
    if !is_root() {
        return runs();
    }
    let misbehave = |how: &str, deadline| {
        run(
            &topology("misbehave", &[("how", how)]),
            &Files::new(),
            deadline,
        )
        .unwrap_err()
    };
    let minute = Duration::from_secs(60);
    assert!(
        misbehave("fail in build", minute)
            .to_string()
            .contains("could not be built: no such wire")
    );
    assert!(
        misbehave("panic in run", minute)
            .to_string()
            .contains("lost in the woods")
    );
    assert!(
        misbehave("die", minute)
            .to_string()
            .contains("ended by SIGKILL")
    );
    assert!(
        misbehave("exit", minute)
            .to_string()
            .contains("exit status 7")
    );
    assert!(matches!(
        misbehave("hang", Duration::from_millis(500)),
        PlaceError::Deadline { .. }
    ));
}

pub fn missing() {
    match Native::open() {
        Ok(_) => assert!(is_root(), "a native place without root"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("Use the sealed place instead"), "{text}");
            assert!(
                text.lines().count() > 2 && text.lines().skip(1).any(|line| line.contains(';')),
                "{text}"
            );
        }
    }
}
