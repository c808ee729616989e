//! What the monitor says of an MVPN's control plane, against what the routers say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use mvpnlab_emulator::mdt::Deed;
use vmscope_core::control::Answer;
use vmscope_core::view::{Key, Record, Route, State};

use super::Finding;
use super::facts::Facts;
use super::judge::Judge;
use crate::drive::checkpoint::Checkpoint;

/// How long an announced data MDT is believed (RFC 6037 section 7.2: MDT_DATA_TIMEOUT).
const MAPPING_HOLD_NS: u64 = 180_000_000_000;

/// A route: source (none for a shared tree) and group.
type Asked = (Option<Ipv4Addr>, Ipv4Addr);
/// A stream on a data MDT: PE, source, group, data MDT.
type Mapping = (Ipv4Addr, Ipv4Addr, Ipv4Addr, Ipv4Addr);

/// At every checkpoint, every VRF's neighbours on the MDT, the routes it was asked for there, the sources that were pruned
/// off shared trees there, and the data MDTs that were announced, are what the monitor has heard: no less, and no more.
pub fn control_plane(facts: &Facts, mvpn: &str) -> Finding {
    let expected = "at every checkpoint the monitor knows what the routers know";
    let mut judge = Judge::new("control-plane", mvpn, expected);
    let (mut neighbors, mut routes, mut pruned, mut data_mdts) = (0, 0, 0, 0);
    let checkpoints = &facts.claims.checkpoints;
    for checkpoint in checkpoints.iter().filter(|c| c.mvpn == mvpn) {
        let when = format!("at {:.3} s", checkpoint.at_ns as f64 / 1e9);
        let Answer::MvpnState { records, .. } = &checkpoint.said else {
            judge.demand(false, || format!("{when}: the monitor says no state"));
            continue;
        };
        for vrf in &checkpoint.vrfs {
            let (on_mdt, pe) = (&vrf.on_mdt, &vrf.pe);
            neighbors += on_mdt.neighbors.len();
            routes += on_mdt.joins.len();
            let known = neighbors_but(records, vrf.address);
            same(
                &mut judge,
                &format!("{when}: neighbours of {pe}"),
                &known,
                &on_mdt.neighbors,
            );
            let known = asked_of(records, vrf.address);
            same(
                &mut judge,
                &format!("{when}: routes asked of {pe}"),
                &known,
                &on_mdt.joins,
            );
            let known = asked_by(records, vrf.source);
            no_less(
                &mut judge,
                &format!("{when}: routes that {pe} asks for"),
                &known,
                &on_mdt.asks,
            );
            pruned += on_mdt.pruned.len();
            let known = pruned_at(records, vrf.address);
            same(
                &mut judge,
                &format!("{when}: sources pruned off shared trees at {pe}"),
                &known,
                &on_mdt.pruned,
            );
        }
        let announced = announced(facts, checkpoint);
        data_mdts += announced.len();
        let known = records.iter().filter_map(mapping).collect();
        same(
            &mut judge,
            &format!("{when}: data MDTs"),
            &known,
            &announced,
        );
    }
    judge.figure("neighbours", neighbors);
    judge.figure("routes", routes);
    judge.figure("pruned sources", pruned);
    judge.figure("data MDTs", data_mdts);
    judge.finish()
}

fn same<T: Ord + std::fmt::Debug>(
    judge: &mut Judge,
    what: &str,
    monitor: &BTreeSet<T>,
    routers: &BTreeSet<T>,
) {
    judge.judged(1 + routers.len() as u64);
    judge.demand(monitor == routers, || {
        let missed: Vec<&T> = routers.difference(monitor).collect();
        let invented: Vec<&T> = monitor.difference(routers).collect();
        format!("{what}: missing {missed:?}, too many {invented:?}")
    });
}

