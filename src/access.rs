//! Who else can read or replace a file, why somebody cannot read one, and how to read a file that a person named.

mod secret;
mod secret_file;

use std::ffi::CString;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{self, getgrouplist};
use rustix::fs::{Access, access, getxattr};

pub use self::secret::{Secret, has_secret_query, is_drawn, is_uuid, is_within, secret_in};
pub use self::secret_file::{NoSecret, read_secret};

/// No settings or credentials file is longer.
const SIZE_MAX: u64 = 4 * 1024 * 1024;

/// The uid that stands for users unknown to this user namespace (`kernel.overflowuid`).
pub const UNKNOWN_USER: u32 = 65534;

/// The first secret of these kinds in a file that every user of the host can read, by its mode and those of the directories on
/// its path. A file that is not regular (`/dev/null`, a pipe), does not exist or is unreadable for us counts as without secrets.
///
/// # Errors
/// The file could not be read to its end.
pub fn exposed(path: &Path, sorts: &[Secret]) -> io::Result<Option<(usize, Secret)>> {
    let readable = |metadata: &Metadata| {
        metadata.is_file() && metadata.permissions().mode() & 0o004 != 0 && everybody_reaches(path)
    };
    // Checked before it is opened: opening a pipe would wait for its writer.
    match path.metadata() {
        Ok(metadata) if readable(&metadata) => {}
        Ok(_) => return Ok(None),
        Err(error) if is_out_of_reach(&error) => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(SIZE_MAX).read_to_end(&mut bytes)) {
        Ok(_) => Ok(secret_in(&String::from_utf8_lossy(&bytes), sorts)),
        Err(error) if is_out_of_reach(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_out_of_reach(error: &io::Error) -> bool {
    [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::PermissionDenied].contains(&error.kind())
}

/// Whether every user of the host has any right to a file that is a secret as a whole, such as a token's.
pub fn is_open_to_all(path: &Path, metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o007 != 0 && everybody_reaches(path)
}

/// How somebody other than root and us can change or replace a file, or a directory's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// As its owner.
    Owner(u32),
    /// As a member of its group.
    Group,
    /// As any user of this host. A directory's sticky bit prevents others from replacing a file, but not from adding one; it does
    /// not help.
    Anybody,
}

/// Whether somebody other than root and `us` may change it.
pub fn foreign(metadata: &Metadata, us: u32) -> Option<Foreign> {
    judge(metadata.uid(), metadata.permissions().mode(), us)
}

const fn judge(owner: u32, mode: u32, us: u32) -> Option<Foreign> {
    if owner != 0 && owner != us {
        Some(Foreign::Owner(owner))
    } else if mode & 0o002 != 0 {
        Some(Foreign::Anybody)
    } else if mode & 0o020 != 0 {
        Some(Foreign::Group)
    } else {
        None
    }
}

/// Limit on links to links; the kernel's own is the same (path_resolution(7)).
const LINKS_MAX: usize = 40;

const READ: u32 = 0o4;
const WRITE: u32 = 0o2;
const ENTER: u32 = 0o1;

/// What prevents somebody from reading a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// This directory on its path may not be entered.
    Directory(PathBuf),
    /// The file's own permissions.
    Itself,
}

/// What prevents this process from reading `path`, which it was denied.
pub fn obstacle_to_us(path: &Path) -> Obstacle {
    match closed(path, &|directory| access(directory, Access::EXEC_OK).is_ok(), LINKS_MAX) {
        Some(directory) => Obstacle::Directory(directory),
        None => Obstacle::Itself,
    }
}

/// Whether every user of this host can enter every directory on the path.
pub(super) fn everybody_reaches(path: &Path) -> bool {
    // A user who cannot reach the link may still reach its target by another path.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let enters = |directory: &Path| grants(directory, |metadata| metadata.permissions().mode() & ENTER != 0);
    closed(&target, &enters, LINKS_MAX).is_none()
}

/// A user of this host, with his groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    uid: u32,
    groups: Vec<u32>,
}

