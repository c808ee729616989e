//! What one record says that is not as expected.

use std::net::{IpAddr, Ipv4Addr};

use super::kind::Kind;
use super::rules::Rules;
use super::subject::{Found, Subject};
use crate::name::Name;
use crate::view::{Key, Route, State};

/// Calls `visit` for all that is wrong with a record by itself. What a PE is asked for needs to be
/// known by others' records: see [`asked`].
pub fn judge(
    mvpn: &Name,
    rules: &Rules,
    key: &Key,
    state: &State,
    visit: &mut dyn FnMut(Subject, Found),
) {
    let pe = key.pe();
    let said = Found::Said(key.kind());
    if rules.is_unexpected(pe) {
        visit(Subject::of_pe(Kind::PeUnexpected, mvpn, pe), said);
    }
    if let State::Mapping { data_mdt } = state
        && let Key::Mapping { source, group, .. } = *key
    {
        judge_mapping(mvpn, rules, (pe, source, group), *data_mdt, visit);
    }
    let Some(group) = key.group() else { return };
    if rules.is_group_unexpected(group) {
        // Whether its source or its PE are right is of no interest then.
        visit(
            Subject::of_group(Kind::GroupUnexpected, mvpn, pe, group),
            said,
        );
        return;
    }
    if let Some(source) = key.source()
        && rules.is_source_unexpected(source, group)
    {
        let subject = Subject::of_stream(Kind::SourceUnexpected, mvpn, pe, source, group);
        visit(subject, said);
    }
    if sends(key) && rules.may_not_send(pe, group) {
        visit(
            Subject::of_group(Kind::SendNotAllowed, mvpn, pe, group),
            said,
        );
    }
    if receives(key) && rules.may_not_receive(pe, group) {
        visit(
            Subject::of_group(Kind::ReceiveNotAllowed, mvpn, pe, group),
            said,
        );
    }
}

fn judge_mapping(
    mvpn: &Name,
    rules: &Rules,
    (pe, source, group): (Ipv4Addr, IpAddr, IpAddr),
    data_mdt: Ipv4Addr,
    visit: &mut dyn FnMut(Subject, Found),
) {
    let found = Found::Mapped(data_mdt);
    let outside = |pool: &super::rules::Ranges| !pool.contains(IpAddr::V4(data_mdt));
    if rules.pool.as_ref().is_some_and(outside) {
        let subject = Subject::of_stream(Kind::MappingOutsidePool, mvpn, pe, source, group);
        visit(subject, found);
    }
    if rules.is_group_unexpected(group) {
        return;
    }
    let kept_off = |allowed: &super::rules::Ranges| !allowed.contains(group);
    if rules.mapped_groups.as_ref().is_some_and(kept_off) {
        let subject = Subject::of_stream(Kind::MappingNotAllowed, mvpn, pe, source, group);
        visit(subject, found);
    }
}

/// Whether the PE forwards a source's packets onto the MDT. Who forwards a shared tree need not be
/// the source's PE: the RP's is.
fn sends(key: &Key) -> bool {
    match key {
        Key::Mapping { .. } => true,
        Key::Assert { route, .. } => match route {
            Route::Source { .. } => true,
            Route::Shared { .. } | Route::Rpt { .. } => false,
        },
        Key::Neighbor { .. } | Key::Join { .. } | Key::Rp { .. } | Key::Forwarder { .. } => false,
    }
}

/// Whether the PE asks for the group. (S,G,rpt) is pruned: the PE does not want it (RFC 7761 §4.5.3).
fn receives(key: &Key) -> bool {
    match key {
        Key::Join { route, .. } => match route {
            Route::Shared { .. } | Route::Source { .. } => true,
            Route::Rpt { .. } => false,
        },
        Key::Neighbor { .. }
        | Key::Assert { .. }
        | Key::Mapping { .. }
        | Key::Rp { .. }
        | Key::Forwarder { .. } => false,
    }
}

/// The neighbour that a record asks for a source's packets, and their group.
pub fn asked(key: &Key, state: &State) -> Option<(IpAddr, IpAddr)> {
    match (key, state) {
        (
            Key::Join {
                route: Route::Source { group, .. },
                ..
            },
            State::Join { upstream, .. },
        ) => Some((*upstream, *group)),
        // Not a source's tree, or not a join at all; a key and a state of two kinds do not occur.
        (_, _) => None,
    }
}
