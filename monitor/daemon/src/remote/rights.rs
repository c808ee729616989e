//! What a connection may ask.

use std::sync::Arc;

use vmscope_core::control::{ErrorCode, Operation, Refusal};
use vmscope_web::token::{Hash, Scope, TokenFile};

/// What a connection may ask.
#[derive(Clone)]
pub enum Rights {
    /// A client of this host: everything.
    Everything,
    /// What the token allows, as its file has it at the moment of asking: a token that is revoked ends what it began.
    OfToken(Arc<TokenFile>, Hash),
}

impl Rights {
    /// The rights that a token gives, if it gives any here. A customer's token shows MVPNs on the web page and has no
    /// business with the monitor itself.
    pub fn of(tokens: &Arc<TokenFile>, token: &str) -> Option<Rights> {
        let hash = Hash::of(token);
        let scope = tokens.find(hash, vmscope_web::now())?.scope;
        match scope {
            Scope::Provider | Scope::Peer => Some(Rights::OfToken(Arc::clone(tokens), hash)),
            Scope::Mvpns(_) => None,
        }
    }

    /// Whether this may be asked.
    pub fn permit(&self, operation: &Operation) -> Result<(), Refusal> {
        let Rights::OfToken(tokens, hash) = self else {
            return Ok(());
        };
        let token = tokens.find(*hash, vmscope_web::now());
        match token.map(|token| token.scope) {
            Some(Scope::Provider) => Ok(()),
            Some(Scope::Peer) if is_for_peers(operation) => Ok(()),
            Some(Scope::Peer) => Err(denied(
                "this token is a peer's, which may have probes collected and reflected, and no more",
                "use a token made with `vmscope token new --provider`",
            )),
            Some(Scope::Mvpns(_)) | None => Err(denied(
                "the token of this connection is no longer good",
                "connect with another; `vmscope token list` names those there are",
            )),
        }
    }
}

fn denied(message: &str, remedy: &str) -> Refusal {
    Refusal::new(ErrorCode::Denied, message, remedy)
}

fn is_for_peers(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Hello
            | Operation::CollectStart(_)
            | Operation::CollectTake { .. }
            | Operation::CollectStop(_)
            | Operation::ReflectStart(_)
            | Operation::ReflectStop(_)
    )
}
