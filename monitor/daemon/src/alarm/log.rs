//! Notices in the daemon's own log.

use vmscope_core::alarm::Severity;

use super::parcel::Parcel;
use super::{Failure, Sink};

pub struct Log;

impl Sink for Log {
    fn deliver(&mut self, parcel: &Parcel) -> Result<(), Failure> {
        let line = parcel.line();
        match parcel.severity() {
            _ if parcel.is_good_news() => tracing::info!("{line}"),
            Severity::Warning | Severity::Minor => tracing::warn!("{line}"),
            Severity::Major | Severity::Critical => tracing::error!("{line}"),
        }
        Ok(())
    }
}
