//! The daemon as a process on the gateway, with only the environment that it needs for AWS.

use std::cell::RefCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use bothends::http::client::{self, Answer, PATIENCE, Server};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::aws::{ACCESS_KEY_ID, RESPONSE_PLAN, SECRET_ACCESS_KEY};
use super::gateway::Gateway;
use super::network::{BgpDaemon, DIRECTORY};
use super::{OUTSIDE, VPN};

/// Its default listen address.
const LISTEN: &str = "127.0.0.1:9846";

/// A configuration of the lab's two tunnels, with the settings that tests change.
pub(crate) struct Config {
    /// The display name of the connection.
    pub(crate) vpn_name: &'static str,
    /// How the connection is routed, if that is configured.
    pub(crate) routing: Option<&'static str>,
    /// The keys of `[probe]`.
    pub(crate) probe: &'static str,
    /// The keys of `[incident]`.
    pub(crate) incident: &'static str,
    /// Further connections.
    pub(crate) further: String,
    /// Every sensor, with the BGP daemon that the gateway has; otherwise none.
    pub(crate) evidence: Option<BgpDaemon>,
}

impl Default for Config {
    /// Short times, so that a test takes seconds; but a charon that waits a second on a busy machine must not be Down.
    fn default() -> Self {
        Self {
            vpn_name: "Lab office",
            routing: Some("bgp"),
            probe: "interval = '200ms'\nsuspect_interval = '100ms'\ntimeout = '2s'",
            incident: "open_after = { outage = '1s', redundancy_lost = '3s' }\nresolve_after = '4s'\nstart_grace = '1s'",
            further: String::new(),
            evidence: None,
        }
    }
}

impl Config {
    fn text(&self) -> String {
        let Self { vpn_name, routing, probe, incident, further, evidence } = self;
        let routing = routing.map(|routing| format!("routing = '{routing}'")).unwrap_or_default();
        let [outside_1, outside_2] = OUTSIDE;
        let sensors = evidence.map(sensors).unwrap_or_default();
        let [of_tunnel_1, of_tunnel_2] =
            [1, 2].map(|number| evidence.map(|_| sensors_of(number)).unwrap_or_default());
        format!(
            "[site]
name = 'lab'
[aws]
region = 'eu-west-1'
poll_interval = '5s'
suspect_poll_interval = '2s'
ec2_telemetry = true
[probe]
{probe}
{sensors}
[[vpn]]
id = '{VPN}'
name = '{vpn_name}'
{routing}
[[vpn.tunnel]]
name = 'tunnel 1'
outside_ip = '{outside_1}'
inside_ip = '169.254.10.1'
source_ip = '169.254.10.2'
interface = 'ipsec0'
{of_tunnel_1}
[[vpn.tunnel]]
name = 'tunnel 2'
outside_ip = '{outside_2}'
inside_ip = '169.254.20.1'
source_ip = '169.254.20.2'
interface = 'ipsec1'
{of_tunnel_2}
{further}
[incident]
{incident}
[[incident.sink]]
type = 'incident_manager'
response_plan = '{RESPONSE_PLAN}'
[cloudwatch]
interval = '10s'
[http]
listen = '{LISTEN}'
"
        )
    }
}

/// Every sensor; how often is short, so that a test takes seconds.
fn sensors(bgp: BgpDaemon) -> String {
    let bgp = match bgp {
        BgpDaemon::Bird => format!("daemon = 'bird'\nsocket = '{DIRECTORY}/bird-cgw.ctl'"),
        BgpDaemon::Frr => format!("daemon = 'frr'\nvtysh = '{DIRECTORY}/vtysh'"),
    };
    format!(
        "[ipsec]
socket = '{DIRECTORY}/cgw1.vici'
[bgp]
{bgp}
monitored_prefixes = ['10.0.0.0/16']
[[uplink]]
name = 'wan'
interface = 'eth0'
references = ['192.0.2.1', '192.0.2.6']
[path]
[mtu]
interval = '10s'
[quality]
after = '1s'"
    )
}

