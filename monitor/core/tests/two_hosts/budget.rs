//! The budget holds for one-way probes too: what does not fit is refused, or shed, and then neither sent nor lost.

use vmscope_core::control::*;

use crate::network::*;

const LOSSES: [f64; 4] = [0.02, 0.01, 0.01, 0.0];

fn allow(world: &mut World, budget: &str) {
    allow_at(world, 0, budget);
}

pub fn allow_at(world: &mut World, host: usize, budget: &str) {
    let lines = budget.replace('"', "\\\"").replace('\n', "\\n");
    let toml = format!("[budget]\\n{lines}\\n");
    world.ok(host, &format!(r#""op":"config-load","toml":"{toml}""#));
}

fn budget(world: &mut World) -> BudgetStatus {
    budget_at(world, 0)
}

pub fn budget_at(world: &mut World, host: usize) -> BudgetStatus {
    match world.ok(host, r#""op":"status""#) {
        Answer::Status(status) => status.budget.expect("there is one"),
        other => panic!("{other:?}"),
    }
}

/// Probes sent by the end of each tenth of a second.
fn sent_by_tenths(world: &mut World, tenths: usize) -> Vec<u64> {
    let mut sent = Vec::new();
    for _ in 0..tenths {
        world.run(S / 10);
        sent.push(world.status("x").probes_sent);
    }
    sent
}

pub fn most_in_a_second(sent: &[u64]) -> u64 {
    let seconds = sent.windows(11).map(|tenths| tenths[10] - tenths[0]);
    seconds.max().expect("longer than a second")
}

#[test]
fn a_measurement_that_does_not_fit_is_refused_and_one_that_does_is_not() {
    let mut said = Vec::new();
    for (bound, kind) in [
        ("probes = \"140pps\"", "collector"),
        ("probes_per_pe = \"140pps\"", "collector"),
        // A reflector's copy comes back beside the router's.
        ("copies = \"140pps\"", "reflector"),
    ] {
        let mut world = tree(1, LOSSES);
        allow(&mut world, bound);
        let ask = |rate: &str, name: &str| {
            format!(
                r#""op":"oneway-start","name":"{name}","up":"t1","down":["t2"],"group":"{GROUP}","leaf":[{{"kind":"{kind}","peer":"m2","tunnel":"t3"}}],"probes":{{"rate":"{rate}"}}"#
            )
        };
        world.ok(0, &ask("70pps", "first"));
        // What runs already counts, and what waits for its peer.
        match world.request(0, &ask("71pps", "second")) {
            Outcome::Error(refusal) => {
                assert_eq!(refusal.code, ErrorCode::Limit);
                said.push(refusal.message);
            }
            Outcome::Ok(answer) => panic!("{bound}: not refused: {answer:?}"),
        }
        // Nor is there room for a budget that it would exceed.
        let less = r#""op":"config-load","toml":"[budget]\nprobes = \"69pps\"""#;
        assert!(matches!(world.request(0, less), Outcome::Error(_)));
        world.ok(0, r#""op":"oneway-stop","name":"first""#);
        world.ok(0, &ask("70pps", "second"));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn what_poisson_gaps_want_beyond_the_budget_is_shed_and_not_lost() {
    let mut world = tree(2, LOSSES);
    allow(&mut world, "probes_per_pe = \"100pps\"");
    let probes = r#""rate":"100pps","schedule":"poisson","duration":"60s""#;
    start(&mut world, "collector", probes, "");
    let sent = sent_by_tenths(&mut world, 750);
    assert!(
        most_in_a_second(&sent) <= 100,
        "{}",
        most_in_a_second(&sent)
    );
    let (status, budget) = (world.status("x"), budget(&mut world));
    assert!(budget.shed > 100, "{budget:?}");
    let Answer::Overhead(overhead) = world.ok(0, r#""op":"overhead""#) else {
        panic!("no overhead")
    };
    assert_eq!(overhead.probes_shed, budget.shed);
    assert_eq!(overhead.probes_sent.packets, status.probes_sent);
    assert_eq!(status.state, OnewayState::Spent, "{status:?}");
    let row = status.row.expect("a row");
    assert!(row.discarded == 0 && row.probes > 4_000, "{row:?}");
    for (loss, truth) in [row.up, row.down[0].1, row.leaf[0]].iter().zip(LOSSES) {
        assert!((loss.loss - truth).abs() < 5.0 * loss.deviation, "{loss:?}");
    }
}

#[test]
fn periodic_probes_that_just_fit_are_all_sent_and_without_a_budget_poisson_ones_too() {
    let mut world = tree(3, LOSSES);
    allow(&mut world, "probes = \"100pps\"\ncopies = \"100pps\"");
    start(
        &mut world,
        "collector",
        r#""rate":"100pps","duration":"20s""#,
        "",
    );
    world.run(40 * S);
    assert_eq!(
        (
            budget(&mut world).shed,
            world.status("x").row.unwrap().probes
        ),
        (0, 2_000)
    );
    let mut world = tree(3, LOSSES);
    let probes = r#""rate":"100pps","schedule":"poisson","duration":"20s""#;
    start(&mut world, "collector", probes, "");
    let sent = sent_by_tenths(&mut world, 300);
    assert!(
        most_in_a_second(&sent) > 100,
        "or the other test shows nothing"
    );
}
