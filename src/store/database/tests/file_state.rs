use super::super::*;

#[test]
fn what_was_removed_replaced_or_cut_is_noticed_and_what_grew_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bothends.db");
    let [log, _] = companions(&path);
    fs::write(&path, "file").unwrap();
    assert_eq!(Left::at(&path).place(&path), FileState::Kept);
    let without_log = Left::at(&path);
    fs::write(&log, "log").unwrap();
    assert_eq!(without_log.place(&path), FileState::Kept);

    let left = Left::at(&path);
    fs::write(&log, "longer log").unwrap();
    assert_eq!(left.place(&path), FileState::Kept);
    fs::write(&log, "").unwrap();
    assert_eq!(left.place(&path), FileState::LogCut);
    let mut emptied = left;
    emptied.written(&path);
    assert_eq!(emptied.place(&path), FileState::Kept, "whoever writes it empties it, too");
    let other = directory.path().join("other");
    fs::write(&other, "another log").unwrap();
    fs::rename(&other, &log).unwrap();
    emptied.written(&path);
    assert_eq!((left.place(&path), emptied.place(&path)), (FileState::WithoutLog, FileState::WithoutLog));
    fs::remove_file(&log).unwrap();
    assert_eq!(left.place(&path), FileState::WithoutLog);
    fs::write(&other, "file").unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(left.place(&path), FileState::Replaced);
    fs::remove_file(&path).unwrap();
    assert_eq!(left.place(&path), FileState::Replaced);
}
