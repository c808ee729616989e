//! What must be active when all has come to rest, found out the simple way: by looking at everything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::alarm::{Alarm, Kind};
use crate::view::expected::{Pe, Prefix, Presence, Sites};
use crate::view::{Expected, Key, Record, Route, State};

pub type About = (Kind, Option<Ipv4Addr>, Option<IpAddr>, Option<IpAddr>);

pub fn about(alarm: &Alarm) -> About {
    (alarm.kind, alarm.pe, alarm.group, alarm.source)
}

pub fn oracle(expected: Option<&Expected>, view: &BTreeMap<Key, Record>) -> BTreeSet<About> {
    let Some(expected) = expected else {
        return BTreeSet::new();
    };
    let required = required(expected);
    let here = |pe: &Ipv4Addr| view.contains_key(&Key::Neighbor { pe: *pe });
    let hellos = view
        .keys()
        .filter(|key| matches!(key, Key::Neighbor { .. }))
        .count();
    if hellos == 0 && !required.is_empty() {
        return BTreeSet::from([(Kind::MvpnSilent, None, None, None)]);
    }
    let missing: BTreeSet<_> = required.into_iter().filter(|pe| !here(pe)).collect();
    let mut all: BTreeSet<About> = view
        .values()
        .flat_map(|record| wrong(expected, view, record))
        .collect();
    all.retain(|(_, pe, _, _)| !pe.is_some_and(|pe| missing.contains(&pe)));
    all.extend(
        missing
            .into_iter()
            .map(|pe| (Kind::PeMissing, Some(pe), None, None)),
    );
    all
}

fn required(expected: &Expected) -> Vec<Ipv4Addr> {
    let must = |pe: &&Pe| pe.presence == Presence::Required;
    expected
        .pes
        .iter()
        .flat_map(BTreeMap::values)
        .filter(must)
        .map(|pe| pe.address)
        .collect()
}

fn within(list: &Option<Vec<Prefix>>, address: IpAddr) -> bool {
    list.as_ref()
        .is_none_or(|list| list.iter().any(|range| range.contains(address)))
}

fn sites(expected: &Expected, pe: Ipv4Addr) -> Option<&Sites> {
    let (name, _) = expected
        .pes
        .as_ref()?
        .iter()
        .find(|(_, of)| of.address == pe)?;
    expected.sites.as_ref()?.get(name)
}

fn wrong(expected: &Expected, view: &BTreeMap<Key, Record>, record: &Record) -> Vec<About> {
    let mut all = Vec::new();
    let pe = record.key.pe();
    let known = |pes: &BTreeMap<_, Pe>| pes.values().any(|of| of.address == pe);
    if !expected.pes.as_ref().is_none_or(known) {
        all.push((Kind::PeUnexpected, Some(pe), None, None));
    }
    let Some(group) = record.key.group() else {
        return all;
    };
    let good_group = within(&expected.groups, group);
    if !good_group {
        all.push((Kind::GroupUnexpected, Some(pe), Some(group), None));
    }
    if let (State::Mapping { data_mdt }, Some(of)) = (&record.state, &expected.data_mdt) {
        let stream = |kind| (kind, Some(pe), Some(group), record.key.source());
        if !within(&of.pool, IpAddr::V4(*data_mdt)) {
            all.push(stream(Kind::MappingOutsidePool));
        }
        if good_group && !within(&of.groups, group) {
            all.push(stream(Kind::MappingNotAllowed));
        }
    }
    if !good_group {
        return all;
    }
    let of_group = expected
        .sources
        .iter()
        .flatten()
        .filter(|(range, _)| range.contains(group));
    let longest = of_group.max_by_key(|(range, _)| range.length());
    if let (Some(source), Some((_, allowed))) = (record.key.source(), longest)
        && !allowed.iter().any(|range| range.contains(source))
    {
        all.push((Kind::SourceUnexpected, Some(pe), Some(group), Some(source)));
    }
    let may_send = |pe| sites(expected, pe).is_none_or(|of| within(&of.send, group));
    let may_receive = sites(expected, pe).is_none_or(|of| within(&of.receive, group));
    match record.key {
        Key::Mapping { .. }
        | Key::Assert {
            route: Route::Source { .. },
            ..
        } if !may_send(pe) => {
            all.push((Kind::SendNotAllowed, Some(pe), Some(group), None));
        }
        Key::Join {
            route: Route::Shared { .. } | Route::Source { .. },
            ..
        } if !may_receive => {
            all.push((Kind::ReceiveNotAllowed, Some(pe), Some(group), None));
        }
        _ => {}
    }
    if let (
        Key::Join {
            route: Route::Source { .. },
            ..
        },
        State::Join { upstream, .. },
    ) = (record.key, &record.state)
    {
        let at = |record: &&Record| match &record.state {
            State::Neighbor(of) => of.address == *upstream || of.addresses.contains(upstream),
            _ => false,
        };
        for neighbor in view
            .values()
            .filter(at)
            .filter(|neighbor| !may_send(neighbor.key.pe()))
        {
            all.push((
                Kind::SendNotAllowed,
                Some(neighbor.key.pe()),
                Some(group),
                None,
            ));
        }
    }
    all
}
