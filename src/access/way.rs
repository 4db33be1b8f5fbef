//! Whether somebody gets as far as a file, and what is in the way if not.

use std::ffi::CString;
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{self, getgrouplist};
use rustix::fs::{Access, access, getxattr};

/// Links to links; the kernel follows as many (path_resolution(7)).
const LINKS_MAX: usize = 40;

const READ: u32 = 0o4;
const ENTER: u32 = 0o1;

/// What keeps somebody from reading a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// This directory, on the way to it, may not be entered.
    Directory(PathBuf),
    /// It itself.
    Itself,
}

/// What keeps this process from reading `path`, which it was denied.
pub fn obstacle_to_us(path: &Path) -> Obstacle {
    match closed(path, &|directory| access(directory, Access::EXEC_OK).is_ok(), LINKS_MAX) {
        Some(directory) => Obstacle::Directory(directory),
        None => Obstacle::Itself,
    }
}

/// Whether every user of this host gets into every directory on the way to `path`.
pub(super) fn everybody_reaches(path: &Path) -> bool {
    // Whoever cannot take the way by a link may take the one to its target.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let enters = |directory: &Path| grants(directory, |metadata| metadata.permissions().mode() & ENTER != 0);
    closed(&target, &enters, LINKS_MAX).is_none()
}

/// A user of this host, with the groups he is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    uid: u32,
    groups: Vec<u32>,
}

impl User {
    /// The user of this name, if this host knows one.
    pub fn named(name: &str) -> Option<Self> {
        let user = unistd::User::from_name(name).ok().flatten()?;
        let groups = getgrouplist(&CString::new(name).ok()?, user.gid).ok()?;
        Some(Self { uid: user.uid.as_raw(), groups: groups.into_iter().map(unistd::Gid::as_raw).collect() })
    }

    /// His number.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// The numbers of the groups he is in, his own first.
    pub fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// What keeps him from reading `path`, as the modes have it. An access control list may say otherwise, so a file or
    /// directory that has one is taken for open.
    pub fn obstacle(&self, path: &Path) -> Option<Obstacle> {
        let enters = |directory: &Path| grants(directory, |metadata| self.may(ENTER, metadata));
        match closed(path, &enters, LINKS_MAX) {
            Some(directory) => Some(Obstacle::Directory(directory)),
            None if grants(path, |metadata| self.may(READ, metadata)) => None,
            None => Some(Obstacle::Itself),
        }
    }

    fn may(&self, right: u32, metadata: &Metadata) -> bool {
        let shift = if metadata.uid() == self.uid {
            6
        } else if self.groups.contains(&metadata.gid()) {
            3
        } else {
            0
        };
        self.uid == 0 || (metadata.permissions().mode() >> shift) & right != 0
    }
}

/// What cannot be looked at is taken for open: then whoever is to use it says what is wrong.
fn grants(path: &Path, by_mode: impl Fn(&Metadata) -> bool) -> bool {
    let has_list = || getxattr(path, "system.posix_acl_access", &mut [0_u8; 0]).is_ok();
    path.metadata().is_ok_and(|metadata| by_mode(&metadata)) || path.metadata().is_err() || has_list()
}

