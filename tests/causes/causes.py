#!/usr/bin/env python3
"""How often the daemon names the right cause: every kind of fault of the lab, in random order, held against one table.

make causes          N=10 faults of each kind     KINDS="psk nat": only these     SEED=n: the same faults in the same order
                     JOBS=2 labs at the same time  OUT=FILE: the Markdown table   PLAN=1: only says what would be done

Exit code 0 only if at least 97 % are named right, no wrong cause was ever shown, the tunnel that was left alone was healthy all
the time, and everything was healthy again after each fault. What was seen in each trial is kept in target/causes/SEED.
"""

import concurrent.futures
import os
import pathlib
import random
import signal
import sys
import threading
import time

import kinds
import reading
import table
import trial as trials_
from stage import OUTSIDE, ROOT, Broken, Stage

# The labs are called causes1, causes2 ...
LAB_NAME = os.environ.get("LAB_NAME") or "causes"
# A lab lives for so many faults.
BLOCK = 20
STARTED_WITHIN = 60
# After the start the daemon learns what is usual: round trips, the largest packet, who answers.
LEARNS_FOR = 25
# After so many labs that failed, the machine is at fault.
BROKEN_AT_MOST = 2


def planned(chosen, count, seed):
    """Every trial, in blocks that share a lab: BIRD and FRR in turn, so that each kind meets both."""
    chance = random.Random(seed)
    of_daemon = {"bird": [], "frr": []}
    for kind in chosen:
        first = chance.randint(0, 1)
        for index in range(count):
            bgp = ("bird", "frr")[(index + first) % 2]
            of_daemon[bgp].append((kind, chance.choice([1, 2]), kind.value(chance)))
    blocks = []
    for bgp, faults in of_daemon.items():
        chance.shuffle(faults)
        blocks += [(bgp, faults[start:start + BLOCK]) for start in range(0, len(faults), BLOCK)]
    chance.shuffle(blocks)
    numbers = iter(range(1, 1 + sum(len(faults) for _, faults in blocks)))
    return [[trials_.Trial(next(numbers), kind, tunnel, value, bgp) for kind, tunnel, value in faults] for bgp, faults in blocks]


class Run:
    """All blocks, on a few labs at the same time."""

    def __init__(self, blocks, jobs, kept):
        self.blocks = blocks
        self.kept = kept
        self.names = [f"{LAB_NAME}{number}" for number in range(1, jobs + 1)]
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.done = []
        self.broken = []

    def play(self):
        with concurrent.futures.ThreadPoolExecutor(len(self.names)) as pool:
            try:
                for finished in [pool.submit(self.block, block) for block in self.blocks]:
                    finished.result()
            finally:
                self.stop.set()

    def block(self, trials):
        """One lab after the other until every trial is done: a lab that did not become healthy is not used again."""
        while trials and not self.stop.is_set():
            with self.lock:
                name = self.names.pop()
                stage = Stage(name, trials[0].bgp, self.kept / f"logs-{trials[0].number:04}", self.stop)
            try:
                stage.up()
                healthy_at_first(stage)
                while trials and not self.stop.is_set():
                    self.one(trials.pop(0), stage)
            except Broken as broken:
                with self.lock:
                    self.broken.append(str(broken))
                    print(f"✘ {broken}", flush=True)
                    if len(self.broken) > BROKEN_AT_MOST:
                        self.stop.set()
            finally:
                stage.down()
                with self.lock:
                    self.names.append(name)

    def one(self, trial, stage):
        try:
            trials_.run(trial, stage)
        finally:
            trials_.keep(trial, self.kept)
            with self.lock:
                self.done.append(trial)
                print(said_of(trial), flush=True)


def said_of(trial):
    late = table.to_cause(trial)
    times = "no verdict" if trial.verdict_at is None else f"verdict after {trial.verdict_at:.1f} s"
    if late is not None:
        times += f", cause {late:.1f} s later"
    mark = {"right": "✔", "wrong": "✘", "unknown": "?"}[trial.outcome]
    further = "".join(f"\n         {text}" for text in trial.wrong + trial.failed)
    return f"{mark} {trial.describe()}: {trial.named}, {times}{further}"


def healthy_at_first(stage):
    """Waits until both tunnels are healthy and every source of evidence answers, and then until the daemon knows what is usual."""
    deadline = time.monotonic() + STARTED_WITHIN
    missing = "no status"
    while time.monotonic() < deadline:
        stage.check_alive()
        status = stage.status()
        if status is not None:
            found = reading.tunnels(status)
            missing = {outside: reading.missing_evidence(tunnel) for outside, tunnel in found.items()}
            if all(reading.healthy(found[outside]) and not missing[outside] for outside in OUTSIDE.values()):
                stage.stop.wait(LEARNS_FOR)
                stage.healed = {number: time.monotonic() for number in OUTSIDE}
                return
        time.sleep(0.2)
    raise Broken(f"not healthy with all evidence {STARTED_WITHIN} s after the start; missing: {missing}\n{stage.last_output('bothends')}")


def main():
    sys.stdout.reconfigure(encoding="utf-8")
    count, jobs = int(os.environ.get("N") or 10), int(os.environ.get("JOBS") or 2)
    seed = int(os.environ.get("SEED") or int.from_bytes(os.urandom(3)))
    blocks = planned(kinds.chosen((os.environ.get("KINDS") or "").split()), count, seed)
    print(f"causes: SEED={seed}, {sum(map(len, blocks))} faults in {len(blocks)} labs, {jobs} at a time", flush=True)
    if os.environ.get("PLAN"):
        for block in blocks:
            for trial in block:
                print(trial.describe())
        return 0
    if os.geteuid() != 0:
        sys.exit("causes: needs root, for network namespaces")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Run(blocks, jobs, ROOT / "target" / "causes" / str(seed))
    try:
        run.play()
    except KeyboardInterrupt:
        print("causes: interrupted")
    if not run.done:
        return 1
    print("\n" + table.confusion(run.done) + "\n\n" + table.markdown(run.done))
    out = pathlib.Path(os.environ.get("OUT") or run.kept / "causes.md")
    out.write_text(table.markdown(run.done))
    unfinished = sum(map(len, run.blocks))
    if unfinished:
        print(f"causes: {unfinished} faults were not made")
    return 0 if table.good(run.done) and not unfinished and not run.broken else 1


if __name__ == "__main__":
    sys.exit(main())
