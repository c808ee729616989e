//! Everything that happens during a run, in order. Pure.

use mvpnlab_emulator::scenario::{Action, Scenario};

/// Something due at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// When, nanoseconds after the start of the run.
    pub due_ns: u64,
    /// What.
    pub step: Step,
}

/// What can be due.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// An action of the scenario's timeline.
    Timeline(Action),
    /// A passive observation begins (index into the monitor section).
    StartPassive(usize),
    /// An MVPN is watched (index into the monitor section).
    StartWatch(usize),
    /// A task starts at the time its own table gives.
    StartTask(String),
    /// A task that is still running stops.
    StopTask(String),
    /// A one-way measurement starts.
    StartOneway(String),
    /// It stops, unless it has by itself.
    StopOneway(String),
}

/// The agenda of a scenario: by time; at one time, the timeline's own actions first, in the file's order.
pub fn of(scenario: &Scenario) -> Vec<Item> {
    let timeline = scenario.timeline.iter().map(|event| Item {
        due_ns: event.time.ns,
        step: Step::Timeline(event.action.clone()),
    });
    let passives = (0..scenario.monitor.passives.len()).map(|i| Item {
        due_ns: 0,
        step: Step::StartPassive(i),
    });
    let watches = (0..scenario.monitor.watches.len()).map(|i| Item {
        due_ns: 0,
        step: Step::StartWatch(i),
    });
    let starts = scenario.monitor.tasks.iter().filter_map(|task| {
        let start = task.start?;
        Some(Item {
            due_ns: start.ns,
            step: Step::StartTask(task.name.clone()),
        })
    });
    let stops = scenario.monitor.tasks.iter().map(|task| Item {
        due_ns: scenario.task_stop(task).ns,
        step: Step::StopTask(task.name.clone()),
    });

    let oneways = scenario.monitor.oneways.iter().flat_map(|oneway| {
        let name = oneway.name.clone();
        let (start, stop) = (oneway.start, scenario.oneway_stop(oneway));
        let steps = [
            (start, Step::StartOneway(name.clone())),
            (stop, Step::StopOneway(name)),
        ];
        steps.map(|(due, step)| Item {
            due_ns: due.ns,
            step,
        })
    });

    let mut items: Vec<Item> = timeline
        .chain(passives)
        .chain(watches)
        .chain(starts)
        .chain(stops)
        .chain(oneways)
        .collect();
    items.sort_by_key(|item| item.due_ns);
    items
}
