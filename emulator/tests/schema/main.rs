//! The scenario file's JSON Schema: it is the one that is committed, and it takes scenarios and refuses mistakes.

mod judge;

use std::path::{Path, PathBuf};

use judge::{Judge, matches};
use mvpnlab_emulator::scenario::{Bitrate, Probability, Rate, Scenario, Span};
use proptest::prelude::*;
use serde_json::Value;

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn document(text: &str) -> Value {
    let table: toml::Table = toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    serde_json::to_value(table).expect("TOML is JSON, and times apart from it")
}

/// Every scenario, by its path.
fn texts() -> Vec<(PathBuf, String)> {
    let folders = std::fs::read_dir(scenarios()).expect("the folder is part of the house");
    let folders = folders
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir());
    let files =
        folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    let texts = files.map(|file| {
        (
            file.path(),
            std::fs::read_to_string(file.path()).expect("readable"),
        )
    });
    texts.collect()
}

#[test]
fn the_committed_schema_is_current() {
    let file = scenarios().join("schema.json");
    let current = serde_json::to_string_pretty(&Scenario::schema()).expect("plain data") + "\n";
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&file, &current).expect("writable");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == current,
        "scenarios/schema.json is not what `mvpnlab schema` prints: run this test with INSTA_UPDATE=always, and read the diff"
    );
}

#[test]
fn every_scenario_is_valid() {
    let schema = Scenario::schema();
    let texts = texts();
    assert!(texts.len() >= 30, "only {} scenarios", texts.len());
    for (path, text) in texts {
        let found = Judge::new(&schema).complaints(&document(&text));
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

const GOOD: &str = r#"
title = "Two sites"
duration = "30s"
[backbone]
rp = "P"
[nodes]
MON = { role = "monitor" }
P = { role = "p" }
PE1 = { role = "pe" }
[[link]]
ends = "MON-P"
impair = { delay = "10ms", loss = "2%" }
[[link]]
ends = "PE1-P"
cost = 20
[[tunnel]]
name = "a"
at = "PE1"
igmp = 3
[[tunnel]]
name = "b"
at = "P"
[[monitor.task]]
name = "all"
group = "239.1.1.1"
rate = "20/s"
start = "2s"
[[at]]
time = "5s"
do = "link-down"
link = "PE1-P"
[[expect]]
check = "fates"
task = "all"
at_least = 100
"#;

/// What an editor must mark, each with the place that the complaint names.
const MISTAKES: [(&str, &str, &str); 20] = [
    ("title = \"Two sites\"", "titel = \"Two sites\"", "titel"),
    ("duration = \"30s\"", "", "duration"),
    ("duration = \"30s\"", "duration = \"30\"", "duration"),
    ("duration = \"30s\"", "duration = 30", "duration"),
    ("duration = \"30s\"", "duration = \"30 s\"", "duration"),
    ("role = \"pe\"", "role = \"ped\"", "role"),
    ("PE1 = {", "P-E1 = {", "P-E1"),
    ("ends = \"MON-P\"", "ends = \"MON\"", "ends"),
    ("loss = \"2%\"", "loss = \"2\"", "loss"),
    ("loss = \"2%\"", "loss = \"200%\"", "loss"),
    ("loss = \"2%\"", "los = \"2%\"", "los"),
    ("cost = 20", "cost = 70000", "cost"),
    ("igmp = 3", "igmp = 1", "igmp"),
    ("group = \"239.1.1.1\"", "group = \"239.1.1\"", "group"),
    ("rate = \"20/s\"", "rate = \"20\"", "rate"),
    ("start = \"2s\"", "start = \"later\"", "start"),
    ("do = \"link-down\"", "do = \"link-dwon\"", "/at/0"),
    ("link = \"PE1-P\"", "node = \"PE1\"", "/at/0"),
    ("check = \"fates\"", "check = \"fate\"", "/expect/0"),
    ("at_least = 100", "at_least = \"many\"", "/expect/0"),
];

#[test]
fn mistakes_are_refused_where_they_are() {
    let schema = Scenario::schema();
    let judge = Judge::new(&schema);
    assert_eq!(judge.complaints(&document(GOOD)), Vec::<String>::new());
    Scenario::parse("good.toml", GOOD).unwrap_or_else(|error| panic!("{error}"));
    for (right, wrong, place) in MISTAKES {
        assert_eq!(GOOD.matches(right).count(), 1, "{right}");
        let text = GOOD.replace(right, wrong);
        let found = judge.complaints(&document(&text));
        assert!(
            found.iter().any(|complaint| complaint.contains(place)),
            "{wrong}: {found:?}"
        );
        assert!(
            Scenario::parse("wrong.toml", &text).is_err(),
            "{wrong} is no mistake"
        );
    }
}

#[test]
fn every_field_says_what_it_is_for() {
    let schema = Scenario::schema();
    let mut silent = Vec::new();
    let definitions = schema["definitions"]
        .as_object()
        .expect("definitions")
        .iter();
    for (name, definition) in definitions.chain([(&"the file".to_owned(), &schema)]) {
        let variants = definition["oneOf"].as_array().cloned().unwrap_or_default();
        for table in variants.iter().chain([definition]) {
            let fields = table["properties"].as_object().into_iter().flatten();
            let without =
                fields.filter(|(_, field)| field["description"].as_str().is_none_or(str::is_empty));
            silent.extend(without.map(|(field, _)| format!("{name}.{field}")));
        }
    }
    assert_eq!(silent, Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// What the file's reader takes must not be marked by an editor.
    #[test]
    fn patterns_take_every_quantity_that_is_read(text in r"[0-9]{1,3}(\.[0-9]{1,3})?(ns|us|ms|s|min|h|%|/s|bit|kbit|Mbit|Gbit| )") {
        let schema = Scenario::schema();
        let takes = |name: &str| matches(&schema["definitions"][name]["pattern"], &text);
        prop_assert!(takes("Span") || text.parse::<Span>().is_err(), "{text}");
        prop_assert!(takes("Probability") || text.parse::<Probability>().is_err(), "{text}");
        prop_assert!(takes("Rate") || text.parse::<Rate>().is_err(), "{text}");
        prop_assert!(takes("Bitrate") || text.parse::<Bitrate>().is_err(), "{text}");
    }
}
