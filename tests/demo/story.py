#!/usr/bin/env python3
"""The daemon's job from end to end, on two real IPsec tunnels, as a demo that checks itself.

make demo          runs it and takes everything down again; exit code 0 only if every step succeeded
KEEP=1 make demo   leaves everything running and says what to look at
make demo SINK=x   sends the incidents to another sink: ops_center, or webhook (PagerDuty's format)
"""

import os
import signal
import sys
import time

import ask
from sinks import SINKS
from stage import DAEMON, GATEWAY, LAB, LAB_NAME, STAND_IN, TARGET, Broken, Stage, fetch, lab

MARK = "\033[32m✔\033[0m" if sys.stdout.isatty() else "✔"
CROSS = "\033[31m✘\033[0m" if sys.stdout.isatty() else "✘"


class Story:
    """Prints scenes, and checks each claim against the real state."""

    def __init__(self, stage):
        self.stage = stage
        self.sink = stage.sink
        self.began = time.monotonic()

    def scene(self, text):
        print(f"\n{text}", flush=True)

    def shows(self, claim, condition, within=20):
        """Waits until `condition()` is truthy and returns its value; fails the demo at the deadline."""
        deadline = time.monotonic() + within
        while not (seen := condition()):
            self.stage.check_alive()
            if time.monotonic() > deadline:
                raise Broken(f"{claim}: not within {within} s")
            time.sleep(0.1)
        print(f"  {MARK} {claim}  ({time.monotonic() - self.began:.0f} s)", flush=True)
        return seen

    def holds(self, claim, condition, until, within=30):
        """Checks `condition()` repeatedly until `until()` is truthy."""
        def still():
            if not condition():
                raise Broken(f"{claim}: no longer true")
            return until()
        self.shows(claim, still, within)

    def quote(self, text):
        for line in text.splitlines():
            print(f"      {line}", flush=True)


def everything_comes_up(story):
    story.scene("Two IPsec tunnels with BGP between a gateway and \"AWS\", an AWS API, and the daemon on the gateway.")
    lab("up")
    story.quote(lab("aws-view").strip())
    story.stage.start_stand_in()
    story.shows("the AWS stand-in answers; it reports the tunnels as the charon and BIRD at AWS's end see them",
                ask.stand_in_answers)
    if story.sink.needs_receiver:
        story.stage.start_receiver()
    story.stage.start_daemon()
    story.shows("both tunnels are Healthy: pings pass, and AWS reports UP", lambda: both(ask.assessment, "healthy"))


def one_end_alone_pages_nobody(story):
    story.scene("No traffic passes through tunnel 2 any more, and AWS has not noticed: its view is held at UP.")
    ask.hold_up(2)
    lab("break", "dead", "2")
    story.shows("our end reports Down", lambda: ask.verdict(2, "local") == "down")
    story.shows("AWS reports Up, so the tunnel is Disputed", lambda: ask.assessment(2) == "disputed")
    polls = len(ask.received("DescribeVpnConnections"))
    story.holds("AWS is polled three more times, the tunnel stays Disputed, and nobody is paged",
                lambda: ask.assessment(2) == "disputed" and not story.sink.started(),
                lambda: len(ask.received("DescribeVpnConnections")) >= polls + 3)


def agreement_pages(story):
    story.scene("AWS's view follows reality again: BGP is down in tunnel 2.")
    ask.follow_again(2)
    story.shows("AWS reports DOWN too: both ends agree", lambda: ask.assessment(2) == "down")
    incident = story.shows(f"{story.sink.takes} redundancy_lost", lambda: story.sink.opened("redundancy_lost"))
    story.quote(story.sink.shown(incident, "redundancy_lost"))
    expect("tunnel 1 is still Healthy", ask.assessment(1) == "healthy")


def a_further_tunnel_pages_again(story):
    story.scene("The path to tunnel 1 is cut as well.")
    lab("break", "path", "1")
    story.shows("both ends agree on tunnel 1, too", lambda: ask.assessment(1) == "down")
    incident = story.shows(f"another incident: {story.sink.takes} outage", lambda: story.sink.opened("outage"))
    story.quote(story.sink.shown(incident, "outage"))
    first = story.sink.opened("redundancy_lost")
    story.shows("the two incidents are related", lambda: story.sink.relates(story.sink.opened("outage"), first))


