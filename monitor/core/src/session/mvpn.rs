//! MVPNs: a task over all ordered pairs of their PEs, on demand, as a whole and per PE (VS-11).

use super::{Mvpn, Session};
use crate::control::{ErrorCode, Refusal};
use crate::name::Name;
use crate::report::MvpnStatus;
use crate::spec::{MvpnSpec, TaskSpec};
use crate::time::Instant;
use crate::view::View;

impl Session {
    pub(super) fn mvpn_add(&mut self, now: Instant, spec: MvpnSpec) -> Result<MvpnStatus, Refusal> {
        let name = spec.name.clone();
        if self.mvpns.contains_key(&name) || self.task_names.contains_key(&name) {
            let message = format!("cannot add MVPN {name}: an MVPN or task has that name");
            return Err(Refusal::new(
                ErrorCode::Exists,
                message,
                "choose another name, or drop the other",
            ));
        }
        let only_listens = spec.tunnels.is_empty() && spec.watch.is_some();
        if !(only_listens && super::watch::is_plain(spec.group)) {
            super::tasks::check_group(spec.group)?;
        }
        for tunnel in &spec.tunnels {
            self.tunnels.find(tunnel)?;
        }
        let watched = match &spec.watch {
            Some(watch) => Some(self.watch_tunnels(&name, spec.group, watch)?),
            None => None,
        };
        let start = spec.start;
        self.mvpns.insert(
            name.clone(),
            Mvpn {
                spec,
                run: None,
                taken_out: Vec::new(),
                view: None,
            },
        );
        if start && let Err(refusal) = self.mvpn_start(now, &name) {
            self.mvpns.remove(&name);
            return Err(refusal);
        }
        if let Some(tunnels) = watched {
            self.start_watch(now, &name, &tunnels);
        }
        self.mvpn_status(&name)
    }

    pub(super) fn mvpn_drop(&mut self, now: Instant, name: &Name) -> Result<(), Refusal> {
        if self.mvpn(name)?.run.is_some() {
            let message = format!("cannot drop MVPN {name}: it is not finished");
            return Err(Refusal::new(
                ErrorCode::State,
                message,
                "stop it, and wait until its task is finished",
            ));
        }
        self.stop_watch(now, name);
        self.mvpns.remove(name);
        Ok(())
    }

    pub(super) fn mvpn_start(&mut self, now: Instant, name: &Name) -> Result<MvpnStatus, Refusal> {
        let mvpn = self.mvpn(name)?;
        if self.is_sending(mvpn) {
            let message = format!("cannot start MVPN {name}: it is running");
            return Err(Refusal::new(
                ErrorCode::State,
                message,
                "nothing to do; mvpn-pe-start puts a PE back",
            ));
        }
        let MvpnSpec {
            group,
            source_specific,
            tunnels,
            probes,
            ..
        } = mvpn.spec.clone();
        let spec = TaskSpec {
            name: name.clone(),
            group,
            senders: tunnels.clone(),
            receivers: tunnels,
            source_specific,
            probes,
        };
        let run = self.start_run(now, spec)?;
        if let Some(mvpn) = self.mvpns.get_mut(name) {
            mvpn.run = Some(run);
            mvpn.taken_out.clear();
        }
        self.mvpn_status(name)
    }

    pub(super) fn mvpn_stop(&mut self, now: Instant, name: &Name) -> Result<MvpnStatus, Refusal> {
        let run = self.running(name)?;
        self.stop_run(now, run);
        self.mvpn_status(name)
    }

    /// Takes a PE of a running MVPN out, or puts it back.
    pub(super) fn mvpn_pe(
        &mut self,
        now: Instant,
        name: &Name,
        tunnel: &Name,
        take_part: bool,
    ) -> Result<MvpnStatus, Refusal> {
        let run = self.running(name)?;
        if !self.mvpn(name)?.spec.tunnels.contains(tunnel) {
            let message = format!("tunnel {tunnel} is not one of MVPN {name}");
            return Err(Refusal::new(
                ErrorCode::NotFound,
                message,
                "see mvpn-list for its tunnels",
            ));
        }
        let id = self.tunnels.find(tunnel)?;
        if let Some(task) = self.tasks.get_mut(run) {
            match take_part {
                true => task.put_back(id, now, &mut self.rng),
                false => task.take_out(id, now),
            }
        }
        self.reschedule_task(run);
        if let Some(mvpn) = self.mvpns.get_mut(name) {
            mvpn.taken_out.retain(|out| out != tunnel);
            mvpn.taken_out.extend((!take_part).then(|| tunnel.clone()));
        }
        self.task_changed(now, run);
        self.mvpn_status(name)
    }

    pub(super) fn mvpn(&self, name: &Name) -> Result<&Mvpn, Refusal> {
        self.mvpns.get(name).ok_or_else(|| {
            let remedy = "add it with mvpn-add, or see mvpn-list for those there are";
            Refusal::new(
                ErrorCode::NotFound,
                format!("there is no MVPN {name}"),
                remedy,
            )
        })
    }

    fn is_sending(&self, mvpn: &Mvpn) -> bool {
        mvpn.run
            .and_then(|run| self.tasks.get(run))
            .is_some_and(|task| task.is_sending())
    }

    fn running(&self, name: &Name) -> Result<u32, Refusal> {
        let mvpn = self.mvpn(name)?;
        mvpn.run.filter(|_| self.is_sending(mvpn)).ok_or_else(|| {
            Refusal::new(
                ErrorCode::State,
                format!("MVPN {name} is not running"),
                "start it with mvpn-start",
            )
        })
    }

    pub(super) fn mvpn_status(&self, name: &Name) -> Result<MvpnStatus, Refusal> {
        let mvpn = self.mvpn(name)?;
        let running = self.is_sending(mvpn);
        let takes_part = |tunnel: &&Name| running && !mvpn.taken_out.contains(tunnel);
        let active = mvpn
            .spec
            .tunnels
            .iter()
            .filter(takes_part)
            .cloned()
            .collect();
        Ok(MvpnStatus {
            spec: mvpn.spec.clone(),
            running,
            active,
            heard: mvpn.view.as_ref().map(View::heard),
        })
    }
}
