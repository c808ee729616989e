//! Requests that watch: captures, and the recent past.

use std::process::Command;

use libc::sock_filter;
use mvpnlab_emulator::place::archive;
use serde_json::Value;

use super::Channel;
use crate::live::frame::Kind;

impl Channel<'_, '_> {
    /// Streams frames until whoever asked hangs up.
    pub(super) async fn capture(
        &mut self,
        link: &str,
        filter: Option<&str>,
    ) -> Result<Value, String> {
        let filter = filter.map(compile).transpose()?.unwrap_or_default();
        let mut capture = {
            let run = self.desk.run.lock().await;
            let link = run.lab.link_name(link).map_err(|e| e.to_string())?;
            run.lab.capture(&link, &filter).map_err(|e| e.to_string())?
        };
        loop {
            let piece = tokio::select! {
                piece = capture.next() => piece.map_err(|e| e.to_string())?,
                frame = self.incoming.recv() => match frame {
                    Some(frame) if frame.kind != Kind::HangUp => continue,
                    _ => return Ok(Value::Null),
                },
            };
            self.stream(Kind::Output, &piece).await;
        }
    }

    /// Streams everything that the truth about the recent past is read from.
    pub(super) async fn observe(&self) -> Result<Value, String> {
        let files = self.desk.run.lock().await.observe_so_far().await;
        let packed = archive::pack(&files.map_err(|e| e.to_string())?)?;
        self.stream(Kind::Output, &packed).await;
        Ok(Value::Null)
    }
}

/// A filter in tcpdump's language as the kernel takes it: tcpdump prints the number of steps, and then one a line.
fn compile(filter: &str) -> Result<Vec<sock_filter>, String> {
    let output = Command::new("tcpdump")
        .args(["-y", "EN10MB", "-ddd", "--", filter])
        .output()
        .map_err(|e| format!("cannot read the filter {filter:?}: tcpdump, which reads filters, does not start: {e}; a native lab uses the host's, so install it"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "cannot read the filter {filter:?}: {}",
            said.trim()
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let steps = text.lines().skip(1).map(step).collect::<Option<Vec<_>>>();
    steps.ok_or_else(|| format!("cannot read the filter {filter:?}: tcpdump says {text:?}"))
}

fn step(line: &str) -> Option<sock_filter> {
    let mut words = line.split(' ');
    let mut next = || words.next();
    Some(sock_filter {
        code: next()?.parse().ok()?,
        jt: next()?.parse().ok()?,
        jf: next()?.parse().ok()?,
        k: next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_a_filter_is_four_numbers() {
        let read = step("21 0 6 34525").unwrap();
        assert_eq!((read.code, read.jt, read.jf, read.k), (21, 0, 6, 34525));
        for bad in ["", "21 0 6", "21 0 600 1", "a b c d"] {
            assert!(step(bad).is_none(), "{bad}");
        }
    }
}
