"""What the story asks of the AWS stand-in and of the daemon: every URL and every shape of an answer is in this file."""

import json
import re

from stage import DAEMON, STAND_IN, fetch

VPN = "vpn-0123456789abcdef0"
TUNNELS = {1: "203.0.113.2", 2: "198.51.100.2"}


REQUESTS_COMMAND = f"-X POST {STAND_IN}/_stand-in/received -d '{{}}'"


def command(name, **members):
    """Gives the stand-in a command; returns its answer, or None if it does not answer."""
    answer = fetch(f"{STAND_IN}/_stand-in/{name}", "POST", json.dumps(members))
    return None if answer is None else json.loads(answer or "null")


def stand_in_answers():
    return command("received") is not None


def received(operation):
    """The parameters of every request of this operation that AWS got, oldest first."""
    return [request["input"] for request in command("received", operation=operation) or []]


def hold_view(tunnel, status):
    """AWS says `status` of a tunnel, whatever its real state is."""
    command("set-apart", tunnel=TUNNELS[tunnel], status=status)


def follow_again(tunnel):
    """AWS says what is real again."""
    command("follow", tunnel=TUNNELS[tunnel])


def records(kind):
    """The incident records of a kind as AWS keeps them, oldest first."""
    return [record for record in command("records") or []
            if record["incidentRecordSource"]["source"] == f"bothends.{kind}"]


def samples():
    """What Prometheus sees: (name, labels, value) of every sample."""
    found = []
    for line in (fetch(f"{DAEMON}/metrics") or "").splitlines():
        sample = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if sample:
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample[2] or ""))
            found.append((sample[1], labels, float(sample[3])))
    return found


def assessment(tunnel):
    """The daemon's assessment of a tunnel, both ends put together."""
    return _state("bothends_tunnel_assessment", "assessment", tunnel=TUNNELS[tunnel])


def verdict(tunnel, end):
    """What one end says of a tunnel, as the daemon knows it."""
    return _state("bothends_tunnel_verdict", "verdict", tunnel=TUNNELS[tunnel], end=end)


def _state(name, label, **where):
    for sample, labels, value in samples():
        if sample == name and value == 1 and where.items() <= labels.items():
            return labels[label]
    return None
