//! An alarm in words: what, on what; what was expected and what was found; what to do.

use std::net::Ipv4Addr;

use super::kind::Kind;
use super::rules::Rules;
use super::subject::{Found, Subject};
use crate::time::{NS_PER_S, Span};
use crate::view::expected::Prefix;

/// Ranges named in a message; the rest is counted.
const NAMED_MAX: usize = 4;

/// The message and the remedy.
pub fn words(
    subject: &Subject,
    found: Found,
    rules: Option<&Rules>,
    held: Span,
) -> (String, &'static str) {
    let mvpn = &subject.mvpn;
    let pe = match subject.pe {
        Some(address) => name(address, rules),
        None => String::new(),
    };
    let group = subject
        .group
        .map_or_else(String::new, |group| group.to_string());
    let source = subject
        .source
        .map_or_else(String::new, |source| source.to_string());
    let expected = rules.map(|rules| &rules.expected);
    let allowed_groups = || list(expected.and_then(|e| e.groups.as_deref()));
    match subject.kind {
        Kind::MvpnSilent => (
            format!(
                "MVPN {mvpn}: expected PIM Hellos of {} PEs on the default MDT, and heard none for {}",
                rules.map_or(0, |rules| rules.required.len()),
                shown(held)
            ),
            "look at the monitor's own tunnel and its membership of the default MDT first, then at the backbone's multicast",
        ),
        Kind::PeMissing => (
            format!(
                "MVPN {mvpn}: PE {pe} is missing: expected its PIM Hello on the default MDT, and no valid one was there for {}",
                shown(held)
            ),
            "look at that PE's VRF, its PIM on the MDT tunnel, and its default MDT group; if it is to be away, take it out of `pes` or make it optional",
        ),
        Kind::PeUnexpected => (
            format!(
                "MVPN {mvpn}: PE {pe} takes part and is not expected: {}; {} PEs are",
                said(found),
                rules
                    .and_then(|rules| rules.pes.as_ref())
                    .map_or(0, |pes| pes.len())
            ),
            "find out whose router it is, and take the MVPN's default MDT away from it; if it belongs there, add it to `pes`",
        ),
        Kind::PeRestarted => (
            format!("MVPN {mvpn}: PE {pe} has restarted its PIM: its generation id is another"),
            "look at that PE's log for the cause; its customers' routes are built up anew",
        ),
        Kind::GroupUnexpected => (
            format!(
                "MVPN {mvpn}: group {group} is not expected: {} of PE {pe}; allowed are {}",
                said(found),
                allowed_groups()
            ),
            "ask the customer what it is; if it is right, add it to `groups`",
        ),
        Kind::SourceUnexpected => (
            format!(
                "MVPN {mvpn}: source {source} may not send to group {group}: {} of PE {pe}; allowed are {}",
                said(found),
                list(sources_of(subject, rules))
            ),
            "find the source at the customer's site; if it is right, add it to the group's `sources`",
        ),
        Kind::SendNotAllowed => (
            format!(
                "MVPN {mvpn}: sites of PE {pe} may not send to group {group}, and {}; allowed are {}",
                match found {
                    Found::Asked(upstream) =>
                        format!("another PE asks it for a source ({upstream})"),
                    Found::Nothing | Found::Said(_) | Found::Mapped(_) | Found::Value(_) =>
                        format!("it does: {}", said(found)),
                },
                list(sites_of(subject, rules).and_then(|sites| sites.send.as_deref()))
            ),
            "find the source behind that PE; if it is right, add the group to `send` of that PE in `sites`",
        ),
        Kind::ReceiveNotAllowed => (
            format!(
                "MVPN {mvpn}: sites of PE {pe} may not receive group {group}, and it asks for it: {}; allowed are {}",
                said(found),
                list(sites_of(subject, rules).and_then(|sites| sites.receive.as_deref()))
            ),
            "find the receiver behind that PE; if it is right, add the group to `receive` of that PE in `sites`",
        ),
        Kind::MappingOutsidePool => (
            format!(
                "MVPN {mvpn}: PE {pe} has mapped ({source},{group}) to {}, which is not in the pool of data MDTs: {}",
                data_mdt(found),
                list(expected.and_then(|e| e.data_mdt.as_ref()?.pool.as_deref()))
            ),
            "correct the pool of data MDTs in that PE's VRF; if it is right, add it to `data_mdt.pool`",
        ),
        Kind::MappingNotAllowed => (
            format!(
                "MVPN {mvpn}: PE {pe} has mapped ({source},{group}) to the data MDT {}, and the group may not be on one; allowed are {}",
                data_mdt(found),
                list(expected.and_then(|e| e.data_mdt.as_ref()?.groups.as_deref()))
            ),
            "correct that PE's rule of what goes on data MDTs; if it is right, add the group to `data_mdt.groups`",
        ),
        Kind::Threshold => (
            threshold(subject, found, held),
            "compare the pairs that share a sender or a receiver: the part of the path that bad pairs have in common is to blame",
        ),
    }
}

