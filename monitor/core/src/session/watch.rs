//! Watching MVPNs: joining their default MDTs, and listening.

use std::net::Ipv4Addr;

use vmscope_wire::content::{Content, Customer};

use super::{Mvpn, Session};
use crate::control::{Answer, ErrorCode, Event, MvpnQuestion, Refusal};
use crate::fault::Fault;
use crate::membership::{Owner, Wanted};
use crate::name::Name;
use crate::packet::Seen;
use crate::report::Record;
use crate::spec::{Encapsulation, WatchSpec};
use crate::time::{Instant, Span};
use crate::view::{ALL_PIM_ROUTERS, Refresh, Refreshes, View};

/// Repetitions are written down this often; between, they are only counted.
const REPEATED_EVERY: Span = Span::from_s(300);
/// So many records in one report.
const REPEATED_TOGETHER: usize = 10_000;

impl Mvpn {
    /// Whether it needs a tunnel, to probe or to listen.
    pub(super) fn uses(&self, tunnel: &Name) -> bool {
        let watched = self.spec.watch.iter().flat_map(|watch| &watch.tunnels);
        self.spec
            .tunnels
            .iter()
            .chain(watched)
            .any(|name| name == tunnel)
    }
}

impl Session {
    /// The tunnels to listen over, if that can be done.
    pub(super) fn watch_tunnels(
        &self,
        name: &Name,
        group: Ipv4Addr,
        watch: &WatchSpec,
    ) -> Result<Vec<u32>, Refusal> {
        if watch.tunnels.is_empty() {
            let message = format!("cannot watch MVPN {name}: it names no tunnel to listen over");
            return Err(Refusal::new(
                ErrorCode::Invalid,
                message,
                "name at least one",
            ));
        }
        let mut ids = Vec::with_capacity(watch.tunnels.len());
        for tunnel in &watch.tunnels {
            let id = self.tunnels.find(tunnel)?;
            match is_plain(group) {
                true => check_plain(name, &watch.sources)?,
                false => self.check_join(id, group, &watch.sources)?,
            }
            if let Some(other) = self.watches.get(&(id, group)) {
                let message = format!(
                    "cannot watch MVPN {name}: {group} over tunnel {tunnel} is MVPN {other}'s default MDT"
                );
                let remedy =
                    "every MVPN has a default MDT of its own: correct the group, or drop the other";
                return Err(Refusal::new(ErrorCode::Exists, message, remedy));
            }
            ids.push(id);
        }
        Ok(ids)
    }

    /// Joins the default MDT of an MVPN that is there, and listens from now on.
    pub(super) fn start_watch(&mut self, now: Instant, name: &Name, tunnels: &[u32]) {
        let Some(mvpn) = self.mvpns.get_mut(name) else {
            return;
        };
        mvpn.view = Some(View::new(name.clone()).with_fault(self.options.fault));
        let group = mvpn.spec.group;
        let sources = mvpn.spec.watch.as_ref().map(|watch| watch.sources.clone());
        let wanted = Wanted::from_list(&sources.unwrap_or_default());
        for id in tunnels {
            let owner = Owner::Watch(name.clone());
            // Nobody joins 224.0.0.13 by IGMP: routers flood the local network control block (RFC 4541 section 2.1.2).
            if !is_plain(group) {
                self.set_membership(now, *id, owner, group, wanted.clone());
            }
            self.watches.insert((*id, group), name.clone());
        }
        self.record(
            now,
            Record::WatchStarted {
                mvpn: name.clone(),
                at_ns: now,
            },
        );
        self.update_filter();
    }

    /// Leaves it, if it is watched; what was known is no longer known to be so.
    pub(super) fn stop_watch(&mut self, now: Instant, name: &Name) {
        let Some(mut view) = self.mvpns.get_mut(name).and_then(|mvpn| mvpn.view.take()) else {
            return;
        };
        self.reschedule_view(name);
        view.stop(now);
        self.take_changes(now, &mut view);
        let watched: Vec<(u32, Ipv4Addr)> = self
            .watches
            .iter()
            .filter(|(_, mvpn)| *mvpn == name)
            .map(|(place, _)| *place)
            .collect();
        for (id, group) in watched {
            let owner = Owner::Watch(name.clone());
            self.set_membership(now, id, owner, group, Wanted::nothing());
            self.watches.remove(&(id, group));
        }
        self.record(
            now,
            Record::WatchStopped {
                mvpn: name.clone(),
                at_ns: now,
            },
        );
        self.update_filter();
    }

