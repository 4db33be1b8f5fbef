#!/usr/bin/env python3
"""A picture of what Prometheus itself draws of an outage, as both ends see it: picture.py MODULES FILE, by "make screenshots".

First one tunnel of a connection breaks, then the other. AWS's end follows ours some seconds later, as it does in the world.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from gateway import PROMETHEUS, ROOT  # noqa: E402
from live import Story  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
# How long the picture shows each state, and what AWS's end knows later than ours, in seconds.
ACT, LATE = 16, 9


def play(story):
    """The outage; the seconds from its beginning to its end, and the connection."""
    gateway, milan = story.gateway, story.milan
    one, other = milan.tunnels
    state = f'bothends_tunnel_verdict{{vpn="{milan.id}",end="%s",verdict="%s"}}'

    def ends(end, verdict, tunnels):
        story.until(f"{end} says {verdict} of {tunnels}",
                    lambda: gateway.query(f"sum({state % (end, verdict)})") == [({}, float(tunnels))])

    def fails(tunnel, down):
        gateway.cut([tunnel.inside, tunnel.outside])
        ends("local", "down", down)
        time.sleep(LATE)
        gateway.aws_says([tunnel], "DOWN")
        ends("aws", "down", down)
        time.sleep(ACT - LATE)

    gateway.up()
    story.until("Prometheus answers and scrapes", lambda: gateway.query("up == 1"))
    ends("local", "up", 2)
    ends("aws", "up", 2)
    began = time.time()
    time.sleep(ACT)
    fails(one, 1)
    fails(other, 2)
    gateway.heal()
    ends("local", "up", 2)
    time.sleep(LATE)
    gateway.aws_says(milan.tunnels, "UP")
    ends("aws", "up", 2)
    story.until("no incident is open", lambda: gateway.query("sum(bothends_incident_open)") == [({}, 0.0)])
    time.sleep(ACT)
    return round(time.time() - began), milan.id


def main():
    modules, picture = sys.argv[1:]
    story = Story()
    try:
        seconds, vpn = play(story)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(story.gateway.directory),
            "MODULES": modules,
            "CHROMIUM": shutil.which("chromium") or "chromium",
            "PROMETHEUS": f"http://{PROMETHEUS}",
            "SECONDS": str(seconds),
            "VPN": vpn,
            "PICTURE": str(pathlib.Path(picture).resolve()),
        }
        return subprocess.run(["timeout", "--kill-after=5", "90", "node", str(HERE / "picture.mjs")], env=environment, cwd=ROOT).returncode
    finally:
        story.gateway.down()


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("picture: needs root, for network namespaces")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
