use super::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const G: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
const H: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 2);
const S1: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const S2: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

struct Host {
    membership: Membership,
    rng: ChaCha8Rng,
}

impl Host {
    fn new(version: IgmpVersion) -> Host {
        Host {
            membership: Membership::new(version, 0, Planted::NONE),
            rng: ChaCha8Rng::seed_from_u64(7),
        }
    }

    fn set(&mut self, ms: u64, owner: Owner, group: Ipv4Addr, wanted: Wanted) {
        self.membership.set(at(ms), owner, group, wanted);
    }

    fn join(&mut self, ms: u64, group: Ipv4Addr, sources: &[Ipv4Addr]) {
        self.set(ms, Owner::Operator, group, Wanted::from_list(sources));
    }

    fn leave(&mut self, ms: u64, group: Ipv4Addr) {
        self.set(ms, Owner::Operator, group, Wanted::nothing());
    }

    fn query(&mut self, ms: u64, version: u8, group: Option<Ipv4Addr>, sources: &[Ipv4Addr]) {
        let query = Query {
            version,
            group,
            sources: sources.to_vec(),
            max_response: Span::from_s(10),
            robustness: 2,
            interval: Span::from_s(125),
        };
        self.membership.handle_query(at(ms), &query, &mut self.rng);
    }

    /// A general query of a querier that asks once in so long.
    fn query_of(&mut self, ms: u64, interval_s: u64) {
        let query = Query {
            version: 3,
            group: None,
            sources: Vec::new(),
            max_response: Span::from_s(1),
            robustness: 2,
            interval: Span::from_s(interval_s),
        };
        self.membership.handle_query(at(ms), &query, &mut self.rng);
    }

    /// Everything sent from then until before `to_ms`, as text.
    fn run(&mut self, to_ms: u64) -> Vec<(u64, String)> {
        let mut sent = Vec::new();
        let mut now = Instant::ZERO;
        while let Some(deadline) = self.membership.next_deadline().filter(|d| *d < at(to_ms)) {
            now = now.max(deadline);
            while let Some(report) = self.membership.poll_report(now, &mut self.rng) {
                sent.push((now.as_ns() / 1_000_000, describe(&report)));
            }
        }
        sent
    }

    fn run_text(&mut self, to_ms: u64) -> Vec<String> {
        self.run(to_ms).into_iter().map(|(_, text)| text).collect()
    }
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

fn describe(report: &Report) -> String {
    match report {
        Report::V1(g) => format!("v1 {g}"),
        Report::V2(g) => format!("v2 {g}"),
        Report::LeaveV2(g) => format!("leave {g}"),
        Report::V3(records) => {
            let one = |r: &Record| format!("{} {} {:?}", r.kind, r.group, r.sources);
            records.iter().map(one).collect::<Vec<_>>().join("; ")
        }
    }
}

/// RFC 3376 §5.1: told at once, and robustness - 1 times more within a second.
#[test]
fn joining_any_source_is_said_twice() {
    let mut host = Host::new(IgmpVersion::V3);
    host.join(0, G, &[]);
    let sent = host.run(2_000);
    assert_eq!(sent.len(), 2);
    assert!(sent[0].0 == 0 && sent[1].0 <= 1_000);
    assert!(sent.iter().all(|(_, text)| text == "TO_EX 239.1.1.1 []"));
    host.leave(3_000, G);
    assert_eq!(
        host.run_text(60_000),
        ["TO_IN 239.1.1.1 []", "TO_IN 239.1.1.1 []"]
    );
    assert_eq!(
        host.membership.next_deadline(),
        None,
        "a left group is forgotten"
    );
}

#[test]
fn joining_sources_is_allow_and_leaving_them_is_block() {
    let mut host = Host::new(IgmpVersion::V3);
    host.join(0, G, &[S1]);
    assert_eq!(host.run_text(2_000), ["ALLOW 239.1.1.1 [10.0.0.1]"; 2]);
    host.join(3_000, G, &[S2]);
    assert_eq!(
        host.run_text(5_000),
        ["ALLOW 239.1.1.1 [10.0.0.2]; BLOCK 239.1.1.1 [10.0.0.1]"; 2]
    );
    host.join(6_000, G, &[]);
    assert_eq!(host.run_text(8_000), ["TO_EX 239.1.1.1 []"; 2]);
    host.join(9_000, G, &[S1]);
    assert_eq!(host.run_text(11_000), ["TO_IN 239.1.1.1 [10.0.0.1]"; 2]);
    host.leave(12_000, G);
    assert_eq!(host.run_text(14_000), ["BLOCK 239.1.1.1 [10.0.0.1]"; 2]);
}

/// A change of mind between a report and its repetition: the repetition says the newest.
#[test]
fn a_repetition_says_what_is_true_by_then() {
    let mut host = Host::new(IgmpVersion::V3);
    host.join(0, G, &[S1]);
    assert_eq!(host.run_text(1), ["ALLOW 239.1.1.1 [10.0.0.1]"]);
    host.leave(1, G);
    let sent = host.run_text(3_000);
    assert_eq!(
        sent, ["BLOCK 239.1.1.1 [10.0.0.1]"; 2],
        "no ALLOW may follow the leave"
    );
}

#[test]
fn a_group_is_left_when_its_last_owner_leaves() {
    let mut host = Host::new(IgmpVersion::V3);
    let task = || Owner::Task(Name::new("red").unwrap(), 1);
    host.join(0, G, &[]);
    host.set(0, task(), G, Wanted::Any);
    host.run(2_000);
    host.leave(2_000, G);
    assert_eq!(host.run_text(4_000), [""; 0], "the task still wants it");
    assert!(host.membership.is_joined(G) && host.membership.is_wanted_by(&task(), G));
    host.set(5_000, task(), G, Wanted::nothing());
    assert_eq!(host.run_text(7_000).len(), 2);
    assert!(!host.membership.is_joined(G));
}

#[test]
fn a_general_query_is_answered_for_all_groups_in_one_report() {
    let mut host = Host::new(IgmpVersion::V3);
    host.join(0, G, &[]);
    host.join(0, H, &[S1]);
    host.run(5_000);
    host.query(10_000, 3, None, &[]);
    let sent = host.run(20_001);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].0 >= 10_000);
    assert_eq!(sent[0].1, "IS_EX 239.1.1.1 []; IS_IN 239.1.1.2 [10.0.0.1]");
}

