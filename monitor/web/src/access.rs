//! Who asks: a token in a header, a session in a cookie, or anybody at all.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};

use crate::token::{Hash, Scope, TokenError, TokenFile, hexadecimal, secret};

/// Sessions of browsers at most; beyond, the oldest ends.
const SESSIONS_MAX: usize = 1_000;
/// How long a browser stays logged in.
pub const SESSION_LASTS: SignedDuration = SignedDuration::from_hours(12);
/// The cookie that holds a session.
const COOKIE: &str = "vmscope";

/// Who asks, and what they may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// What they may see.
    pub scope: Scope,
    /// Their token's label; absent where everybody may see everything.
    pub label: Option<String>,
    /// Their token; absent likewise.
    hash: Option<Hash>,
}

/// Decides who may see what.
pub enum Access {
    /// Everybody who can connect sees everything.
    Open,
    /// Only who has a token.
    Tokens(TokenDoor),
}

/// The tokens of a file, and the sessions that began with one of them.
pub struct TokenDoor {
    tokens: TokenFile,
    sessions: Mutex<HashMap<Hash, Session>>,
}

#[derive(Clone, Copy)]
struct Session {
    token: Hash,
    until: Timestamp,
}

impl Access {
    /// By the tokens of a file, which must be there.
    pub fn by_tokens(path: PathBuf) -> Result<Access, TokenError> {
        Ok(Access::Tokens(TokenDoor {
            tokens: TokenFile::open(path)?,
            sessions: Mutex::default(),
        }))
    }

    /// Who sends these headers; nobody known if none.
    pub fn who(&self, headers: &HeaderMap, now: Timestamp) -> Option<Who> {
        match self {
            Access::Open => Some(Who {
                scope: Scope::Provider,
                label: None,
                hash: None,
            }),
            Access::Tokens(door) => door.who(headers, now),
        }
    }

    /// Whether who asked before may still see what they did: their token was neither revoked nor changed, nor has it expired.
    pub fn still(&self, who: &Who, now: Timestamp) -> bool {
        match (self, who.hash) {
            (Access::Open, _) => true,
            (Access::Tokens(door), Some(hash)) => door.token(hash, now).as_ref() == Some(who),
            (Access::Tokens(_), None) => false,
        }
    }
}

impl TokenDoor {
    /// Begins a session with a token. The text is what the cookie holds.
    pub fn log_in(&self, token: &str, now: Timestamp) -> Option<(Who, String)> {
        let hash = Hash::of(token);
        let who = self.token(hash, now)?;
        let id = hexadecimal(&secret());
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| now < session.until);
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.until);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                sessions.remove(&id);
            }
        }
        let until = now.saturating_add(SESSION_LASTS).unwrap_or(Timestamp::MAX);
        sessions.insert(Hash::of(&id), Session { token: hash, until });
        Some((who, id))
    }

    /// Ends the session that these headers bear.
    pub fn log_out(&self, headers: &HeaderMap) {
        if let Some(id) = cookie(headers) {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.remove(&Hash::of(id));
        }
    }

    fn who(&self, headers: &HeaderMap, now: Timestamp) -> Option<Who> {
        // A header that is wrong is not made up for by a cookie.
        if let Some(authorization) = headers.get(header::AUTHORIZATION) {
            let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
            let bearer = scheme.eq_ignore_ascii_case("bearer");
            return bearer.then(|| self.token(Hash::of(token.trim()), now))?;
        }
        let id = Hash::of(cookie(headers)?);
        let session = {
            let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.get(&id).copied()
        }?;
        (now < session.until).then(|| self.token(session.token, now))?
    }

    fn token(&self, hash: Hash, now: Timestamp) -> Option<Who> {
        let token = self.tokens.find(hash, now)?;
        // A peer has no business here.
        (token.scope != Scope::Peer).then_some(Who {
            scope: token.scope,
            label: Some(token.label),
            hash: Some(hash),
        })
    }
}

