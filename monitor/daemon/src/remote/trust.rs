//! Who is believed to be whom: certificates, made and recognised.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};

/// Why control from afar, or of another monitor, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// A file cannot be used.
    #[error("cannot {attempted} {}: {problem}", path.display())]
    File {
        /// What was attempted.
        attempted: &'static str,
        /// On which file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate for {name}: {problem}")]
    Certificate {
        /// Whose.
        name: String,
        /// Why.
        problem: String,
    },
    /// TLS cannot be had at all.
    #[error("cannot prepare TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl RemoteError {
    pub(super) fn file(attempted: &'static str, path: &Path, problem: String) -> RemoteError {
        RemoteError::File {
            attempted,
            path: path.to_owned(),
            problem,
        }
    }
}

/// The one certificate that a client believes.
///
/// Monitors that are each other's peers are few and known: each has the other's very certificate in a file, so no authority is
/// asked, and no name or date in it counts. What counts is that the server has the private key to it (RFC 8446 §4.4.3).
#[derive(Debug)]
pub struct Trust {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    /// Trust in the first certificate of a PEM file.
    pub fn read(path: &Path) -> Result<Trust, RemoteError> {
        let certificate = CertificateDer::from_pem_file(path).map_err(|error| {
            RemoteError::file("use the certificate in", path, error.to_string())
        })?;
        Ok(Trust {
            certificate,
            provider: Arc::new(ring::default_provider()),
        })
    }

    /// What a client needs that trusts so.
    pub fn config(self) -> Result<Arc<ClientConfig>, RemoteError> {
        let provider = Arc::clone(&self.provider);
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self))
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match *end_entity == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Whether an error says that the server is not who it should be.
pub fn is_stranger(error: &std::io::Error) -> bool {
    let inner = error.get_ref();
    let inner = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// Makes a self-signed pair, `NAME.pem` to give to others and `NAME-key.pem` to keep, which only its owner can read. What is
/// there already is not overwritten: others may have it.
pub fn write_certificate(name: &str, folder: &Path) -> Result<(PathBuf, PathBuf), RemoteError> {
    let failed = |problem: String| RemoteError::Certificate {
        name: name.to_owned(),
        problem,
    };
    let pair = rcgen::generate_simple_self_signed(vec![name.to_owned()])
        .map_err(|error| failed(error.to_string()))?;
    let certificate = folder.join(format!("{name}.pem"));
    let key = folder.join(format!("{name}-key.pem"));
    write_new(&key, 0o600, &pair.signing_key.serialize_pem())?;
    write_new(&certificate, 0o644, &pair.cert.pem())?;
    Ok((certificate, key))
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), RemoteError> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| RemoteError::file("write", path, error.to_string()))
}
