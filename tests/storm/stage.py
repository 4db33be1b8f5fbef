"""A gateway with very many connections: two network namespaces, the AWS stand-in, and the daemon.

     gateway                        aws
     wan0 192.0.2.2 ------------- 192.0.2.1, 192.0.2.3        the references
     169.254.x.2, …               169.254.x.1, …              each tunnel's ends; the kernel answers
                                  198.18.0.0/15               AWS's outside addresses

There is no IPsec: the daemon probes inside addresses, and here those are a hop away. A cut drops silently what arrives at "aws". The
stand-in listens on the gateway's loopback, so AWS's API stays in reach: as by a second way to the Internet.
"""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

from journal import Journal

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# The gateway has a network of its own, so its ports are free.
STAND_IN = "127.0.0.1:4599"
DAEMON = "http://127.0.0.1:9846"
ACCOUNT = "123456789012"
PLAN = f"arn:aws:ssm-incidents::{ACCOUNT}:response-plan/bothends-{{kind}}"
REFERENCES = ["192.0.2.1", "192.0.2.3"]

# The keys of AWS's documentation. Nothing of the caller's own AWS set-up may reach the daemon.
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": f"http://{STAND_IN}",
}

# journald's socket has one path, so the daemon gets a /run of its own with ours in its place.
WITH_JOURNAL = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && ln -s "$0" /run/systemd/journal/socket && exec "$@"'

CLONE_NEWNET = 0x40000000


class Broken(Exception):
    """The stage failed, not the daemon; the text says how."""


class Tunnel:
    """The `number`-th of all tunnels; two to a connection."""

    def __init__(self, number):
        # Above the blocks that AWS reserves.
        block = (169 << 24) + (254 << 16) + 4 * (number + 64)
        self.block, self.inside, self.source = (address(block + offset) for offset in (0, 1, 2))
        self.outside = address((198 << 24) + (18 << 16) + 256 + number)


class Connection:
    """The `number`-th connection."""

    def __init__(self, number):
        self.id = f"vpn-0{number:016x}"
        self.name = f"Branch {number}"
        self.tunnels = [Tunnel(2 * number), Tunnel(2 * number + 1)]


def address(number):
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def configuration(connections, ec2):
    """The daemon's configuration: every default but the time after which an incident is resolved."""
    vpns = []
    for connection in connections:
        vpns.append(f'[[vpn]]\nid = "{connection.id}"\nname = "{connection.name}"\nrouting = "static"\n')
        vpns += [f'[[vpn.tunnel]]\noutside_ip = "{tunnel.outside}"\ninside_ip = "{tunnel.inside}"\nsource_ip = "{tunnel.source}"\n'
                 for tunnel in connection.tunnels]
    return f'''
[site]
name = "storm"
[aws]
region = "eu-west-1"
ec2_telemetry = {json.dumps(ec2)}
[[uplink]]
name = "wan"
interface = "wan0"
references = {json.dumps(REFERENCES)}
[incident]
resolve_after = "30s"
[[incident.sink]]
type = "incident_manager"
response_plan = "{PLAN}"
''' + "".join(vpns)


def account(connections):
    """The stand-in's settings."""
    return {
        "account": ACCOUNT,
        "regions": ["eu-west-1"],
        "credentials": [{"access_key_id": KEY, "secret_access_key": SECRET, "principal": f"arn:aws:iam::{ACCOUNT}:user/storm"}],
        "vpns": [{
            "id": connection.id, "name": connection.name, "static_routes": True,
            "tunnels": [{"outside_ip": tunnel.outside, "inside_cidr": f"{tunnel.block}/30", "pre_shared_key": "of-nobody"}
                        for tunnel in connection.tunnels],
        } for connection in connections],
        "response_plans": [{"arn": PLAN.format(kind=kind)} for kind in ("outage", "redundancy_lost", "one_sided")],
    }


def run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise Broken(f"{' '.join(command)}: {done.stderr.strip()}")


