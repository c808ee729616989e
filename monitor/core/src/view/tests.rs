//! A view hears messages made by the wire crate, as a PE's VRF would send them.

use std::net::{IpAddr, Ipv4Addr};

use vmscope_wire::ipv4::{self, IpProtocol};
use vmscope_wire::ipv4_options::Options;
use vmscope_wire::mdt_join::{self, Tlv};
use vmscope_wire::pim::{
    Assert, DfElection, DfMetric, DfStep, Group, GroupRange, Hello, HelloOption, JoinPrune, Repr,
    Source,
};
use vmscope_wire::udp;

use super::*;
use crate::time::NS_PER_S;

const G: IpAddr = IpAddr::V4(Ipv4Addr::new(239, 100, 1, 1));
const S1: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 11, 0, 2));
const S2: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 12, 0, 2));
const RP: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 31, 1, 1));

fn at(seconds: u64) -> Instant {
    Instant::from_ns(seconds * NS_PER_S)
}

fn pe(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 2, 0, number)
}

/// The VRF's address on the MDT.
fn inner(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 16, 1, number)
}

fn packet(number: u8, protocol: IpProtocol, len: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let header = ipv4::Repr {
        src: inner(number),
        dst: ALL_PIM_ROUTERS,
        protocol,
        ttl: 1,
        tos: 0xc0,
        identification: 1,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        options: Options::parse(&[]).unwrap(),
        payload_len: len,
    };
    let mut bytes = vec![0; header.buffer_len()];
    let filled = header.emit(&mut bytes, |payload| {
        fill(payload);
        Ok(())
    });
    filled.unwrap();
    bytes
}

struct Ear(View);

impl Ear {
    fn new() -> Ear {
        Ear(View::new(Name::new("red").unwrap()))
    }

    fn hears(&mut self, seconds: u64, number: u8, message: &Repr<'_>) -> Vec<String> {
        let bytes = packet(number, IpProtocol::Pim, message.buffer_len(), |payload| {
            message.emit(payload).unwrap();
        });
        self.takes(seconds, number, &bytes)
    }

    fn takes(&mut self, seconds: u64, number: u8, bytes: &[u8]) -> Vec<String> {
        let customer = ipv4::Packet::new_checked(bytes).unwrap();
        self.0.handle_packet(at(seconds), pe(number), &customer);
        self.changes()
    }

    fn waits(&mut self, seconds: u64) -> Vec<String> {
        self.0.handle_timeout(at(seconds));
        self.changes()
    }

    fn hello(&mut self, seconds: u64, number: u8, generation: u32, hold_s: u16) -> Vec<String> {
        let options = [
            HelloOption::Holdtime { seconds: hold_s },
            HelloOption::DrPriority(1),
            HelloOption::GenerationId(generation),
        ];
        let hello = Hello {
            options: options[..].into(),
        };
        self.hears(seconds, number, &Repr::Hello(hello))
    }

