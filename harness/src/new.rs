//! `mvpnlab new`: a scenario to start from, with comments that say what each part is for.

mod directive;
mod import;
mod shape;
mod sketch;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

pub use shape::Shape;
use sketch::{Link, Router, Sketch};

use crate::run::{infrastructure, output, usage};
use crate::verdict::Exit;

/// More would not fit into the lab's memory.
const ROUTERS_MAX: i64 = 200;

/// What is to be generated.
#[derive(Debug, Clone, Args)]
pub struct New {
    /// Takes the backbone from a GraphML or GML file, as the Topology Zoo has them: every node becomes a PE, and
    /// links are delayed by their length on the great circle where the file says where nodes are.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shape", "routers", "pes", "scatter"])]
    pub from: Option<PathBuf>,
    /// Shape of the backbone.
    #[arg(long, value_enum, default_value_t = Shape::Ring)]
    pub shape: Shape,
    /// P routers.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=ROUTERS_MAX))]
    pub routers: u16,
    /// PE routers, each with one site of the MVPN.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=ROUTERS_MAX))]
    pub pes: u16,
    /// Attaches the PEs to P routers at random, by this seed; else one after the other.
    #[arg(long, value_name = "SEED")]
    pub scatter: Option<u64>,
    /// One-way delay of backbone links of unknown length, as in 5ms.
    #[arg(long, value_name = "TIME", default_value = "5ms")]
    pub delay: String,
    /// Where it goes, a file that is not there yet; standard output unless told.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Writes a scenario to a file that must not exist, or to standard output.
pub fn command(new: &New) -> Exit {
    let text = match scenario(new) {
        Ok(text) => text,
        Err(error) => return usage(&error),
    };
    let directive = new.output.as_deref().and_then(directive::line);
    let text = directive.unwrap_or_default() + &text;
    let written = match &new.output {
        Some(path) => OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| {
                format!(
                    "cannot write {}: {error}; an existing file is never overwritten",
                    path.display()
                )
            }),
        None => output::print(text.trim_end()).map_err(|error| error.to_string()),
    };
    match written {
        Ok(()) => Exit::Pass,
        Err(error) => infrastructure(&error),
    }
}

/// The scenario's text, or what is wrong with the file it was to be made from.
fn scenario(new: &New) -> Result<String, String> {
    let sketch = match &new.from {
        Some(file) => import::sketch(file, &new.delay)?,
        None => generated(new),
    };
    Ok(sketch.text())
}

/// P routers in a shape, and PEs on them.
fn generated(new: &New) -> Sketch {
    let p = |n: usize| format!("P{}", n + 1);
    let pes: Vec<String> = (1..=new.pes).map(|n| format!("PE{n}")).collect();
    let core = shape::links(new.shape, usize::from(new.routers));
    let core = core.into_iter().map(|(a, b)| Link {
        ends: format!("{}-{}", p(a), p(b)),
        delay: Some(new.delay.clone()),
    });
    let access = pes.iter().zip(homes(new)).map(|(pe, home)| Link {
        ends: format!("{pe}-{}", p(home)),
        delay: None,
    });
    Sketch {
        title: format!(
            "{} PEs on a {} of {}",
            new.pes,
            name(new.shape),
            new.routers
        ),
        routers: (0..usize::from(new.routers))
            .map(|n| Router::plain(&p(n)))
            .collect(),
        links: core.chain(access).collect(),
        pes: pes.iter().map(|pe| Router::plain(pe)).collect(),
        monitor_at: p(0),
        rp: Some(p(0)),
    }
}

/// The P router, from 0, that each PE is attached to.
fn homes(new: &New) -> Vec<usize> {
    let routers = usize::from(new.routers);
    let mut dice = new.scatter.map(ChaCha8Rng::seed_from_u64);
    (0..usize::from(new.pes))
        .map(|pe| match &mut dice {
            Some(dice) => dice.random_range(0..routers),
            None => pe % routers,
        })
        .collect()
}

fn name(shape: Shape) -> &'static str {
    match shape {
        Shape::Line => "line",
        Shape::Ring => "ring",
        Shape::Star => "star",
        Shape::Tree => "tree",
        Shape::Mesh => "mesh",
        Shape::TwoLevel => "two-level backbone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::suite::Case;
    use clap::ValueEnum as _;
    use std::path::Path;

    fn new(shape: Shape, routers: u16, pes: u16, scatter: Option<u64>) -> New {
        New {
            shape,
            routers,
            pes,
            scatter,
            delay: "5ms".into(),
            output: None,
            from: None,
        }
    }

    #[test]
    fn what_is_generated_is_sound() {
        for &shape in Shape::value_variants() {
            for (routers, pes) in [(1, 2), (2, 3), (7, 4), (12, 9)] {
                let text = scenario(&new(shape, routers, pes, Some(7))).unwrap();
                Case::of(text.clone(), Path::new("new.toml"), PathBuf::new())
                    .unwrap_or_else(|error| panic!("{shape:?}: {error}\n{text}"));
            }
        }
    }

    #[test]
    fn a_scenario_to_start_from() {
        insta::assert_snapshot!(scenario(&new(Shape::Ring, 3, 2, None)).unwrap());
    }

    #[test]
    fn scattering_depends_on_its_seed_alone() {
        let with = |seed| scenario(&new(Shape::Tree, 9, 9, Some(seed)));
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }

    #[test]
    fn a_file_is_never_overwritten() {
        // With a repository of its own, so that no schema is found above it.
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".git")).unwrap();
        let mut new = new(Shape::Line, 2, 2, None);
        let there = folder.path().join("there.toml");
        std::fs::write(&there, "").unwrap();
        new.output = Some(there.clone());
        assert_eq!(command(&new), Exit::Infrastructure);
        assert_eq!(std::fs::read_to_string(&there).unwrap(), "");
        let beside = folder.path().join("new.toml");
        new.output = Some(beside.clone());
        assert_eq!(command(&new), Exit::Pass);
        assert_eq!(
            std::fs::read_to_string(&beside).unwrap(),
            scenario(&new).unwrap()
        );
    }
}
