//! A site: a network namespace with the tunnels' addresses, an AWS to call from there, and the daemon's files.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::stand_in::{self, Settings, StandIn};
use super::net::Netns;
use super::process::{Daemon, Ended};
use super::wait::until;

/// The connection that [`Home`] configures, with the tunnels [`ONE`] and [`TWO`].
pub(super) const MILAN: &str = "vpn-0123456789abcdef0";
/// In another Region, with the tunnels [`THREE`] and [`FOUR`], which are IPv6 inside.
pub(super) const ROME: &str = "vpn-0fedcba9876543210";
/// With the one tunnel [`FIVE`].
pub(super) const TURIN: &str = "vpn-00112233";

pub(super) const ONE: Tunnel = Tunnel::new("203.0.113.11", "169.254.10.1", "169.254.10.2");
pub(super) const TWO: Tunnel = Tunnel::new("203.0.113.12", "169.254.11.1", "169.254.11.2");
pub(super) const THREE: Tunnel = Tunnel::new("198.51.100.21", "fd00:10::1", "fd00:10::2");
pub(super) const FOUR: Tunnel = Tunnel::new("198.51.100.22", "fd00:11::1", "fd00:11::2");
pub(super) const FIVE: Tunnel = Tunnel::new("192.0.2.31", "169.254.12.1", "169.254.12.2");

pub(super) const REGION: &str = "eu-west-1";
pub(super) const ROMES_REGION: &str = "eu-central-1";
pub(super) const PLAN: &str = "arn:aws:ssm-incidents::123456789012:response-plan/bothends";
pub(super) const ROMES_PLAN: &str = "arn:aws:ssm-incidents::123456789012:response-plan/rome";
/// Merges every create into its open record.
pub(super) const MERGING_PLAN: &str = "arn:aws:ssm-incidents::123456789012:response-plan/merging";
pub(super) const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:vpn-alerts";
/// In another Region.
pub(super) const ROMES_TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:vpn-alerts";
/// Roles that the stand-in lets anybody assume.
pub(super) const WATCHER: &str = "arn:aws:iam::123456789012:role/watcher";
pub(super) const PAGER: &str = "arn:aws:iam::123456789012:role/pager";

pub(super) const SECRET: &str = "a-secret-that-only-the-stand-in-knows";
pub(super) const PRE_SHARED_KEY: &str = "pre.shared_key.of.a.tunnel";
const ACCESS_KEY: &str = "AKIASTANDINEXAMPLE01";

/// Datagram ICMP sockets for every group.
const OPEN: &str = "0 2147483647";

/// A tunnel's addresses, all of them on the namespace.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) outside: &'static str,
    inside: &'static str,
    source: &'static str,
}

impl Tunnel {
    const fn new(outside: &'static str, inside: &'static str, source: &'static str) -> Self {
        Self { outside, inside, source }
    }

    /// As in the configuration.
    pub(super) fn toml(&self) -> String {
        let Self { outside, inside, source } = self;
        format!(
            "[[vpn.tunnel]]\noutside_ip = \"{outside}\"\ninside_ip = \"{inside}\"\nsource_ip = \"{source}\"\n"
        )
    }

    fn set(&self) -> &'static str {
        if self.inside.contains(':') { "inside6" } else { "inside4" }
    }
}

/// A daemon's files, and its listen address.
#[derive(Debug)]
pub(super) struct Home {
    directory: PathBuf,
    pub(super) listen: SocketAddr,
}

