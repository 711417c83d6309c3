//! TLS: a certificate and its key from files, read again when they change, or made here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use pgwire::tokio::TlsAcceptor;
use pgwire::tokio::tokio_rustls::rustls::ServerConfig;
use pgwire::tokio::tokio_rustls::rustls::crypto::ring;
use pgwire::tokio::tokio_rustls::rustls::pki_types::pem::PemObject;
use pgwire::tokio::tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::roles::replace_file;

/// What TLS clients ask for when they begin with TLS at once.
const ALPN: &[u8] = b"postgresql";

/// The server's side of TLS.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    read_at: Stamps,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("read_at", &self.read_at).finish_non_exhaustive()
    }
}

/// When the two files changed last.
type Stamps = (Option<SystemTime>, Option<SystemTime>);

impl Tls {
    /// TLS with a certificate chain and its key, both PEM.
    ///
    /// # Errors
    /// When a file cannot be read, holds no PEM, or the key is not the certificate's.
    pub fn from_files(certificate: &Path, key: &Path) -> io::Result<Arc<Self>> {
        let read_at = (changed(certificate), changed(key));
        let acceptor = acceptor(certificate, key)?;
        Ok(Arc::new(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: Mutex::new(Current { acceptor, read_at }),
        }))
    }

    /// TLS with a certificate for `names` that signs itself. It is kept as `server.crt` and
    /// `server.key` in `folder`, and made only when they are not there.
    ///
    /// # Errors
    /// When the files cannot be written or are no certificate.
    pub fn self_signed(folder: &Path, names: &[String]) -> io::Result<Arc<Self>> {
        let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
        if !certificate.exists() || !key.exists() {
            let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
            replace_file(&key, made.signing_key.serialize_pem().as_bytes())?;
            replace_file(&certificate, made.cert.pem().as_bytes())?;
        }
        Self::from_files(&certificate, &key)
    }

    /// What new connections are accepted with. Files that have changed are read again; if they
    /// are not right, the ones before stay in use.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (changed(&self.certificate), changed(&self.key));
        if now != current.read_at {
            current.read_at = now;
            match acceptor(&self.certificate, &self.key) {
                Ok(acceptor) => {
                    current.acceptor = acceptor;
                    tracing::info!("the TLS certificate was read again");
                }
                Err(error) => {
                    tracing::warn!(%error, "the new TLS certificate is not used");
                }
            }
        }
        current.acceptor.clone()
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn acceptor(certificate: &Path, key: &Path) -> io::Result<TlsAcceptor> {
    let chain = read(certificate)?;
    let chain = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(certificate, error))?;
    if chain.is_empty() {
        return Err(wrong(certificate, "it holds no certificate"));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| wrong(key, error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| wrong(certificate, error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        io::Error::new(error.kind(), format!("could not read \"{}\": {error}", path.display()))
    })
}

fn wrong(path: &Path, why: impl std::fmt::Display) -> io::Error {
    let message = format!("could not use \"{}\" for TLS: {why}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, message)
}
