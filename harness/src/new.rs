//! `mvpnlab new`: a scenario to start from, with comments that say what each part is for.

mod shape;

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

pub use shape::Shape;

use crate::run::{infrastructure, output};
use crate::verdict::Exit;

/// More would not fit into the lab's memory.
const ROUTERS_MAX: i64 = 200;

/// What is to be generated.
#[derive(Debug, Clone, Args)]
pub struct New {
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
    /// One-way delay of a link between P routers, as in 5ms.
    #[arg(long, value_name = "TIME", default_value = "5ms")]
    pub delay: String,
    /// Where it goes, a file that is not there yet; standard output unless told.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Writes a scenario to a file that must not exist, or to standard output.
pub fn command(new: &New) -> Exit {
    let text = scenario(new);
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

/// The scenario's text.
fn scenario(new: &New) -> String {
    let homes = homes(new);
    let core = shape::links(new.shape, usize::from(new.routers));
    let mut text = String::new();
    let mut say = |words: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{words}");
    };
    say(
        "# A scenario: one file says what is built, what happens, what the monitor is to do, and what must come out.",
    );
    say(
        "# `mvpnlab check FILE` reads it, `mvpnlab graph FILE -o picture.svg` draws it, `mvpnlab run FILE --out out` runs it.\n",
    );
    say(&format!(
        "title = \"{} PEs on a {} of {}\"",
        new.pes,
        name(new.shape),
        new.routers
    ));
    say("duration = \"40s\" # in the lab's own time; idle time costs nothing");
    if usize::from(new.routers) + usize::from(new.pes) > 12 {
        let mib = 1024 + 128 * (u32::from(new.routers) + u32::from(new.pes)) / 2;
        say(&format!("memory_mib = {}", mib.next_multiple_of(256)));
    }
    say("\n[backbone]");
    say(
        "rp = \"P1\" # rendezvous point of the default MDT; give an SSM group (232/8) below and it needs none\n",
    );
    say(
        "# Roles: p and pe (routers), ce (a customer's host, or a PIM router if a host hangs on it), host, monitor.",
    );
    say("[nodes]\nMON = { role = \"monitor\" }");
    for p in 1..=new.routers {
        say(&format!("P{p} = {{ role = \"p\" }}"));
    }
    for pe in 1..=new.pes {
        say(&format!("PE{pe} = {{ role = \"pe\" }}"));
    }
    say(
        "\n# The monitor's own link. Impairments: delay, jitter, distribution, loss, burst, duplicate, reorder, corrupt, rate,",
    );
    say(
        "# queue_packets; `impair` is for both directions, `impair_to = { P1 = { ... } }` for one.",
    );
    say("[[link]]\nends = \"MON-P1\"");
    for (a, b) in core {
        say(&format!(
            "\n[[link]]\nends = \"P{}-P{}\"\nimpair = {{ delay = \"{}\" }}",
            a + 1,
            b + 1,
            new.delay
        ));
    }
    for (pe, p) in (1..).zip(&homes) {
        say(&format!("\n[[link]]\nends = \"PE{pe}-P{}\"", p + 1));
    }
    let pes: Vec<String> = (1..=new.pes).map(|pe| format!("\"PE{pe}\"")).collect();
    say(
        "\n# An MVPN: its default MDT, and its sites. `sites = { PE1 = \"CE1\" }` puts a customer behind PE1.",
    );
    say(&format!(
        "[mvpn.red]\ndefault_mdt = \"239.1.1.1\"\nsites_without_ce = [{}]",
        pes.join(", ")
    ));
    say("\n# The monitor's GRE tunnels, one to each PE.");
    for pe in 1..=new.pes {
        say(&format!("[[tunnel]]\nname = \"t{pe}\"\nat = \"PE{pe}\"\n"));
    }
    say(
        "[monitor]\nping = \"1s\" # round trips of the tunnels, to be taken out of what is measured\n",
    );
    say("# Probes into every tunnel, copies back by all others.");
    say(
        "[[monitor.task]]\nname = \"all-pairs\"\nmvpn = \"red\"\nsenders = [\"*\"]\nreceivers = [\"*\"]\nrate = \"2/s\"\nwarmup = \"5s\"\n",
    );
    say("# What happens meanwhile, for example:");
    say(
        "# [[at]]\n# time = \"20s\"\n# do = \"impair-link\"\n# link = \"PE1-P1\"\n# to = \"PE1\"\n# impair = { loss = \"5%\" }\n",
    );
    say("# What must come out: every probe's fate as the taps saw it, and no gap in the results.");
    say("[[expect]]\ncheck = \"fates\"\ntask = \"all-pairs\"\nat_least = 50\n");
    say("[[expect]]\ncheck = \"intervals\"\ntask = \"all-pairs\"\n");
    say("[[expect]]\ncheck = \"customer-adjacencies\"\nmvpn = \"red\"");
    text
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
        }
    }

    #[test]
    fn what_is_generated_is_sound() {
        for &shape in Shape::value_variants() {
            for (routers, pes) in [(1, 2), (2, 3), (7, 4), (12, 9)] {
                let text = scenario(&new(shape, routers, pes, Some(7)));
                Case::of(text.clone(), Path::new("new.toml"), PathBuf::new())
                    .unwrap_or_else(|error| panic!("{shape:?}: {error}\n{text}"));
            }
        }
    }

    #[test]
    fn a_scenario_to_start_from() {
        insta::assert_snapshot!(scenario(&new(Shape::Ring, 3, 2, None)));
    }

    #[test]
    fn scattering_depends_on_its_seed_alone() {
        let with = |seed| scenario(&new(Shape::Tree, 9, 9, Some(seed)));
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }

    #[test]
    fn a_file_is_never_overwritten() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut new = new(Shape::Line, 2, 2, None);
        new.output = Some(file.path().to_owned());
        assert_eq!(command(&new), Exit::Infrastructure);
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "");
        let beside = file.path().with_extension("toml");
        new.output = Some(beside.clone());
        assert_eq!(command(&new), Exit::Pass);
        assert_eq!(std::fs::read_to_string(&beside).unwrap(), scenario(&new));
        std::fs::remove_file(beside).unwrap();
    }
}
