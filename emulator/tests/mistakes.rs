//! What an author of scenarios reads after a slip: file, line, the line itself, what is wrong, and the remedy.
//!
//! Each case is a good scenario with one edit. The snapshots are for people: read them after accepting.

use mvpnlab_emulator::scenario::Scenario;
use proptest::prelude::*;

const GOOD: &str = r#"
title = "Two sites"
duration = "30s"

[backbone]
rp = "P"

[nodes]
MON = { role = "monitor" }
P = { role = "p" }
PE1 = { role = "pe" }
PE2 = { role = "pe" }
CE1 = { role = "ce" }
CE2 = { role = "ce" }
H2 = { role = "host" }

[[link]]
ends = "MON-P"
[[link]]
ends = "PE1-P"
impair = { delay = "10ms", loss = "1%" }
[[link]]
ends = "PE2-P"
cost = 20
[[link]]
ends = "PE1-CE1"
[[link]]
ends = "PE2-CE2"
[[link]]
ends = "CE2-H2"

[mvpn.red]
default_mdt = "239.1.1.1"
sites = { PE1 = "CE1", PE2 = "CE2" }
customer_rp = "PE1"

[[tunnel]]
name = "a"
at = "PE1"
parallel = 2
[[tunnel]]
name = "b"
at = "PE2"

[[source]]
name = "s1"
at = "CE1"
group = "239.9.9.9"
rate = "50/s"
[[receiver]]
name = "r2"
at = "H2"
group = "239.9.9.9"

[[impair_tunnel]]
tunnel = "b"
impair = { loss = "2%" }

[monitor]
ping = "200ms"
[[monitor.task]]
name = "red-mdt"
mvpn = "red"
senders = ["a*"]
receivers = ["b"]
rate = "20/s"

[[at]]
time = "10s"
do = "link-down"
link = "PE1-P"
[[at]]
time = "20s"
do = "link-up"
link = "PE1-P"

[[expect]]
check = "fates"
task = "red-mdt"
at_least = 100
[[expect]]
check = "loss-between"
task = "red-mdt"
from = "12s"
until = "18s"
at_least = "99%"
at_most = "100%"
"#;

/// The inputs are in this file; the snapshot need not repeat them.
macro_rules! assert_reads {
    ($text:expr) => {
        insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!($text) })
    };
}

/// The good scenario with each edit in turn, and what its author reads.
fn report(cases: &[(&str, &str)]) -> String {
    report_on(GOOD, cases)
}

fn report_on(good: &str, cases: &[(&str, &str)]) -> String {
    let mut report = String::new();
    for (from, to) in cases {
        assert!(
            good.contains(from),
            "the case edits what is not there: {from:?}"
        );
        let edited = good.replacen(from, to, 1);
        let error = Scenario::parse("two-sites.toml", &edited)
            .expect_err(to)
            .to_string();
        report.push_str(&error);
        report.push('\n');
    }
    report
}

#[test]
fn the_good_one_is_good() {
    let scenario = Scenario::parse("two-sites.toml", GOOD).unwrap_or_else(|e| panic!("{e}"));
    let json = serde_json::to_string(&scenario).expect("a scenario is plain data");
    assert_eq!(
        serde_json::from_str::<Scenario>(&json).expect("what was written reads back"),
        scenario
    );
}

#[test]
fn syntax_fields_and_names() {
    assert_reads!(report(&[
        ("duration = \"30s\"", "duration = 30s"),
        ("title = \"Two sites\"\n", ""),
        ("duration =", "durration ="),
        ("loss = \"1%\"", "los = \"1%\""),
        ("loss = \"1%\"", "frobnicate = \"1%\""),
        ("parallel = 2", "paralel = 2"),
        ("role = \"p\"", "role = \"q\""),
        ("customer_rp", "costumer_rp"),
        ("link = \"PE1-P\"\n[[at]]", "lnk = \"PE1-P\"\n[[at]]"),
        ("do = \"link-down\"\nlink = \"PE1-P\"", "do = \"link-down\""),
        ("do = \"link-down\"", "do = \"link-dwn\""),
        ("do = \"link-down\"", "do = 7"),
        ("do = \"link-down\"\n", ""),
        ("time = \"10s\"\ndo = \"link-down\"", "do = \"link-down\""),
        ("check = \"fates\"", "check = \"fate\""),
        ("check = \"fates\"\n", ""),
        ("at_least = 100", "at_last = 100"),
        ("at_least = 100\n", ""),
        ("ping =", "pong ="),
        ("[[monitor.task]]", "[monitor.task]"),
    ]));
}

