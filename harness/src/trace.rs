//! `mvpnlab trace`: where a packet went, tap by tap, with times, and which link or queue ate it.
//!
//! A [`scene`] is made of a truth, wherever that was observed; [`ask`] answers questions in the language of [`what`],
//! with [`lists`] or with one [`packet`]: a [`probe`]'s or a [`customer`]'s. [`text`] writes answers for people.

pub mod ask;
mod customer;
mod kept;
mod lists;
mod packet;
mod probe;
pub mod scene;
pub mod text;
mod tree;
pub mod what;
mod why;

#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;

use mvpnlab_emulator::truth::{Files, Observation, Truth};

use crate::claims::Claims;
use crate::cli;
use crate::live::command::{VerbError, exit, observe};
use crate::run::{infrastructure, output, usage};
use crate::verdict::Exit;

use ask::{Answer, Question};
use scene::{Scene, TaskNames};

/// Answers one question about a kept run, or about a running lab's recent past.
pub fn command(args: &cli::Trace) -> Exit {
    let question = Question {
        what: args.what.clone().unwrap_or_default(),
        lost: args.lost,
        all: args.all,
    };
    // As it is written behind `mvpnlab trace`.
    let (files, place) = match (&args.run, &args.lab.lab) {
        (Some(run), _) => (kept(run), format!("--run {} ", run.display())),
        (None, Some(lab)) => (observe(Some(lab)), format!("--lab {lab} ")),
        (None, None) => (observe(None), String::new()),
    };
    let files = match files {
        Ok(files) => files,
        Err(error) => return exit(Err(error)),
    };
    let read = Observation::of(&files)
        .and_then(|observation| Ok((Truth::read(&observation)?, observation)));
    let ((truth, disagreements), observation) = match read {
        Ok(read) => read,
        Err(error) => return usage(&format!("cannot trace what was observed: {error}")),
    };
    // A living lab is not judged: its counters are not read in the moments that its past begins and ends.
    let disagreements = match args.run {
        Some(_) => disagreements,
        None => Vec::new(),
    };
    let scene = Scene::new(
        &truth,
        &observation.scenario,
        &disagreements,
        &names(&files),
    );
    let answer = match ask::answer(&scene, &question) {
        Ok(answer) => answer,
        Err(error) => return usage(&error.to_string()),
    };
    let written = match args.json {
        true => json(&scene, &answer),
        false => Ok(text::render(&scene, &answer, &place)),
    };
    match written.map(|text| output::print(text.trim_end())) {
        Ok(Ok(())) => Exit::Pass,
        Ok(Err(error)) => infrastructure(&error),
        Err(error) => infrastructure(&error),
    }
}

fn kept(run: &Path) -> Result<Files, VerbError> {
    kept::read(run).map_err(VerbError::Usage)
}

/// How the monitor calls the numbers of its tasks; nothing where it left no database.
fn names(files: &Files) -> TaskNames {
    let runs = Claims::of(files)
        .map(|claims| claims.tasks)
        .unwrap_or_default();
    runs.into_iter()
        .map(|run| ((run.session, run.task), run.name))
        .collect()
}

/// An answer as data, with what contradicts it.
#[derive(Serialize)]
struct Data<'a> {
    disagreements: Vec<String>,
    #[serde(flatten)]
    answer: &'a Answer,
}

/// An answer for machines: units in names, moments as nanoseconds into the run.
pub fn json(scene: &Scene<'_>, answer: &Answer) -> Result<String, serde_json::Error> {
    let disagreements = scene.disagreements.iter().map(ToString::to_string);
    serde_json::to_string_pretty(&Data {
        disagreements: disagreements.collect(),
        answer,
    })
}