impl User {
    /// Looks the name up; `None` if this host does not know it.
    pub fn named(name: &str) -> Option<Self> {
        let user = unistd::User::from_name(name).ok().flatten()?;
        let groups = getgrouplist(&CString::new(name).ok()?, user.gid).ok()?;
        Some(Self { uid: user.uid.as_raw(), groups: groups.into_iter().map(unistd::Gid::as_raw).collect() })
    }

    /// The user id.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// The group ids, the primary group first.
    pub fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// The same user as a member of these groups too, if this host has them.
    #[must_use]
    pub fn also_in<'g>(mut self, groups: impl Iterator<Item = &'g str>) -> Self {
        let known = groups.filter_map(|name| unistd::Group::from_name(name).ok().flatten());
        self.groups.extend(known.map(|group| group.gid.as_raw()));
        self
    }

    /// What prevents him from reading `path` by the permission bits. An access control list may differ, so a file or directory
    /// with one counts as readable.
    pub fn obstacle(&self, path: &Path) -> Option<Obstacle> {
        self.obstacle_to(READ, path)
    }

    /// The same for connecting to a socket, which takes the right to write to it (unix(7)).
    pub fn obstacle_to_connecting(&self, socket: &Path) -> Option<Obstacle> {
        self.obstacle_to(WRITE, socket)
    }

    fn obstacle_to(&self, right: u32, path: &Path) -> Option<Obstacle> {
        let enters = |directory: &Path| grants(directory, |metadata| self.may(ENTER, metadata));
        match closed(path, &enters, LINKS_MAX) {
            Some(directory) => Some(Obstacle::Directory(directory)),
            None if grants(path, |metadata| self.may(right, metadata)) => None,
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

/// A file whose metadata cannot be read counts as readable: its user then reports the error.
fn grants(path: &Path, by_mode: impl Fn(&Metadata) -> bool) -> bool {
    let has_list = || getxattr(path, "system.posix_acl_access", &mut [0_u8; 0]).is_ok();
    path.metadata().is_ok_and(|metadata| by_mode(&metadata)) || path.metadata().is_err() || has_list()
}

/// The first directory on the path that cannot be entered; for a link, on its target's path too.
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

/// Why a file was not read.
#[derive(Debug)]
pub enum Unread {
    /// The system's error.
    Failed(io::Error),
    /// It is not a regular file.
    NotRegular(&'static str),
    /// It is longer than `longest`.
    TooLong,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "{error}"),
            Self::NotRegular(what) => write!(f, "it is {what}, not a regular file"),
            Self::TooLong => f.write_str("it is too long"),
        }
    }
}

impl From<Unread> for io::Error {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Failed(error) => error,
            Unread::NotRegular("a directory") => ErrorKind::IsADirectory.into(),
            Unread::NotRegular(_) => Self::new(ErrorKind::InvalidInput, unread.to_string()),
            Unread::TooLong => Self::new(ErrorKind::FileTooLarge, unread.to_string()),
        }
    }
}