#[test]
fn units_and_types() {
    assert_reads!(report(&[
        ("delay = \"10ms\"", "delay = 10"),
        ("delay = \"10ms\"", "delay = \"10\""),
        ("delay = \"10ms\"", "delay = \"10 ms\""),
        ("loss = \"1%\"", "loss = \"0.01\""),
        ("loss = \"1%\"", "loss = \"101%\""),
        ("loss = \"1%\"", "rate = \"10Mb\""),
        ("rate = \"50/s\"", "rate = \"50\""),
        ("rate = \"50/s\"", "rate = \"0/s\""),
        ("239.1.1.1", "239.1.1"),
        ("cost = 20", "cost = 70000"),
        ("parallel = 2", "parallel = \"two\""),
        ("time = \"10s\"", "time = 10"),
        ("at_least = \"99%\"", "at_least = 0.99"),
    ]));
}

#[test]
fn topology() {
    assert_reads!(report(&[
        ("ends = \"PE1-P\"", "ends = \"PE1-PP\""),
        ("ends = \"PE1-P\"", "ends = \"P-P\""),
        ("ends = \"PE2-P\"", "ends = \"P-PE1\""),
        ("ends = \"PE2-P\"", "ends = \"PE2\""),
        ("[[link]]\nends = \"PE2-P\"\ncost = 20\n", ""),
        ("ends = \"PE1-CE1\"", "ends = \"P-CE1\""),
        ("ends = \"CE2-H2\"", "ends = \"CE2-H2\"\ncost = 3"),
        (
            "ends = \"CE2-H2\"",
            "ends = \"CE2-H2\"\n[[link]]\nends = \"CE1-H2\""
        ),
        (
            "PE1 = { role = \"pe\" }",
            "PE1 = { role = \"pe\" }\nMON2 = { role = \"monitor\" }"
        ),
        (
            "ends = \"CE2-H2\"",
            "ends = \"CE2-H2\"\n[[join]]\nat = \"PE2\"\ntoward = \"H2\"\ngroup = \"239.5.5.5\""
        ),
        (
            "impair = { delay = \"10ms\", loss = \"1%\" }",
            "impair_to = { PE2 = { loss = \"1%\" } }"
        ),
        ("rp = \"P\"", "rp = \"MON\""),
        ("rp = \"P\"", "rp = \"P\"\npim_hello = \"1500ms\""),
        (
            "H2 = { role = \"host\" }",
            "H2 = { role = \"host\" }\nextraordinary = { role = \"p\" }"
        ),
    ]));
}

#[test]
fn mvpns_and_tunnels() {
    assert_reads!(report(&[
        ("239.1.1.1", "10.1.1.1"),
        ("239.1.1.1", "225.1.1.1"),
        ("rp = \"P\"", ""),
        (
            "239.1.1.1\"",
            "232.1.1.1\"\n[mvpn.blue]\ndefault_mdt = \"232.1.1.1\"\nsites_without_ce = [\"PE1\", \"PE2\"]\n[mvpn.green]\ndefault_mdt = \"232.1.1.2\""
        ),
        (
            "sites = { PE1 = \"CE1\", PE2 = \"CE2\" }",
            "sites = { PE1 = \"CE1\" }"
        ),
        (
            "sites = { PE1 = \"CE1\", PE2 = \"CE2\" }",
            "sites = { PE1 = \"CE2\", PE2 = \"CE1\" }"
        ),
        (
            "sites = { PE1 = \"CE1\", PE2 = \"CE2\" }",
            "sites = { PE1 = \"CE1\", P = \"CE2\" }"
        ),
        ("customer_rp = \"PE1\"", "customer_rp = \"PE3\""),
        ("name = \"b\"\nat = \"PE2\"", "name = \"b\"\nat = \"CE2\""),
        ("name = \"b\"\nat = \"PE2\"", "name = \"a1\"\nat = \"PE2\""),
        ("parallel = 2", "parallel = 0"),
        ("parallel = 2", "igmp = 1"),
        ("parallel = 2", "present = false"),
        ("name = \"a\"", "name = \"tunnel-number\""),
        ("at = \"PE2\"", "at = \"PE2\"\nhost = \"P\""),
        ("at = \"PE2\"", "at = \"PE2\"\nhost = \"MON2\""),
    ]));
}