impl Home {
    /// A gateway of this name that monitors [`MILAN`]; an outage pages at once, other kinds do not within a test.
    fn new(directory: PathBuf, name: &str, port: u16) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], port));
        let home = Self { directory, listen };
        fs::create_dir_all(home.directory.join("conf.d")).unwrap();
        fs::create_dir(home.runtime()).unwrap();
        let (one, two, store) = (ONE.toml(), TWO.toml(), home.store());
        let text = format!(
            r#"
[site]
name = "{name}"
[aws]
region = "{REGION}"
poll_interval = "5s"
suspect_poll_interval = "2s"
[probe]
interval = "200ms"
suspect_interval = "100ms"
timeout = "500ms"
down_after = 5
up_after = 3
[[vpn]]
id = "{MILAN}"
name = "Milan DC"
runbook_url = "https://wiki.example.com/vpn"
{one}
{two}
[incident]
open_after = {{ outage = "0s", redundancy_lost = "1h" }}
resolve_after = "10s"
start_grace = "0s"
[[incident.sink]]
type = "incident_manager"
response_plan = "{PLAN}"
[cloudwatch]
interval = "10s"
[http]
listen = "{listen}"
[store]
path = "{}"
"#,
            store.display()
        );
        fs::write(home.config(), text).unwrap();
        home
    }

    pub(super) fn config(&self) -> PathBuf {
        self.directory.join("bothends.toml")
    }

    pub(super) fn store(&self) -> PathBuf {
        self.directory.join("state/bothends.db")
    }

    /// The directory that systemd creates for `RuntimeDirectory=`.
    pub(super) fn runtime(&self) -> PathBuf {
        self.directory.join("run")
    }

    pub(super) fn control_socket(&self) -> PathBuf {
        self.runtime().join("control.sock")
    }

    /// Where systemd listens for notifications.
    pub(super) fn notify_socket(&self) -> PathBuf {
        self.directory.join("notify")
    }

    /// A file in `HOME`, `conf.d` or the directory itself.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file in `conf.d`: its keys override, its connections and sinks are added.
    pub(super) fn add(&self, name: &str, text: &str) {
        fs::write(self.directory.join("conf.d").join(name), text).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.directory.join("conf.d").join(name)).unwrap();
    }

    /// Changes the main file.
    pub(super) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(from), "{from:?} is not in\n{text}");
        fs::write(self.config(), text.replace(from, to)).unwrap();
    }
}

pub(super) struct Site {
    pub(super) here: Netns,
    pub(super) home: Home,
    aws: StandIn,
    directory: TempDir,
}

impl Site {
    /// Every tunnel is up, and AWS reports so.
    pub(super) fn new() -> Self {
        Self::with(json!({}))
    }

    /// The same with an AWS with other settings.
    pub(super) fn with(other: Value) -> Self {
        let here = Netns::with_ping_group_range(OPEN);
        for Tunnel { outside: _, inside, source } in [ONE, TWO, THREE, FOUR, FIVE] {
            let (length, dad) = if source.contains(':') { (128, "nodad") } else { (32, "") };
            here.ip(&format!("addr add {source}/{length} dev lo {dad}"));
            // AWS's end answers here, too, without being an address of this host.
            here.ip(&format!("route add local {inside}/{length} dev lo"));
        }
        here.nft(
            "add table inet cut ; \
             add set inet cut inside4 { type ipv4_addr ; } ; \
             add set inet cut inside6 { type ipv6_addr ; } ; \
             add chain inet cut in { type filter hook input priority 0 ; } ; \
             add rule inet cut in ip daddr @inside4 drop ; \
             add rule inet cut in ip6 daddr @inside6 drop",
        );
        let listener = inside(&here, || TcpListener::bind("127.0.0.1:0").unwrap());
        let aws = StandIn::start(listener, settings(other)).unwrap();
        let directory = TempDir::new().unwrap();
        // As with /etc: everybody can reach the files in it.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let home = Home::new(directory.path().join("milan-1"), "milan-1", 9846);
        Self { here, home, aws, directory }
    }

    /// The home of another gateway of the same connection.
    pub(super) fn twin(&self) -> Home {
        Home::new(self.directory.path().join("milan-2"), "milan-2", 9847)
    }

    //--- the network

    /// Nothing reaches AWS's end of these tunnels any more.
    pub(super) fn cut(&self, tunnels: &[&Tunnel]) {
        for tunnel in tunnels {
            self.here.nft(&format!("add element inet cut {} {{ {} }}", tunnel.set(), tunnel.inside));
        }
    }

    pub(super) fn heal(&self, tunnels: &[&Tunnel]) {
        for tunnel in tunnels {
            self.here.nft(&format!("delete element inet cut {} {{ {} }}", tunnel.set(), tunnel.inside));
        }
    }