/// The header that gives a browser its session, or takes it back.
pub fn set_cookie(id: Option<&str>, over_tls: bool) -> String {
    let secure = if over_tls { "; Secure" } else { "" };
    let (id, lasts_s) = match id {
        Some(id) => (id, SESSION_LASTS.as_secs()),
        None => ("", 0),
    };
    format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lasts_s}{secure}")
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter();
    let texts = all.filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Tokens;
    use axum::http::HeaderValue;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    struct Bench {
        folder: tempfile::TempDir,
        access: Access,
        token: String,
    }

    fn bench() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        let mut tokens = Tokens::default();
        let token = tokens
            .add(
                secret(),
                "noc",
                Scope::Provider,
                at("2026-01-01T00:00:00Z"),
                None,
            )
            .unwrap();
        tokens.write(&path).unwrap();
        let access = Access::by_tokens(path).unwrap();
        Bench {
            folder,
            access,
            token,
        }
    }

    #[test]
    fn a_header_is_taken_as_it_is_and_not_made_up_for() {
        let bench = bench();
        let now = at("2026-01-02T00:00:00Z");
        let who = |headers: &HeaderMap| bench.access.who(headers, now).and_then(|who| who.label);
        let good = format!("Bearer {}", bench.token);
        assert_eq!(who(&with(header::AUTHORIZATION, &good)), Some("noc".into()));
        assert_eq!(who(&HeaderMap::new()), None);
        for bad in ["Bearer", "Bearer ", "Bearer x", "Basic eDp5", &bench.token] {
            assert_eq!(who(&with(header::AUTHORIZATION, bad)), None, "{bad}");
        }
        let Access::Tokens(door) = &bench.access else {
            panic!("it has tokens")
        };
        let (_, id) = door.log_in(&bench.token, now).unwrap();
        let mut headers = with(header::COOKIE, &format!("other=1; vmscope={id}"));
        assert_eq!(who(&headers), Some("noc".into()));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert_eq!(who(&headers), None);
    }

    #[test]
    fn a_session_ends_by_itself_by_logging_out_and_with_its_token() {
        let bench = bench();
        let Access::Tokens(door) = &bench.access else {
            panic!("it has tokens")
        };
        let now = at("2026-01-02T00:00:00Z");
        assert!(door.log_in("vmscope_wrong", now).is_none());
        let begin = || {
            let (_, id) = door.log_in(&bench.token, now).unwrap();
            with(header::COOKIE, &format!("vmscope={id}"))
        };
        let session = begin();
        let known = |headers: &HeaderMap, at: Timestamp| bench.access.who(headers, at).is_some();
        assert!(known(&session, at("2026-01-02T11:59:59Z")));
        assert!(!known(&session, at("2026-01-02T12:00:00Z")));
        door.log_out(&session);
        assert!(!known(&session, now));
        let session = begin();
        let who = bench.access.who(&session, now).unwrap();
        assert!(bench.access.still(&who, now));
        std::fs::write(bench.folder.path().join("tokens.toml"), "").unwrap();
        assert!(!known(&session, now));
        assert!(!bench.access.still(&who, now));
    }

    #[test]
    fn a_peers_token_opens_nothing_here() {
        let bench = bench();
        let now = at("2026-01-02T00:00:00Z");
        let mut tokens = Tokens::default();
        let token = tokens.add(secret(), "m2", Scope::Peer, now, None).unwrap();
        tokens
            .write(&bench.folder.path().join("tokens.toml"))
            .unwrap();
        let peers = with(header::AUTHORIZATION, &format!("Bearer {token}"));
        assert_eq!(bench.access.who(&peers, now), None);
    }

    #[test]
    fn a_file_that_is_gone_lets_nobody_in() {
        let bench = bench();
        let now = at("2026-01-02T00:00:00Z");
        std::fs::remove_file(bench.folder.path().join("tokens.toml")).unwrap();
        let good = with(header::AUTHORIZATION, &format!("Bearer {}", bench.token));
        assert_eq!(bench.access.who(&good, now), None);
    }

    #[test]
    fn sessions_are_bounded() {
        let bench = bench();
        let Access::Tokens(door) = &bench.access else {
            panic!("it has tokens")
        };
        let now = at("2026-01-02T00:00:00Z");
        for _ in 0..SESSIONS_MAX + 10 {
            door.log_in(&bench.token, now).unwrap();
        }
        assert_eq!(door.sessions.lock().unwrap().len(), SESSIONS_MAX);
    }
}