/// The bytes of a regular file of at most `longest` bytes. A person may have named a log, a pipe, a terminal or a disk by
/// mistake. Opening never blocks: without `O_NONBLOCK` opening a pipe would wait for a writer, and without `O_NOCTTY` a terminal
/// could become ours (open(2)).
///
/// # Errors
/// See [`Unread`].
pub fn read_regular(path: &Path, longest: u64) -> Result<Vec<u8>, Unread> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(Unread::Failed)?;
    let metadata = file.metadata().map_err(Unread::Failed)?;
    let kind = metadata.file_type();
    if !kind.is_file() {
        return Err(Unread::NotRegular(if kind.is_dir() {
            "a directory"
        } else if kind.is_fifo() {
            "a pipe"
        } else {
            "a device"
        }));
    }
    if metadata.len() > longest {
        return Err(Unread::TooLong);
    }
    let mut bytes = Vec::new();
    // The file may grow meanwhile; files in /proc report no length.
    file.take(longest + 1).read_to_end(&mut bytes).map_err(Unread::Failed)?;
    if bytes.len() as u64 > longest { Err(Unread::TooLong) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_secret_is_exposed_where_every_user_may_read_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let set_mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        set_mode(directory.path(), 0o755);
        let file = directory.path().join("credentials");
        assert_eq!(exposed(&file, &Secret::ALL).unwrap(), None, "a file that is not there");
        fs::write(&file, "").unwrap();
        set_mode(&file, 0o644);
        assert_eq!(exposed(&file, &Secret::ALL).unwrap(), None, "an empty file");
        fs::write(&file, "aws_session_token = x").unwrap();
        assert_eq!(exposed(&file, &Secret::ALL).unwrap(), Some((1, Secret::AwsSessionToken)));
        set_mode(directory.path(), 0o750);
        assert_eq!(exposed(&file, &Secret::ALL).unwrap(), None, "a file that others may not get to");
        set_mode(directory.path(), 0o755);
        set_mode(&file, 0o640);
        assert_eq!(exposed(&file, &Secret::ALL).unwrap(), None, "a file that others may not read");
        for other in ["/dev/null", "/dev/zero", "/dev/null/credentials"].map(Path::new) {
            assert_eq!(exposed(other, &Secret::ALL).unwrap(), None, "{}", other.display());
        }
        assert_eq!(exposed(directory.path(), &Secret::ALL).unwrap(), None, "a directory");
    }

    #[test]
    fn only_root_and_we_may_own_or_write() {
        assert_eq!(judge(0, 0o100_644, 991), None);
        assert_eq!(judge(991, 0o100_600, 991), None);
        assert_eq!(judge(0, 0o040_755, 0), None);
        assert_eq!(judge(1000, 0o100_600, 991), Some(Foreign::Owner(1000)));
        assert_eq!(judge(1000, 0o100_600, 0), Some(Foreign::Owner(1000)), "root does as its owner says");
        assert_eq!(judge(0, 0o100_664, 991), Some(Foreign::Group));
        assert_eq!(judge(991, 0o100_666, 991), Some(Foreign::Anybody));
        assert_eq!(judge(0, 0o041_777, 991), Some(Foreign::Anybody), "sticky: a file can be added");
    }

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
    fn the_first_directory_that_cannot_be_entered_is_the_obstacle_and_then_the_file_itself() {
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
    fn the_target_of_a_link_counts_as_well() {
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
    fn a_file_is_reachable_for_everybody_only_if_every_directory_up_to_the_root_is() {
        let root = tree();
        let file = root.path().join("a/b/file");
        assert!(everybody_reaches(&file));
        set_mode(&root, "a", 0o750);
        assert!(!everybody_reaches(&file));
        // The path of a link's target counts.
        let elsewhere = tree();
        let link = root.path().join("a/link");
        symlink(elsewhere.path().join("a/b/file"), &link).unwrap();
        assert!(everybody_reaches(&link));
    }

    #[test]
    fn root_is_found_by_name_and_an_unknown_name_is_not() {
        let root = User::named("root").unwrap();
        assert_eq!(root.uid(), 0);
        assert!(root.groups.contains(&0));
        assert_eq!(User::named("no-such-user-here"), None);
    }

    #[test]
    fn a_regular_file_is_read_up_to_the_given_length() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "12345").unwrap();
        assert_eq!(read_regular(file.path(), 5).unwrap(), b"12345");
        assert!(matches!(read_regular(file.path(), 4), Err(Unread::TooLong)));
    }

    #[test]
    fn anything_but_a_regular_file_is_refused_without_blocking() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        for (path, what) in [
            (pipe.as_path(), "a pipe"),
            (Path::new("/dev/zero"), "a device"),
            (Path::new("/dev/null"), "a device"),
            (directory.path(), "a directory"),
        ] {
            assert!(matches!(read_regular(path, 10), Err(Unread::NotRegular(is)) if is == what), "{what}");
        }
        // A socket cannot be opened at all.
        let socket = directory.path().join("socket");
        let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(matches!(read_regular(&socket, 10), Err(Unread::Failed(_))));
    }
}