def healing_resolves(story):
    story.scene("Both tunnels are repaired.")
    lab("heal", "all")
    story.shows("both tunnels are Healthy", lambda: both(ask.assessment, "healthy"))
    for kind in ("outage", "redundancy_lost"):
        story.shows(f"the {kind} incident is RESOLVED", lambda k=kind: story.sink.resolved(k), within=40)
    expect("two incidents, no more", story.sink.started() == 2)
    story.quote(story.sink.calls())


def numbers_arrive(story):
    story.scene("What the daemon measured.")
    wanted = ["TunnelUp", "PacketLoss", "RoundTripTime", "BothEndsDown", "Heartbeat"]
    data = story.shows(f"CloudWatch got {', '.join(wanted)}", lambda: metric_data(wanted), within=90)
    for name in wanted:
        story.quote(describe(data[name]))
    lines = story.shows("Prometheus sees the state and the counters", lambda: [
        line for line in (fetch(f"{DAEMON}/metrics") or "").splitlines()
        if line.endswith(" 1") and line.startswith("bothends_tunnel_assessment{")
        or line.startswith(("bothends_echoes_total{", "bothends_sink_requests_total{"))])
    story.quote("\n".join(lines))


def the_daemon_ends(story):
    story.scene("SIGTERM.")
    code = story.stage.processes.pop().stop()
    if code != 0:
        raise Broken(f"the daemon ended with {code}")
    story.shows("the daemon ends with 0", lambda: True)


def both(of, value):
    return all(of(tunnel) == value for tunnel in ask.TUNNELS)


def expect(claim, truth):
    if not truth:
        raise Broken(f"{claim}: not true")


def metric_data(wanted):
    """The newest datum of each name, once all are there."""
    newest_of = {datum["MetricName"]: datum
                 for request in ask.received("PutMetricData") for datum in request.get("MetricData", [])}
    return newest_of if all(name in newest_of for name in wanted) else None


def describe(datum):
    where = " ".join(d["Value"] for d in datum.get("Dimensions", []))
    if "Values" in datum:
        counts = datum.get("Counts") or [1] * len(datum["Values"])
        what = f"{sum(counts):.0f} values from {min(datum['Values']):.3g} to {max(datum['Values']):.3g}"
    else:
        what = datum.get("Value", datum.get("StatisticValues"))
    return f"{datum['MetricName']:14} {what} {datum.get('Unit', '')}  ({where})"


SCENES = [everything_comes_up, one_end_alone_pages_nobody, agreement_pages, a_further_tunnel_pages_again,
          healing_resolves, numbers_arrive]


def play(stage, keep):
    story = Story(stage)
    try:
        for scene in SCENES if keep else [*SCENES, the_daemon_ends]:
            scene(story)
    except Broken as broken:
        print(f"  {CROSS} {broken}", flush=True)
        for process in stage.processes:
            print(f"--- {process.name}, its last output\n{process.last_output()}", flush=True)
        return 1
    print(f"\n{MARK} Every step succeeded, in {time.monotonic() - story.began:.0f} s.", flush=True)
    return 0


def what_to_look_at(stage):
    inside = " ".join(GATEWAY)
    named = "" if LAB_NAME == "bothends" else f"LAB_NAME={LAB_NAME} "
    print(f"""
Left running:
  {inside} {TARGET}/bothends status --config {stage.config}
  {inside} curl -s {DAEMON}/metrics
  {inside} curl -s -X POST {STAND_IN}/_stand-in/incidents | python3 -m json.tool   (also: ops_items, received, metrics, tunnels)
  {named}{LAB} status
  {named}{LAB} break icmp 2         (kinds: {LAB.parent}/README.md)
  tail -f {stage.directory}/*.log
End it:
  {named}{LAB} down; rm -r {stage.directory}""")


def main():
    sys.stdout.reconfigure(encoding="utf-8")
    if os.geteuid() != 0:
        sys.exit("demo: needs root, for network namespaces")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    keep = os.environ.get("KEEP") == "1"
    sink = SINKS.get(os.environ.get("SINK") or "incident_manager")
    if sink is None:
        sys.exit(f"demo: SINK is one of {', '.join(SINKS)}")
    stage = Stage(sink)
    finished = False
    try:
        code = play(stage, keep)
        finished = True
    except KeyboardInterrupt:
        code = 130
    finally:
        if keep and finished:
            what_to_look_at(stage)
        else:
            for interrupt in (signal.SIGINT, signal.SIGTERM):
                signal.signal(interrupt, signal.SIG_IGN)
            stage.down()
    return code


if __name__ == "__main__":
    sys.exit(main())