/// The monitor may know more: FRR 8.4, when it has left a group, says Join once more, with the prune of a source. Its
/// neighbour believes it, and so does the monitor; its own state knows nothing of it.
fn no_less(judge: &mut Judge, what: &str, monitor: &BTreeSet<Asked>, router: &BTreeSet<Asked>) {
    judge.judged(1 + router.len() as u64);
    let missed: Vec<&Asked> = router.difference(monitor).collect();
    judge.demand(missed.is_empty(), || format!("{what}: missing {missed:?}"));
}

/// All neighbours but this one: those that it must have itself.
fn neighbors_but(records: &[Record], vrf: Ipv4Addr) -> BTreeSet<Ipv4Addr> {
    let addresses = records.iter().filter_map(|record| match &record.state {
        State::Neighbor(neighbor) => v4(neighbor.address),
        _ => None,
    });
    addresses.filter(|address| *address != vrf).collect()
}

/// The routes that anybody asks of the VRF with this address.
fn asked_of(records: &[Record], vrf: Ipv4Addr) -> BTreeSet<Asked> {
    let asked = |record: &Record| match (record.key, &record.state) {
        (Key::Join { route, .. }, State::Join { upstream, .. }) if *upstream == vrf => {
            asked_for(route)
        }
        _ => None,
    };
    records.iter().filter_map(asked).collect()
}

/// The routes that the PE with this address asks of anybody.
fn asked_by(records: &[Record], pe: Ipv4Addr) -> BTreeSet<Asked> {
    let asked = |record: &Record| match record.key {
        Key::Join { route, .. } => asked_for(route),
        _ => None,
    };
    let own = records.iter().filter(|record| record.key.pe() == pe);
    own.filter_map(asked).collect()
}

/// A prune off the shared tree asks for nothing.
fn asked_for(route: Route) -> Option<Asked> {
    match route {
        Route::Shared { group } => Some((None, v4(group)?)),
        Route::Source { group, source } => Some((Some(v4(source)?), v4(group)?)),
        Route::Rpt { .. } => None,
    }
}

/// The sources that anybody has pruned off shared trees at the VRF with this address: source and group.
fn pruned_at(records: &[Record], vrf: Ipv4Addr) -> BTreeSet<(Ipv4Addr, Ipv4Addr)> {
    let pruned = |record: &Record| match (record.key, &record.state) {
        (Key::Join { route, .. }, State::Join { upstream, .. }) if *upstream == vrf => {
            match route {
                Route::Rpt { group, source } => Some((v4(source)?, v4(group)?)),
                Route::Shared { .. } | Route::Source { .. } => None,
            }
        }
        _ => None,
    };
    records.iter().filter_map(pruned).collect()
}

fn mapping(record: &Record) -> Option<Mapping> {
    match (record.key, &record.state) {
        (Key::Mapping { pe, source, group }, State::Mapping { data_mdt }) => {
            Some((pe, v4(source)?, v4(group)?, *data_mdt))
        }
        _ => None,
    }
}