    /// How many packets have passed the namespace's only interface.
    pub(super) fn packets(&self) -> u64 {
        let devices = inside(&self.here, || fs::read_to_string("/proc/thread-self/net/dev").unwrap());
        let lo = devices.lines().find_map(|line| line.trim().strip_prefix("lo:")).unwrap();
        lo.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    //--- AWS

    /// Executes a command given as JSON.
    pub(super) fn control(&self, command: Value) -> Value {
        self.aws.control(serde_json::from_value::<stand_in::Command>(command).unwrap()).unwrap()
    }

    /// CloudWatch reports these tunnels up, or down, at once and regardless of the truth.
    pub(super) fn aws_says(&self, up: bool, tunnels: &[&Tunnel]) {
        for tunnel in tunnels {
            self.cloudwatch_shows(tunnel, json!({ "value": if up { 1.0 } else { 0.0 } }));
        }
    }

    pub(super) fn cloudwatch_shows(&self, tunnel: &Tunnel, view: Value) {
        self.control(json!({ "set_view": { "outside_ip": tunnel.outside, "cloudwatch": view } }));
    }

    /// From here on this operation fails in this way.
    pub(super) fn fault(&self, operation: &str, kind: Value) {
        self.control(json!({ "add_fault": { "fault": { "operation": operation, "kind": kind } } }));
    }

    /// The same, this many times.
    pub(super) fn fault_times(&self, operation: &str, kind: Value, times: u32) {
        let fault = json!({ "operation": operation, "kind": kind, "times": times });
        self.control(json!({ "add_fault": { "fault": fault } }));
    }

    pub(super) fn clear_faults(&self) {
        self.control(json!({ "clear_faults": {} }));
    }

    /// The requests of one operation that AWS received, oldest first.
    pub(super) fn received(&self, operation: &str) -> Vec<Value> {
        self.control(json!({ "received": { "operation": operation } })).as_array().unwrap().clone()
    }

    /// Those of one operation that AWS executed, whether or not its answers arrived.
    pub(super) fn executed(&self, operation: &str) -> Vec<Value> {
        self.received(operation).into_iter().filter(|request| request["executed"] == true).collect()
    }

    /// The distinct requests to create a record, oldest first: one whose answer was lost is sent again unchanged.
    pub(super) fn starts(&self) -> Vec<Value> {
        let mut starts: Vec<Value> = Vec::new();
        for start in self.received("StartIncident").into_iter().filter(|start| !start["parameters"].is_null())
        {
            if starts.iter().all(|known| known["parameters"] != start["parameters"]) {
                starts.push(start);
            }
        }
        starts
    }

    pub(super) fn all_received(&self) -> Vec<Value> {
        self.control(json!({ "received": {} })).as_array().unwrap().clone()
    }

    /// The incident records of one kind, oldest first, whoever created them.
    pub(super) fn records(&self, kind: &str) -> Vec<Value> {
        let source = format!("bothends.{kind}");
        let mut all = self.control(json!({ "incidents": {} })).as_array().unwrap().clone();
        all.retain(|incident| incident["record"]["incidentRecordSource"]["source"] == source);
        all
    }

    /// Waits until AWS was polled this many times more about the tunnels.
    pub(super) fn until_asked(&self, times: usize) {
        let before = self.received("GetMetricData").len();
        until("AWS is polled again", || self.received("GetMetricData").len() >= before + times);
    }

    //--- the binary

    /// The binary with these arguments, to be run in the namespace, with this AWS in its environment.
    pub(super) fn command(&self, home: &Home, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bothends"));
        command.args(arguments).arg("--config").arg(home.config());
        self.with_environment(command, &home.directory)
    }

    /// The same with another configuration.
    pub(super) fn command_with(&self, config: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bothends"));
        command.args(arguments).arg("--config").arg(config);
        self.with_environment(command, &self.home.directory)
    }

    /// The same without any capability.
    pub(super) fn without_capabilities(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]);
        command.arg(env!("CARGO_BIN_EXE_bothends")).args(arguments).arg("--config").arg(self.home.config());
        self.with_environment(command, &self.home.directory)
    }

    /// `bothends run` with the store's directory on a disk of its own, which is gone when the daemon is: a `tmpfs` with
    /// these options, prepared by a shell script. `$OLD` is a copy of the directory, `$DISK` the disk.
    pub(super) fn on_its_own_disk(&self, options: &str, prepare: &str) -> Command {
        let script = format!(
            "set -e; mkdir -p $DISK; cp -a $DISK $OLD; mount -t tmpfs -o {options} tmpfs $DISK; {prepare}; exec \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "sh",
            "-c",
            &script,
            "sh",
            env!("CARGO_BIN_EXE_bothends"),
            "run",
            "--config",
        ]);
        command.arg(self.home.config());
        let mut command = self.with_environment(command, &self.home.directory);
        let store = self.home.store();
        let disk = store.parent().unwrap();
        command.env("DISK", disk).env("OLD", disk.with_extension("old"));
        command
    }

    /// The binary with these arguments and without a configuration, with this AWS in its environment.
    pub(super) fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bothends"));
        command.args(arguments);
        self.with_aws(command)
    }

    /// A command with this AWS in its environment.
    pub(super) fn with_aws(&self, command: Command) -> Command {
        self.with_environment(command, self.directory.path())
    }

    fn with_environment(&self, mut command: Command, directory: &Path) -> Command {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_ENDPOINT_URL", self.aws.url());
        command
    }

    /// Runs the binary to its end.
    pub(super) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_command(self.command(&self.home, arguments))
    }

    /// Runs a command to its end, in the namespace, without standard input. If it does not end, as a daemon that should
    /// have refused to start, it is killed.
    pub(super) fn run_command(&self, command: Command) -> Ended {
        let mut bounded = Command::new("timeout");
        bounded.args(["--signal=KILL", "300"]).arg(command.get_program()).args(command.get_args());
        bounded.env_clear();
        for (name, value) in command.get_envs() {
            bounded.env(name, value.unwrap_or_default());
        }
        bounded.stdin(Stdio::null());
        Ended::from(inside(&self.here, || bounded.output().unwrap()))
    }

    /// Starts the daemon with a credential helper that prints credentials if a file of this name exists, and otherwise
    /// fails as without a network.
    pub(super) fn start_with_helper(&self, credentials: &str) -> Daemon<'_> {
        let path = self.home.file(credentials);
        let helper = format!("cat {0} 2> /dev/null || {{ echo no such host >&2; exit 1; }}", path.display());
        let profile = self.home.file("aws-config");
        fs::write(&profile, format!("[default]\ncredential_process = {helper}\n")).unwrap();
        let mut command = self.command(&self.home, &["run"]);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command.env("AWS_CONFIG_FILE", &profile);
        Daemon::start(self, &self.home, command)
    }

    /// From now on that helper prints credentials.
    pub(super) fn repair_helper(&self, credentials: &str) {
        let made = json!({ "Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET });
        fs::write(self.home.file(credentials), made.to_string()).unwrap();
    }

    pub(super) fn start(&self) -> Daemon<'_> {
        Daemon::start(self, &self.home, self.command(&self.home, &["run"]))
    }

    /// Starts the daemon and waits until both tunnels of [`MILAN`] are healthy.
    pub(super) fn start_healthy(&self) -> Daemon<'_> {
        let daemon = self.start();
        daemon.until_assessed("healthy", &[&ONE, &TWO]);
        daemon
    }
}

