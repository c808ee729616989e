//! Traces of labs that never were: what happened is known exactly, and the texts are for people.

// The truth's own synthetic lab. Test code of another crate cannot be linked, so it is compiled here once more.
#[path = "../../../emulator/tests/truth/frames.rs"]
#[allow(dead_code)]
mod frames;
#[path = "../../../emulator/tests/truth/lab.rs"]
#[allow(dead_code)]
mod lab;
#[path = "../../../emulator/tests/truth/walk.rs"]
#[allow(dead_code)]
mod walk;

mod customers;
mod probes;
mod questions;

use mvpnlab_emulator::truth::{Files, Observation, Truth};

use super::ask::{self, Question};
use super::scene::{Scene, TaskNames};
use super::{json, text};
use lab::{Lab, MS, SECOND, START, Send};

/// What two PEs with customers do here.
const DOINGS: &str = r#"
[[source]]
name = "video"
at = "CE1"
group = "239.100.1.1"
rate = "20/s"
[[receiver]]
name = "viewer"
at = "CE2"
group = "239.100.1.1"
stop = "9s"
[[monitor.task]]
name = "mdt"
mvpn = "red"
senders = ["a"]
rate = "20/s"
"#;

fn scenario() -> String {
    lab::two_with_customers() + DOINGS
}

/// With something on a link.
fn two(link: &str, extra: &str) -> Lab {
    let line = format!("ends = \"{link}\"\n");
    let text = scenario();
    assert!(text.contains(&line));
    Lab::new(&text.replace(&line, &format!("{line}{extra}\n")))
}

fn send(sequence: u32) -> Send<'static> {
    Send {
        sender: "a",
        sequence,
        ns: START + SECOND + u64::from(sequence) * 50 * MS,
        ttl: 64,
    }
}

/// What is said, as text.
fn asked(files: &Files, what: &str) -> String {
    let question = match what.strip_prefix("--lost") {
        Some(what) => Question {
            what: read(what.trim()),
            lost: true,
            all: false,
        },
        None => Question {
            what: read(what),
            ..Question::default()
        },
    };
    with(files, &question, |scene, answer| {
        text::render(scene, answer, "--run out/two ")
    })
}

fn read(what: &str) -> super::what::What {
    match what {
        "" => super::what::What::default(),
        what => what.parse().unwrap(),
    }
}

fn with(
    files: &Files,
    question: &Question,
    show: impl FnOnce(&Scene<'_>, &ask::Answer) -> String,
) -> String {
    let observation = Observation::of(files).unwrap();
    let (truth, disagreements) = Truth::read(&observation).unwrap();
    let scene = Scene::new(
        &truth,
        &observation.scenario,
        &disagreements,
        &TaskNames::new(),
    );
    match ask::answer(&scene, question) {
        Ok(answer) => show(&scene, &answer),
        Err(error) => error.to_string(),
    }
}
