//! What of the session is due when. Whatever changes a tunnel's, task's or view's next deadline says so here.

use super::Session;
use crate::due::Due;
use crate::name::Name;
use crate::time::{Instant, Span};
use crate::view::View;

/// So many membership reports may leave at once; more follow one by one, so far apart: those of thousands of tunnels that
/// join together must not overrun the way to their routers. Ten thousand have said it after a second, which is no later
/// than RFC 3376 section 8.11 would have it said again.
const REPORTS_AT_ONCE: u64 = 100;
const REPORTS_APART: Span = Span::from_ns(100_000);

/// When what is due.
#[derive(Debug)]
pub(super) struct Agenda {
    /// Membership reports, by tunnel.
    pub(super) reports: Due<u32>,
    /// When the reports so far would have left, had each kept its distance.
    reports_paced: Instant,
    /// Pings, by tunnel.
    pub(super) pings: Due<u32>,
    /// Probes, by run of a task.
    pub(super) probes: Due<u32>,
    /// Everything else of tasks, by run.
    pub(super) tasks: Due<u32>,
    /// Ends of what is heard of watched MVPNs.
    pub(super) views: Due<Name>,
}

impl Default for Agenda {
    fn default() -> Self {
        Agenda {
            reports: Due::new(),
            reports_paced: Instant::ZERO,
            pings: Due::new(),
            probes: Due::new(),
            tasks: Due::new(),
            views: Due::new(),
        }
    }
}

impl Agenda {
    /// When the first of all is due.
    pub(super) fn first(&self) -> Option<Instant> {
        let report = self.reports.first().map(|at| at.max(self.reports_from()));
        let tunnels = [report, self.pings.first()];
        let tasks = [self.probes.first(), self.tasks.first()];
        let all = tunnels.into_iter().chain(tasks).chain([self.views.first()]);
        all.flatten().min()
    }

    /// The tunnel whose report is due and may leave.
    pub(super) fn poll_report(&mut self, now: Instant) -> Option<u32> {
        let may_leave = self.reports_from() <= now;
        may_leave.then(|| self.reports.longest_due(now)).flatten()
    }

    pub(super) fn handle_report_sent(&mut self, now: Instant) {
        self.reports_paced = self.reports_paced.max(now) + REPORTS_APART;
    }

    /// When the next report may leave that is due, but must wait for others.
    pub(super) fn report_held_until(&self) -> Option<Instant> {
        let from = self.reports_from();
        self.reports
            .first()
            .is_some_and(|at| at < from)
            .then_some(from)
    }

    fn reports_from(&self) -> Instant {
        self.reports_paced - REPORTS_APART.times(REPORTS_AT_ONCE - 1)
    }
}

impl Session {
    /// A tunnel was added, dropped, or has another next report or ping.
    pub(super) fn reschedule_tunnel(&mut self, id: u32) {
        let tunnel = self.tunnels.get(id);
        let report = tunnel.and_then(|t| t.membership.next_deadline());
        let ping = tunnel.and_then(|t| t.pinger.next_deadline());
        self.agenda.reports.set(&id, report);
        self.agenda.pings.set(&id, ping);
    }

    /// A run was started or forgotten, or has something else to do next.
    pub(super) fn reschedule_task(&mut self, id: u32) {
        let task = self.tasks.get(id);
        self.agenda
            .probes
            .set(&id, task.and_then(|t| t.next_probe()));
        self.agenda
            .tasks
            .set(&id, task.and_then(|t| t.next_deadline()));
    }

    /// An MVPN's view has come, gone, or heard something.
    pub(super) fn reschedule_view(&mut self, name: &Name) {
        let view = self.mvpns.get(name).and_then(|mvpn| mvpn.view.as_ref());
        let at = view.and_then(View::next_deadline);
        self.agenda.views.set(name, at);
    }
}
