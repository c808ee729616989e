//! One-way losses for people.

use vmscope_core::control::{
    AgentSpec, AgentStatus, Collected, Configuration, LeafSpec, OnewayRow, OnewayState,
    OnewayStatus, PathLoss, PeerStatus, Reflecting,
};
use vmscope_core::name::Name;
use vmscope_core::time::Instant;

use super::table::Column::{Number, Words};
use super::table::{details, table};
use super::units::{NOTHING, ms_range, percent, percent_range};

/// One measurement in full.
pub fn one(status: &OnewayStatus) -> String {
    let spec = &status.spec;
    let down: Vec<&str> = spec.down.iter().map(Name::as_str).collect();
    let leaves: Vec<String> = spec.leaf.iter().map(leaf).collect();
    let head = details([
        ("one-way", format!("{} (run {})", spec.name, status.run)),
        ("state", state(status.state).to_owned()),
        ("group", spec.group.to_string()),
        ("up", spec.up.to_string()),
        ("down", down.join(",")),
        ("leaf", leaves.join(", ")),
        ("sent", format!("{} probes", status.probes_sent)),
    ]);
    let found = match (&status.row, &status.refused) {
        (Some(found), _) => row(found),
        (None, Some(refused)) => format!("no estimate: {refused}\n"),
        (None, None) => "no estimate yet\n".to_owned(),
    };
    let unsure: String = status
        .unsure
        .iter()
        .map(|why| format!("unsure: {why}\n"))
        .collect();
    format!("{head}\n{found}{unsure}")
}

/// All measurements, a line each.
pub fn all(statuses: &[OnewayStatus]) -> String {
    let columns = [
        Number("run"),
        Words("name"),
        Words("state"),
        Words("up"),
        Number("loss up %"),
        Words("interval"),
        Words("down"),
        Number("loss down %"),
        Words("interval"),
        Number("probes"),
        Words("unsure"),
    ];
    let cells = |status: &OnewayStatus| {
        let path = |loss: Option<&PathLoss>| {
            let range = percent_range(loss.map(|l| l.low), loss.map(|l| l.high));
            [percent(loss.map(|l| l.loss)), range]
        };
        let row = status.row.as_ref();
        let [up, up_range] = path(row.map(|row| &row.up));
        let [down, down_range] = path(row.and_then(|row| row.down.first()).map(|(_, loss)| loss));
        let first_down = status.spec.down.first();
        vec![
            status.run.to_string(),
            status.spec.name.to_string(),
            state(status.state).to_owned(),
            status.spec.up.to_string(),
            up,
            up_range,
            first_down.map_or(NOTHING.to_owned(), Name::to_string),
            down,
            down_range,
            row.map_or(NOTHING.to_owned(), |row| row.probes.to_string()),
            status.unsure.len().to_string(),
        ]
    };
    table(&columns, statuses.iter().map(cells))
}

/// What one look found.
pub fn row(row: &OnewayRow) -> String {
    let columns = [
        Words("path"),
        Number("loss %"),
        Number("± %"),
        Words("interval"),
        Words("delay ms"),
    ];
    let line = |name: String, loss: &PathLoss, delay: Option<(i64, i64)>| {
        vec![
            name,
            percent(Some(loss.loss)),
            percent(Some(loss.deviation)),
            percent_range(Some(loss.low), Some(loss.high)),
            ms_range(delay.map(|d| d.0), delay.map(|d| d.1)),
        ]
    };
    let mut lines = vec![line(
        "up".to_owned(),
        &row.up,
        row.up_delay.map(|d| (d.low_ns, d.high_ns)),
    )];
    for (name, loss) in &row.down {
        let delay = row.down_delay.iter().find(|(tunnel, _)| tunnel == name);
        let delay = delay.map(|(_, range)| (range.low_ns, range.high_ns));
        lines.push(line(format!("down {name}"), loss, delay));
    }
    for (index, loss) in row.leaf.iter().enumerate() {
        lines.push(line(format!("leaf {}", index + 1), loss, None));
    }
    let how = match row.configuration {
        Configuration::PerPacket => "single probes",
        Configuration::Aggregate => "aggregates",
        Configuration::Reflected => "reflected probes",
    };
    let doubts: String = row
        .doubts
        .iter()
        .map(|doubt| format!("doubt: {doubt}\n"))
        .collect();
    format!(
        "{}{}: {} {how} in {} blocks count, {} do not\n{doubts}",
        table(&columns, lines),
        row.name,
        row.probes,
        row.blocks,
        row.discarded
    )
}

