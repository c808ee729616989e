//! One-way measurements to rows.

use vmscope_core::control::{
    Configuration, DelayRange, OnewayRow, OnewayState, OnewayStatus, PathLoss,
};

use super::{Row, at, int, json, run};
use crate::database::{Database, Result, values};

pub(super) fn started(db: &mut Database, session: u32, status: &OnewayStatus) -> Result<()> {
    run(
        db,
        "INSERT INTO oneway (session, run, name, group_address, spec, started_ns, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        values![
            session,
            status.run,
            status.spec.name.as_str(),
            status.spec.group.to_string(),
            json(&status.spec)?,
            at(status.started_ns),
            state(status.state)
        ],
    )
}

pub(super) fn finished(db: &mut Database, session: u32, status: &OnewayStatus) -> Result<()> {
    run(
        db,
        "UPDATE oneway SET state = ?3, probes_sent = ?4, refused = ?5, unsure = ?6
          WHERE session = ?1 AND run = ?2",
        values![
            session,
            status.run,
            state(status.state),
            int(status.probes_sent),
            status.refused.clone(),
            json(&status.unsure)?
        ],
    )
}

/// A row for each path.
pub(super) fn row(db: &mut Database, session: u32, row: &OnewayRow) -> Result<()> {
    let up = row.up_tunnel.as_ref().map(ToString::to_string);
    let up = ("up", up.unwrap_or_default());
    path(db, session, row, up, &row.up, row.up_delay)?;
    for (tunnel, loss) in &row.down {
        let delay = row.down_delay.iter().find(|(name, _)| name == tunnel);
        let path_name = ("down", tunnel.to_string());
        path(
            db,
            session,
            row,
            path_name,
            loss,
            delay.map(|(_, range)| *range),
        )?;
    }
    for (index, loss) in row.leaf.iter().enumerate() {
        path(db, session, row, ("leaf", index.to_string()), loss, None)?;
    }
    Ok(())
}

fn path(
    db: &mut Database,
    session: u32,
    row: &OnewayRow,
    (direction, name): (&str, String),
    loss: &PathLoss,
    delay: Option<DelayRange>,
) -> Result<()> {
    let configuration = match row.configuration {
        Configuration::PerPacket => "per-packet",
        Configuration::Aggregate => "aggregate",
        Configuration::Reflected => "reflected",
    };
    Row::default()
        .ints([session.into(), row.run.into(), row.at_ns.as_ns()])
        .text(Some(direction.to_owned()))
        .text(Some(name))
        .text(Some(configuration.to_owned()))
        .ints([row.probes, row.blocks.into(), row.discarded])
        .reals([loss.loss, loss.deviation, loss.low, loss.high].map(Some))
        .maybe_ints([delay.map(|d| d.low_ns), delay.map(|d| d.high_ns)])
        .text(Some(json(&row.doubts)?))
        .insert_into(db, "oneway_result")
}

fn state(state: OnewayState) -> &'static str {
    match state {
        OnewayState::Probing => "probing",
        OnewayState::Narrow => "narrow",
        OnewayState::Spent => "spent",
        OnewayState::Stopped => "stopped",
        OnewayState::Failed => "failed",
    }
}
