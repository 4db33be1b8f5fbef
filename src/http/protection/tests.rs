//! Real files, and a real handshake over loopback.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::settings::TlsFiles;

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls");
const TOKEN: &str = "0123456789abcdef0123";
/// Longer than any step takes, so that a test that hangs fails.
const DEADLINE: Duration = Duration::from_secs(30);

/// A listener's files.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        files.certify("first", "first");
        files.write("token", TOKEN, 0o600);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) {
        // Replaced as a person's tools do it: complete, and at once.
        let new = self.path("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(mode)).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    fn certify(&self, certificate: &str, key: &str) {
        self.write("certificate.pem", fs::read(format!("{CERTIFICATES}/{certificate}.pem")).unwrap(), 0o644);
        self.write("key.pem", fs::read(format!("{CERTIFICATES}/{key}.key")).unwrap(), 0o600);
    }

    fn settings(&self) -> ProtectionFiles {
        ProtectionFiles {
            tls: Some(TlsFiles { certificate: self.path("certificate.pem"), key: self.path("key.pem") }),
            token: Some(self.path("token")),
        }
    }

    fn faults(&self) -> Vec<String> {
        let faults = Protection::read(&self.settings()).map(|_| ()).unwrap_err();
        faults
            .iter()
            .map(|fault| fault.to_string().replace(self.directory.path().to_str().unwrap(), "DIR"))
            .collect()
    }
}

#[test]
fn a_pair_and_a_token_are_read_and_the_certificates_dates_are_known() {
    let files = Files::new();
    let protection = Protection::read(&files.settings()).unwrap();
    let expiry = protection.expiry().unwrap();
    // 2026-01-01 and 2126-01-01, as tests/tls/make.sh says.
    assert_eq!(
        (expiry.begins, expiry.ends),
        (Stamp::from_secs(1_767_225_600), Stamp::from_secs(4_922_899_200))
    );
    let day = Duration::from_secs(24 * 3600);
    assert!(!expiry.is_near(expiry.ends - 8 * day) && expiry.is_near(expiry.ends - 6 * day));
    assert!(expiry.is_near(expiry.ends) && expiry.is_near(expiry.ends + day));
    let short = Expiry { begins: expiry.ends - 6 * day, ends: expiry.ends };
    assert!(!short.is_near(short.ends - 3 * day) && short.is_near(short.ends - day));
}

