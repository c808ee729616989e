//! `report.json`: the report itself, field order fixed by the types, pretty for diffs.

use super::Report;

/// Bytes of `report.json`, newline at the end.
pub fn render(report: &Report) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec_pretty(report)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads a report back.
pub fn parse(bytes: &[u8]) -> Result<Report, String> {
    let report: Report = serde_json::from_slice(bytes)
        .map_err(|error| format!("it is no report of mvpnlab: {error}"))?;
    if report.format != super::FORMAT {
        return Err(format!(
            "it is a report of format {}, and this mvpnlab reads format {}",
            report.format,
            super::FORMAT
        ));
    }
    Ok(report)
}