    /// A packet to a group: whether it was a control message of a watched MVPN, or of a watched link.
    pub(super) fn handle_control(
        &mut self,
        stamp: Instant,
        tunnel: u32,
        seen: &Seen<'_>,
        on_mdt: bool,
        bytes: usize,
    ) -> bool {
        let Some(mut name) = self.watches.get(&(tunnel, seen.dst)) else {
            return false;
        };
        if self.options.fault.is(Fault::MvpnMixUp) {
            let of_tunnel = self.watches.iter().find(|((id, _), _)| *id == tunnel);
            name = of_tunnel.map_or(name, |(_, first)| first);
        }
        let said = match (on_mdt, is_plain(seen.dst)) {
            (true, false) => match Content::of(&seen.packet) {
                Ok(Content::Mdt(Customer::Ipv4(customer))) => customer,
                Ok(_) | Err(_) => return false,
            },
            (false, true) => seen.packet,
            (true, true) | (false, false) => return false,
        };
        if !View::reads(&said) {
            return false;
        }
        let name = name.clone();
        if let Some(tunnel) = self.tunnels.get_mut(tunnel) {
            tunnel.overhead.control_received.count(bytes);
        }
        self.with_view(stamp, &name, |view| {
            view.handle_packet(stamp, seen.src, &said);
        });
        true
    }

    /// Ends what was not repeated in time.
    pub(super) fn advance_watches(&mut self, now: Instant) {
        while let Some(name) = self.agenda.views.poll(now) {
            self.with_view(now, &name, |view| view.handle_timeout(now));
        }
    }

    /// Now and then, how often what has not changed was repeated (PC-05).
    pub(super) fn report_repeated(&mut self, now: Instant) {
        if now < self.repeated_from + REPEATED_EVERY {
            return;
        }
        let from = std::mem::replace(&mut self.repeated_from, now);
        let mut reports = Vec::new();
        for (mvpn, view) in self
            .mvpns
            .iter()
            .filter_map(|(n, m)| Some((n, m.view.as_ref()?)))
        {
            let of_late = view
                .records()
                .filter(|r| r.refreshes > 0 && r.refreshed >= from);
            let counts: Vec<Refresh> = of_late.map(Refresh::from).collect();
            reports.extend(counts.chunks(REPEATED_TOGETHER).map(|counts| Refreshes {
                mvpn: mvpn.clone(),
                at_ns: now,
                counts: counts.to_vec(),
            }));
        }
        for report in reports {
            self.record(now, Record::Repeated(Box::new(report)));
        }
    }

    /// Groups that are listened to, and whether over the monitor's own link.
    pub(super) fn watched(&self) -> Vec<(Ipv4Addr, bool)> {
        let natively = |id: u32| {
            let tunnel = self.tunnels.get(id);
            tunnel.is_some_and(|t| t.spec.encapsulation == Encapsulation::None)
        };
        let mut watched: Vec<_> = self
            .watches
            .keys()
            .map(|(id, group)| (*group, natively(*id)))
            .collect();
        watched.sort_unstable();
        watched.dedup();
        watched
    }

    /// What is so now.
    pub(super) fn mvpn_show(&self, now: Instant, asked: &MvpnQuestion) -> Result<Answer, Refusal> {
        let view = self.mvpn(&asked.name)?.view.as_ref().ok_or_else(|| {
            let message = format!("MVPN {} is not watched", asked.name);
            let remedy =
                "drop it, and add it again with tunnels to listen over (mvpn add … --watch TUNNEL)";
            Refusal::new(ErrorCode::State, message, remedy)
        })?;
        let wanted = |record: &&crate::view::Record| {
            asked.pe.is_none_or(|pe| record.key.pe() == pe)
                && asked
                    .group
                    .is_none_or(|group| record.key.group() == Some(group))
        };
        Ok(Answer::MvpnState {
            mvpn: asked.name.clone(),
            at_ns: now,
            records: view.records().filter(wanted).cloned().collect(),
            heard: view.heard(),
        })
    }

