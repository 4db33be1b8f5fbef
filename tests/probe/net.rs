//! Network namespaces, and threads inside them.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::thread::{
    CapabilitySet, CapabilitySets, LinkNameSpaceType, move_into_link_name_space, set_capabilities,
};

/// A network namespace with its loopback up; dropping this deletes it.
#[derive(Debug)]
pub(crate) struct Netns(String);

impl Netns {
    /// A namespace in which these groups, as in `net.ipv4.ping_group_range`, may open ICMP datagram sockets.
    pub(crate) fn with_ping_group_range(range: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let netns = Self(format!("bothends-probe-{}-{count}", std::process::id()));
        ip(&format!("netns add {}", netns.0));
        netns.ip("link set lo up");
        netns.set("net/ipv4/ping_group_range", range);
        netns
    }

    /// Two namespaces in which every group may open ICMP datagram sockets, with a link between them, called `tunnel` in
    /// both.
    pub(crate) fn pair() -> (Self, Self) {
        let [here, there] = [(); 2].map(|()| Self::with_ping_group_range("0 2147483647"));
        here.link_to(&there);
        (here, there)
    }

    /// [`Netns::link`], called `tunnel`.
    pub(crate) fn link_to(&self, there: &Self) {
        self.link("tunnel", there);
    }

    /// Creates a link to another namespace, called the same in both, and waits until it is up: until then the kernel drops
    /// packets.
    pub(crate) fn link(&self, name: &str, there: &Self) {
        ip(&format!("link add {name} netns {} type veth peer name {name} netns {}", self.0, there.0));
        for end in [self, there] {
            end.ip(&format!("link set {name} up"));
        }
        for end in [self, there] {
            end.wait_for(&format!("link show {name}"), "state UP");
        }
    }

    /// `ip ARGUMENTS` in the namespace.
    pub(crate) fn ip(&self, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.0));
    }

    /// Adds an IPv6 address to an interface in the namespace, and waits until packets to it are no longer dropped: the
    /// kernel adds the local route a moment after the address.
    pub(crate) fn add_ipv6(&self, address: &str, options: &str) {
        self.ip(&format!("addr add {address} {options} nodad"));
        let (address, _length) = address.split_once('/').unwrap();
        self.wait_for(&format!("-6 route show table local {address}"), "local");
    }

    fn wait_for(&self, show: &str, shown: &str) {
        for _ in 0..2_000 {
            if ip(&format!("-n {} {show}", self.0)).contains(shown) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("{}: no {shown:?} in ip {show}", self.0);
    }

    /// `nft ARGUMENTS` in the namespace.
    pub(crate) fn nft(&self, arguments: &str) {
        ip(&format!("netns exec {} nft {arguments}", self.0));
    }

    /// Sets a sysctl in the namespace; `sysctl` is its path below `/proc/sys`.
    pub(crate) fn set(&self, sysctl: &str, value: &str) {
        self.run(async || set(sysctl, value));
    }

    /// Like [`Netns::run`], without any capability.
    pub(crate) fn run_unprivileged(&self, test: impl AsyncFnOnce() + Send) {
        self.run_with(CapabilitySet::empty(), test);
    }

    /// Like [`Netns::run`], with the capability that the drop-in cap-net-raw.conf grants.
    pub(crate) fn run_with_net_raw(&self, test: impl AsyncFnOnce() + Send) {
        self.run_with(CapabilitySet::NET_RAW, test);
    }

    fn run_with(&self, granted: CapabilitySet, test: impl AsyncFnOnce() + Send) {
        self.run(async || {
            let none = CapabilitySet::empty();
            let sets = CapabilitySets { effective: granted, permitted: granted, inheritable: none };
            set_capabilities(None, sets).unwrap();
            test().await;
        });
    }

    /// Runs a test on a thread in the namespace, in a current-thread runtime like the probing thread's.
    pub(crate) fn run(&self, test: impl AsyncFnOnce() + Send) {
        let namespace = File::open(format!("/run/netns/{}", self.0)).unwrap();
        let inside = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(test());
        };
        let ended = thread::scope(|scope| scope.spawn(inside).join());
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let deleted = Command::new("ip").args(["netns", "del", &self.0]).status();
        if !deleted.as_ref().is_ok_and(|status| status.success()) {
            eprintln!("{} is left over: {deleted:?}", self.0);
        }
    }
}

/// `ip ARGUMENTS` in the calling thread's namespace; returns the output.
#[track_caller]
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(
        output.status.success(),
        "ip {arguments}: {} (these tests need root)",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Sets `net.ipv4.ping_group_range` in the calling thread's namespace.
pub(crate) fn set_ping_group_range(range: &str) {
    set("net/ipv4/ping_group_range", range);
}

fn set(sysctl: &str, value: &str) {
    // /proc/sys/net shows the namespace of the process that opens the file.
    fs::write(format!("/proc/sys/{sysctl}"), value).unwrap();
}