fn threshold(subject: &Subject, found: Found, held: Span) -> String {
    let task = &subject.mvpn;
    let Some(measured) = &subject.measured else {
        return format!("{task}: a metric is above its threshold");
    };
    let value = match found {
        Found::Value(value) => measured.metric.level(value).to_string(),
        Found::Nothing | Found::Said(_) | Found::Asked(_) | Found::Mapped(_) => "more".to_owned(),
    };
    format!(
        "{task}: {} from {} to {} has been above {} for {}: {value}",
        measured.metric.as_str(),
        measured.sender,
        measured.receiver,
        measured.above,
        shown(held)
    )
}

/// A PE by its name and address, as far as they are known.
fn name(address: Ipv4Addr, rules: Option<&Rules>) -> String {
    match rules.and_then(|rules| rules.pe(address)) {
        Some(pe) => format!("{} ({address})", pe.name),
        None => address.to_string(),
    }
}

fn said(found: Found) -> String {
    match found {
        Found::Said(kind) => match kind {
            "neighbor" => "a PIM Hello".to_owned(),
            "join" => "a Join".to_owned(),
            "assert" => "an Assert".to_owned(),
            "mapping" => "an MDT Join".to_owned(),
            "rp" => "a Bootstrap message".to_owned(),
            "forwarder" => "a DF Winner message".to_owned(),
            other => other.to_owned(),
        },
        Found::Asked(upstream) => format!("a Join to {upstream}"),
        Found::Mapped(data_mdt) => format!("an MDT Join for {data_mdt}"),
        Found::Nothing | Found::Value(_) => "a message".to_owned(),
    }
}

fn data_mdt(found: Found) -> String {
    match found {
        Found::Mapped(data_mdt) => data_mdt.to_string(),
        Found::Nothing | Found::Said(_) | Found::Asked(_) | Found::Value(_) => "one".to_owned(),
    }
}

fn sites_of<'a>(
    subject: &Subject,
    rules: Option<&'a Rules>,
) -> Option<&'a crate::view::expected::Sites> {
    let rules = rules?;
    let name = &rules.pe(subject.pe?)?.name;
    rules.expected.sites.as_ref()?.get(name)
}

/// The sources of the longest range that holds the group.
fn sources_of<'a>(subject: &Subject, rules: Option<&'a Rules>) -> Option<&'a [Prefix]> {
    let group = subject.group?;
    let sources = rules?.expected.sources.as_ref()?;
    sources
        .iter()
        .filter(|(range, _)| range.contains(group))
        .max_by_key(|(range, _)| range.length())
        .map(|(_, sources)| sources.as_slice())
}

fn list(ranges: Option<&[Prefix]>) -> String {
    let ranges = ranges.unwrap_or(&[]);
    let named: Vec<String> = ranges
        .iter()
        .take(NAMED_MAX)
        .map(Prefix::to_string)
        .collect();
    match (named.len(), ranges.len() - named.len()) {
        (0, _) => "none".to_owned(),
        (_, 0) => named.join(", "),
        (_, more) => format!("{} and {more} more", named.join(", ")),
    }
}

/// To the second: how long it was, not how exactly.
fn shown(held: Span) -> Span {
    Span::from_s(held.as_ns() / NS_PER_S)
}