fn sensors_of(tunnel: usize) -> String {
    format!(
        "uplink = 'wan'
ipsec_socket = '{DIRECTORY}/cgw{tunnel}.vici'
[[vpn.tunnel.through]]
host = ['10.0.0.10']
source = '192.168.50.1{tunnel}'"
    )
}

/// A running daemon. Dropping it ends the process; after a panic it also prints the daemon's log.
pub(crate) struct Daemon {
    gateway: Gateway,
    aws_url: String,
    directory: TempDir,
    child: RefCell<Child>,
}

impl Daemon {
    /// Starts it on the gateway.
    pub(crate) fn start(gateway: &Gateway, aws_url: &str, config: &Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(config_path(&directory), config.text()).unwrap();
        let child = RefCell::new(spawn(gateway, aws_url, &directory));
        Self { gateway: gateway.clone(), aws_url: aws_url.to_owned(), directory, child }
    }

    /// Kills it with SIGKILL and starts it again; `meanwhile` gets its state directory.
    pub(crate) fn is_killed_and_started_again(&self, meanwhile: impl FnOnce(&Path)) {
        let mut child = self.child.borrow_mut();
        child.kill().unwrap();
        child.wait().unwrap();
        meanwhile(self.directory.path());
        *child = spawn(&self.gateway, &self.aws_url, &self.directory);
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.directory.path().join("bothends.db")
    }

    /// Writes another configuration and reloads it.
    pub(crate) fn is_reconfigured(&self, config: &Config) {
        self.reads(&config.text());
    }

    /// Writes a text as its configuration and reloads it.
    pub(crate) fn reads(&self, config: &str) {
        fs::write(config_path(&self.directory), config).unwrap();
        let pid = Pid::from_child(&self.child.borrow());
        kill_process(pid, Signal::HUP).unwrap();
    }

    /// Its exit status, if it has ended.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.child.borrow_mut().try_wait().unwrap()
    }

    /// Runs a command of the program beside it, such as `silence list`; returns what it printed.
    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        let done = program(&self.gateway, &self.directory).args(arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// Queries its listener; `None` if nobody answers.
    pub(crate) fn get(&self, path: &str) -> Option<Answer> {
        self.gateway
            .inside(|| client::ask(&Server::parse(LISTEN).unwrap(), &format!("GET {path}"), PATIENCE))
            .ok()
    }

    /// A metric as Prometheus sees it: each sample's labels and value.
    pub(crate) fn samples(&self, metric: &str) -> Vec<(String, f64)> {
        let Some(scrape) = self.get("/metrics") else { return Vec::new() };
        let of_metric = |line: &str| {
            let rest = line.strip_prefix(metric)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            (labels.is_empty() || labels.starts_with('{'))
                .then(|| (labels.to_owned(), value.parse().unwrap()))
        };
        scrape.body.lines().filter_map(of_metric).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        // It may have ended already.
        drop(child.kill());
        drop(child.wait());
        if thread::panicking() {
            eprintln!("--- the daemon\n{}", fs::read_to_string(log(&self.directory)).unwrap_or_default());
        }
    }
}

/// The program on the gateway, with its configuration and directories.
fn program(gateway: &Gateway, directory: &TempDir) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", gateway.name(), env!("CARGO_BIN_EXE_bothends"), "--config"])
        .arg(config_path(directory))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", directory.path())
        .env("STATE_DIRECTORY", directory.path())
        .env("RUNTIME_DIRECTORY", directory.path());
    command
}

fn spawn(gateway: &Gateway, aws_url: &str, directory: &TempDir) -> Child {
    let log = File::options().create(true).append(true).open(log(directory)).unwrap();
    program(gateway, directory)
        .arg("run")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", aws_url)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn config_path(directory: &TempDir) -> PathBuf {
    directory.path().join("bothends.toml")
}

fn log(directory: &TempDir) -> PathBuf {
    directory.path().join("log")
}
