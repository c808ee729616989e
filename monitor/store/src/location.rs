//! Where results are kept.

use std::fmt;
use std::path::{Path, PathBuf};

use vmscope_core::name::Name;

/// What the schema of a monitor's part begins with.
const SCHEMA_OF_MONITOR: &str = "monitor_";

/// A results database: a file of SQLite, or a database of a PostgreSQL server.
///
/// Written as a path or as a connection string: text that begins with `postgres://` or `postgresql://` is one
/// (`postgres://user@host/database`, `postgres:///database?host=/run/postgresql`).
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL connection string; it may hold a password.
    Postgres(String),
}

impl Location {
    /// Reads a path or connection string.
    pub fn new(text: impl Into<PathBuf>) -> Location {
        let path = text.into();
        match path.to_str() {
            Some(text) if text.starts_with("postgres://") || text.starts_with("postgresql://") => {
                Location::Postgres(text.to_owned())
            }
            Some(_) | None => Location::Sqlite(path),
        }
    }

    /// The part of one of several monitors that share this: of PostgreSQL a schema of its own, `monitor_NAME`, unless the
    /// connection string has `options`, which may name another; of SQLite the file, as no two hosts share one.
    pub fn of_monitor(&self, monitor: &Name) -> Location {
        match self {
            Location::Postgres(text) if !text.contains("options=") => {
                let joint = if text.contains('?') { '&' } else { '?' };
                Location::Postgres(format!(
                    "{text}{joint}options=-csearch_path%3D%22{SCHEMA_OF_MONITOR}{monitor}%22"
                ))
            }
            Location::Postgres(_) | Location::Sqlite(_) => self.clone(),
        }
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Location {
        Location::new(path)
    }
}

impl From<&PathBuf> for Location {
    fn from(path: &PathBuf) -> Location {
        Location::new(path)
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Location {
        location.clone()
    }
}

/// Without the password, so that it can stand in a log.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Sqlite(path) => write!(f, "{}", path.display()),
            Location::Postgres(text) => f.write_str(&without_password(text)),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A password stands before the last `@` of the address, or among the parameters.
fn without_password(text: &str) -> String {
    let (address, parameters) = match text.split_once('?') {
        Some((address, parameters)) => (address, Some(parameters)),
        None => (text, None),
    };
    let mut shown = match (address.split_once("//"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((account, host))) => {
            let account = account.split_once("//").map_or(account, |(_, rest)| rest);
            let user = account.split(':').next().unwrap_or_default();
            format!("{scheme}//{user}@{host}")
        }
        (Some(_), None) | (None, Some(_)) | (None, None) => address.to_owned(),
    };
    if let Some(parameters) = parameters {
        let kept: Vec<&str> = parameters
            .split('&')
            .filter(|parameter| !parameter.starts_with("password="))
            .collect();
        if !kept.is_empty() {
            shown = format!("{shown}?{}", kept.join("&"));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_told_from_a_path() {
        for text in ["postgres://a/b", "postgresql:///b?host=/run"] {
            assert_eq!(Location::new(text), Location::Postgres(text.to_owned()));
        }
        for text in ["/var/lib/results.sqlite", "postgres.sqlite", "postgres:/x"] {
            assert_eq!(Location::new(text), Location::Sqlite(text.into()));
        }
    }

    #[test]
    fn each_monitor_has_a_part_of_a_server() {
        let east = Name::new("East-1.x").unwrap();
        let part = |text: &str| Location::new(text).of_monitor(&east);
        let schema = "options=-csearch_path%3D%22monitor_East-1.x%22";
        assert_eq!(
            part("postgres://a/b"),
            Location::Postgres(format!("postgres://a/b?{schema}"))
        );
        assert_eq!(
            part("postgres://a/b?host=/run"),
            Location::Postgres(format!("postgres://a/b?host=/run&{schema}"))
        );
        for own in ["postgres://a/b?options=-csearch_path%3Dmine", "r.sqlite"] {
            assert_eq!(part(own), Location::new(own));
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for (text, shown) in [
            (
                "postgres://me:s3cret@host:5432/db",
                "postgres://me@host:5432/db",
            ),
            ("postgres://me:s3@cret@host/db", "postgres://me@host/db"),
            (
                "postgres:///db?user=me&password=s3cret&host=/run",
                "postgres:///db?user=me&host=/run",
            ),
            ("postgres://host/db?password=s3cret", "postgres://host/db"),
        ] {
            assert_eq!(Location::new(text).to_string(), shown);
            assert!(!format!("{:?}", Location::new(text)).contains("cret"));
        }
    }
}
