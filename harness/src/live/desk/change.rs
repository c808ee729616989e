//! Requests that change the lab.

use std::time::Duration;

use mvpnlab_emulator::scenario::{Action, Impairment};
use serde_json::Value;

use super::Channel;
use crate::live::frame::Kind;

/// Longest wait for convergence, the lab's time.
const CONVERGENCE: Duration = Duration::from_secs(600);

impl Channel<'_, '_> {
    pub(super) async fn impair(
        &self,
        link: &str,
        toward: Option<&str>,
        change: &Impairment,
    ) -> Result<Value, String> {
        let mut run = self.desk.run.lock().await;
        let link = &run.lab.link_name(link).map_err(|e| e.to_string())?;
        let nodes: Vec<String> = match toward {
            Some(node) => vec![node.to_owned()],
            None => link.split('-').map(str::to_owned).collect(),
        };
        let mut actions = Vec::new();
        for node in nodes {
            let impair = run.lab.impairment(link, &node).changed_by(change);
            if let Some(problem) = impair.problems().first() {
                return Err(format!(
                    "{link} towards {node}: {}; {}",
                    problem.what, problem.remedy
                ));
            }
            actions.push(Action::ImpairLink {
                link: link.to_owned(),
                to: Some(node),
                impair,
            });
        }
        for action in &actions {
            run.act_now(action).await.map_err(|e| e.to_string())?;
        }
        Ok(Value::Null)
    }

    pub(super) async fn act(&self, mut action: Action) -> Result<Value, String> {
        let mut run = self.desk.run.lock().await;
        if let Action::ImpairLink { link, .. }
        | Action::LinkDown { link }
        | Action::LinkUp { link } = &mut action
        {
            *link = run.lab.link_name(link).map_err(|e| e.to_string())?;
        }
        run.act_now(&action).await.map_err(|e| e.to_string())?;
        Ok(Value::Null)
    }

    pub(super) async fn converge(&self) -> Result<Value, String> {
        let mut run = self.desk.run.lock().await;
        let facts = self.desk.plan.converged.clone();
        let say = &mut |line: &str| self.desk.put(self.number, Kind::Progress, line.into());
        let waited = run.lab.wait_for(&facts, CONVERGENCE, say).await;
        waited.map_err(|e| e.to_string())?;
        Ok(Value::Null)
    }
}