#[test]
fn a_specific_query_is_answered_only_by_what_is_joined() {
    let mut host = Host::new(IgmpVersion::V3);
    host.join(0, G, &[S1]);
    host.run(5_000);
    host.query(10_000, 3, Some(G), &[S1, S2]);
    assert_eq!(host.run_text(20_001), ["IS_IN 239.1.1.1 [10.0.0.1]"]);
    host.query(21_000, 3, Some(G), &[S2]);
    host.query(21_000, 3, Some(H), &[]);
    assert_eq!(host.run_text(31_001), [""; 0]);
}

/// RFC 3376 §5.2 rule 5: two questions about sources are answered together.
#[test]
fn questions_about_sources_are_merged() {
    let mut host = Host::new(IgmpVersion::V3);
    host.join(0, G, &[]);
    host.run(5_000);
    host.query(10_000, 3, Some(G), &[S1]);
    host.query(10_000, 3, Some(G), &[S2]);
    assert_eq!(
        host.run_text(20_001),
        ["IS_IN 239.1.1.1 [10.0.0.1, 10.0.0.2]"]
    );
}

#[test]
fn without_queries_groups_are_reported_every_minute() {
    let mut host = Host::new(IgmpVersion::V3);
    host.join(0, G, &[]);
    host.run(10_000);
    let sent = host.run_text(310_000);
    assert_eq!(sent, ["IS_EX 239.1.1.1 []"; 5]);
}

#[test]
fn version_two_reports_each_group_and_leaves_to_all_routers() {
    let mut host = Host::new(IgmpVersion::V2);
    host.join(0, G, &[]);
    assert_eq!(host.run_text(15_000), ["v2 239.1.1.1"; 2]);
    host.join(16_000, H, &[]);
    host.run(30_000);
    host.query(31_000, 2, None, &[]);
    let mut answers = host.run_text(41_001);
    answers.sort();
    assert_eq!(answers, ["v2 239.1.1.1", "v2 239.1.1.2"]);
    host.leave(42_000, G);
    assert_eq!(host.run_text(43_000)[0], "leave 239.1.1.1");
}

/// RFC 3376 §7.2.1, §8.12: an older querier is believed for 2 * 125 s + its max response time.
#[test]
fn an_older_querier_is_spoken_to_in_its_version_until_forgotten() {
    let mut host = Host::new(IgmpVersion::V3);
    host.query(0, 2, None, &[]);
    assert_eq!(host.membership.version(at(259_999)), 2);
    assert_eq!(host.membership.version(at(260_000)), 3);
    host.join(1_000, G, &[]);
    assert!(
        host.run_text(20_000)
            .iter()
            .all(|text| text == "v2 239.1.1.1")
    );
    host.query(30_000, 1, None, &[]);
    assert_eq!(host.membership.version(at(30_001)), 1);
    host.leave(50_000, G);
    assert!(
        host.run_text(60_000)
            .iter()
            .all(|text| text == "v1 239.1.1.1"),
        "IGMPv1 has no leave"
    );
}

#[test]
fn many_groups_are_split_into_reports_that_fit() {
    let mut host = Host::new(IgmpVersion::V3);
    for i in 0..400u32 {
        host.join(0, Ipv4Addr::from(u32::from(G) + i), &[]);
    }
    while let Some(report) = host.membership.poll_report(at(0), &mut host.rng) {
        let Report::V3(records) = report else {
            panic!("{report:?}")
        };
        assert!(records.len() * 8 <= REPORT_BYTES_MAX && !records.is_empty());
    }
}

/// One query is heard, and no more: how far apart reports are from then on, in ms.
fn gaps_after_one_query(interval_s: u64) -> Vec<u64> {
    let mut host = Host::new(IgmpVersion::V3);
    host.join(0, G, &[]);
    host.run(20_000);
    host.query_of(20_000, interval_s);
    let sent: Vec<u64> = host.run(400_000).into_iter().map(|(ms, _)| ms).collect();
    sent.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// RFC 3376 §8.4: a group is forgotten after two query intervals and a response interval; several reports fit in before.
#[test]
fn a_router_that_asks_more_often_is_told_more_often_unasked() {
    let longest = |interval_s| gaps_after_one_query(interval_s).into_iter().max();
    assert!(longest(10) <= Some(15_000), "{:?}", longest(10));
    assert!(longest(1) <= Some(7_500), "no more often than every 5 s");
    assert!(gaps_after_one_query(1).iter().all(|gap| *gap >= 2_500));
    for usual in [60, 125] {
        let gaps = gaps_after_one_query(usual);
        assert!(gaps.iter().skip(1).all(|gap| *gap == 60_000), "{gaps:?}");
    }
}
