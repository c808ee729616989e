//! The end of the monitor: tasks stop, their last probes are decided, groups are left.

use super::Session;
use crate::control::Event;
use crate::task::Task;
use crate::time::Instant;

/// How far the end of the monitor has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    No,
    /// Tasks are stopped; their last probes are waited for.
    Draining,
    /// Groups are being left.
    Leaving,
    Done,
}

impl Session {
    /// Begins the end.
    pub(super) fn shut_down(&mut self, now: Instant) {
        if self.ending == Ending::No {
            self.ending = Ending::Draining;
            self.event(Event::Shutdown);
            for id in self.tasks.numbers().collect::<Vec<_>>() {
                self.stop_run(now, id);
            }
            self.end_oneway(now);
        }
    }

    pub(super) fn advance_ending(&mut self, now: Instant) {
        match self.ending {
            Ending::Draining
                if self.tasks.iter().all(Task::is_finished) && self.oneway_is_over() =>
            {
                self.end_help(now, true);
                for name in self.passives.keys().cloned().collect::<Vec<_>>() {
                    self.stop_passive(now, &name);
                }
                for name in self.mvpns.keys().cloned().collect::<Vec<_>>() {
                    self.stop_watch(now, &name);
                }
                for id in self.tunnels.ids() {
                    if let Some(tunnel) = self.tunnels.get_mut(id) {
                        tunnel.leave_all(now);
                    }
                    self.reschedule_tunnel(id);
                }
                self.ending = Ending::Leaving;
            }
            // Said once is enough here: whoever ends the monitor does not want to wait.
            Ending::Leaving if self.agenda.reports.first().is_none_or(|at| at > now) => {
                self.ending = Ending::Done;
            }
            Ending::No | Ending::Draining | Ending::Leaving | Ending::Done => {}
        }
    }
}
