//! Every probe's fate in Parquet files: what an operator asks for, and how it is. The driver writes them.
//!
//! ```toml
//! [parquet]
//! directory = "/var/lib/vmscope/probes"
//! size = "256MB"   # a file is closed when it has grown to this
//! every = "10m"    # or is this old
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::retention::Size;
use crate::time::Span;

/// Nothing shorter can be asked for: what a file has beside its rows would outweigh them.
pub const EVERY_MIN: Span = Span::from_s(1);

/// Where files go, and when one is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeFilesSpec {
    /// Directory; it must exist.
    pub directory: PathBuf,
    /// A file that has grown to this is closed.
    #[serde(default = "default_size")]
    pub size: Size,
    /// A file that is so old is closed; at least [`EVERY_MIN`].
    #[serde(default = "default_every")]
    pub every: Span,
}

fn default_size() -> Size {
    Size::from_mb(256)
}

fn default_every() -> Span {
    Span::from_s(600)
}

impl ProbeFilesSpec {
    /// What is wrong with it, if anything is.
    pub fn problem(&self) -> Option<String> {
        let every = self.every;
        (every < EVERY_MIN).then(|| {
            format!("[parquet] every = \"{every}\" is too short: {EVERY_MIN} is the least")
        })
    }
}

/// How the files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeFilesStatus {
    /// Where they go.
    pub directory: PathBuf,
    /// Rows in files that are closed: a row is one probe at one receiver.
    pub written: u64,
    /// Rows lost: the queue was full, or a file could not be closed before the end.
    pub dropped: u64,
    /// Why nothing can be written at the moment; it is tried again every second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_enough_and_less_than_a_second_is_too_short() {
        let read = |text: &str| toml::from_str::<ProbeFilesSpec>(text);
        let spec = read("directory = \"/tmp\"").unwrap();
        assert_eq!(
            (spec.size.as_bytes(), spec.every),
            (256_000_000, Span::from_s(600))
        );
        assert_eq!(spec.problem(), None);
        let short = read("directory = \"/tmp\"\nevery = \"500ms\"").unwrap();
        assert!(short.problem().unwrap().contains("1s is the least"));
        assert!(
            read("every = \"1m\"")
                .unwrap_err()
                .to_string()
                .contains("directory")
        );
    }
}