/// What the PEs have announced, by their own log, and not so long ago that it is no longer believed.
fn announced(facts: &Facts, checkpoint: &Checkpoint) -> BTreeSet<Mapping> {
    let now_ns = facts.timeline.start_ns + checkpoint.at_ns;
    let sites = facts
        .plan
        .mvpns
        .get(&checkpoint.mvpn)
        .map(|mvpn| &mvpn.sites);
    let source_of = |pe: &str| {
        let mut sites = sites.into_iter().flatten();
        sites.find(|site| site.pe == pe).map(|site| site.mdt_source)
    };
    let mut last = BTreeMap::new();
    for event in &facts.mdts.events {
        if let Deed::Announced { stream, p_group } = event.did
            && event.mvpn == checkpoint.mvpn
            && event.at_ns <= now_ns
            && let Some(pe) = source_of(&event.pe)
        {
            last.insert(
                (pe, stream.c_source, stream.c_group),
                (event.at_ns, p_group),
            );
        }
    }
    last.into_iter()
        .filter(|(_, (at_ns, _))| now_ns - at_ns < MAPPING_HOLD_NS)
        .map(|((pe, source, group), (_, p_group))| (pe, source, group, p_group))
        .collect()
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = r#"{"key": {"record": "join", "pe": "10.2.0.6", "route": "shared", "group": "239.100.1.1"},
        "state": {"state": "join", "upstream": "172.16.1.1", "rp": "172.31.1.1"},
        "since_ns": 1, "refreshed_ns": 1, "refreshes": 0, "expires_ns": 9}"#;
    const PRUNED: &str = r#"{"key": {"record": "join", "pe": "10.2.0.6", "route": "rpt", "group": "239.100.1.1", "source": "192.168.3.2"},
        "state": {"state": "join", "upstream": "172.16.1.1"},
        "since_ns": 1, "refreshed_ns": 1, "refreshes": 0, "expires_ns": 9}"#;
    const NEIGHBOR: &str = r#"{"key": {"record": "neighbor", "pe": "10.2.0.6"},
        "state": {"state": "neighbor", "address": "172.16.1.2", "designated_router": true, "bidirectional": false},
        "since_ns": 1, "refreshed_ns": 1, "refreshes": 0}"#;

    fn records() -> Vec<Record> {
        [SHARED, PRUNED, NEIGHBOR]
            .map(|json| serde_json::from_str(json).unwrap())
            .into()
    }

    #[test]
    fn a_route_counts_where_it_is_asked_for_and_a_neighbour_everywhere_but_at_itself() {
        let [first, second] = [1, 2].map(|n| Ipv4Addr::new(172, 16, 1, n));
        let group = Ipv4Addr::new(239, 100, 1, 1);
        assert_eq!(asked_of(&records(), first), BTreeSet::from([(None, group)]));
        assert_eq!(asked_of(&records(), second), BTreeSet::new());
        let [asker, other] = [6, 7].map(|n| Ipv4Addr::new(10, 2, 0, n));
        assert_eq!(asked_by(&records(), asker), BTreeSet::from([(None, group)]));
        assert_eq!(asked_by(&records(), other), BTreeSet::new());
        let pruned = BTreeSet::from([(Ipv4Addr::new(192, 168, 3, 2), group)]);
        assert_eq!(pruned_at(&records(), first), pruned);
        assert_eq!(pruned_at(&records(), second), BTreeSet::new());
        assert_eq!(neighbors_but(&records(), first), BTreeSet::from([second]));
        assert_eq!(neighbors_but(&records(), second), BTreeSet::new());
    }

    #[test]
    fn of_what_a_router_asks_for_nothing_may_be_missing() {
        let group = Ipv4Addr::new(239, 100, 1, 1);
        let judged = |monitor: &[Asked], router: &[Asked]| {
            let mut judge = Judge::new("control-plane", "red", "no less");
            let [monitor, router] = [monitor, router].map(|set| set.iter().copied().collect());
            no_less(&mut judge, "at 1 s", &monitor, &router);
            judge.finish().held()
        };
        let (shared, own) = ((None, group), (Some(group), group));
        assert!(judged(&[shared, own], &[shared]));
        assert!(judged(&[], &[]));
        assert!(!judged(&[own], &[shared, own]));
    }

    #[test]
    fn less_and_more_than_the_routers_know_are_both_found() {
        let judged = |monitor: &[u8], routers: &[u8]| {
            let mut judge = Judge::new("control-plane", "red", "the same");
            let [monitor, routers] = [monitor, routers].map(|set| set.iter().copied().collect());
            same(&mut judge, "at 1 s", &monitor, &routers);
            judge.finish().outcome.reason().map(str::to_owned)
        };
        assert_eq!(judged(&[1, 2], &[1, 2]), None);
        assert!(judged(&[1], &[1, 2]).is_some());
        assert!(judged(&[1, 2], &[1]).is_some());
    }
}
