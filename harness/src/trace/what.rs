//! The little language that names packets: `TASK/SENDER/RECEIVER#NUMBER`, of which parts may be left out.

use std::fmt;
use std::str::FromStr;

/// Explained where people look for it.
pub const HELP: &str = "\
WHAT names packets, by the names of the scenario:
  mdt                  a task's probes
  mdt/a                those sent into tunnel a
  mdt/a/b              those of them that were to come back by tunnel b
  mdt/a#123            the probe with sequence number 123: every copy, over every link
  mdt/a/b#123          the same, only the way to b
  mdt@2/a#123          of the second run of a task that was started anew
  video                a customer's source
  video#42             its packet with sequence number 42
  video/viewer#42      the same, only the way to one receiver

A packet gives a tree of links, each with the time at both of its ends; a list gives counts.
Without WHAT: all that there is. With --lost: what was lost, each with the name that traces it.
Times are seconds into the run, or follow a + and count from the packet's sending.

Examples:
  mvpnlab run scenarios/fault/link-failure.toml --keep --out out
  mvpnlab trace --run out/link-failure
  mvpnlab trace --run out/link-failure --lost red-mdt/a/b
  mvpnlab trace red-mdt/a#123";

/// Which packets are asked for; what is None is not restricted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct What {
    /// A task, or a customers' source.
    pub name: Option<String>,
    /// Run of the task, from 1.
    pub run: Option<usize>,
    /// Sender tunnel.
    pub sender: Option<String>,
    /// Receiver tunnel.
    pub receiver: Option<String>,
    /// One packet.
    pub sequence: Option<u32>,
}

impl FromStr for What {
    type Err = String;

    /// A `>` does for the second `/`, as reports write pairs, but most shells want it in quotes.
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, sequence) = match text.split_once('#') {
            Some((path, number)) => (path, Some(sequence(text, number)?)),
            None => (text, None),
        };
        let parts: Vec<&str> = path.split(['/', '>']).map(str::trim).collect();
        if parts.len() > 3 || parts.iter().any(|part| part.is_empty()) {
            return Err(format!(
                "{text:?} names no packets: write TASK/SENDER/RECEIVER#NUMBER, as in mdt/a/b#123; parts at the end may be left out"
            ));
        }
        let (name, run) = match parts[0].split_once('@') {
            Some((name, run)) => (name, Some(self::run(text, run)?)),
            None => (parts[0], None),
        };
        let owned = |at: usize| parts.get(at).map(|part| (*part).to_owned());
        Ok(Self {
            name: Some(name.to_owned()),
            run,
            sender: owned(1),
            receiver: owned(2),
            sequence,
        })
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or_default())?;
        if let Some(run) = self.run {
            write!(f, "@{run}")?;
        }
        for part in [&self.sender, &self.receiver].into_iter().flatten() {
            write!(f, "/{part}")?;
        }
        self.sequence
            .map_or(Ok(()), |sequence| write!(f, "#{sequence}"))
    }
}

fn sequence(text: &str, number: &str) -> Result<u32, String> {
    number.parse().map_err(|_| {
        format!("in {text:?} there is {number:?} behind the #: write a sequence number there, as in mdt/a#123")
    })
}

fn run(text: &str, number: &str) -> Result<usize, String> {
    match number.parse() {
        Ok(run) if run > 0 => Ok(run),
        Ok(_) | Err(_) => Err(format!(
            "in {text:?} there is {number:?} behind the @: write which run of the task, from 1, as in mdt@2/a#123"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &str) -> What {
        text.parse().unwrap()
    }

    #[test]
    fn parts_may_be_left_out() {
        let full = What {
            name: Some("red-mdt".into()),
            run: Some(2),
            sender: Some("a".into()),
            receiver: Some("b".into()),
            sequence: Some(17),
        };
        assert_eq!(what("red-mdt@2/a/b#17"), full);
        assert_eq!(what("red-mdt@2/a>b#17"), full);
        assert_eq!(full.to_string(), "red-mdt@2/a/b#17");
        assert_eq!(
            what("video#0"),
            What {
                name: Some("video".into()),
                sequence: Some(0),
                ..What::default()
            }
        );
        assert_eq!(
            (what("m/a").sender.as_deref(), what("m/a").sequence),
            (Some("a"), None)
        );
    }

    #[test]
    fn what_is_no_name_is_refused_with_what_to_write() {
        for (text, said) in [
            ("", "TASK/SENDER/RECEIVER#NUMBER"),
            ("a/b/c/d", "TASK/SENDER/RECEIVER#NUMBER"),
            ("a//c", "TASK/SENDER/RECEIVER#NUMBER"),
            ("a#", "write a sequence number"),
            ("a#-1", "write a sequence number"),
            ("a#99999999999", "write a sequence number"),
            ("a@0/b", "which run of the task"),
            ("a@x", "which run of the task"),
        ] {
            let error = text.parse::<What>().unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
