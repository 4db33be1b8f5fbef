"""The demo's queries to the AWS stand-in and the daemon: every URL and every answer format is in this file."""

import json
import re

from stage import DAEMON, STAND_IN, fetch

VPN = "vpn-0123456789abcdef0"
TUNNELS = {1: "203.0.113.2", 2: "198.51.100.2"}


def command(name, **members):
    """Sends the stand-in a command; returns its answer, or None if it does not answer."""
    answer = fetch(f"{STAND_IN}/_stand-in/{name}", "POST", json.dumps(members))
    return None if answer is None else json.loads(answer)


def stand_in_answers():
    return command("now") is not None


def received(operation):
    """The parameters of every request of this operation that AWS accepted, oldest first."""
    requests = command("received", operation=operation) or []
    return [request["parameters"] for request in requests if request["result"] == "ok"]


def hold_up(tunnel):
    """Makes AWS report a tunnel UP, in CloudWatch and in EC2, regardless of its real state."""
    command("set_view", outside_ip=TUNNELS[tunnel], cloudwatch={"value": 1.0},
            ec2={"fixed": {"status": "UP", "message": "1 BGP ROUTES"}})


def follow_again(tunnel):
    """Makes AWS report the real state again."""
    command("set_view", outside_ip=TUNNELS[tunnel])


def incidents(kind):
    """AWS's incidents of a kind, oldest first: record, rawData, timeline, relatedItems."""
    return [incident for incident in command("incidents") or []
            if incident["record"]["incidentRecordSource"]["source"] == f"bothends.{kind}"]


def samples():
    """The metrics as Prometheus sees them: (name, labels, value) of every sample."""
    found = []
    for line in (fetch(f"{DAEMON}/metrics") or "").splitlines():
        sample = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if sample:
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample[2] or ""))
            found.append((sample[1], labels, float(sample[3])))
    return found


def assessment(tunnel):
    """The daemon's assessment of a tunnel, from both ends."""
    return _state("bothends_tunnel_assessment", "assessment", tunnel=TUNNELS[tunnel])


def verdict(tunnel, end):
    """One end's verdict on a tunnel, according to the daemon."""
    return _state("bothends_tunnel_verdict", "verdict", tunnel=TUNNELS[tunnel], end=end)


def _state(name, label, **where):
    for sample, labels, value in samples():
        if sample == name and value == 1 and where.items() <= labels.items():
            return labels[label]
    return None