class Stage:
    """Everything that runs. `down` undoes `up`, however far `up` got, and may be called again."""

    def __init__(self, connections, ec2, daemon, stand_in):
        self.connections = connections
        self.tunnels = [tunnel for connection in connections for tunnel in connection.tunnels]
        self.ec2 = ec2
        self.programs = {"bothends": daemon, "aws-stand-in": stand_in}
        self.gateway, self.aws = (f"storm{os.getpid()}-{node}" for node in ("gateway", "aws"))
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bothends-storm-"))
        self.journal = None
        self.home = None
        self.children = {}

    def up(self):
        """Afterwards this thread, and what it starts, is on the gateway's network."""
        for program in self.programs.values():
            if not program.exists():
                raise Broken(f"{program} is missing: \"make storm\" builds the stand-in and the daemon of this tree")
        self.journal = Journal(self.directory / "journal")
        self._network()
        self._start("aws-stand-in", ["--settings", self._file("aws.json", json.dumps(account(self.connections))), "--listen", STAND_IN])
        config = self._file("bothends.toml", self.configuration())
        self._start("bothends", ["run", "--config", config], {**CREDENTIALS, "STATE_DIRECTORY": str(self.directory)})

    def configuration(self):
        """The daemon's configuration."""
        return configuration(self.connections, self.ec2)

    def _network(self):
        run("ip", "netns", "add", self.gateway)
        run("ip", "netns", "add", self.aws)
        run("ip", "link", "add", "wan0", "netns", self.gateway, "type", "veth", "peer", "name", "wan1", "netns", self.aws)
        for node in (self.gateway, self.aws):
            run("ip", "netns", "exec", node, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
                "net.ipv4.ping_group_range=0 2147483647")
        ours = ["link set lo up", "addr add 192.0.2.2/24 dev wan0", "link set wan0 up"]
        ours += [f"addr add {tunnel.source}/32 dev wan0" for tunnel in self.tunnels]
        # By one neighbour: the kernel's table of neighbours is too small for an entry per tunnel.
        ours += ["route add 169.254.0.0/16 via 192.0.2.1", "route add 198.18.0.0/15 via 192.0.2.1"]
        theirs = ["link set lo up", *(f"addr add {reference}/24 dev wan1" for reference in REFERENCES), "link set wan1 up"]
        theirs += [f"addr add {tunnel.inside}/32 dev wan1" for tunnel in self.tunnels]
        theirs += ["route add local 198.18.0.0/15 dev lo", "route add 169.254.0.0/16 via 192.0.2.2"]
        for node, commands in ((self.gateway, ours), (self.aws, theirs)):
            run("ip", "-n", node, "-batch", "-", text="\n".join(commands) + "\n")
        self._nft("table inet storm { set cut { type ipv4_addr; flags interval; }; "
                  "chain arriving { type filter hook prerouting priority -300; ip daddr @cut drop; }; }")
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        with open(f"/run/netns/{self.gateway}") as place:
            enter(place.fileno())

    def _nft(self, commands):
        run("ip", "netns", "exec", self.aws, "nft", "-f", "-", text=commands)

    def cut(self, addresses):
        """From now on nothing arrives at these addresses."""
        self._nft(f"add element inet storm cut {{ {', '.join(addresses)} }}")

    def heal(self):
        self._nft("flush set inet storm cut")

    def aws_says(self, tunnels, state):
        """AWS's end of these tunnels changes its state now."""
        self.command("observe", lines="".join(f"{tunnel.outside} {state}\n" for tunnel in tunnels))

    def command(self, name, **members):
        """A command to the stand-in; its answer."""
        answer = fetch(f"http://{STAND_IN}/_stand-in/{name}", json.dumps(members).encode(), 60)
        if answer is None:
            raise Broken(f"the stand-in did not answer to {name}\n{self.last_output('aws-stand-in')}")
        return json.loads(answer)

    def pid(self, name):
        return self.children[name].pid

    def check_alive(self):
        for name, child in self.children.items():
            if child.poll() is not None:
                raise Broken(f"{name} ended with exit code {child.returncode}:\n{self.last_output(name)}")

    def last_output(self, name, lines=20):
        log = self.directory / f"{name}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def down(self):
        while self.children:
            _, child = self.children.popitem()
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if self.home is not None:
            enter(self.home)
            os.close(self.home)
            self.home = None
        for node in (self.gateway, self.aws):
            if pathlib.Path("/run/netns", node).exists():
                run("ip", "netns", "del", node)
        if self.journal is not None:
            self.journal.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _file(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def _start(self, name, arguments, environment=None):
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.directory), **(environment or {})}
        command = [str(self.programs[name]), *arguments]
        with (self.directory / f"{name}.log").open("ab") as output:
            if name == "bothends":
                # The daemon writes to the journal if this says that its standard error goes there (systemd.exec(5)).
                place = os.fstat(output.fileno())
                clean["JOURNAL_STREAM"] = f"{place.st_dev}:{place.st_ino}"
                command = ["unshare", "--mount", "sh", "-c", WITH_JOURNAL, str(self.journal.path), *command]
            # Each of the commands before it becomes the next, so its process id is the program's.
            self.children[name] = subprocess.Popen(command, env=clean, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                                   start_new_session=True)


def enter(namespace):
    """Moves this thread to a network namespace."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        raise Broken(f"setns: {os.strerror(ctypes.get_errno())}")


def fetch(url, body=None, timeout=10):
    """The answer; None without one."""
    # No proxy of the caller's.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, body), timeout=timeout) as answer:
            return answer.read()
    except (urllib.error.URLError, OSError):
        return None
