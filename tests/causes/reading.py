"""What the daemon says in /status: every name of its JSON that this evaluation depends on is in this file."""


def tunnels(status):
    """The tunnels of a status by their outside address."""
    return {tunnel["outside_ip"]: tunnel for vpn in status["vpns"] for tunnel in vpn["tunnels"]}


def cause(tunnel):
    """The cause named for a tunnel; None where none is."""
    return (tunnel.get("cause") or {}).get("cause")


def healthy(tunnel):
    """Whether both ends say Up, and nothing is to be explained."""
    return tunnel["assessment"] == "healthy" and cause(tunnel) is None


def local_down(tunnel):
    return tunnel["local"]["verdict"] == "down"


def aws_down(tunnel):
    return tunnel["aws"]["verdict"] == "down"


def through_down(tunnel):
    """Whether a host behind the tunnel does not answer."""
    return any(check.get("host") and check["verdict"] == "down" for check in tunnel["checks"])


def degraded(tunnel):
    return tunnel.get("quality", {}).get("state") == "degraded"


def missing_evidence(tunnel):
    """The sources of evidence that have no answer, with the reason."""
    return [f"{source['source']}: {source.get('why')}" for source in tunnel.get("evidence", []) if source["state"] == "unavailable"]


# What the daemon notices of a fault before it explains it. Where it notices nothing else, the cause is the first that it says.
NOTICED = {
    "down": local_down,
    "aws": aws_down,
    "through": through_down,
    "degraded": degraded,
    "named": lambda tunnel: cause(tunnel) is not None,
    "none": lambda tunnel: False,
}