/// A peer at MON2, a router that counts, and what is asked of them.
const ONEWAY: &str = r#"
title = "One way"
duration = "30s"
[backbone]
rp = "P"
[nodes]
MON = { role = "monitor" }
MON2 = { role = "monitor" }
P = { role = "p" }
Q = { role = "p" }
H = { role = "host" }
H9 = { role = "host" }
[[link]]
ends = "MON-P"
[[link]]
ends = "P-Q"
[[link]]
ends = "Q-MON2"
[[link]]
ends = "Q-H"
[[link]]
ends = "P-H9"
[[tunnel]]
name = "r"
at = "P"
[[tunnel]]
name = "s"
at = "P"
[[tunnel]]
name = "far"
at = "Q"
[[tunnel]]
name = "t"
at = "P"
host = "MON2"
[[join]]
at = "Q"
toward = "H"
group = "239.5.5.5"
[[agent]]
name = "q"
at = "Q"
snmp = { community = "lab" }
[[transfer]]
name = "bulk"
from = "H9"
to = "H"
[[source]]
name = "bursts"
at = "H9"
group = "239.9.9.9"
rate = "100/s"
bursts = { on = "100ms", off = "900ms" }
[[monitor.oneway]]
name = "alpha"
up = "r"
down = ["s"]
group = "239.5.5.5"
rate = "100/s"
leaf = [{ collector = "t" }]
[[monitor.oneway]]
name = "beta"
up = "r"
down = ["s"]
group = "239.5.5.5"
rate = "100/s"
until = { relative = "10%" }
[[monitor.oneway.leaf]]
agent = "q"
counter = { toward = "H", direction = "in" }
aggregate = 20
[[at]]
time = "10s"
do = "agent-kill"
agent = "q"
[[at]]
time = "12s"
do = "peer-kill"
host = "MON2"
[[expect]]
check = "oneway"
oneway = "alpha"
at_least = 100
injected = { r = "1%" }
[[expect]]
check = "oneway-bias"
oneway = "alpha"
way = "t"
at_least = "0%"
at_most = "1%"
"#;

#[test]
fn one_way_measurements_peers_and_agents() {
    Scenario::parse("one-way.toml", ONEWAY).unwrap_or_else(|e| panic!("{e}"));
    assert_reads!(report_on(
        ONEWAY,
        &[
            ("up = \"r\"", "up = \"t\""),
            ("down = [\"s\"]", "down = [\"r\"]"),
            ("down = [\"s\"]", "down = [\"far\"]"),
            ("down = [\"s\"]", "down = []"),
            ("leaf = [{ collector = \"t\" }]", ""),
            ("collector = \"t\"", "collector = \"s\""),
            ("collector = \"t\"", "collector = \"t\", reflector = \"t\""),
            ("collector = \"t\"", "collector = \"t\", aggregate = 5"),
            ("collector = \"t\"", "collectors = \"t\""),
            ("aggregate = 20", "aggregate = 1"),
            (
                "counter = { toward = \"H\", direction = \"in\" }",
                "counter = { toward = \"H\" }"
            ),
            ("direction = \"in\"", "direction = \"out\""),
            ("toward = \"H\", direction", "toward = \"H9\", direction"),
            ("agent = \"q\"\ncounter", "agent = \"p\"\ncounter"),
            ("name = \"beta\"", "name = \"alpha\""),
            (
                "until = { relative = \"10%\" }",
                "until = { relativ = \"10%\" }"
            ),
            ("until = { relative = \"10%\" }", "confidence = \"100%\""),
            ("until = { relative = \"10%\" }", "warmup = \"25s\""),
            ("snmp = { community = \"lab\" }", ""),
            (
                "snmp = { community = \"lab\" }",
                "flow = { link = \"P-H9\" }"
            ),
            ("toward = \"H\"\ngroup", "toward = \"P\"\ngroup"),
            ("to = \"H\"", "to = \"MON2\""),
            ("on = \"100ms\"", "on = \"0ms\""),
            ("host = \"MON2\"\n[[expect]]", "host = \"MON\"\n[[expect]]"),
            ("agent-kill", "agent-restart"),
            ("injected = { r = \"1%\" }", "injected = { b = \"1%\" }"),
            ("way = \"t\"", "way = \"q\""),
            ("oneway = \"alpha\"\nat", "oneway = \"alfa\"\nat"),
        ]
    ));
}

