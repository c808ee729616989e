//! The first line of a connection.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::trust::RemoteError;

/// Bytes of a token's file at most.
const FILE_BYTES_MAX: usize = 4096;

/// What a client says first: `{"id":0,"token":"vmscope_…"}`. The reply is `done`, or a refusal and the connection's end.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Chosen by the client, returned in the reply.
    pub id: u64,
    /// The token, as `vmscope token new` printed it.
    pub token: String,
}

impl Login {
    /// As a line.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// Without the token: whoever reads a log must not learn it.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Reads the file that holds a token and nothing else.
pub fn read_token(path: &Path) -> Result<String, RemoteError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| RemoteError::file("read the token in", path, error.to_string()))?;
    let token = text.trim();
    let plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    match plain && token.len() <= FILE_BYTES_MAX {
        true => Ok(token.to_owned()),
        false => Err(RemoteError::file(
            "use the token in",
            path,
            "it is to hold one token, as `vmscope token new` prints it".to_owned(),
        )),
    }
}
