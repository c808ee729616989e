//! Names that people give to tunnels, tasks and MVPNs.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 32;

/// A name: 1 to 32 ASCII letters, digits, `-`, `_` or `.`, beginning with a letter or digit.
/// So it needs no quoting in a shell, a file name, a label or a query. A clone shares the text: names stand in every row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// Text that is no [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name: use 1 to 32 letters, digits, '-', '_' or '.', beginning with a letter or digit"
)]
pub struct NameError(String);

impl Name {
    /// Reads a name; see the type for what is one.
    pub fn new(text: impl Into<String>) -> Result<Name, NameError> {
        let text = text.into();
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len());
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let clean = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if fits && begins && clean {
            Ok(Name(text.into()))
        } else {
            Err(NameError(text))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Name::new(text)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Name::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        for good in ["t1", "red", "PE1.red", "a_b-c", "9lives"] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "é", "a\n", &"x".repeat(33)] {
            assert!(Name::new(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
