//! What must reach no log: kept in a file, read for each try, so that a new one counts at once.

use std::fs;
use std::path::{Path, PathBuf};

use crate::access;

/// Longer than any token; a file that is longer is something else.
const LONGEST: u64 = 16 * 1024;

/// A file that holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret(pub PathBuf);

impl Secret {
    /// The file's text without blanks around it. A disk that hangs must not hold up the thread that speaks to everybody.
    pub(super) async fn read(&self) -> Result<String, String> {
        let path = self.0.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        read.unwrap_or_else(|_| Err(format!("{} could not be read", self.0.display())))
    }
}

fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let unread = |error: &std::io::Error| {
        format!("the secret {shown} cannot be read ({error}); correct the path, or let the daemon read it")
    };
    let meta = fs::metadata(path).map_err(|error| unread(&error))?;
    if access::is_open_to_all(path, &meta) {
        return Err(format!("the secret {shown} can be read by everybody; chmod o-rwx {shown}"));
    }
    if meta.len() > LONGEST {
        return Err(format!("the secret {shown} is longer than any secret; correct the path"));
    }
    let text = fs::read_to_string(path).map_err(|error| unread(&error))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("the secret {shown} is empty; fill it in"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_read_without_blanks_and_refused_where_others_may_read_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let set = |text: &str, mode: u32| {
            fs::write(file.path(), text).unwrap();
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            read(file.path())
        };
        assert_eq!(set(" key-1\n", 0o600), Ok("key-1".to_owned()));
        assert_eq!(set("key-1", 0o640), Ok("key-1".to_owned()));
        for mode in [0o644, 0o602, 0o601] {
            let refused = set("key-1", mode).unwrap_err();
            assert!(refused.contains("chmod o-rwx /") && !refused.contains("key-1"), "{refused}");
        }
        assert!(set("\n", 0o600).unwrap_err().contains("is empty"));
        assert!(set(&"x".repeat(20_000), 0o600).unwrap_err().contains("longer"));
        assert!(read(Path::new("/nonexistent/key")).unwrap_err().contains("/nonexistent/key cannot be read"));
    }
}
