//! The grammar of the web page: serving it; its tokens, and certificates.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use vmscope_core::name::Name;
use vmscope_core::time::Span;

/// How to serve the web page.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The results database, a file or postgres://…
    #[arg(long, value_name = "DATABASE")]
    pub database: PathBuf,
    /// Where to listen; beyond this host only with TLS and tokens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8470")]
    pub listen: SocketAddr,
    /// Certificate chain of this server, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Let in only who has a token of this file, which `vmscope token` writes
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
}

/// Verbs of tokens.
#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Make a token and print it, this once; a server that runs takes it at once
    New {
        /// The token file
        #[arg(long, value_name = "FILE")]
        tokens: PathBuf,
        /// Whose it is
        #[arg(long, value_name = "TEXT")]
        label: String,
        /// Show only this MVPN, and the task of its name; may be said several times
        #[arg(
            long = "mvpn",
            value_name = "NAME",
            required_unless_present_any = ["provider", "peer"],
            conflicts_with_all = ["provider", "peer"]
        )]
        mvpns: Vec<Name>,
        /// Show everything, and let everything be asked from afar
        #[arg(long, conflicts_with = "peer")]
        provider: bool,
        /// For another monitor: it may have probes collected and reflected here
        #[arg(long)]
        peer: bool,
        /// End after this time, such as 2160h; never if absent
        #[arg(long, value_name = "TIME")]
        expires_in: Option<Span>,
    },
    /// All tokens, without what they are
    List {
        /// The token file
        #[arg(long, value_name = "FILE")]
        tokens: PathBuf,
    },
    /// Forget a token: whoever has it is let in no longer
    Revoke {
        /// The token file
        #[arg(long, value_name = "FILE")]
        tokens: PathBuf,
        /// Whose it is
        #[arg(long, value_name = "TEXT")]
        label: String,
    },
}

/// How to make a certificate.
#[derive(Debug, Args)]
pub struct CertificateArgs {
    /// Whose it is: NAME.pem is to give to others, NAME-key.pem to keep
    #[arg(long, value_name = "NAME")]
    pub name: Name,
    /// The folder they go to
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub out: PathBuf,
}