/// Runs something on a thread in a namespace; processes that it starts are in there, too.
pub(super) fn inside<T: Send>(here: &Netns, act: impl FnOnce() -> T + Send) -> T {
    let mut result = None;
    here.run(async || result = Some(act()));
    result.unwrap()
}

fn settings(other: Value) -> Settings {
    let tunnel = |tunnel: Tunnel, inside: &str| json!({ "outside_ip": tunnel.outside, "inside_cidr": inside, "pre_shared_key": PRE_SHARED_KEY });
    let north = json!({ "Site": "north of the Po & more" });
    // AWS's end is not always the first address of the block.
    let mut four = tunnel(FOUR, "fd00:11::/126");
    four["vpn_gateway_inside"] = "fd00:11::2".into();
    four["customer_gateway_inside"] = "fd00:11::1".into();
    let mut settings = json!({
        "regions": [REGION, ROMES_REGION],
        "roles": [WATCHER, PAGER],
        "vpns": [
            { "id": MILAN, "name": "Milan \"DC\"", "tags": north, "tunnels": [tunnel(ONE, "169.254.10.0/30"), tunnel(TWO, "169.254.11.0/30")] },
            { "id": ROME, "region": ROMES_REGION, "tunnels": [tunnel(THREE, "fd00:10::/126"), four] },
            { "id": TURIN, "tags": north, "tunnels": [tunnel(FIVE, "169.254.12.0/30")] },
        ],
        "response_plans": [{ "arn": PLAN }, { "arn": ROMES_PLAN }, { "arn": MERGING_PLAN, "dedupe_string": "vpn" }],
        "topics": [TOPIC, ROMES_TOPIC, format!("{TOPIC}.fifo")],
        // So that a test need not wait for the end of a minute before AWS can agree.
        "switches": { "partial_minutes": true },
    });
    for (name, value) in other.as_object().unwrap() {
        settings[name] = value.clone();
    }
    serde_json::from_value(settings).unwrap()
}
