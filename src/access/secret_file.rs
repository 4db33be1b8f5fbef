//! A file that is a secret as a whole: a token, a key.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::{Unread, is_open_to_all, read_regular};

/// Longer than any token or key; a longer file is something else.
const LONGEST: u64 = 16 * 1024;

/// Why a secret could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSecret {
    /// It does not exist, or is not readable for us: another user, or systemd's unit, may be able to read it.
    OutOfReach(String),
    /// It exists and is unusable.
    Wrong(String),
}

impl NoSecret {
    /// What is wrong and what to do, without the secret.
    pub fn into_text(self) -> String {
        match self {
            Self::OutOfReach(what) | Self::Wrong(what) => what,
        }
    }
}

/// The file's text without surrounding blanks. Blocks for as long as the disk does.
///
/// # Errors
/// It cannot be read, everybody can read it, or it is no text or empty.
pub fn read_secret(path: &Path) -> Result<String, NoSecret> {
    let shown = path.display();
    let unread = |error: &std::io::Error| {
        let what =
            format!("the secret {shown} cannot be read ({error}); fix the path, or let the daemon read it");
        if [ErrorKind::NotFound, ErrorKind::PermissionDenied].contains(&error.kind()) {
            NoSecret::OutOfReach(what)
        } else {
            NoSecret::Wrong(what)
        }
    };
    let wrong = |what: &str| Err(NoSecret::Wrong(format!("the secret {shown} {what}")));
    let meta = fs::metadata(path).map_err(|error| unread(&error))?;
    if meta.is_file() && is_open_to_all(path, &meta) {
        return wrong(&format!("can be read by everybody; chmod o-rwx {shown}"));
    }
    let bytes = match read_regular(path, LONGEST) {
        Ok(bytes) => bytes,
        Err(Unread::Failed(error)) => return Err(unread(&error)),
        Err(Unread::NotRegular(what)) => {
            return wrong(&format!("is {what}, not a regular file; fix the path"));
        }
        Err(Unread::TooLong) => return wrong("is too long for a secret; fix the path"),
    };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return wrong("is not text; fix the path");
    };
    let text = text.trim();
    if text.is_empty() {
        return wrong("is empty; fill it in");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_read_without_blanks_and_refused_if_others_can_read_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let set = |text: &str, mode: u32| {
            fs::write(file.path(), text).unwrap();
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            read_secret(file.path()).map_err(NoSecret::into_text)
        };
        assert_eq!(set(" key-1\n", 0o600), Ok("key-1".to_owned()));
        assert_eq!(set("key-1", 0o640), Ok("key-1".to_owned()));
        for mode in [0o644, 0o602, 0o601] {
            let refused = set("key-1", mode).unwrap_err();
            assert!(refused.contains("chmod o-rwx /") && !refused.contains("key-1"), "{refused}");
        }
        assert!(set("\n", 0o600).unwrap_err().contains("is empty"));
        assert!(set(&"x".repeat(20_000), 0o600).unwrap_err().contains("too long"));
        let Err(NoSecret::OutOfReach(what)) = read_secret(Path::new("/nonexistent/key")) else { panic!() };
        assert!(what.contains("/nonexistent/key cannot be read"), "{what}");
    }
}
