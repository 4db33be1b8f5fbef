//! The process: its environment, and how it ends; and the programs that it runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, setrlimit};
use tokio::process::{Child, Command};

/// The environment, as far as it is text.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The user that this process acts as.
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The resources that this process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// Open descriptors.
    pub files: u64,
    /// Bytes of memory, where there is a limit.
    pub memory: Option<u64>,
}

impl Granted {
    /// The limits of the kernel and systemd for this process: the hard ones, whatever the soft limit is.
    pub fn here() -> Self {
        Self { files: getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX), memory: memory_max() }
    }
}

/// Raises the soft limit of descriptors to the hard one, which is what the operator granted: the soft one is 1,024 only because of
/// select(2), which nothing here calls (systemd.exec(5), LimitNOFILE=). Returns the resulting limit.
pub fn raise_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // If refused it stays as it was; the needs of the configuration are compared with the hard limit.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let holds = if raised.is_ok() { limit.maximum } else { limit.current };
    holds.unwrap_or(u64::MAX)
}

/// The lowest `memory.max` of this process's control group and those above it (cgroups(7), version 2).
fn memory_max() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let all = Path::new("/sys/fs/cgroup").join(group);
    let limits = all.ancestors().take_while(|group| group.starts_with("/sys/fs/cgroup"));
    limits
        .filter_map(|group| std::fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok())
        .min()
}

/// A program that runs, with all its children, in a process group; killed when dropped, and so when the daemon ends.
#[derive(Debug)]
pub struct Group {
    /// The program.
    pub child: Child,
    id: Option<Pid>,
}

impl Group {
    /// Starts it.
    pub fn start(program: &mut Command) -> std::io::Result<Self> {
        let child = program.process_group(0).kill_on_drop(true).spawn()?;
        // The leader keeps its id until it has been waited for.
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { child, id })
    }

    /// Kills all of it.
    pub fn kill(&mut self) {
        if let Some(group) = self.id.take() {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a command ended, in the numbers of sysexits(3), which service managers and Ansible read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Success,
    /// The command worked and its result is bad: a tunnel did not answer, the daemon does not answer, something is degraded.
    BadNews,
    /// A connection is down; only `status` returns it.
    Down,
    /// The state is unknown; only `status` returns it. Monitoring systems that run plugins like Nagios take codes from 4 on as
    /// critical.
    Unknown,
    /// The arguments were wrong (EX_USAGE).
    Usage,
    /// Something that should not happen (EX_SOFTWARE).
    Internal,
    /// A permission is missing (EX_NOPERM).
    Permission,
    /// The configuration is wrong (EX_CONFIG).
    Configuration,
}

impl Exit {
    /// Every code.
    pub const ALL: [Self; 6] =
        [Self::Success, Self::BadNews, Self::Usage, Self::Internal, Self::Permission, Self::Configuration];

    /// The status with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::BadNews => 1,
            Self::Down => 2,
            Self::Unknown => 3,
            Self::Usage => 64,
            Self::Internal => 70,
            Self::Permission => 77,
            Self::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
