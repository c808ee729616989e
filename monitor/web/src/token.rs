//! Tokens: who may see what.
//!
//! A token is 256 random bits, shown once. Its file keeps only the SHA-256 of it, what it is for, and when it ends: with so
//! many bits a hash needs neither salt nor slowness. Whoever can read the file cannot log in by it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use vmscope_core::name::Name;

/// How every token begins, so that it is known for one where it should not be.
const PREFIX: &str = "vmscope_";
/// Bytes of a token file at most.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Bytes of a label at most.
pub const LABEL_BYTES_MAX: usize = 64;

/// What somebody may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All MVPNs, and the monitor itself.
    Provider,
    /// A customer: these MVPNs, and tasks that bear their names.
    Mvpns(BTreeSet<Name>),
    /// Another monitor: it may have probes collected and reflected here, and sees nothing else.
    Peer,
}

impl Scope {
    /// Whether the MVPN, or the task, of this name may be seen.
    pub fn sees(&self, name: &str) -> bool {
        match self {
            Scope::Provider => true,
            Scope::Mvpns(own) => own.contains(name),
            Scope::Peer => false,
        }
    }

    /// Whether the monitor itself may be seen.
    pub fn is_provider(&self) -> bool {
        *self == Scope::Provider
    }
}

/// A token as its file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Whose it is: one label, one token.
    pub label: String,
    /// SHA-256 of the token, hexadecimal.
    hash: Hash,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// What it shows.
    pub scope: Scope,
}

/// The hash of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

/// A token file that cannot be used, or a change of it that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Reading or writing failed.
    #[error("cannot {attempted} the token file {}: {source}", path.display())]
    File {
        /// Read, write, ...
        attempted: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is none.
    #[error("{} is no token file: {problem}; `vmscope token new` writes one", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// One label, one token.
    #[error("there is a token {0:?} already: revoke it, or choose another label")]
    LabelTaken(String),
    /// There is none of that label.
    #[error("there is no token {0:?}: `vmscope token list` names those there are")]
    NoSuchLabel(String),
    /// The label cannot be used.
    #[error("{0:?} is no label: use 1 to {LABEL_BYTES_MAX} bytes without control characters")]
    Label(String),
}

/// All tokens of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// In the order in which they were made.
    #[serde(default, rename = "token")]
    pub tokens: Vec<Token>,
}

impl Tokens {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Tokens, TokenError> {
        let failed = |source| TokenError::File {
            attempted: "read",
            path: path.to_owned(),
            source,
        };
        let malformed = |problem: String| TokenError::Malformed {
            path: path.to_owned(),
            problem,
        };
        let length = fs::metadata(path).map_err(failed)?.len();
        if length > FILE_BYTES_MAX {
            return Err(malformed(format!("it has {length} bytes")));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        toml::from_str(&text).map_err(|error| malformed(error.to_string()))
    }

    /// Reads a file, or takes one that is not there for empty.
    pub fn read_or_empty(path: &Path) -> Result<Tokens, TokenError> {
        match Tokens::read(path) {
            Err(TokenError::File { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(Tokens::default())
            }
            read => read,
        }
    }

    /// Writes the file anew, all or nothing; only its owner can read it.
    pub fn write(&self, path: &Path) -> Result<(), TokenError> {
        let failed = |attempted| {
            move |source| TokenError::File {
                attempted,
                path: path.to_owned(),
                source,
            }
        };
        let text = toml::to_string(self).map_err(|error| TokenError::Malformed {
            path: path.to_owned(),
            problem: error.to_string(),
        })?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .map_err(failed("write"))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed("write"))?;
        fs::rename(&beside, path).map_err(failed("replace"))
    }

    /// Makes a token of the secret's bits; the text is the token itself, which is written down nowhere.
    pub fn add(
        &mut self,
        secret: [u8; 32],
        label: &str,
        scope: Scope,
        created: Timestamp,
        expires: Option<Timestamp>,
    ) -> Result<String, TokenError> {
        let fits = (1..=LABEL_BYTES_MAX).contains(&label.len());
        if !fits || label.contains(char::is_control) {
            return Err(TokenError::Label(label.to_owned()));
        }
        if self.tokens.iter().any(|token| token.label == label) {
            return Err(TokenError::LabelTaken(label.to_owned()));
        }
        let text = format!("{PREFIX}{}", hexadecimal(&secret));
        self.tokens.push(Token {
            label: label.to_owned(),
            hash: Hash::of(&text),
            created,
            expires,
            scope,
        });
        Ok(text)
    }

    /// Forgets the token of this label.
    pub fn revoke(&mut self, label: &str) -> Result<(), TokenError> {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.label != label);
        match self.tokens.len() == before {
            true => Err(TokenError::NoSuchLabel(label.to_owned())),
            false => Ok(()),
        }
    }

    /// The token with this hash, unless it has expired. Takes as long whichever it is, and if it is none.
    pub fn find(&self, hash: Hash, now: Timestamp) -> Option<&Token> {
        let mut found = None;
        for token in &self.tokens {
            if bool::from(token.hash.0.ct_eq(&hash.0)) {
                found = Some(token);
            }
        }
        found.filter(|token| token.expires.is_none_or(|end| now < end))
    }
}

