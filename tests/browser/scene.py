"""What the browser looks at: a daemon with two connections, on the stage of ../storm, which has no IPsec and no way out."""

import json
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "storm"))

import stage as storm  # noqa: E402

ROOT = storm.ROOT

# What people name a tunnel must stay a name.
HOSTILE = "<script>window.pwned=1</script>"
NAMES = ["Milan DC, primary", "Rome branch"]


class Scene(storm.Stage):
    """Two connections with two tunnels each. Every wait is short, so that the story takes seconds."""

    def __init__(self, daemon, stand_in):
        connections = [storm.Connection(number) for number in range(len(NAMES))]
        for connection, name in zip(connections, NAMES):
            connection.name = name
        super().__init__(connections, True, daemon, stand_in)

    def configuration(self):
        def tunnel(place, one):
            name = HOSTILE if (place, one) == (1, self.connections[1].tunnels[1]) else f"tunnel {place + 1}"
            return (f"[[vpn.tunnel]]\nname = {json.dumps(name)}\noutside_ip = \"{one.outside}\"\ninside_ip = \"{one.inside}\"\n"
                    f"source_ip = \"{one.source}\"\n")

        vpns = [f"[[vpn]]\nid = \"{connection.id}\"\nname = {json.dumps(connection.name)}\nrouting = \"static\"\n"
                f"runbook_url = \"https://wiki.example.com/vpn\"\n"
                + "".join(tunnel(place, one) for place, one in enumerate(connection.tunnels))
                for connection in self.connections]
        return f'''
[site]
name = "milan-1"
[aws]
region = "eu-west-1"
poll_interval = "5s"
suspect_poll_interval = "2s"
ec2_telemetry = true
[path]
[[uplink]]
name = "wan"
interface = "wan0"
references = {json.dumps(storm.REFERENCES)}
[incident]
open_after = {{ outage = "3s", redundancy_lost = "3s" }}
resolve_after = "10s"
start_grace = "3s"
[[incident.sink]]
type = "incident_manager"
response_plan = "{storm.PLAN}"
''' + "".join(vpns)

    def break_first(self):
        """The first tunnel breaks, and AWS says so."""
        broken = self.connections[0].tunnels[0]
        self.cut([broken.inside, broken.outside])
        self.aws_says([broken], "DOWN")

    def mend(self):
        self.heal()
        self.aws_says([self.connections[0].tunnels[0]], "UP")

    def stop_daemon(self):
        child = self.children.pop("bothends")
        child.send_signal(signal.SIGTERM)
        child.wait(10)

    def start_daemon(self):
        self._start_daemon()
