//! Whose certificates are trusted. They are loaded with the first call, and again when their file is another or a certificate was
//! not trusted: a private authority is renewed while the daemon runs.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::access::read_regular;

use super::answer::{Reason, rejected};
use crate::outbound::Trust;

/// The system's authorities, all of them, take a fifth of it.
const LONGEST: u64 = 1024 * 1024;

/// The authorities of one webhook.
pub(super) struct Authorities {
    /// In place of the system's.
    ca_file: Option<PathBuf>,
    loaded: Mutex<Option<LoadedAuthorities>>,
}

#[derive(Clone)]
struct LoadedAuthorities {
    trust: Arc<Trust>,
    /// Of the file, before it was read; `None` where there is none, or it is in doubt.
    version: Option<Version>,
}

/// What differs when a file was written anew, or another took its place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl From<Metadata> for Version {
    fn from(meta: Metadata) -> Self {
        Self { inode: meta.ino(), length: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) }
    }
}

impl Authorities {
    pub(super) fn new(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, loaded: Mutex::default() }
    }

    /// What to connect with. While a file is written that was good before, what it held goes on to be trusted.
    pub(super) async fn trusted(&self) -> Result<Arc<Trust>, Reason> {
        let known = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ca_file = self.ca_file.clone();
        let fresh = tokio::task::spawn_blocking(move || renewed(ca_file.as_deref(), known)).await;
        let fresh = fresh.unwrap_or_else(|_| Err(rejected("the CA certificates could not be loaded")))?;
        let trust = Arc::clone(&fresh.trust);
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
        Ok(trust)
    }

    /// A certificate was not trusted: the next call loads them again.
    pub(super) fn doubt(&self) {
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn renewed(ca_file: Option<&Path>, known: Option<LoadedAuthorities>) -> Result<LoadedAuthorities, Reason> {
    let version = ca_file.and_then(|path| fs::metadata(path).ok()).map(Version::from);
    match known {
        Some(known) if known.version == version => Ok(known),
        known => match (load(ca_file), known) {
            (Ok(trust), _) => Ok(LoadedAuthorities { trust: Arc::new(trust), version }),
            (Err(_), Some(known)) => Ok(known),
            (Err(reason), None) => Err(reason),
        },
    }
}

/// The authorities in a file, or the system's.
pub(super) fn load(ca_file: Option<&Path>) -> Result<Trust, Reason> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let wrong = |what: String| Reason::Rejected(format!("ca_file {}: {what}", path.display()));
            let pem =
                read_regular(path, LONGEST).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|_| wrong("it is not well-formed PEM".to_owned()))?;
                let added = roots.add(certificate);
                added.map_err(|_| wrong("a certificate in it cannot be parsed".to_owned()))?;
            }
            if roots.is_empty() {
                return Err(wrong("there is no certificate in it".to_owned()));
            }
        }
        None => {
            // What the system has and rustls does not understand, nobody needs.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Trust::new(roots, ca_file).map_err(|_| rejected("TLS cannot be used here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHORITY: &[u8] = include_bytes!("../../tests/edges/aws/tls/authority.pem");

    #[tokio::test]
    async fn authorities_are_loaded_once_and_again_when_their_file_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let replace = |text: &[u8]| {
            fs::write(path.with_extension("new"), text).unwrap();
            fs::rename(path.with_extension("new"), &path).unwrap();
        };
        let authorities = Authorities::new(Some(path.clone()));
        assert!(matches!(authorities.trusted().await, Err(Reason::Rejected(_))), "it is not there");
        replace(AUTHORITY);
        let first = authorities.trusted().await.unwrap();
        assert!(Arc::ptr_eq(&first, &authorities.trusted().await.unwrap()));
        replace(&[AUTHORITY, AUTHORITY].concat());
        let second = authorities.trusted().await.unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        replace(b"-----BEGIN");
        assert!(
            Arc::ptr_eq(&second, &authorities.trusted().await.unwrap()),
            "the page goes out all the same"
        );
        replace(AUTHORITY);
        assert!(!Arc::ptr_eq(&second, &authorities.trusted().await.unwrap()));
    }

    #[tokio::test]
    async fn authorities_are_loaded_again_after_a_certificate_that_was_not_trusted() {
        let authorities = Authorities::new(None);
        let first = authorities.trusted().await.unwrap();
        authorities.doubt();
        assert!(!Arc::ptr_eq(&first, &authorities.trusted().await.unwrap()));
    }
}