    fn joins(
        &mut self,
        seconds: u64,
        number: u8,
        upstream: u8,
        joins: &[Source<'_>],
        prunes: &[Source<'_>],
    ) -> Vec<String> {
        let groups = [Group {
            group: GroupRange::one(G),
            joins: joins.into(),
            prunes: prunes.into(),
        }];
        let message = Repr::JoinPrune(JoinPrune {
            upstream: inner(upstream).into(),
            holdtime_seconds: 210,
            groups: groups[..].into(),
        });
        self.hears(seconds, number, &message)
    }

    /// What has changed, a line each.
    fn changes(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.poll_change())
            .map(|change| {
                let record = change.after.as_ref().or(change.before.as_ref()).unwrap();
                let what = match (&change.before, &change.after) {
                    (None, Some(_)) => "new",
                    (Some(_), Some(_)) => "now",
                    (Some(_), None) => "gone",
                    (None, None) => unreachable!("a change of nothing"),
                };
                let state = match &record.state {
                    State::Neighbor(n) if n.designated_router => "DR".to_owned(),
                    State::Neighbor(_) => "up".to_owned(),
                    State::Join { upstream, .. } => format!("of {upstream}"),
                    State::Assert { metric, .. } => format!("metric {metric}"),
                    State::Mapping { data_mdt } => format!("on {data_mdt}"),
                    State::Rp { priority, .. } => format!("priority {priority}"),
                    State::Forwarder { metric, .. } => format!("metric {metric}"),
                };
                let subject = match record.key {
                    Key::Join { route, .. } | Key::Assert { route, .. } => route.to_string(),
                    Key::Mapping { source, group, .. } => format!("({source},{group})"),
                    Key::Neighbor { .. } | Key::Rp { .. } | Key::Forwarder { .. } => String::new(),
                };
                format!(
                    "{:>3} {what} {} {} {subject} {state} ({})",
                    change.at.as_ns() / NS_PER_S,
                    record.key.kind(),
                    record.key.pe(),
                    change.cause.as_str()
                )
            })
            .collect()
    }
}

/// RFC 7761 §4.3.1: up with the first Hello, refreshed by the next, gone after its hold time; the highest address of the
/// highest priority is DR.
#[test]
fn neighbours_come_elect_and_go() {
    let mut ear = Ear::new();
    let mut told = ear.hello(0, 1, 7, 105);
    told.extend(ear.hello(1, 2, 8, 105));
    told.extend(ear.hello(30, 1, 7, 105));
    told.extend(ear.waits(105));
    told.extend(ear.waits(106));
    told.extend(ear.hello(107, 1, 7, 0));
    insta::assert_snapshot!(told.join("\n"));
    assert!(ear.0.is_empty());
}

#[test]
fn what_only_repeats_is_counted() {
    let mut ear = Ear::new();
    ear.hello(0, 1, 7, 105);
    for n in 1..=5 {
        assert_eq!(ear.hello(n * 30, 1, 7, 105), [""; 0]);
    }
    let record = ear.0.records().next().unwrap();
    assert_eq!(
        (record.refreshes, record.since, record.refreshed),
        (5, at(0), at(150))
    );
    assert_eq!(record.expires, Some(at(255)));
    assert_eq!(ear.0.heard().pim["Hello"], 6);
}

/// RFC 7761 §4.3.1: another generation id is a restart, however short.
#[test]
fn a_restart_shows_by_its_generation_id() {
    let mut ear = Ear::new();
    ear.hello(0, 1, 7, 105);
    assert_eq!(
        ear.hello(2, 1, 8, 105),
        ["  2 now neighbor 10.2.0.1  DR (restarted)"]
    );
}

#[test]
fn routes_are_asked_for_repeated_moved_and_taken_back() {
    let mut ear = Ear::new();
    for number in 1..=3 {
        ear.hello(0, number, 1, 105);
    }
    let mut told = ear.joins(1, 1, 2, &[Source::any(RP), Source::new(S1)], &[]);
    told.extend(ear.joins(61, 1, 2, &[Source::any(RP), Source::new(S1)], &[]));
    // Another upstream neighbour, and the farewell to the former one, which ends nothing.
    told.extend(ear.joins(70, 1, 3, &[Source::new(S1)], &[]));
    told.extend(ear.joins(70, 1, 2, &[], &[Source::new(S1)]));
    told.extend(ear.joins(80, 1, 2, &[], &[Source::any(RP)]));
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(
        ear.0.records().filter(|r| r.key.kind() == "join").count(),
        1
    );
}

/// RFC 7761 §4.5.3: a (*,G) Join ends the (S,G,rpt) prunes that its message does not repeat; of other PEs, none.
#[test]
fn prunes_of_the_shared_tree_last_as_long_as_they_are_repeated() {
    let mut ear = Ear::new();
    for number in 1..=3 {
        ear.hello(0, number, 1, 105);
    }
    let both = [Source::on_rpt(S1), Source::on_rpt(S2)];
    ear.joins(1, 1, 3, &[Source::any(RP)], &both);
    ear.joins(1, 2, 3, &[Source::any(RP)], &both);
    let told = ear.joins(61, 1, 3, &[Source::any(RP)], &both[1..]);
    assert_eq!(
        told,
        [" 61 gone join 10.2.0.1 (10.11.0.2,239.100.1.1,rpt) of 172.16.1.3 (taken-back)"]
    );
    let told = ear.joins(62, 1, 3, &both[1..], &[]);
    assert_eq!(
        told,
        [" 62 gone join 10.2.0.1 (10.12.0.2,239.100.1.1,rpt) of 172.16.1.3 (taken-back)"]
    );
}

#[test]
fn who_has_not_said_hello_is_not_listened_to() {
    let mut ear = Ear::new();
    assert_eq!(ear.joins(1, 1, 2, &[Source::new(S1)], &[]), [""; 0]);
    assert_eq!(ear.0.heard().from_strangers, 1);
}

#[test]
fn routes_expire_one_by_one_at_their_time() {
    let mut ear = Ear::new();
    ear.hello(0, 1, 1, u16::MAX);
    ear.joins(10, 1, 2, &[Source::new(S1)], &[]);
    ear.joins(20, 1, 2, &[Source::new(S2)], &[]);
    assert_eq!(ear.0.next_deadline(), Some(at(220)));
    let told = ear.waits(500);
    insta::assert_snapshot!(told.join("\n"));
    // A hold time of all ones never ends (RFC 7761 §4.9.2).
    assert_eq!((ear.0.len(), ear.0.next_deadline()), (1, None));
}

/// RFC 7761 §4.5.4: who hears another ask for the same holds its own Join back, and is not gone for that; only a Prune, or
/// nobody's asking any more, ends it.
#[test]
fn a_join_that_is_held_back_is_believed_as_long_as_another_is_said() {
    let mut ear = Ear::new();
    for number in 1..=3 {
        ear.hello(0, number, 1, u16::MAX);
    }
    let s1 = [Source::new(S1)];
    ear.joins(10, 1, 3, &s1, &[]);
    ear.joins(60, 2, 3, &s1, &[]);
    assert_eq!(ear.waits(225), [""; 0]);
    ear.joins(260, 2, 3, &s1, &[]);
    assert_eq!(ear.waits(400), [""; 0]);
    let told = ear.joins(410, 2, 3, &[], &s1);
    assert_eq!(told.len(), 1, "{told:?}");
    // It was asked to say so again within seconds, and has not.
    let told = ear.waits(600);
    assert_eq!(
        told,
        ["470 gone join 10.2.0.1 (10.11.0.2,239.100.1.1) of 172.16.1.3 (expired)"]
    );
}

/// FRR 8.4, which has just left, says Prune, and once more Join with the prune of a source off the shared tree.
#[test]
fn a_join_right_after_a_prune_is_believed_for_its_hold_time_and_no_longer() {
    let mut ear = Ear::new();
    for number in 1..=3 {
        ear.hello(0, number, 1, u16::MAX);
    }
    let shared = [Source::any(RP)];
    ear.joins(10, 1, 3, &shared, &[]);
    ear.joins(10, 2, 3, &shared, &[]);
    ear.joins(20, 1, 3, &[], &shared);
    ear.joins(20, 1, 3, &shared, &[Source::on_rpt(S1)]);
    ear.joins(70, 2, 3, &shared, &[]);
    let told = ear.waits(231);
    assert_eq!(
        told,
        [
            "230 gone join 10.2.0.1 (*,239.100.1.1) of 172.16.1.3 (expired)",
            "230 gone join 10.2.0.1 (10.11.0.2,239.100.1.1,rpt) of 172.16.1.3 (expired)",
        ]
    );
    // Said again, or long after a prune, it is meant.
    ear.joins(240, 1, 3, &shared, &[]);
    ear.joins(270, 2, 3, &shared, &[]);
    assert_eq!(ear.waits(451), [""; 0]);
}

/// Of others it tells nothing: another neighbour was asked, or the PE itself is gone, or nobody has said it for long.
#[test]
fn nobody_vouches_for_what_was_asked_of_others_or_by_who_is_gone() {
    let mut ear = Ear::new();
    for (number, hold_s) in [(1, 105), (2, u16::MAX), (3, u16::MAX), (4, u16::MAX)] {
        ear.hello(0, number, 1, hold_s);
    }
    let s1 = [Source::new(S1)];
    ear.joins(10, 1, 3, &s1, &[]);
    ear.joins(10, 2, 4, &s1, &[]);
    ear.joins(60, 4, 3, &s1, &[]);
    ear.joins(60, 3, 2, &s1, &[]);
    let told = ear.waits(230);
    assert_eq!(
        told,
        [
            "105 gone neighbor 10.2.0.1  up (expired)",
            "220 gone join 10.2.0.1 (10.11.0.2,239.100.1.1) of 172.16.1.3 (expired)",
            "220 gone join 10.2.0.2 (10.11.0.2,239.100.1.1) of 172.16.1.4 (expired)",
        ]
    );
}

/// Whoever joins and prunes all day costs no more memory than whoever joins.
#[test]
fn what_comes_and_goes_leaves_nothing_behind() {
    let mut ear = Ear::new();
    ear.hello(0, 1, 1, u16::MAX);
    for _ in 0..3_000 {
        ear.joins(1, 1, 2, &[Source::new(S1)], &[]);
        ear.joins(1, 1, 2, &[], &[Source::new(S1)]);
    }
    assert!(ear.0.queued() < 1_100, "{} queued", ear.0.queued());
    ear.joins(2, 1, 2, &[Source::new(S1)], &[]);
    assert_eq!(ear.waits(300).len(), 1);
}

/// RFC 7761 §4.6.3: of two that assert themselves, the better stays; the worst of metrics takes an assert back.
#[test]
fn asserts_have_one_winner() {
    let mut ear = Ear::new();
    ear.hello(0, 1, 1, 105);
    ear.hello(0, 2, 1, 105);
    let assert = |metric, preference| {
        Repr::Assert(Assert {
            group: GroupRange::one(G),
            source: S1,
            is_rpt: false,
            preference,
            metric,
        })
    };
    let mut told = ear.hears(1, 1, &assert(20, 110));
    told.extend(ear.hears(1, 2, &assert(10, 110)));
    told.extend(ear.hears(5, 2, &assert(u32::MAX, vmscope_wire::pim::PREFERENCE_MAX)));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_designated_forwarder_is_who_won_last() {
    let mut ear = Ear::new();
    ear.hello(0, 1, 1, 105);
    ear.hello(0, 2, 1, 105);
    let way = |metric| DfMetric {
        preference: 110,
        metric,
    };
    let says = |metric, step| {
        Repr::DfElection(DfElection {
            rp: RP,
            sender: way(metric),
            step,
        })
    };
    let mut told = ear.hears(1, 1, &says(20, DfStep::Offer));
    told.extend(ear.hears(2, 1, &says(20, DfStep::Winner)));
    let pass = DfStep::Pass {
        winner: inner(2).into(),
        offer: way(10),
    };
    told.extend(ear.hears(9, 1, &says(20, pass)));
    insta::assert_snapshot!(told.join("\n"));
}

/// RFC 5015 §3.5.3: an offer or a backoff decides nothing; each RP has a forwarder of its own; who is beaten is none.
#[test]
fn an_election_is_decided_by_its_winner_alone_and_for_its_rp_alone() {
    let mut ear = Ear::new();
    for number in 1..=2 {
        ear.hello(0, number, 1, u16::MAX);
    }
    let way = |metric| DfMetric {
        preference: 110,
        metric,
    };
    let says = |rp, metric, step| {
        Repr::DfElection(DfElection {
            rp,
            sender: way(metric),
            step,
        })
    };
    let backoff = DfStep::Backoff {
        offering: inner(2).into(),
        offer: way(5),
        interval_ms: 1_000,
    };
    assert_eq!(ear.hears(1, 1, &says(RP, 20, DfStep::Offer)), [""; 0]);
    assert_eq!(ear.hears(1, 1, &says(RP, 20, backoff)), [""; 0]);
    let mut told = ear.hears(2, 1, &says(RP, 20, DfStep::Winner));
    told.extend(ear.hears(3, 1, &says(S1, 20, DfStep::Winner)));
    told.extend(ear.hears(4, 2, &says(RP, 10, DfStep::Winner)));
    assert_eq!(
        told,
        [
            "  2 new forwarder 10.2.0.1  metric 20 (said)",
            "  3 new forwarder 10.2.0.1  metric 20 (said)",
            "  4 gone forwarder 10.2.0.1  metric 20 (taken-back)",
            "  4 new forwarder 10.2.0.2  metric 10 (said)",
        ]
    );
}

/// RFC 5015 §3.5.3.2: with the PE goes what it had won: in silence, with a good-bye, or by a restart.
#[test]
fn who_is_gone_forwards_nothing() {
    let wins = Repr::DfElection(DfElection {
        rp: RP,
        sender: DfMetric {
            preference: 110,
            metric: 1,
        },
        step: DfStep::Winner,
    });
    let forwarders = |ear: &Ear| {
        ear.0
            .records()
            .filter(|record| record.key.kind() == "forwarder")
            .count()
    };
    let ends: [fn(&mut Ear); 3] = [
        |ear| drop(ear.waits(106)),
        |ear| drop(ear.hello(5, 1, 1, 0)),
        |ear| drop(ear.hello(5, 1, 2, 105)),
    ];
    for end in ends {
        let mut ear = Ear::new();
        ear.hello(0, 1, 1, 105);
        ear.hears(1, 1, &wins);
        assert_eq!(forwarders(&ear), 1);
        end(&mut ear);
        assert_eq!(forwarders(&ear), 0);
    }
}

/// RFC 6037 §7: announced every minute, believed for three.
#[test]
fn data_mdts_are_announced_repeated_and_forgotten() {
    let mut ear = Ear::new();
    let join = |data_mdt: [u8; 4]| {
        let tlvs = [Tlv::Ipv4 {
            source: Ipv4Addr::new(10, 11, 0, 2),
            group: Ipv4Addr::new(239, 100, 1, 1),
            mdt_group: data_mdt.into(),
        }];
        let len = mdt_join::buffer_len(tlvs);
        let datagram = udp::Repr {
            src_port: mdt_join::PORT,
            dst_port: mdt_join::PORT,
            has_checksum: true,
            payload_len: len,
        };
        packet(1, IpProtocol::Udp, datagram.buffer_len(), |payload| {
            let fill = |body: &mut [u8]| mdt_join::emit(tlvs, body).map(|_| ());
            datagram
                .emit(payload, inner(1), ALL_PIM_ROUTERS, fill)
                .unwrap();
        })
    };
    let mut told = ear.takes(0, 1, &join([239, 2, 1, 1]));
    told.extend(ear.takes(60, 1, &join([239, 2, 1, 1])));
    told.extend(ear.takes(120, 1, &join([239, 2, 1, 2])));
    told.extend(ear.waits(400));
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(ear.0.heard().mdt_joins, 3);
}

#[test]
fn what_cannot_be_read_is_counted_and_changes_nothing() {
    let mut ear = Ear::new();
    let broken = packet(1, IpProtocol::Pim, 6, |payload| {
        payload.copy_from_slice(&[0x23, 0, 0, 0, 1, 0])
    });
    assert_eq!(ear.takes(1, 1, &broken), [""; 0]);
    let heard = ear.0.heard();
    assert_eq!(heard.malformed, 1);
    assert!(
        heard
            .latest_fault
            .unwrap()
            .starts_with("from PE 10.2.0.1: ")
    );
}

#[test]
fn what_is_no_longer_listened_to_is_no_longer_known() {
    let mut ear = Ear::new();
    ear.hello(0, 1, 1, 105);
    ear.0.stop(at(5));
    assert_eq!(
        ear.changes(),
        ["  5 gone neighbor 10.2.0.1  DR (unwatched)"]
    );
}
