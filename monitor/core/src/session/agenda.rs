//! What of the session is due when. Whatever changes a tunnel's, task's or view's next deadline says so here.

use super::Session;
use crate::due::Due;
use crate::name::Name;
use crate::time::Instant;
use crate::view::View;

/// When what is due.
#[derive(Debug)]
pub(super) struct Agenda {
    /// Membership reports, by tunnel.
    pub(super) reports: Due<u32>,
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
        let tunnels = [self.reports.first(), self.pings.first()];
        let tasks = [self.probes.first(), self.tasks.first()];
        let all = tunnels.into_iter().chain(tasks).chain([self.views.first()]);
        all.flatten().min()
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
