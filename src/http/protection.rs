//! What protects the listener: its certificate and its token. Both are read again every few seconds, so a renewed one is in use
//! without a restart; while what is found is unusable, the last one that was stays.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::tls::{Expiry, FileFault, Tls};
use super::token::Token;
use crate::clock;
use crate::domain::time::Stamp;
use crate::settings::ProtectionFiles;

/// Between two looks at the files, which are small and in the kernel's cache.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A certificate and its key are two files, replaced one after the other: a pair that does not match is a problem only if the next
/// look finds it as well.
const LOOKS: u32 = 2;

/// What a listener asks of its clients.
#[derive(Debug, Clone, Default)]
pub struct Protection {
    /// TLS; `None` is plain HTTP.
    pub(super) tls: Option<Tls>,
    /// The token; `None` lets everybody ask.
    pub(super) token: Option<Token>,
}

impl Protection {
    /// Reads the files. Blocks for as long as the disk does.
    ///
    /// # Errors
    /// Every file that is wrong.
    pub fn read(files: &ProtectionFiles) -> Result<Self, Vec<ProtectionFault>> {
        let (tls, token) = found(files);
        let (tls, token) = (tls.transpose(), token.transpose());
        let faults: Vec<_> = [
            tls.as_ref().err().map(|fault| (ProtectedBy::Certificate, fault)),
            token.as_ref().err().map(|fault| (ProtectedBy::Token, fault)),
        ]
        .into_iter()
        .flatten()
        .map(|(part, fault)| ProtectionFault { part, fault: fault.clone() })
        .collect();
        match (tls, token) {
            (Ok(tls), Ok(token)) => Ok(Self { tls, token }),
            (Ok(_), Err(_)) | (Err(_), Ok(_) | Err(_)) => Err(faults),
        }
    }

    /// When the certificate is valid, if there is one that says so.
    pub fn expiry(&self) -> Option<Expiry> {
        self.tls.as_ref()?.expires
    }

    /// Whether a request to this path with these headers may be answered.
    pub(super) fn admits(&self, path: &str, headers: &HeaderMap) -> bool {
        self.token.as_ref().is_none_or(|token| token.admits(path, headers))
    }
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectedBy {
    /// The certificate and its key.
    Certificate,
    /// The token.
    Token,
}

impl ProtectedBy {
    /// The key of the configuration.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Certificate => "tls_certificate",
            Self::Token => "token_file",
        }
    }
}

/// A file that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectionFault {
    /// What it would be.
    pub part: ProtectedBy,
    /// What is wrong.
    pub fault: FileFault,
}

impl fmt::Display for ProtectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[http] {}: {}", self.part.key(), self.fault)
    }
}

/// What a look at the files has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is sound.
    Sound,
    /// It is unusable, and the last one that was usable is still in use.
    Unusable(FileFault),
    /// The certificate expires at this time, or has, and was not renewed.
    Expires(Stamp),
}

/// A part, as it was found.
type Found<T> = Option<Result<T, FileFault>>;

fn found(files: &ProtectionFiles) -> (Found<Tls>, Found<Token>) {
    let token = files.token.as_deref().map(|path| Token::read(path).map_err(FileFault::from));
    (files.tls.as_ref().map(Tls::read), token)
}

/// Looks at the files every [`LOOK_EVERY`], and at once when `asked`; puts what has changed into `current`, and reports what each
/// part was found to be. Never ends by itself, unless nobody uses `current`.
pub async fn renew(
    files: ProtectionFiles,
    current: watch::Sender<Protection>,
    asked: Arc<Notify>,
    mut report: impl FnMut(ProtectedBy, Finding),
) {
    if files == ProtectionFiles::default() {
        return;
    }
    let (mut tls_faults, mut token_faults) = (0, 0);
    loop {
        let look = files.clone();
        // A disk that hangs holds one thread, and no request.
        let Ok((tls, token)) = spawn_blocking(move || found(&look)).await else { return };
        match tls {
            Some(Ok(tls)) => {
                tls_faults = 0;
                let expires = tls.expires;
                current.send_if_modified(|current| {
                    let renewed = !current.tls.as_ref().is_some_and(|old| old.is_same(&tls));
                    if renewed {
                        current.tls = Some(tls);
                    }
                    renewed
                });
                let near = expires.filter(|expiry| expiry.is_near(clock::now().wall));
                report(
                    ProtectedBy::Certificate,
                    near.map_or(Finding::Sound, |expiry| Finding::Expires(expiry.ends)),
                );
            }
            Some(Err(fault)) => {
                tls_faults += 1;
                if tls_faults >= LOOKS {
                    report(ProtectedBy::Certificate, Finding::Unusable(fault));
                }
            }
            None => {}
        }
        match token {
            Some(Ok(token)) => {
                token_faults = 0;
                current.send_if_modified(|current| {
                    let renewed = current.token.as_ref() != Some(&token);
                    if renewed {
                        current.token = Some(token);
                    }
                    renewed
                });
                report(ProtectedBy::Token, Finding::Sound);
            }
            Some(Err(fault)) => {
                token_faults += 1;
                if token_faults >= LOOKS {
                    report(ProtectedBy::Token, Finding::Unusable(fault));
                }
            }
            None => {}
        }
        tokio::select! {
            _ = timeout(LOOK_EVERY, asked.notified()) => {}
            () = current.closed() => return,
        }
    }
}

#[cfg(test)]
mod tests;