    fn with_view(&mut self, now: Instant, name: &Name, handle: impl FnOnce(&mut View)) {
        let Some(mut view) = self.mvpns.get_mut(name).and_then(|mvpn| mvpn.view.take()) else {
            return;
        };
        handle(&mut view);
        self.take_changes(now, &mut view);
        if let Some(mvpn) = self.mvpns.get_mut(name) {
            mvpn.view = Some(view);
        }
        self.reschedule_view(name);
    }

    fn take_changes(&mut self, now: Instant, view: &mut View) {
        while let Some(change) = view.poll_change() {
            self.event(Event::Change(Box::new(change.clone())));
            if change.after.is_none() && self.options.fault.is(Fault::PastNeverClosed) {
                continue;
            }
            self.record(now, Record::Change(Box::new(change)));
        }
    }
}

/// Whether a watch is of the PIM that routers speak on a link itself, rather than of an MVPN's on its default MDT.
pub(super) fn is_plain(group: Ipv4Addr) -> bool {
    group == ALL_PIM_ROUTERS
}

fn check_plain(name: &Name, sources: &[Ipv4Addr]) -> Result<(), Refusal> {
    match sources {
        [] => Ok(()),
        [..] => Err(Refusal::new(
            ErrorCode::Invalid,
            format!(
                "cannot watch {name}: {ALL_PIM_ROUTERS} is not joined, so not for single sources"
            ),
            "name no sources",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Direction, Options};
    use super::*;
    use crate::control::Request;
    use vmscope_wire::checksum::Sum;

    const TUNNEL: &str = r#"{"op":"tunnel-add","name":"pe1","outer_local":"10.1.0.2","outer_remote":"10.254.1.1",
        "inner_local":"10.77.1.2","inner_remote":"10.77.1.1"}"#;
    const RED: &str =
        r#"{"op":"mvpn-add","name":"red","group":"239.1.1.1","watch":{"tunnels":["pe1"]}}"#;
    /// Hold time 105 s, generation id 7.
    const HELLO: [u8; 18] = [0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105, 0, 20, 0, 4, 0, 0, 0, 7];

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Span::from_s(seconds)
    }

    fn ask(session: &mut Session, json: &str) -> Result<Answer, Refusal> {
        let operation = serde_json::from_str(json).unwrap();
        let request = Request { id: 1, operation };
        match session.handle_request(at(0), request).outcome {
            crate::control::Outcome::Ok(answer) => Ok(answer),
            crate::control::Outcome::Error(refusal) => Err(refusal),
        }
    }

    fn watching() -> Session {
        let mut session = Session::new(at(0), Options::default());
        ask(&mut session, TUNNEL).unwrap();
        ask(&mut session, RED).unwrap();
        session
    }

    fn ip(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
        let [high, low] = (20 + payload.len() as u16).to_be_bytes();
        let mut packet = vec![0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0];
        packet.extend(source.into_iter().chain(destination));
        let sum = Sum::of(&packet).checksum().to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
        packet.extend(payload);
        packet
    }

    /// A PE's Hello on a default MDT, through the tunnel.
    fn hello(mdt: [u8; 4]) -> Vec<u8> {
        let mut pim = HELLO;
        let sum = Sum::of(&pim).checksum().to_be_bytes();
        pim[2..4].copy_from_slice(&sum);
        let gre = |inner: Vec<u8>| [&[0, 0, 8, 0], &inner[..]].concat();
        let customer = ip([172, 16, 1, 1], [224, 0, 0, 13], 103, &pim);
        let on_mdt = ip([10, 2, 0, 2], mdt, 47, &gre(customer));
        ip([10, 254, 1, 1], [10, 1, 0, 2], 47, &gre(on_mdt))
    }

    fn hears(session: &mut Session, seconds: u64, bytes: &[u8]) {
        session.handle_packet(at(seconds), at(seconds), bytes, Direction::Incoming);
    }

    fn records(session: &mut Session) -> Vec<Record> {
        std::iter::from_fn(|| session.poll_record()).collect()
    }

    #[test]
    fn what_is_heard_on_a_watched_mdt_is_written_down_and_of_others_nothing() {
        let mut session = watching();
        records(&mut session);
        hears(&mut session, 1, &hello([239, 1, 1, 2]));
        assert_eq!(records(&mut session), []);
        hears(&mut session, 2, &hello([239, 1, 1, 1]));
        assert!(
            records(&mut session)
                .iter()
                .any(|r| matches!(r, Record::Change(_)))
        );
        let Ok(Answer::MvpnState { records, .. }) =
            ask(&mut session, r#"{"op":"mvpn-show","name":"red"}"#)
        else {
            panic!("no state");
        };
        assert_eq!(records.len(), 1);
    }

    #[test]
    fn repetitions_are_reported_every_five_minutes_and_no_more_once_they_cease() {
        let mut session = watching();
        for seconds in (0..=300).step_by(30) {
            hears(&mut session, seconds, &hello([239, 1, 1, 1]));
        }
        let mut reports = Vec::new();
        for seconds in 300..1_300 {
            while session.poll_transmit(at(seconds)).is_some() {}
            let repeated = records(&mut session)
                .into_iter()
                .filter_map(|record| match record {
                    Record::Repeated(report) => Some(report.counts[0].refreshes),
                    _ => None,
                });
            reports.extend(repeated);
        }
        assert_eq!(reports, [10]);
    }

    #[test]
    fn a_default_mdt_is_watched_for_one_mvpn_only() {
        let mut session = watching();
        let blue = RED.replace("red", "blue");
        let refusal = ask(&mut session, &blue).unwrap_err();
        assert!(
            refusal.message.contains("is MVPN red's default MDT"),
            "{refusal}"
        );
    }

    const LAN: &str = r#"{"op":"tunnel-add","name":"lan","encapsulation":"none","inner_local":"10.1.0.2",
        "inner_remote":"10.1.0.1"}"#;
    const CORE: &str =
        r#"{"op":"mvpn-add","name":"core","group":"224.0.0.13","watch":{"tunnels":["lan"]}}"#;

    /// A router's Hello on the monitor's own link.
    fn plain_hello() -> Vec<u8> {
        let mut pim = HELLO;
        let sum = Sum::of(&pim).checksum().to_be_bytes();
        pim[2..4].copy_from_slice(&sum);
        ip([10, 1, 0, 1], [224, 0, 0, 13], 103, &pim)
    }

    #[test]
    fn a_links_own_routers_are_heard_without_a_join_and_an_mvpns_are_not() {
        let mut session = watching();
        ask(&mut session, LAN).unwrap();
        ask(&mut session, CORE).unwrap();
        hears(&mut session, 1, &plain_hello());
        hears(&mut session, 1, &hello([239, 1, 1, 1]));
        for (name, pe) in [("core", "10.1.0.1"), ("red", "10.2.0.2")] {
            let question = format!(r#"{{"op":"mvpn-show","name":"{name}"}}"#);
            let Ok(Answer::MvpnState { records, .. }) = ask(&mut session, &question) else {
                panic!("no state");
            };
            let heard: Vec<_> = records.iter().map(|r| r.key.pe().to_string()).collect();
            assert_eq!(heard, [pe], "{name}");
        }
        let Ok(Answer::Tunnel(lan)) = ask(&mut session, r#"{"op":"tunnel-show","name":"lan"}"#)
        else {
            panic!("no tunnel");
        };
        assert_eq!(lan.groups, [], "nothing is joined");
    }

    #[test]
    fn a_link_is_not_probed_and_has_no_sources() {
        let mut session = watching();
        ask(&mut session, LAN).unwrap();
        let probed = CORE.replace("\"watch\"", "\"tunnels\":[\"lan\"],\"watch\"");
        let refusal = ask(&mut session, &probed).unwrap_err();
        assert!(refusal.message.contains("never forwarded"), "{refusal}");
        let sourced = CORE.replace("[\"lan\"]", "[\"lan\"],\"sources\":[\"10.1.0.1\"]");
        let refusal = ask(&mut session, &sourced).unwrap_err();
        assert!(refusal.message.contains("not joined"), "{refusal}");
    }

    #[test]
    fn what_is_dropped_is_no_longer_heard() {
        let mut session = watching();
        hears(&mut session, 1, &hello([239, 1, 1, 1]));
        ask(&mut session, r#"{"op":"mvpn-drop","name":"red"}"#).unwrap();
        assert!(matches!(
            records(&mut session).last(),
            Some(Record::WatchStopped { .. })
        ));
        hears(&mut session, 2, &hello([239, 1, 1, 1]));
        assert_eq!(records(&mut session), []);
    }
}
