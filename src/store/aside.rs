//! A damaged file is moved out of the way and kept: what it still holds is for a person to look at.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::open::companions;
use crate::domain::time::Stamp;

/// Names the file, with its log and shared memory, after the time of the find, such as
/// `bothends.db.damaged-2026-11-23T01-20-00Z`. Returns its path. Nothing that has the name already is lost.
pub(super) fn set_aside(path: &Path, now: Stamp) -> io::Result<PathBuf> {
    let aside = free_name(path, now);
    // The file goes last: as long as it is there, the next try finds it damaged and sets it aside.
    for (from, to) in companions(path).into_iter().zip(companions(&aside)) {
        if from.try_exists()? {
            fs::rename(from, to)?;
        }
    }
    fs::rename(path, &aside)?;
    Ok(aside)
}

fn free_name(path: &Path, now: Stamp) -> PathBuf {
    // Without colons, which some file systems and archives do not take.
    let date = jiff::Timestamp::from_millisecond(now.as_millis())
        .map_or_else(|_| now.as_millis().to_string(), |at| at.strftime("%Y-%m-%dT%H-%M-%SZ").to_string());
    let named = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{date}{suffix}"));
        PathBuf::from(name)
    };
    let taken = |name: &PathBuf| {
        fs::symlink_metadata(name).is_ok()
            || companions(name).iter().any(|one| fs::symlink_metadata(one).is_ok())
    };
    let mut name = named("");
    let mut further = 2_u32;
    while taken(&name) {
        name = named(&format!("-{further}"));
        further += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_the_time_and_takes_no_name_that_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bothends.db");
        let [log, _] = companions(&path);
        let now = Stamp::from_secs(1_795_392_000);
        for text in ["one", "two"] {
            fs::write(&path, text).unwrap();
            fs::write(&log, format!("log of {text}")).unwrap();
            set_aside(&path, now).unwrap();
        }
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(read("bothends.db.damaged-2026-11-23T00-00-00Z"), "one");
        assert_eq!(read("bothends.db.damaged-2026-11-23T00-00-00Z-wal"), "log of one");
        assert_eq!(read("bothends.db.damaged-2026-11-23T00-00-00Z-2"), "two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4);
    }
}