/// Edits of a scenario that has data MDTs, a rogue, and events about them.
#[test]
fn data_mdts_and_rogues() {
    const TABLE: &str = "[mvpn.red.data_mdt]\npool = [\"239.2.1.0/30\"]\nthreshold = \"100kbit\"\n";
    const EVENT: &str =
        "[[at]]\ntime = \"5s\"\ndo = \"rogue-join\"\nmvpn = \"red\"\npe = \"PE3\"\n";
    const CHECK: &str = "[[expect]]\ncheck = \"data-mdt\"\nsource = \"s1\"\nmoves = 1\nreturns = 0\njoined = [\"PE2\"]\n";
    let good = GOOD
        .replace(
            "PE2 = { role = \"pe\" }",
            "PE2 = { role = \"pe\" }\nPE3 = { role = \"pe\" }",
        )
        .replace(
            "[[link]]\nends = \"PE2-P\"",
            "[[link]]\nends = \"PE3-P\"\n[[link]]\nends = \"PE2-P\"",
        )
        .replace(
            "customer_rp = \"PE1\"",
            &format!("customer_rp = \"PE1\"\nrogues = [\"PE3\"]\n{TABLE}"),
        );
    let good = format!("{good}{EVENT}{CHECK}");
    Scenario::parse("good.toml", &good).unwrap_or_else(|e| panic!("{e}"));
    let cases = [
        ("pool = [\"239.2.1.0/30\"]", "pool = []"),
        ("pool = [\"239.2.1.0/30\"]", "pool = [\"239.2.1.1/30\"]"),
        ("pool = [\"239.2.1.0/30\"]", "pool = [\"239.2.1\"]"),
        ("pool = [\"239.2.1.0/30\"]", "pool = [\"239.1.1.0/30\"]"),
        (
            "pool = [\"239.2.1.0/30\"]",
            "pool = [\"239.2.1.0/30\", \"239.2.1.3\"]",
        ),
        ("pool = [\"239.2.1.0/30\"]", "pool = [\"232.2.1.0/30\"]"),
        ("pool = [\"239.2.1.0/30\"]", "pool = [\"224.9.1.0/30\"]"),
        ("threshold = \"100kbit\"\n", ""),
        ("threshold = \"100kbit\"", "threshold = \"0kbit\""),
        ("threshold = \"100kbit\"", "threshold = \"100/s\""),
        (
            "threshold = \"100kbit\"",
            "threshold = \"100kbit\"\ndelay = \"20ms\"",
        ),
        (
            "threshold = \"100kbit\"",
            "threshold = \"100kbit\"\ntimeout = \"1min\"",
        ),
        ("rogues = [\"PE3\"]", "rogues = [\"PE2\", \"PE3\"]"),
        ("rogues = [\"PE3\"]", "rogues = [\"P\", \"PE3\"]"),
        ("rogues = [\"PE3\"]", "rogues = [\"PE3\", \"PE3\"]"),
        ("rogues = [\"PE3\"]", "rogues = []"),
        ("do = \"rogue-join\"", "do = \"rogue-leave\""),
        ("do = \"rogue-join\"", "do = \"pe-speaks\""),
        (
            "mvpn = \"red\"\npe = \"PE3\"",
            "mvpn = \"red\"\npe = \"PE2\"",
        ),
        (
            "do = \"rogue-join\"\nmvpn = \"red\"\npe = \"PE3\"",
            "do = \"pe-silent\"\nmvpn = \"red\"\npe = \"P\"",
        ),
        ("source = \"s1\"\nmoves", "source = \"s2\"\nmoves"),
        ("joined = [\"PE2\"]", "joined = [\"P\"]"),
        (TABLE, ""),
    ];
    assert_reads!(report_on(&good, &cases));
}

