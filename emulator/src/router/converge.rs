//! Convergence is asked for, never slept for: a lab is ready when the routers themselves say what the plan says
//! that they must.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    daemon::Daemons,
    state::{self, RouterState},
};
use crate::{
    kernel::{KernelError, Netns},
    plan::Fact,
};

/// Between two rounds of questions, in the lab's time.
const ROUND: Duration = Duration::from_millis(250);

/// It did not converge.
#[derive(Debug, thiserror::Error)]
pub enum ConvergeError {
    /// The kernel could not be asked.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A routing daemon died.
    #[error("cannot converge: {0}")]
    Died(String),
    /// The deadline passed.
    #[error("not converged after {seconds} s of the lab's time; {} missing, first: {}", missing.len(), first_few(missing))]
    Late {
        /// How long it was waited.
        seconds: u64,
        /// The facts that do not hold, in words.
        missing: Vec<String>,
    },
}

fn first_few(missing: &[String]) -> String {
    missing
        .iter()
        .take(6)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ")
}

/// Waits until all facts hold at once, asking only the routers that still lack something, and then all again.
pub async fn until(
    facts: &[Fact],
    namespaces: &BTreeMap<String, Netns>,
    routers: &mut BTreeMap<String, Daemons>,
    deadline: Duration,
    log: &mut dyn FnMut(&str),
) -> Result<(), ConvergeError> {
    let began = Instant::now();
    let mut missing: Vec<&Fact> = facts.iter().collect();
    let mut said = Duration::ZERO;
    loop {
        if let Some(casualty) = routers.values_mut().find_map(Daemons::casualty) {
            return Err(ConvergeError::Died(casualty));
        }
        missing = not_holding(&missing, namespaces, routers).await?;
        if missing.is_empty() {
            missing = not_holding(&facts.iter().collect::<Vec<_>>(), namespaces, routers).await?;
            if missing.is_empty() {
                log(&format!(
                    "converged after {:.1} s, {} facts",
                    began.elapsed().as_secs_f64(),
                    facts.len()
                ));
                return Ok(());
            }
        }
        if began.elapsed() > deadline {
            let missing = missing.into_iter().map(state::words).collect();
            return Err(ConvergeError::Late {
                seconds: deadline.as_secs(),
                missing,
            });
        }
        if began.elapsed() > said + Duration::from_secs(10) {
            said = began.elapsed();
            log(&format!(
                "{} of {} facts still missing, first: {}",
                missing.len(),
                facts.len(),
                state::words(missing[0])
            ));
        }
        sleep(ROUND).await;
    }
}

async fn not_holding<'a>(
    facts: &[&'a Fact],
    namespaces: &BTreeMap<String, Netns>,
    routers: &BTreeMap<String, Daemons>,
) -> Result<Vec<&'a Fact>, ConvergeError> {
    let mut states: BTreeMap<&str, RouterState> = BTreeMap::new();
    let mut missing = Vec::new();
    for fact in facts {
        let name = fact.namespace();
        let (Some(namespace), Some(router)) = (namespaces.get(name), routers.get(name)) else {
            missing.push(*fact);
            continue;
        };
        if !states.contains_key(name) {
            states.insert(name, router.state(namespace).await?);
        }
        if !states[name].holds(fact) {
            missing.push(*fact);
        }
    }
    Ok(missing)
}
