#!/usr/bin/env python3
"""A storm: everything that a daemon with very many connections watches is cut at once.

make storm    N=500 connections      BEFORE=a daemon to compare with    BIN=the daemon (default: the release build)
              SECONDS=210: how long it is watched after the cut         EC2=1: EC2's telemetry, too
              PERF=1: what the daemon spends its time on, in target/storm

One tunnel is cut alone first, and healed. Both cuts come at the same second of a minute, because CloudWatch counts in minutes.
Exit code 0 only if BIN keeps its promises (table.py); BEFORE may break them.
"""

import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import table
from meter import Cost, downs, scrape
from stage import ROOT, Broken, Connection, Stage

COUNT = int(os.environ.get("N") or 500)
SECONDS = int(os.environ.get("SECONDS") or 210)
# Ten seconds before a minute: the next one is the first that is wholly down.
CUT_AT = 50
CALM = 45
UP_WITHIN = 240
# A minute of AWS's, a poll, and some.
AGREED_WITHIN = 180
CLOSED_WITHIN = 600


class Storm:
    """One run of one build."""

    def __init__(self, build, daemon, stand_in):
        self.build = build
        self.stage = Stage([Connection(number) for number in range(COUNT)], bool(os.environ.get("EC2")), daemon, stand_in)
        self.tunnels = self.stage.tunnels
        self.journal = self.cost = None
        self.calls, self.failures = [], collections.Counter()
        self.number = 1
        self.incidents, self.problems = [], set()
        self.slowest_scrape = self.metrics_size = 0
        self.latest = None
        self.first_local = self.half_local = self.all_local = self.all_agreed = None
        self.first_page = self.last_page = self.all_local_shown = self.all_agreed_shown = self.all_up = self.all_closed = None

    def run(self):
        try:
            self.stage.up()
            self.journal = self.stage.journal
            self.cost = Cost(self.stage.pid("bothends"))
            self.say(f"{COUNT} connections, {len(self.tunnels)} tunnels")
            self.wait(lambda metrics: metrics.agreed("healthy") == len(self.tunnels), UP_WITHIN, "all tunnels Up by both ends")
            self.calm = time.time()
            self.say("all Up by both ends")
            self.pause(CALM)
            self.cut_one()
            self.cut_all()
            self.heal_all()
        finally:
            if self.cost is not None:
                self.cost.close()
            self.keep()
            self.stage.down()

    def cut_one(self):
        """How long one tunnel alone takes."""
        one = self.tunnels[0]
        until_second(CUT_AT)
        self.alone = time.time()
        self.stage.cut([one.inside, one.outside])
        self.stage.aws_says([one], "DOWN")
        self.wait(lambda metrics: metrics.agreed("down") == 1, AGREED_WITHIN, "one tunnel Down by both ends", every=5)
        local, agreed = downs() or ([], [])
        self.one_local, self.one_agreed = max(local, default=None), max(agreed, default=None)
        self.say(f"one alone: our end after {table.span(table.late(self.one_local, self.alone))}")
        self.stage.heal()
        self.stage.aws_says([one], "UP")
        self.wait(lambda metrics: metrics.agreed("healthy") == len(self.tunnels), UP_WITHIN, "it is Up again", every=5)

    def cut_all(self):
        until_second(CUT_AT)
        self.read_calls()
        profile = self.profile()
        self.load = os.getloadavg()[0]
        self.cut = time.time()
        self.stage.cut(["0.0.0.0/0"])
        self.stage.aws_says(self.tunnels, "DOWN")
        self.say("everything is cut")
        while time.time() < self.cut + SECONDS:
            metrics = self.scrape()
            if metrics is not None:
                if self.all_local_shown is None and metrics.verdicts("local", "down") == len(self.tunnels):
                    self.all_local_shown = metrics.at
                if self.all_agreed_shown is None and metrics.agreed("down") == len(self.tunnels):
                    self.all_agreed_shown = metrics.at
                    local, agreed = downs() or ([], [])
                    if len(local) == len(agreed) == len(self.tunnels):
                        self.first_local, self.half_local, self.all_local = local[0], local[len(local) // 2], local[-1]
                        self.all_agreed = agreed[-1]
            # As fast as is needed for the figures; a real one comes every 15 s or more.
            self.pause(2 if self.all_local_shown is None else 5)
        self.observed = time.time()
        if profile is not None:
            profile.wait()
        self.read_calls()
        starts = [at for at, operation in self.calls if operation == "StartIncident" and at >= self.cut]
        self.pages = len(starts)
        self.first_page = min(starts, default=None)
        written = {record["TUNNEL_IP"] for _, record in self.journal.since(self.cut, "END_DOWN", END="local")}
        self.written = len(written)
        self.say(f"all Down by our end after {table.span(table.late(self.all_local, self.cut))}; {self.pages} pages")

    def heal_all(self):
        self.healed = time.time()
        self.stage.heal()
        self.stage.aws_says(self.tunnels, "UP")
        self.say("everything is healed")
        deadline = self.healed + CLOSED_WITHIN
        while self.all_closed is None and time.time() < deadline:
            metrics = self.scrape()
            if metrics is not None:
                if metrics.agreed("healthy") == len(self.tunnels):
                    self.all_up = self.all_up or metrics.at
                # Records are read seldom: 500 are a long answer.
                if self.all_up is not None and metrics.sum("bothends_incident_open") == 0:
                    self.incidents = self.stage.command("incidents")
                    if all(incident["record"]["status"] == "RESOLVED" for incident in self.incidents):
                        self.all_closed = time.time()
            self.pause(5)
        self.over = time.time()
        self.read_calls()
        self.incidents = self.stage.command("incidents")
        # A call whose answer came too late is made again, and starts no second record.
        self.last_page = max((incident["record"]["creationTime"] for incident in self.incidents), default=None)
        self.suppressed, self.dropped, self.facts_dropped, self.ticks_skipped = (
            self.latest.sum(f"bothends_{name}_total")
            for name in ("journal_records_suppressed", "journal_records_dropped", "facts_dropped", "ticks_skipped"))
        self.say("everything is resolved" if self.all_closed else "not everything is resolved")

    def scrape(self):
        self.stage.check_alive()
        metrics = scrape()
        if metrics is not None:
            self.slowest_scrape = max(self.slowest_scrape, metrics.took)
            self.metrics_size = max(self.metrics_size, metrics.size)
            self.problems.update(metrics.problems())
            self.latest = metrics
        return metrics

    def wait(self, reached, within, what, every=2):
        deadline = time.time() + within
        while time.time() < deadline:
            metrics = self.scrape()
            if metrics is not None and reached(metrics):
                return
            self.pause(every)
        shown = "no answer" if self.latest is None else {
            end: {verdict: self.latest.verdicts(end, verdict) for verdict in ("up", "down", "unknown")} for end in ("local", "aws")}
        raise Broken(f"not within {within} s: {what}; verdicts: {shown}; problems: {sorted(self.problems)}\n{self.stage.last_output('bothends')}")

    def pause(self, seconds):
        """The stand-in keeps a list of limited length, so it is read now and then."""
        time.sleep(seconds)
        self.read_calls()

    def read_calls(self):
        for call in self.stage.command("calls", **{"from": self.number}):
            self.number = call["number"] + 1
            self.calls.append((call["at"], call["operation"]))
            if call["result"] != "ok":
                self.failures[f"{call['operation']} {call['result']}"] += 1

    def profile(self):
        """Samples the daemon's stacks until it is healed: perf report --time and --comm tell the phases and threads apart."""
        if not os.environ.get("PERF"):
            return None
        self.kept().mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(["perf", "record", "--quiet", "--freq", "99", "--call-graph", "dwarf,8192", "--pid", str(self.stage.pid("bothends")),
                                 "--output", str(self.kept() / "perf.data"), "--", "sleep", str(SECONDS)])

    def kept(self):
        return ROOT / "target" / "storm" / self.build

    def keep(self):
        """What was seen, for whoever asks why."""
        self.kept().mkdir(parents=True, exist_ok=True)
        (self.kept() / "calls.json").write_text(json.dumps(self.calls))
        if self.journal is not None:
            with (self.kept() / "journal").open("w") as file:
                for at, record in self.journal.records:
                    file.write(f"{at:.3f} {self.journal.name(record)} {record.get('MESSAGE', '')}\n")
        for name in self.stage.programs:
            (self.kept() / f"{name}.log").write_text(self.stage.last_output(name, 2000))

    def say(self, text):
        print(f"{time.strftime('%H:%M:%S')} {self.build}: {text}", flush=True)


def until_second(second):
    time.sleep((second - time.time()) % 60)


def main():
    if os.geteuid() != 0:
        sys.exit("storm: needs root, for network namespaces")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    stand_in = pathlib.Path(os.environ.get("STAND_IN") or target / "debug" / "examples" / "aws-stand-in")
    builds = [("now", os.environ.get("BIN") or target / "release" / "bothends")]
    if os.environ.get("BEFORE"):
        builds.insert(0, ("before", os.environ["BEFORE"]))
    storms = []
    try:
        for build, daemon in builds:
            storms.append(Storm(build, pathlib.Path(daemon).resolve(), stand_in))
            storms[-1].run()
            print("\n".join(table.details(storms[-1])), flush=True)
    except Broken as broken:
        sys.exit(f"storm: {broken}")
    print(f"\n{table.markdown(storms)}\n")
    failed = table.broken(storms[-1])
    for text in failed:
        print(f"✘ {text}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
