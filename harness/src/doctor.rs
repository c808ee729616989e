//! `mvpnlab doctor`: what this host can do, and what to do about what it cannot.

use std::fmt::Write as _;

use mvpnlab_emulator::place::Cache;
use mvpnlab_emulator::place::probe::{self, Fact, Fit, Needed};

use crate::run::{infrastructure, output};
use crate::verdict::Exit;

/// 0 when sealed labs can run here, which is all that `mvpnlab run` needs; else 3.
pub fn command(json: bool) -> Exit {
    let facts = probe::facts(&Cache::from_environment());
    let text = if json {
        serde_json::to_string_pretty(&facts)
    } else {
        Ok(describe(&facts))
    };
    let printed = text
        .map_err(|error| error.to_string())
        .and_then(|text| output::print(&text).map_err(|error| error.to_string()));
    match printed {
        Ok(()) if is_ready(&facts, Needed::Sealed) => Exit::Pass,
        Ok(()) => Exit::Infrastructure,
        Err(error) => infrastructure(&error),
    }
}

fn is_ready(facts: &[Fact], place: Needed) -> bool {
    facts
        .iter()
        .filter(|fact| fact.needed_by == place)
        .all(|fact| fact.fit == Fit::Yes)
}

fn describe(facts: &[Fact]) -> String {
    let mut out = String::new();
    let places = [
        (
            Needed::Sealed,
            "Sealed labs (the default: QEMU, virtual time, no privilege)",
        ),
        (
            Needed::Native,
            "Native labs (--native: this kernel, real time, root)",
        ),
        (Needed::Nobody, "Good to know"),
    ];
    for (place, title) in places {
        let own: Vec<&Fact> = facts
            .iter()
            .filter(|fact| fact.needed_by == place)
            .collect();
        if own.is_empty() {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{title}");
        for fact in own {
            let mark = match fact.fit {
                Fit::Yes => "ok     ",
                Fit::No => "MISSING",
                Fit::Unknown => "unknown",
            };
            let _ = writeln!(out, "  {mark} {}: {}", fact.name, fact.found);
            if fact.fit != Fit::Yes && !fact.remedy.is_empty() {
                let _ = writeln!(out, "          {}", fact.remedy);
            }
        }
        out.push('\n');
    }
    let can = |place: Needed| {
        if is_ready(facts, place) {
            "can"
        } else {
            "cannot"
        }
    };
    let _ = write!(
        out,
        "This host {} run sealed labs, and {} run native ones.",
        can(Needed::Sealed),
        can(Needed::Native)
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_its_remedy() {
        let fact = |name: &str, fit, needed_by| Fact {
            name: name.into(),
            found: "none".into(),
            fit,
            needed_by,
            remedy: format!("install {name}"),
        };
        let facts = [
            fact("QEMU", Fit::Yes, Needed::Sealed),
            fact("netem", Fit::No, Needed::Native),
            fact("kvm", Fit::Unknown, Needed::Nobody),
        ];
        insta::assert_snapshot!(describe(&facts));
        assert!(is_ready(&facts, Needed::Sealed) && !is_ready(&facts, Needed::Native));
    }
}