#[test]
fn what_is_wrong_with_a_file_is_said_by_key_and_path() {
    let files = Files::new();
    files.certify("first", "second");
    assert_eq!(
        files.faults(),
        ["[http] tls_certificate: DIR/key.pem: is not the key of DIR/certificate.pem"]
    );
    files.certify("first", "first");
    files.write("certificate.pem", "garbage", 0o644);
    assert_eq!(files.faults(), ["[http] tls_certificate: DIR/certificate.pem: has no certificate in PEM"]);
    files.write("certificate.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0o644);
    assert_eq!(
        files.faults(),
        ["[http] tls_certificate: DIR/certificate.pem: the certificate cannot be parsed"]
    );
    files.certify("first", "first");
    files.write(
        "key.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        0o600,
    );
    let faults = files.faults();
    assert!(
        faults[0].contains("DIR/key.pem: has no private key in PEM") && faults[0].contains("pass phrase"),
        "{faults:?}"
    );
    fs::remove_file(files.path("key.pem")).unwrap();
    files.write("token", "short", 0o600);
    let faults = files.faults();
    assert!(faults[0].contains("the secret DIR/key.pem cannot be read (No such file"), "{faults:?}");
    assert!(faults[1].starts_with("[http] token_file: the secret DIR/token is no token"), "{faults:?}");
}

#[test]
fn a_key_that_everybody_can_read_is_refused() {
    let files = Files::new();
    fs::set_permissions(files.directory.path(), Permissions::from_mode(0o755)).unwrap();
    files.write("key.pem", fs::read(format!("{CERTIFICATES}/first.key")).unwrap(), 0o644);
    let faults = files.faults();
    assert!(
        faults[0].contains("the secret DIR/key.pem can be read by everybody; chmod o-rwx DIR/key.pem"),
        "{faults:?}"
    );
}

/// Files that are being kept in line.
struct Kept {
    files: Files,
    current: watch::Receiver<Protection>,
    asked: Arc<Notify>,
    findings: mpsc::UnboundedReceiver<(ProtectedBy, Finding)>,
    task: JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kept {
    fn new() -> Self {
        let files = Files::new();
        let (current, seen) = watch::channel(Protection::read(&files.settings()).unwrap());
        let (asked, (findings, reported)) = (Arc::new(Notify::new()), mpsc::unbounded_channel());
        let renewing = renew(files.settings(), current, Arc::clone(&asked), move |part, finding| {
            _ = findings.send((part, finding));
        });
        Self { files, current: seen, asked, findings: reported, task: tokio::spawn(renewing) }
    }

    /// The next finding about this part that is like this, of those that are made when asked.
    async fn until(&mut self, part: ProtectedBy, like: impl Fn(&Finding) -> bool) -> Finding {
        let found = async {
            loop {
                self.asked.notify_one();
                let (found, finding) = self.findings.recv().await.unwrap();
                if found == part && like(&finding) {
                    return finding;
                }
            }
        };
        timeout(DEADLINE, found).await.unwrap()
    }

    fn tls(&self) -> Tls {
        self.current.borrow().tls.clone().unwrap()
    }
}

#[tokio::test]
async fn a_renewed_pair_is_taken_in_and_a_broken_one_is_reported_and_changes_nothing() {
    let mut kept = Kept::new();
    let first = kept.tls();
    kept.files.certify("second", "second");
    timeout(DEADLINE, async {
        while kept.tls().is_same(&first) {
            kept.until(ProtectedBy::Certificate, |finding| *finding == Finding::Sound).await;
        }
    })
    .await
    .unwrap();
    let second = kept.tls();
    kept.files.certify("second", "first");
    let unusable =
        kept.until(ProtectedBy::Certificate, |finding| matches!(finding, Finding::Unusable(_))).await;
    let Finding::Unusable(FileFault::Wrong(what)) = unusable else { panic!("{unusable:?}") };
    assert!(what.contains("is not the key of"), "{what}");
    assert!(kept.tls().is_same(&second));
    kept.files.certify("first", "first");
    kept.until(ProtectedBy::Certificate, |finding| *finding == Finding::Sound).await;
}

#[tokio::test]
async fn an_expired_certificate_is_used_and_reported() {
    let mut kept = Kept::new();
    kept.files.certify("expired", "first");
    let finding = kept.until(ProtectedBy::Certificate, |finding| *finding != Finding::Sound).await;
    // 2025-04-01
    assert_eq!(finding, Finding::Expires(Stamp::from_secs(1_743_465_600)));
}

#[tokio::test]
async fn a_new_token_replaces_the_old_one_and_a_lost_one_does_not() {
    let mut kept = Kept::new();
    let admits = |kept: &Kept, token: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(axum::http::header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        kept.current.borrow().admits("/status", &headers)
    };
    let new = "another-token-of-some-length";
    assert!(admits(&kept, TOKEN) && !admits(&kept, new));
    kept.files.write("token", new, 0o600);
    timeout(DEADLINE, async {
        while !admits(&kept, new) {
            kept.until(ProtectedBy::Token, |_| true).await;
        }
    })
    .await
    .unwrap();
    assert!(!admits(&kept, TOKEN));
    fs::remove_file(kept.files.path("token")).unwrap();
    kept.until(ProtectedBy::Token, |finding| matches!(finding, Finding::Unusable(_))).await;
    assert!(admits(&kept, new) && !admits(&kept, TOKEN));
}
