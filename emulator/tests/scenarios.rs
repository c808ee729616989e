//! Every scenario file: it reads, it can be planned, and the catalogues beside it agree with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use mvpnlab_emulator::{
    plan::{Plan, WireKind},
    scenario::Scenario,
};
use serde::Deserialize;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn text_of(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// By path below `scenarios/`, with `/` between.
fn scenarios() -> BTreeMap<String, Scenario> {
    let mut found = BTreeMap::new();
    for kind in std::fs::read_dir(folder()).expect("the folder is part of the house") {
        let kind = kind.expect("readable").path();
        for file in kind
            .is_dir()
            .then(|| std::fs::read_dir(&kind))
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = file.expect("readable").path();
            let name = format!("{}/{}", last(&kind), last(&path));
            let scenario =
                Scenario::parse(&name, &text_of(&name)).unwrap_or_else(|e| panic!("{e}"));
            found.insert(name, scenario);
        }
    }
    assert!(found.len() >= 30, "only {} scenarios", found.len());
    found
}

fn last(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[test]
fn every_scenario_reads_and_plans() {
    for (name, scenario) in scenarios() {
        let plan = Plan::of(&scenario);
        assert_eq!(plan.wires.len(), scenario.links.len(), "{name}");
        assert_eq!(plan.tunnels.len(), scenario.tunnel_names().len(), "{name}");
        assert!(
            !plan.routers.is_empty() && !plan.converged.is_empty(),
            "{name}"
        );
    }
}

/// Each file begins with its story and its drawing.
#[test]
fn every_scenario_is_drawn() {
    for name in scenarios().keys() {
        let text = text_of(name);
        let head: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        assert!(
            head.len() >= 6 && head.iter().any(|line| line.contains("---")),
            "{name} has no drawing on top"
        );
    }
}

/// Scenarios of one topology share one warm lab: what differs between them must not shape the plan.
#[test]
fn scenarios_share_their_labs() {
    let mut labs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, scenario) in scenarios() {
        let key =
            serde_json::to_string(&(Plan::of(&scenario), scenario.memory_mib)).expect("plain data");
        labs.entry(key).or_default().push(name);
    }
    let mut shared: Vec<String> = labs.into_values().map(|names| names.join("\n  ")).collect();
    shared.sort();
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(shared.join("\n")) });
}

/// Abilene as it was: eleven points of presence, fourteen links.
#[test]
fn abilene_has_its_links() {
    let plan = Plan::of(&scenarios()["vmscope/abilene.toml"]);
    let core = plan
        .wires
        .iter()
        .filter(|wire| wire.kind == WireKind::Backbone)
        .count();
    assert_eq!(
        (core, plan.tunnels.len(), plan.mvpns["red"].sites.len()),
        (14, 11, 11)
    );
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    requirement: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    id: String,
    title: String,
    #[serde(default)]
    level: Option<String>,
    scenarios: Vec<String>,
    #[serde(default)]
    tests: Vec<String>,
    #[serde(default)]
    planned: Option<String>,
}

#[test]
fn requirements_and_scenarios_agree() {
    let catalogue: Catalogue =
        toml::from_str(&text_of("requirements.toml")).expect("the catalogue reads");
    let mut proved: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, scenario) in scenarios() {
        for id in scenario.proves {
            assert!(
                proved.entry(id.clone()).or_default().insert(name.clone()),
                "{name} names {id} twice"
            );
        }
    }
    let mut seen = BTreeSet::new();
    for requirement in catalogue.requirement {
        let Requirement {
            id,
            title,
            level,
            scenarios,
            tests,
            planned,
        } = requirement;
        assert!(seen.insert(id.clone()), "{id} is there twice");
        assert!(
            !title.is_empty() && level.as_deref() != Some(""),
            "{id} has a title"
        );
        let listed: BTreeSet<String> = scenarios.into_iter().collect();
        assert_eq!(
            listed,
            proved.remove(&id).unwrap_or_default(),
            "{id}: what requirements.toml lists, and who says so"
        );
        let is_proved = !listed.is_empty() || !tests.is_empty();
        assert!(
            is_proved != planned.is_some(),
            "{id} is either proved or planned"
        );
    }
    assert!(proved.is_empty(), "not in requirements.toml: {proved:?}");
}

#[derive(Deserialize)]
struct Faults {
    fault: Vec<Fault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    name: String,
    summary: String,
    scenario: String,
    check: String,
}

#[test]
fn every_planted_fault_names_a_check_of_its_scenario() {
    let faults: Faults = toml::from_str(&text_of("faults.toml")).expect("the catalogue reads");
    let scenarios = scenarios();
    let mut names = BTreeSet::new();
    for Fault {
        name,
        summary,
        scenario,
        check,
    } in faults.fault
    {
        assert!(
            names.insert(name.clone()) && !summary.is_empty(),
            "{name} is there twice, or says nothing"
        );
        let expectations = &scenarios
            .get(&scenario)
            .unwrap_or_else(|| panic!("{name}: no {scenario}"))
            .expectations;
        assert!(
            expectations.iter().any(|e| e.name() == check),
            "{name}: {scenario} has no check {check}"
        );
    }
    assert!(names.len() >= 10, "only {} faults", names.len());
}

/// The examples of the README are scenarios, or parts of one that reads when they are put together.
#[test]
fn the_readme_speaks_the_truth() {
    let readme = text_of("README.md");
    let examples: Vec<&str> = readme
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(examples.len() >= 5, "only {} examples", examples.len());
    let together = examples.join("\n");
    Scenario::parse("README.md, its examples one after the other", &together)
        .unwrap_or_else(|e| panic!("{e}"));
}
