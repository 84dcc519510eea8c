//! The certificate of TURN over TLS, read anew when its files have changed: certificates are renewed while servers run.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::TlsAcceptor;

use super::{BindError, TlsFiles};

/// Files and what was last read from them.
#[derive(Debug)]
pub(super) struct Certificate {
    files: TlsFiles,
    read: Mutex<(Times, Arc<ServerConfig>)>,
}

/// When certificate and key were last changed, as far as the file system tells.
type Times = [Option<SystemTime>; 2];

impl Certificate {
    pub(super) fn read(files: TlsFiles) -> Result<Self, BindError> {
        let read = (changed(&files), configuration(&files)?);
        Ok(Self {
            files,
            read: Mutex::new(read),
        })
    }

    /// For the next connection. What has become unreadable changes nothing but the log.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let now = changed(&self.files);
        if read.0 != now {
            read.0 = now;
            match configuration(&self.files) {
                Ok(configuration) => read.1 = configuration,
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the certificate has changed and cannot be read; the old one stays"
                ),
            }
        }
        TlsAcceptor::from(Arc::clone(&read.1))
    }
}

fn changed(files: &TlsFiles) -> Times {
    [&files.certificate, &files.key].map(|path| fs::metadata(path).ok()?.modified().ok())
}

/// Nothing is asked of clients but that they know TLS 1.2 or 1.3.
fn configuration(files: &TlsFiles) -> Result<Arc<ServerConfig>, BindError> {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Writes a certificate made now, as if `seconds` after the last.
    fn write(files: &TlsFiles, seconds: u64) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let then = SystemTime::now() + Duration::from_secs(seconds);
        for (path, text) in [
            (&files.certificate, made.cert.pem()),
            (&files.key, made.signing_key.serialize_pem()),
        ] {
            fs::write(path, text).unwrap();
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(then).unwrap();
        }
    }

    #[test]
    fn a_renewed_certificate_is_shown_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        let files = TlsFiles { certificate, key };
        write(&files, 0);
        let shown = Certificate::read(files.clone()).unwrap();
        let config = |shown: &Certificate| Arc::clone(shown.acceptor().config());
        let first = config(&shown);
        assert!(Arc::ptr_eq(&first, &config(&shown)), "read once");
        write(&files, 10);
        let second = config(&shown);
        assert!(!Arc::ptr_eq(&first, &second));
        fs::write(&files.key, "no key").unwrap();
        assert!(Arc::ptr_eq(&second, &config(&shown)));
        assert!(Certificate::read(files.clone()).is_err());
        write(&files, 20);
        assert!(!Arc::ptr_eq(&second, &config(&shown)));
    }
}
