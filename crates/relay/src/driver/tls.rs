//! The certificate of TURN over TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};

use super::{BindError, TlsFiles};

/// Reads certificate and key; nothing is asked of clients but that they know TLS 1.2 or 1.3.
pub(super) fn configuration(files: &TlsFiles) -> Result<Arc<ServerConfig>, BindError> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(&files.certificate, unreadable(error)))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| refused(&files.key, unreadable(error)))?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| refused(&files.certificate, io::Error::other(error)))?;
    Ok(Arc::new(config))
}

fn refused(path: &Path, source: io::Error) -> BindError {
    BindError::Certificate {
        path: path.to_owned(),
        source,
    }
}

fn unreadable(error: pem::Error) -> io::Error {
    match error {
        pem::Error::Io(error) => error,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}
