use super::super::message::{Group, Source};
use super::*;
use crate::mdt::Stream;

const S: u64 = 1_000_000_000;
const END: u64 = 1_000 * S;
const G: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const RP: Ipv4Addr = Ipv4Addr::new(172, 31, 1, 1);

fn source(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 1, last)
}

fn pe(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 2, 0, last)
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 16, 1, last)
}

/// It takes a millisecond to the monitor.
fn says(at: u64, who: u8, said: Said) -> Utterance {
    Utterance {
        mvpn: "red".into(),
        pe: pe(who),
        address: address(who),
        left_ns: at * S,
        heard_ns: Some(at * S + 1_000_000),
        said: Some(said),
    }
}

fn hello(generation: u32, hold_s: u16) -> Said {
    Said::Hello(Hello {
        hold_s,
        generation_id: Some(generation),
        ..Hello::default()
    })
}

fn entry(address: Ipv4Addr, tree: Tree) -> Source {
    Source { address, tree }
}

fn asks(of: u8, joins: &[Source], prunes: &[Source]) -> Said {
    Said::JoinPrune(JoinPrune {
        upstream: address(of),
        hold_s: 210,
        groups: vec![Group {
            group: G,
            joins: joins.to_vec(),
            prunes: prunes.to_vec(),
        }],
    })
}

/// What has changed, a line each.
fn told(utterances: &[Utterance]) -> Vec<String> {
    turns(utterances.iter(), "red", END)
        .into_iter()
        .map(|turn| {
            let about = match turn.about {
                About::Pe => "PE".to_owned(),
                About::Route { tree, source, .. } => {
                    let last = source.map_or(0, |source| source.octets()[3]);
                    format!("{tree:?} {last}")
                }
                About::Mapping { .. } => "mapping".to_owned(),
            };
            let (who, at) = (turn.pe.octets()[3], turn.at_ns / S);
            format!("{at} {who} {about} {:?} {:?}", turn.way, turn.because)
        })
        .collect()
}

#[test]
fn a_pe_comes_restarts_goes_and_is_missed() {
    let said = [
        says(1, 1, hello(7, 105)),
        says(2, 2, hello(7, 17)),
        says(31, 1, hello(7, 105)),
        says(40, 1, hello(8, 105)),
        says(41, 1, hello(8, 0)),
    ];
    let expected = [
        "1 1 PE Came Hello",
        "2 2 PE Came Hello",
        "19 2 PE Went Silence",
        "40 1 PE Became Hello",
        "41 1 PE Went Hello",
    ];
    assert_eq!(told(&said), expected);
}

#[test]
fn routes_are_asked_for_moved_taken_back_and_forgotten() {
    let (shared, own) = (entry(RP, Tree::Shared), entry(source(2), Tree::Source));
    let said = [
        says(1, 1, hello(7, u16::MAX)),
        says(2, 1, asks(2, &[shared, own], &[])),
        says(62, 1, asks(2, &[shared, own], &[])),
        says(70, 1, asks(3, &[own], &[])),
        says(70, 1, asks(2, &[], &[own])),
        says(80, 1, asks(2, &[], &[shared])),
    ];
    let expected = [
        "1 1 PE Came Hello",
        "2 1 Shared 0 Came JoinPrune",
        "2 1 Source 2 Came JoinPrune",
        "70 1 Source 2 Became JoinPrune",
        "80 1 Shared 0 Went JoinPrune",
        "280 1 Source 2 Went Silence",
    ];
    assert_eq!(told(&said), expected);
}

#[test]
fn a_source_is_pruned_off_the_shared_tree_as_long_as_that_is_repeated() {
    let shared = entry(RP, Tree::Shared);
    let pruned = [2, 3].map(|last| entry(source(last), Tree::SourceOnShared));
    let said = [
        says(1, 1, hello(7, u16::MAX)),
        says(2, 1, asks(2, &[shared], &pruned)),
        says(9, 1, asks(2, &[shared], &pruned[1..])),
        says(11, 1, asks(2, &pruned[1..], &[])),
    ];
    let expected = [
        "1 1 PE Came Hello",
        "2 1 Shared 0 Came JoinPrune",
        "2 1 SourceOnShared 2 Came JoinPrune",
        "2 1 SourceOnShared 3 Came JoinPrune",
        "9 1 SourceOnShared 2 Went JoinPrune",
        "11 1 SourceOnShared 3 Went JoinPrune",
        "219 1 Shared 0 Went Silence",
    ];
    assert_eq!(told(&said), expected);
}

#[test]
fn a_join_that_is_held_back_is_believed_as_long_as_another_is_said() {
    let own = entry(source(2), Tree::Source);
    let said = [
        says(1, 1, hello(7, u16::MAX)),
        says(1, 2, hello(7, u16::MAX)),
        says(1, 3, hello(7, 105)),
        says(2, 1, asks(9, &[own], &[])),
        says(2, 3, asks(9, &[own], &[])),
        says(100, 2, asks(9, &[own], &[])),
        says(300, 2, asks(9, &[own], &[])),
        says(400, 2, asks(9, &[], &[own])),
    ];
    let expected = [
        "1 1 PE Came Hello",
        "1 2 PE Came Hello",
        "1 3 PE Came Hello",
        "2 1 Source 2 Came JoinPrune",
        "2 3 Source 2 Came JoinPrune",
        "100 2 Source 2 Came JoinPrune",
        "106 3 PE Went Silence",
        "212 3 Source 2 Went Silence",
        "400 2 Source 2 Went JoinPrune",
        "510 1 Source 2 Went Silence",
    ];
    assert_eq!(told(&said), expected);
}

#[test]
fn an_afterthought_to_a_prune_is_believed_for_its_hold_time_and_no_longer() {
    let shared = entry(RP, Tree::Shared);
    let said = [
        says(1, 1, hello(7, u16::MAX)),
        says(1, 2, hello(7, u16::MAX)),
        says(2, 1, asks(9, &[shared], &[])),
        says(2, 2, asks(9, &[shared], &[])),
        says(20, 1, asks(9, &[], &[shared])),
        says(20, 1, asks(9, &[shared], &[])),
        says(100, 2, asks(9, &[shared], &[])),
    ];
    let told = told(&said);
    assert_eq!(
        told[4..],
        [
            "20 1 Shared 0 Went JoinPrune",
            "20 1 Shared 0 Came JoinPrune",
            "230 1 Shared 0 Went Silence",
            "310 2 Shared 0 Went Silence",
        ]
    );
}

#[test]
fn who_has_not_said_hello_and_what_was_not_heard_come_to_nothing() {
    let own = entry(source(2), Tree::Source);
    let mut unheard = says(3, 1, hello(7, 105));
    unheard.heard_ns = None;
    let mut of_others = says(4, 1, hello(7, 105));
    of_others.mvpn = "blue".into();
    let said = [says(2, 1, asks(2, &[own], &[])), unheard, of_others];
    assert_eq!(told(&said), [""; 0]);
}

#[test]
fn a_mapping_is_believed_for_three_minutes() {
    let announces = |p_last| {
        let stream = Stream {
            c_source: source(2),
            c_group: G,
        };
        Said::MdtJoin(vec![(stream, Ipv4Addr::new(239, 2, 1, p_last))])
    };
    let said = [
        says(1, 1, announces(1)),
        says(61, 1, announces(1)),
        says(121, 1, announces(2)),
    ];
    let expected = [
        "1 1 mapping Came MdtJoin",
        "121 1 mapping Became MdtJoin",
        "301 1 mapping Went Silence",
    ];
    assert_eq!(told(&said), expected);
}
