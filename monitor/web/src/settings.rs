//! How the server is to be, and what of that is refused.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use vmscope_store::{Location, StoreError};

use crate::token::TokenError;

/// How the server is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The monitor's database.
    pub database: Location,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Certificate chain and key, PEM; plain HTTP without.
    pub tls: Option<TlsFiles>,
    /// The token file; without, everybody who can connect sees everything.
    pub tokens: Option<PathBuf>,
}

/// Files that TLS needs.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate, and those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The server cannot be as it was to be.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Others than this host could connect, and read along or see everything.
    #[error(
        "refused to listen on {listen}, where others can connect, without {lacking}: give --tls-certificate, --tls-key and --tokens, or listen on 127.0.0.1"
    )]
    Exposed {
        /// Where.
        listen: SocketAddr,
        /// What is missing.
        lacking: &'static str,
    },
    /// The place is taken, or not ours.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The token file cannot be used.
    #[error("{0}")]
    Tokens(#[from] TokenError),
    /// The database cannot be read.
    #[error("{0}")]
    Database(#[from] StoreError),
    /// A file of TLS cannot be used.
    #[error("cannot use {} for TLS: {problem}", path.display())]
    Tls {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The runtime could not be started.
    #[error("cannot start the server's threads: {0}")]
    Runtime(std::io::Error),
}

impl Settings {
    /// Refuses what would let strangers in.
    pub fn check(&self) -> Result<(), ServeError> {
        let lacking = match (&self.tls, &self.tokens) {
            (Some(_), Some(_)) => return Ok(()),
            _ if self.listen.ip().is_loopback() => return Ok(()),
            (None, None) => "TLS and tokens",
            (None, Some(_)) => "TLS",
            (Some(_), None) => "tokens",
        };
        Err(ServeError::Exposed {
            listen: self.listen,
            lacking,
        })
    }
}

impl TlsFiles {
    /// TLS 1.2 and 1.3 with these files.
    pub fn config(&self) -> Result<Arc<ServerConfig>, ServeError> {
        let of_certificate = |problem: String| ServeError::Tls {
            path: self.certificate.clone(),
            problem,
        };
        let of_key = |problem: String| ServeError::Tls {
            path: self.key.clone(),
            problem,
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| of_certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(of_certificate("it holds no certificate in PEM".to_owned()));
        }
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| of_key(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| of_key(error.to_string()))?;
        Ok(Arc::new(config))
    }
}
