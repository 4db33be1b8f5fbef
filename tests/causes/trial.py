"""One trial: a fault, what the daemon says of it, and the way back."""

import dataclasses
import json
import time

import reading
from kinds import LAB_KIND, UNKNOWN
from stage import OUTSIDE, Broken

LOOK_EVERY = 0.15
# The cause is judged this long after the verdict, and every change is followed until the second of them.
JUDGED_AFTER = 5
FOLLOWED_FOR = 10
# A verdict that takes longer than this is none.
VERDICT_WITHIN = 60
# Everything is right again within this after the fault's end.
HEALTHY_WITHIN = 40


@dataclasses.dataclass
class Trial:
    """A fault to be made, and afterwards what came of it. Times are seconds after the break."""

    number: int
    kind: object
    tunnel: int
    value: str
    bgp: str
    verdict_at: float = None
    cause_at: float = None          # when a right cause was first named
    named: str = None               # JUDGED_AFTER the verdict
    before: list = dataclasses.field(default_factory=list)  # (seconds, tunnel, cause), each change before the break
    shown: list = dataclasses.field(default_factory=list)   # the same, from the break to the healing
    healing: list = dataclasses.field(default_factory=list)  # the same, from then on
    wrong: list = dataclasses.field(default_factory=list)
    failed: list = dataclasses.field(default_factory=list)
    seen: dict = None               # the tunnel's status when it was judged

    def describe(self):
        value = f" {self.value}" if self.value else ""
        return f"{self.number:4} {self.kind.name}{value} on {'both' if self.kind.both else self.tunnel} ({self.bgp})"

    @property
    def affected(self):
        return [1, 2] if self.kind.both else [self.tunnel]

    @property
    def outcome(self):
        """`right`, `wrong`, or `unknown`: nothing was named, or too late, or no verdict came."""
        if self.wrong:
            return "wrong"
        if self.kind.verdict == "none":
            return "right"
        if self.verdict_at is None:
            return "unknown"
        return "right" if (self.named or UNKNOWN) in self.kind.right else "unknown"


class Watch:
    """Follows the causes of both tunnels; a change is noted once."""

    def __init__(self, stage, began):
        self.stage = stage
        self.began = began
        self.before = {number: None for number in OUTSIDE}
        self.tunnels = None

    def look(self, changes):
        """Asks once. Returns the seconds since the break; `tunnels` is what was answered."""
        time.sleep(LOOK_EVERY)
        self.stage.check_alive()
        status = self.stage.status()
        at = time.monotonic() - self.began
        if status is None:
            return at
        by_address = reading.tunnels(status)
        self.tunnels = {number: by_address[outside] for number, outside in OUTSIDE.items()}
        for number, tunnel in self.tunnels.items():
            cause = reading.cause(tunnel)
            if cause != self.before[number]:
                self.before[number] = cause
                changes.append((round(at, 1), number, cause))
        return at


def run(trial, stage):
    """Makes the fault, watches, heals, and waits until all is calm again."""
    kind, value = LAB_KIND.get(trial.kind.name, (trial.kind.name, trial.value))
    where = "all" if trial.kind.both else str(trial.tunnel)
    rests(trial, stage)
    began = time.monotonic()
    stage.lab("break", kind, where, *([value] if value else []))
    watch = Watch(stage, began)
    noticed = reading.NOTICED[trial.kind.verdict]
    until = FOLLOWED_FOR if trial.kind.verdict == "none" else VERDICT_WITHIN
    while (at := watch.look(trial.shown)) < until:
        if watch.tunnels is None:
            continue
        tunnel = watch.tunnels[trial.tunnel]
        if trial.verdict_at is None and noticed(tunnel):
            trial.verdict_at = at
            until = at + FOLLOWED_FOR
        if trial.cause_at is None and reading.cause(tunnel) in trial.kind.right:
            trial.cause_at = at
        if trial.verdict_at is not None and trial.seen is None and at >= trial.verdict_at + JUDGED_AFTER:
            trial.seen = tunnel
            trial.named = reading.cause(tunnel)
        others(trial, watch)
    if trial.seen is None and watch.tunnels is not None:
        trial.seen = watch.tunnels[trial.tunnel]
    for at, number, cause in trial.shown:
        right = trial.kind.right if number in trial.affected else frozenset()
        if cause not in (None, UNKNOWN) and cause not in right:
            trial.wrong.append(f"tunnel {number}: {cause} after {at} s")
    stage.lab("heal", where)
    becomes_calm(trial, watch)


def rests(trial, stage):
    """Waits until the tunnels have been well for as long as this kind needs, and sees that they stay so."""
    watch = Watch(stage, time.monotonic())
    until = max(stage.healed[number] for number in trial.affected) + trial.kind.rest
    while time.monotonic() < until:
        watch.look(trial.before)
        if watch.tunnels is not None and not all(map(reading.healthy, watch.tunnels.values())):
            trial.failed.append(f"not healthy before the fault: {states(watch)}")
            until = time.monotonic() + trial.kind.rest


def states(watch):
    return {number: (tunnel["assessment"], reading.cause(tunnel)) for number, tunnel in (watch.tunnels or {}).items()}


def others(trial, watch):
    """The tunnel that was left alone is healthy all the time."""
    for number, tunnel in watch.tunnels.items():
        if number not in trial.affected and not reading.healthy(tunnel):
            said = f"tunnel {number} was left alone, and is {tunnel['assessment']}, cause {reading.cause(tunnel)}"
            if said not in trial.failed:
                trial.failed.append(said)


def becomes_calm(trial, watch):
    until = time.monotonic() + HEALTHY_WITHIN
    while time.monotonic() < until:
        watch.look(trial.healing)
        if watch.tunnels is not None and all(map(reading.healthy, watch.tunnels.values())):
            for number in trial.affected:
                watch.stage.healed[number] = time.monotonic()
            return
    trial.failed.append(f"not healthy {HEALTHY_WITHIN} s after the healing: {states(watch)}")
    raise Broken(f"{trial.describe()}: {trial.failed[-1]}")


def keep(trial, directory):
    """Writes down what was seen in a trial, for those who want to know why."""
    directory.mkdir(parents=True, exist_ok=True)
    record = {"trial": trial.describe().strip(), "outcome": trial.outcome, "right": sorted(trial.kind.right),
              "verdict_at": trial.verdict_at, "cause_at": trial.cause_at, "named": trial.named, "before": trial.before, "shown": trial.shown,
              "healing": trial.healing, "wrong": trial.wrong, "failed": trial.failed, "tunnel": trial.seen}
    (directory / f"{trial.number:04}-{trial.kind.name}.json").write_text(json.dumps(record, indent=1))