/// A second MVPN must not share groups with the first one.
#[test]
fn pools_of_two_mvpns_are_apart() {
    let table = |name: &str, pool: &str| {
        format!("[mvpn.{name}.data_mdt]\npool = [\"{pool}\"]\nthreshold = \"100kbit\"\n")
    };
    let blue = "[mvpn.blue]\ndefault_mdt = \"239.1.1.2\"\nsites_without_ce = [\"PE1\", \"PE2\"]\n";
    let with = |red: &str, of_blue: &str| {
        let tables = [table("red", red), blue.to_owned(), table("blue", of_blue)].concat();
        GOOD.replace(
            "customer_rp = \"PE1\"\n",
            &format!("customer_rp = \"PE1\"\n{tables}"),
        )
    };
    let parse = |text: &str| {
        Scenario::parse("two.toml", text)
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    assert_eq!(parse(&with("239.2.1.0/30", "239.2.1.4/30")), Ok(()));
    let overlap = parse(&with("239.2.1.0/29", "239.2.1.4/30")).unwrap_err();
    let default = parse(&with("239.1.1.2", "239.2.1.4/30")).unwrap_err();
    assert_reads!(format!("{overlap}\n{default}"));
}

#[test]
fn ssm_needs_what_it_needs() {
    let ssm = GOOD.replace("239.1.1.1", "232.1.1.1");
    let parse = |text: String| {
        Scenario::parse("ssm.toml", &text)
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    assert_eq!(parse(ssm.clone()), Ok(()));
    let over_pimd = parse(ssm.replace("rp = \"P\"", "routers = \"pimd\"")).unwrap_err();
    let by_igmpv2 = parse(ssm.replace("name = \"b\"", "name = \"b\"\nigmp = 2")).unwrap_err();
    assert_reads!(format!("{over_pimd}\n{by_igmpv2}"));
}

#[test]
fn impairments() {
    assert_reads!(report(&[
        (
            "loss = \"1%\"",
            "loss = \"1%\", burst = { p = \"1%\", r = \"20%\" }"
        ),
        ("loss = \"1%\"", "burst = { p = \"0%\", r = \"20%\" }"),
        ("delay = \"10ms\"", "reorder = \"5%\""),
        ("loss = \"1%\"", "jitter = \"20ms\""),
        ("loss = \"1%\"", "distribution = \"normal\""),
        ("delay = \"10ms\"", "queue_packets = 10"),
        ("tunnel = \"b\"", "tunnel = \"bb\""),
    ]));
}

#[test]
fn traffic_and_tasks() {
    assert_reads!(report(&[
        ("at = \"CE1\"", "at = \"PE1\""),
        ("at = \"CE1\"", "at = \"H2\""),
        ("group = \"239.9.9.9\"", "group = \"224.0.0.5\""),
        (
            "at = \"H2\"\ngroup = \"239.9.9.9\"",
            "at = \"H2\"\ngroup = \"232.9.9.9\""
        ),
        ("at = \"H2\"", "at = \"H2\"\nsource = \"s2\""),
        ("rate = \"50/s\"", "rate = \"50/s\"\nsize_bytes = 20"),
        (
            "rate = \"50/s\"",
            "rate = \"50/s\"\nstart = \"20s\"\nstop = \"15s\""
        ),
        ("mvpn = \"red\"", "mvpn = \"rad\""),
        ("mvpn = \"red\"", "mvpn = \"red\"\ngroup = \"239.1.1.1\""),
        ("mvpn = \"red\"\n", ""),
        ("senders = [\"a*\"]", "senders = [\"c*\"]"),
        ("senders = [\"a*\"]", "senders = [\"a1\", \"a3\"]"),
        ("senders = [\"a*\"]", "senders = [\"b\"]"),
        ("rate = \"20/s\"", "rate = \"20/s\"\nstop = \"29s\""),
        ("rate = \"20/s\"", "rate = \"20/s\"\nstart = \"event\""),
        ("rate = \"20/s\"", "rate = \"20/s\"\nstart = \"soon\""),
        ("rate = \"20/s\"", "rate = \"20/s\"\nwarmup = \"28s\""),
        ("MON = { role = \"monitor\" }", "MON = { role = \"host\" }"),
    ]));
}

#[test]
fn timeline_and_expectations() {
    assert_reads!(report(&[
        ("time = \"10s\"", "time = \"40s\""),
        ("link = \"PE1-P\"", "link = \"P-PE1\""),
        ("do = \"link-up\"", "do = \"link-down\""),
        (
            "do = \"link-up\"\nlink = \"PE1-P\"",
            "do = \"node-restart\"\nnode = \"PE1\""
        ),
        (
            "do = \"link-up\"\nlink = \"PE1-P\"",
            "do = \"node-kill\"\nnode = \"CE1\""
        ),
        (
            "do = \"link-up\"\nlink = \"PE1-P\"",
            "do = \"task-stop\"\ntask = \"blue\""
        ),
        (
            "do = \"link-up\"\nlink = \"PE1-P\"",
            "do = \"impair-link\"\nlink = \"PE1-P\"\nto = \"PE2\"\nimpair = {}"
        ),
        (
            "do = \"link-up\"\nlink = \"PE1-P\"",
            "do = \"tunnel-add\"\ntunnel = \"b\""
        ),
        (
            "do = \"link-up\"\nlink = \"PE1-P\"",
            "do = \"clock-step\"\nby = \"0s\""
        ),
        (
            "task = \"red-mdt\"\nat_least = 100",
            "task = \"red\"\nat_least = 100"
        ),
        ("from = \"12s\"", "from = \"19s\""),
        ("until = \"18s\"", "until = \"18s\"\nreceiver = \"a1\""),
        ("at_most = \"100%\"", "at_most = \"90%\""),
        (
            "check = \"fates\"\ntask = \"red-mdt\"\nat_least = 100",
            "check = \"log-lost-before-kill\"\nat_most = \"1s\""
        ),
        (
            "check = \"fates\"\ntask = \"red-mdt\"\nat_least = 100",
            "check = \"delivered\"\nsource = \"s1\"\nreceiver = \"r1\"\nat_least = \"1%\"\nat_most = \"2%\"",
        ),
    ]));
}

/// What watching, its past and its alarms need.
const WATCHED: &str = r#"
[[monitor.watch]]
mvpn = "red"
tunnels = ["a*"]
[[monitor.expect]]
mvpn = "red"
pes = ["PE1"]
sources = { "239.9.9.9" = ["CE1"] }
[[at]]
time = "12s"
do = "checkpoint"
[[expect]]
check = "history"
mvpn = "red"
[[expect]]
check = "appearance"
mvpn = "red"
at_least = 3
[[expect]]
check = "alarms"
mvpn = "red"
alarms = [{ kind = "pe-unexpected", pe = "PE2", raised = ["5s", "9s"], cleared = ["10s", "12s"] }]
"#;

#[test]
fn watched_mvpns_their_past_and_their_alarms() {
    let good = format!("{GOOD}{WATCHED}");
    Scenario::parse("two-sites.toml", &good).unwrap_or_else(|e| panic!("{e}"));
    assert_reads!(report_on(
        &good,
        &[
            (
                "[[monitor.watch]]\nmvpn = \"red\"\ntunnels = [\"a*\"]\n",
                ""
            ),
            ("do = \"checkpoint\"", "do = \"link-up\"\nlink = \"PE1-P\""),
            (
                "do = \"checkpoint\"",
                "do = \"checkpoint\"\n[[at]]\ntime = \"13s\"\ndo = \"clock-step\"\nby = \"1s\""
            ),
            ("pes = [\"PE1\"]", "pes = [\"PE9\"]"),
            ("[\"CE1\"] }", "[\"MON\"] }"),
            ("pe-unexpected", "pe-unwanted"),
            ("pe = \"PE2\", ", ""),
            ("pe = \"PE2\"", "pe = \"PE2\", group = \"239.9.9.9\""),
            ("[\"10s\", \"12s\"]", "[\"12s\", \"12s\"]"),
            ("[\"10s\", \"12s\"]", "[\"12s\", \"2min\"]"),
            (
                "[{ kind = \"pe-unexpected\", pe = \"PE2\", raised = [\"5s\", \"9s\"], cleared = [\"10s\", \"12s\"] }]",
                "[]"
            ),
            (
                "[[monitor.expect]]\nmvpn = \"red\"\npes = [\"PE1\"]\nsources = { \"239.9.9.9\" = [\"CE1\"] }\n",
                ""
            ),
        ]
    ));
}

#[test]
fn a_scenario_that_expects_nothing() {
    let text = &GOOD[..GOOD.find("[[expect]]").expect("it has one")];
    assert_reads!(Scenario::parse("empty.toml", text).unwrap_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is typed, the answer is a scenario or a place within the file.
    #[test]
    fn no_edit_panics(at in 0..GOOD.len(), cut in 0..40usize, paste in "[ -~\n\u{e9}]{0,12}") {
        let end = (at + cut).min(GOOD.len());
        let edited = format!("{}{paste}{}", &GOOD[..at], &GOOD[end..]);
        if let Err(error) = Scenario::parse("edited.toml", &edited) {
            prop_assert!(!error.problems.is_empty());
            for problem in &error.problems {
                prop_assert!(problem.line <= edited.lines().count() + 1);
                let line = edited.lines().nth(problem.line - 1).unwrap_or("");
                prop_assert_eq!(problem.text.as_str(), line.trim_end());
                prop_assert!(problem.column <= line.chars().count() + 1);
            }
        }
    }
}
