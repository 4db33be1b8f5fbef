"""The lab, the AWS stand-in that follows it, and the daemon with every evidence switched on."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LAB = ROOT / "tests" / "lab" / "lab.sh"
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug"

# The gateway has a network of its own, so its ports are free.
STAND_IN = "127.0.0.1:4599"
DAEMON = "http://127.0.0.1:9846"
VPN = "vpn-0123456789abcdef0"
OUTSIDE = {1: "203.0.113.2", 2: "198.51.100.2"}
REFERENCES = ["192.0.2.1", "192.0.2.6"]

# The keys of AWS's documentation. Nothing of the caller's own AWS set-up may reach the daemon.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": f"http://{STAND_IN}",
}


class Broken(Exception):
    """The stage failed, not the daemon's judgement; the text says how."""


def configuration(run, bgp):
    """The daemon's configuration, with the lab's directory `run`. Short waits, so that a trial takes seconds."""
    bgp_keys = f'daemon = "bird"\nsocket = "{run}/bird-cgw.ctl"' if bgp == "bird" else f'daemon = "frr"\nvtysh = "{run}/vtysh"'
    tunnels = "".join(f'''
[[vpn.tunnel]]
name = "tunnel {number}"
outside_ip = "{OUTSIDE[number]}"
inside_ip = "169.254.{number}0.1"
source_ip = "169.254.{number}0.2"
interface = "ipsec{number - 1}"
uplink = "wan"
ipsec_socket = "{run}/cgw{number}.vici"
[[vpn.tunnel.through]]
host = ["10.0.0.10"]
source = "192.168.50.1{number}"
''' for number in OUTSIDE)
    return f'''
[site]
name = "causes"
[aws]
region = "eu-west-1"
poll_interval = "5s"
suspect_poll_interval = "2s"
ec2_telemetry = true
[probe]
interval = "200ms"
suspect_interval = "100ms"
timeout = "2s"
[ipsec]
socket = "{run}/cgw1.vici"
[bgp]
{bgp_keys}
monitored_prefixes = ["10.0.0.0/16"]
[[uplink]]
name = "wan"
interface = "eth0"
references = {json.dumps(REFERENCES)}
[path]
[mtu]
interval = "10s"
[quality]
after = "1s"
[[vpn]]
id = "{VPN}"
name = "Lab office"
routing = "bgp"
{tunnels}
[incident]
open_after = {{ outage = "1s", redundancy_lost = "3s" }}
resolve_after = "4s"
start_grace = "1s"
[[incident.sink]]
type = "incident_manager"
response_plan = "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{{vpn_id}}-{{kind}}"
'''


class Stage:
    """Everything that runs in one lab. `down` undoes `up`, however far `up` got, and may be called again."""

    def __init__(self, name, bgp, kept, stop):
        self.name = name
        self.bgp = bgp
        self.kept = kept
        self.stop = stop
        self.gateway = ["ip", "netns", "exec", f"{name}-cgw"]
        self.environment = {"LAB_NAME": name, "LAB_OWNER": str(os.getpid()), "LAB_BGP": bgp}
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bothends-causes-"))
        self.children = []
        self.configure = configuration
        self.binary = TARGET / "bothends"
        self.healed = {number: 0.0 for number in OUTSIDE}

    def lab(self, *args):
        """Runs a command of the lab."""
        done = subprocess.run([LAB, *args], env={**os.environ, **self.environment}, capture_output=True, text=True)
        if done.returncode != 0:
            raise Broken(f"lab.sh {' '.join(args)} failed:\n{done.stderr.strip()}")

    def up(self):
        self.lab("up")
        self._start("aws-stand-in", [TARGET / "examples" / "aws-stand-in", "--settings", ROOT / "tests" / "demo" / "aws.json",
                                     "--listen", STAND_IN, "--follow", f"{LAB} aws-view"], self.environment)
        self.restart(self.configure)

    def restart(self, configure):
        """Starts the daemon with the text that `configure` makes, ending one that runs; its process id."""
        self._end("bothends")
        config = self.directory / "bothends.toml"
        config.write_text(configure(f"/run/{self.name}-lab", self.bgp))
        return self._start("bothends", [self.binary, "run", "--config", config],
                           {**CREDENTIALS, "STATE_DIRECTORY": str(self.directory)})

    def status(self):
        """The daemon's /status; None while it does not answer."""
        done = subprocess.run([*self.gateway, "curl", "--silent", "--fail", "--max-time", "3", f"{DAEMON}/status"],
                              capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def check_alive(self):
        """Fails if a program has ended by itself, or the run is to end."""
        if self.stop.is_set():
            raise Broken("the run was ended")
        for name, child in self.children:
            if child.poll() is not None:
                raise Broken(f"{name} ended with exit code {child.poll()}:\n{self.last_output(name)}")

    def last_output(self, name, lines=20):
        log = self.directory / f"{name}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def down(self):
        for name, _ in reversed(list(self.children)):
            self._end(name)
        self.kept.mkdir(parents=True, exist_ok=True)
        for directory, logs in ((self.directory, "*.log"), (pathlib.Path(f"/run/{self.name}-lab"), "*cgw*.log")):
            for log in directory.glob(logs):
                shutil.copy(log, self.kept)
        self.lab("down")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self, name, command, environment):
        if not command[0].exists():
            raise Broken(f"{command[0]} is missing: \"make causes\" builds it")
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.directory), **environment}
        with (self.directory / f"{name}.log").open("ab") as output:
            child = subprocess.Popen([*self.gateway, *map(str, command)], env=clean, stdin=subprocess.DEVNULL,
                                     stdout=output, stderr=output, start_new_session=True)
        self.children.append((name, child))
        # `ip netns exec` becomes the command.
        return child.pid

    def _end(self, name):
        for child in [child for known, child in self.children if known == name]:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(6)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children = [(known, child) for known, child in self.children if known != name]