/// What a collection has counted.
pub fn collected(collected: &Collected) -> String {
    let columns = [
        Number("task"),
        Number("tunnel"),
        Number("first"),
        Number("last"),
    ];
    let ranges = collected.ranges.iter().map(|range| {
        [range.task, range.tunnel, range.first, range.last]
            .map(|number| number.to_string())
            .to_vec()
    });
    format!(
        "{}cursor {}, {} dropped by the capture, {} late, {} forgotten\n",
        table(&columns, ranges),
        collected.cursor,
        collected.capture_drops,
        collected.late,
        collected.forgotten
    )
}

/// A reflection.
pub fn reflecting(reflecting: &Reflecting) -> String {
    format!(
        "{}: {} packets sent again from {}, {} were too many, {} could not be sent, {} dropped by the capture\n",
        reflecting.name,
        reflecting.reflected,
        reflecting.source,
        reflecting.limited,
        reflecting.unsent,
        reflecting.capture_drops
    )
}

/// Peers.
pub fn peers(peers: &[PeerStatus]) -> String {
    let columns = [
        Words("peer"),
        Words("address"),
        Words("answers"),
        Words("trouble"),
    ];
    let cells = |peer: &PeerStatus| {
        vec![
            peer.spec.name.to_string(),
            peer.spec.address.to_string(),
            answers(peer.heard_ns, peer.failure.as_ref()).to_owned(),
            trouble(peer.failure.as_ref()),
        ]
    };
    table(&columns, peers.iter().map(cells))
}

/// Agents.
pub fn agents(agents: &[AgentStatus]) -> String {
    let columns = [
        Words("agent"),
        Words("reads"),
        Words("answers"),
        Words("trouble"),
    ];
    let cells = |agent: &AgentStatus| {
        let reads = match &agent.spec {
            AgentSpec::Snmp { address, .. } => format!("SNMP of {address}"),
            AgentSpec::Flows {
                listen, exporter, ..
            } => format!("flows of {exporter} at {listen}"),
        };
        vec![
            agent.spec.name().to_string(),
            reads,
            answers(agent.heard_ns, agent.failure.as_ref()).to_owned(),
            trouble(agent.failure.as_ref()),
        ]
    };
    table(&columns, agents.iter().map(cells))
}

fn answers(heard: Option<Instant>, failure: Option<&String>) -> &'static str {
    match (heard, failure) {
        (Some(_), None) => "yes",
        (None, None) => "not asked yet",
        (_, Some(_)) => "no",
    }
}

fn trouble(failure: Option<&String>) -> String {
    failure.cloned().unwrap_or_else(|| NOTHING.to_owned())
}

fn leaf(leaf: &LeafSpec) -> String {
    match leaf {
        LeafSpec::Collector { peer, tunnel } => format!("{peer}:{tunnel} collects"),
        LeafSpec::Reflector { peer, tunnel } => format!("{peer}:{tunnel} reflects"),
        LeafSpec::Counters { agent, .. } => format!("{agent} counts"),
    }
}

fn state(state: OnewayState) -> &'static str {
    match state {
        OnewayState::Probing => "probing",
        OnewayState::Narrow => "narrow enough",
        OnewayState::Spent => "budget spent",
        OnewayState::Stopped => "stopped",
        OnewayState::Failed => "failed",
    }
}
