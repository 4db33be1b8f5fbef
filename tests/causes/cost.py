#!/usr/bin/env python3
"""What the evidence costs: the CPU time of the daemon on the lab's two healthy tunnels, without it and with all of it, in turn.

make evidence-cost   ROUNDS=3 SECONDS=60   BIN=the daemon to measure (default: the release build)

The default pace of `[probe]`. Fails nothing: a busy machine is no defect. Target: at most 15 % more.
"""

import os
import pathlib
import statistics
import threading
import time

from stage import ROOT, Stage, configuration

ROUNDS = int(os.environ.get("ROUNDS") or 3)
SECONDS = int(os.environ.get("SECONDS") or 60)
BINARY = pathlib.Path(os.environ.get("BIN") or ROOT / "target" / "release" / "bothends")
# The first seconds belong to the start.
SETTLES = 70


def with_everything(run, bgp):
    """All evidence, at the paces that the configuration has by default."""
    text = configuration(run, bgp)
    for key in ('interval = "200ms"\nsuspect_interval = "100ms"\ntimeout = "2s"\n', 'interval = "10s"\n', 'after = "1s"\n',
                'poll_interval = "5s"\nsuspect_poll_interval = "2s"\n'):
        assert key in text, key
        text = text.replace(key, "")
    return text


def without(run, bgp):
    """The same without any evidence."""
    kept = []
    skipped = False
    for line in with_everything(run, bgp).splitlines():
        if line.startswith("["):
            skipped = line.strip("[]") in ("ipsec", "bgp", "uplink", "path", "mtu", "vpn.tunnel.through")
        if not skipped and not line.startswith(("uplink =", "ipsec_socket =")):
            kept.append(line)
    return "\n".join(kept) + "\n"


def cpu(pid):
    """What the threads of a process and its ended children have had of the CPU, in seconds. The threads' own clocks are exact; the
    ticks of /proc/PID/stat are of 10 ms."""
    threads = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    children = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[13:15]
    own = sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
    return own + sum(map(int, children)) / os.sysconf("SC_CLK_TCK")


def main():
    stage = Stage("evidence-cost", "bird", ROOT / "target" / "evidence-cost", threading.Event())
    stage.configure = without
    stage.binary = BINARY
    try:
        measured = {"without": [], "with": []}
        stage.up()
        for _ in range(ROUNDS):
            for name, text in (("without", without), ("with", with_everything)):
                pid = stage.restart(text)
                time.sleep(SETTLES)
                stage.check_alive()
                before = cpu(pid)
                time.sleep(SECONDS)
                stage.check_alive()
                measured[name].append((cpu(pid) - before) / SECONDS * 1000)
                print(f"{name:8} {measured[name][-1]:6.2f} ms of CPU a second", flush=True)
        medians = {name: statistics.median(values) for name, values in measured.items()}
        print(f"median: {medians['without']:.2f} without, {medians['with']:.2f} with: {medians['with'] / medians['without'] - 1:+.1%}")
    finally:
        stage.down()


if __name__ == "__main__":
    main()