/// The first directory on the way to `path` that is not entered; of a link, also on the way to its target.
fn closed(path: &Path, enters: &impl Fn(&Path) -> bool, links: usize) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let mut directories: Vec<_> = path.ancestors().skip(1).collect();
    directories.reverse();
    let behind = |link: &Path| {
        let target = link.parent()?.join(link.read_link().ok()?);
        closed(&target, enters, links.checked_sub(1)?)
    };
    let shut =
        |directory: &Path| behind(directory).or_else(|| (!enters(directory)).then(|| directory.to_owned()));
    directories.into_iter().find_map(shut).or_else(|| behind(&path))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    const SOMEBODY: u32 = 4711;

    /// `a/b/file`, which everybody may read.
    fn tree() -> TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/file"), "").unwrap();
        for (path, mode) in [("", 0o755), ("a", 0o755), ("a/b", 0o755), ("a/b/file", 0o644)] {
            set_mode(&root, path, mode);
        }
        root
    }

    fn set_mode(root: &TempDir, path: &str, mode: u32) {
        fs::set_permissions(root.path().join(path), Permissions::from_mode(mode)).unwrap();
    }

    fn user(uid: u32, group: u32) -> User {
        User { uid, groups: vec![group] }
    }

    #[test]
    fn the_first_directory_that_may_not_be_entered_is_in_the_way_and_then_the_file_itself() {
        let root = tree();
        let [a, b, file] = ["a", "a/b", "a/b/file"].map(|path| root.path().join(path));
        let somebody = user(SOMEBODY, SOMEBODY);
        assert_eq!(somebody.obstacle(&file), None);
        set_mode(&root, "a/b/file", 0o640);
        assert_eq!(somebody.obstacle(&file), Some(Obstacle::Itself));
        set_mode(&root, "a/b", 0o744);
        assert_eq!(somebody.obstacle(&file), Some(Obstacle::Directory(b)));
        set_mode(&root, "a", 0o700);
        assert_eq!(somebody.obstacle(&file), Some(Obstacle::Directory(a)));
    }

    #[test]
    fn rights_are_the_owners_or_the_groups_or_everybodys_and_not_their_sum() {
        let root = tree();
        let file = root.path().join("a/b/file");
        let (owner, group) = file.metadata().map(|found| (found.uid(), found.gid())).unwrap();
        set_mode(&root, "a/b/file", 0o640);
        assert_eq!(user(SOMEBODY, group).obstacle(&file), None);
        set_mode(&root, "a/b/file", 0o604);
        assert_eq!(user(SOMEBODY, group).obstacle(&file), Some(Obstacle::Itself));
        assert_eq!(user(SOMEBODY, SOMEBODY).obstacle(&file), None);
        set_mode(&root, "a/b/file", 0o000);
        assert_eq!(user(owner, group).obstacle(&file).is_none(), owner == 0, "root reads everything");
    }

    #[test]
    fn what_lies_behind_a_link_counts_as_well() {
        let (root, elsewhere) = (tree(), tree());
        let there = elsewhere.path().join("a");
        let somebody = user(SOMEBODY, SOMEBODY);
        for (link, target) in [("file-link", "a/b/file"), ("directory-link", "a/b")] {
            symlink(elsewhere.path().join(target), root.path().join(link)).unwrap();
        }
        for path in ["file-link", "directory-link/file"] {
            let path = root.path().join(path);
            set_mode(&elsewhere, "a", 0o755);
            assert_eq!(somebody.obstacle(&path), None);
            set_mode(&elsewhere, "a", 0o700);
            assert_eq!(somebody.obstacle(&path), Some(Obstacle::Directory(there.clone())));
        }
    }

    #[test]
    fn a_link_to_itself_leads_nowhere_and_ends() {
        let root = tree();
        let link = root.path().join("link");
        symlink(&link, &link).unwrap();
        assert_eq!(user(SOMEBODY, SOMEBODY).obstacle(&link), None);
    }

    #[test]
    fn a_file_is_within_everybodys_reach_only_if_every_directory_up_to_the_root_is() {
        let root = tree();
        let file = root.path().join("a/b/file");
        assert!(everybody_reaches(&file));
        set_mode(&root, "a", 0o750);
        assert!(!everybody_reaches(&file));
        // The way of a link's target is the one that counts.
        let elsewhere = tree();
        let link = root.path().join("a/link");
        symlink(elsewhere.path().join("a/b/file"), &link).unwrap();
        assert!(everybody_reaches(&link));
    }

    #[test]
    fn root_is_known_by_name_and_nobody_of_no_name() {
        let root = User::named("root").unwrap();
        assert_eq!(root.uid(), 0);
        assert!(root.groups.contains(&0));
        assert_eq!(User::named("no-such-user-here"), None);
    }
}