/// A token file that is in use: read again whenever it changes.
pub struct TokenFile {
    path: PathBuf,
    known: Mutex<Known>,
}

struct Known {
    tokens: Arc<Tokens>,
    /// When the file was written, and how long it is; nothing if it could not be read.
    version: Option<(SystemTime, u64)>,
}

impl TokenFile {
    /// Reads the file, which must be there.
    pub fn open(path: PathBuf) -> Result<TokenFile, TokenError> {
        let version = version(&path);
        let tokens = Arc::new(Tokens::read(&path)?);
        let known = Mutex::new(Known { tokens, version });
        Ok(TokenFile { path, known })
    }

    /// The token with this hash, as the file has it now, unless it has expired.
    pub fn find(&self, hash: Hash, now: Timestamp) -> Option<Token> {
        self.now().find(hash, now).cloned()
    }

    /// The tokens as the file has them now. A file that cannot be read lets nobody in.
    fn now(&self) -> Arc<Tokens> {
        let now = version(&self.path);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if now.is_none() || now != known.version {
            let (tokens, version) = match Tokens::read(&self.path) {
                Ok(tokens) => (tokens, now),
                Err(error) => {
                    tracing::error!("nobody is let in: {error}");
                    (Tokens::default(), None)
                }
            };
            *known = Known {
                tokens: Arc::new(tokens),
                version,
            };
        }
        Arc::clone(&known.tokens)
    }
}

fn version(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Hash {
    /// Of a token's text.
    pub fn of(text: &str) -> Hash {
        Hash(Sha256::digest(text.as_bytes()).into())
    }
}

/// 256 bits that nobody can guess.
pub fn secret() -> [u8; 32] {
    rand::random()
}

/// Bytes as text.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(&self.0))
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hexadecimal(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(deserializer)?;
        let odd = || serde::de::Error::custom("a hash has 64 hexadecimal digits");
        if text.len() != 64 || !text.is_ascii() {
            return Err(odd());
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| odd())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| odd())?;
        }
        Ok(Hash(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn red() -> Scope {
        Scope::Mvpns(BTreeSet::from([Name::new("red").unwrap()]))
    }

    #[test]
    fn a_token_is_found_until_it_expires_or_is_revoked() {
        let mut tokens = Tokens::default();
        let (made, end) = (at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
        let text = tokens.add([7; 32], "acme", red(), made, Some(end)).unwrap();
        let found = |tokens: &Tokens, text: &str, now: &str| {
            let token = tokens.find(Hash::of(text), at(now));
            token.map(|token| token.label.clone())
        };
        assert_eq!(
            found(&tokens, &text, "2026-01-31T23:59:59Z"),
            Some("acme".into())
        );
        assert_eq!(found(&tokens, &text, "2026-02-01T00:00:00Z"), None);
        assert_eq!(found(&tokens, &text[..20], "2026-01-02T00:00:00Z"), None);
        assert_eq!(found(&tokens, "", "2026-01-02T00:00:00Z"), None);
        tokens.revoke("acme").unwrap();
        assert_eq!(found(&tokens, &text, "2026-01-02T00:00:00Z"), None);
        assert!(matches!(
            tokens.revoke("acme"),
            Err(TokenError::NoSuchLabel(_))
        ));
    }

    #[test]
    fn the_file_keeps_no_token_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        assert!(Tokens::read(&path).is_err());
        let mut tokens = Tokens::read_or_empty(&path).unwrap();
        let text = tokens
            .add(secret(), "acme", red(), at("2026-01-01T00:00:00Z"), None)
            .unwrap();
        let other = tokens
            .add(
                secret(),
                "noc",
                Scope::Provider,
                at("2026-01-01T00:00:00Z"),
                None,
            )
            .unwrap();
        assert_ne!(text, other);
        tokens.write(&path).unwrap();
        let kept = fs::read_to_string(&path).unwrap();
        for secret in [&text, &other] {
            assert!(!kept.contains(secret.trim_start_matches(PREFIX)), "{kept}");
        }
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(Tokens::read(&path).unwrap(), tokens);
    }

    #[test]
    fn labels_are_used_once_and_are_plain() {
        let mut tokens = Tokens::default();
        let now = at("2026-01-01T00:00:00Z");
        tokens.add([1; 32], "a", red(), now, None).unwrap();
        let mut add = |label: &str| tokens.add([2; 32], label, red(), now, None);
        assert!(matches!(add("a"), Err(TokenError::LabelTaken(_))));
        for label in ["", "a\nb", &"x".repeat(65)] {
            assert!(matches!(add(label), Err(TokenError::Label(_))), "{label:?}");
        }
    }

    #[test]
    fn a_file_that_is_none_is_refused_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        for text in [
            "token = 1",
            "[[token]]\nlabel = 'x'",
            "[[token]]\nlabel = 'x'\nhash = 'zz'\ncreated = '2026-01-01T00:00:00Z'\nscope = 'provider'",
            "[[tokens]]\nlabel = 'x'",
        ] {
            fs::write(&path, text).unwrap();
            let refused = Tokens::read(&path).unwrap_err();
            assert!(matches!(refused, TokenError::Malformed { .. }), "{text}");
        }
    }
}
