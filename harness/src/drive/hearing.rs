//! What the monitor says unasked: changes of what it knows, and alarms; each line with the time at which it was heard.

use mvpnlab_emulator::truth::clock::monotonic_ns;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinHandle;
use vmscope_core::control::EventKind;

use crate::monitor_client::{ClientError, Heard, MonitorClient, Transcript};

/// Where they lie in an observation, a line each.
pub const FILE: &str = "monitor/events.jsonl";
/// What is listened for.
const KINDS: [EventKind; 2] = [EventKind::Change, EventKind::Alarm];

/// A line of the file: [`vmscope_core::control::Event`], and when it came.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line<T> {
    /// When a client of the monitor heard of it, CLOCK_MONOTONIC of the lab.
    pub monotonic_ns: u64,
    /// The monitor's own words.
    pub event: T,
}

/// A client that only listens. It ends with the monitor that it listens to.
pub struct Hearing {
    lines: JoinHandle<Vec<u8>>,
}

impl Hearing {
    /// From now on all is written down.
    pub async fn begin(
        client: MonitorClient,
        transcript: &mut Transcript,
    ) -> Result<Self, ClientError> {
        let heard = client.subscribe(&KINDS, transcript).await?;
        Ok(Self {
            lines: tokio::spawn(write_down(heard)),
        })
    }

    /// All that was heard, once the monitor is gone.
    pub async fn finish(self) -> Vec<u8> {
        // A task that neither panics nor is cancelled always has a result.
        self.lines.await.unwrap_or_default()
    }
}

async fn write_down(mut heard: Heard) -> Vec<u8> {
    let mut lines = Vec::new();
    while let Some(text) = heard.line().await {
        let monotonic_ns = monotonic_ns();
        // What is no JSON at all is kept as a text, for whoever judges it.
        let event = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let line = Line {
            monotonic_ns,
            event,
        };
        lines.extend(serde_json::to_vec(&line).unwrap_or_default());
        lines.push(b'\n');
    }
    lines
}
