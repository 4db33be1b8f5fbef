"""A site in the machine: two tunnels to a network namespace with AWS's ends, and the AWS stand-in."""

import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
VPN = "vpn-0123456789abcdef0"
PORT = 4599
CONFIG = "/etc/bothends/bothends.toml"
CREDENTIALS = "/etc/bothends/credentials"
ENDPOINT = "/etc/systemd/system/bothends.service.d/stand-in.conf"

# Number: outside address (which identifies the tunnel at AWS), inside address, our address.
TUNNELS = {
    1: ("203.0.113.2", "169.254.10.1", "169.254.10.2"),
    2: ("198.51.100.2", "169.254.20.1", "169.254.20.2"),
}


def config():
    """The site's configuration, with every wait short."""
    return (HERE / "bothends.toml").read_text()


class Site:
    """The daemon's surroundings in one machine."""

    def __init__(self, machine, stand_in):
        self.machine = machine
        self.stand_in = stand_in

    def configure(self, text=None):
        """Installs the configuration and the credentials, as a configuration manager would."""
        self.machine.write(CONFIG, text or config())
        self.machine.write(CREDENTIALS, "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"
                           "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n", 0o600)
        self.machine.write(ENDPOINT, f"[Service]\nEnvironment=AWS_ENDPOINT_URL=http://127.0.0.1:{PORT}\n")
        self.machine.run("systemctl", "daemon-reload")

    def start_network(self):
        """Two veth pairs, each with a far end in a namespace."""
        script = ["ip netns add aws"]
        for number, (_, inside, source) in TUNNELS.items():
            script += [
                f"ip link add tun{number} type veth peer name far{number} netns aws",
                f"ip addr add {source}/30 dev tun{number}", f"ip link set tun{number} up",
                f"ip -n aws addr add {inside}/30 dev far{number}", f"ip -n aws link set far{number} up",
            ]
        self.machine.shell("set -e\n" + "\n".join(script))

    def start_aws(self):
        """Starts the stand-in as a service of the machine, so that it outlives the command."""
        self.machine.copy(self.stand_in, "/usr/local/bin/aws-stand-in")
        self.machine.copy(HERE.parent / "demo/aws.json", "/etc/aws-stand-in.json")
        self.machine.run("systemd-run", "--quiet", "--unit=aws-stand-in", "/usr/local/bin/aws-stand-in",
                         "--settings", "/etc/aws-stand-in.json", "--listen", f"127.0.0.1:{PORT}")
        self.machine.wait("the stand-in answers", lambda: self.ask_aws("now") is not None)
        for number in TUNNELS:
            self.set_aws(number, up=True)

    def cut(self, number):
        """Cuts a tunnel; AWS sees it down."""
        self.machine.run("ip", "-n", "aws", "link", "set", f"far{number}", "down")
        self.set_aws(number, up=False)

    def mend(self, number):
        self.machine.run("ip", "-n", "aws", "link", "set", f"far{number}", "up")
        self.set_aws(number, up=True)

    def set_aws(self, number, up):
        self.ask_aws("set_tunnel", outside_ip=TUNNELS[number][0], up=up, message="1 BGP ROUTES" if up else "IPSEC IS DOWN")

    def incidents(self, kind, status=None):
        """AWS's records of a kind."""
        found = [incident["record"] for incident in self.ask_aws("incidents")
                 if incident["record"]["incidentRecordSource"]["source"] == f"bothends.{kind}"]
        return [record for record in found if status in (None, record["status"])]

    def ask_aws(self, command, **members):
        """Sends the stand-in a command; `None` if it does not answer."""
        answer = self.fetch(f"http://127.0.0.1:{PORT}/_stand-in/{command}", json.dumps(members))
        return None if answer is None else json.loads(answer)

    def fetch(self, url, body=None, failing_too=False):
        """Fetches from a server in the machine's network with the host's curl."""
        command = ["nsenter", "-t", str(self.machine.leader), "-n", "curl", "--silent", "--max-time", "5", url]
        command += [] if failing_too else ["--fail"]
        command += [] if body is None else ["--header", "content-type: application/json", "--data", body]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None
