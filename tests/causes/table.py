"""What a run found, as text and as Markdown: who was named for what, and how long it took."""

import statistics

from kinds import UNKNOWN

# Of every hundred faults at least this many are named right; none is named wrong.
RIGHT_AT_LEAST = 97


def seconds(values):
    """Median and maximum; a dash without a value."""
    values = [value for value in values if value is not None]
    return f"{statistics.median(values):.1f} / {max(values):.1f}" if values else "–"


def to_cause(trial):
    """From the verdict to the right cause; 0 if the cause came first."""
    if trial.verdict_at is None or trial.cause_at is None:
        return None
    return max(0, trial.cause_at - trial.verdict_at)


def rows(trials):
    """A row per kind: its trials and figures."""
    kinds = dict.fromkeys(trial.kind for trial in trials)
    for kind in sorted(kinds, key=lambda kind: kind.name):
        yield kind, [trial for trial in trials if trial.kind is kind]


def named_as(trials):
    """How often which name stood there when it was judged, as `path_to_aws 9, unknown 1`."""
    names = [trial.named or ("no verdict" if trial.verdict_at is None else UNKNOWN) for trial in trials]
    return ", ".join(f"{name} {names.count(name)}" for name in sorted(set(names), key=lambda name: -names.count(name)))


def markdown(trials):
    """The table for docs."""
    lines = ["| fault in the lab | right | named, 5 s after the verdict | right / wrong / unknown | break to verdict, s | verdict to cause, s |",
             "|---|---|---|---|---|---|"]
    for kind, of_kind in rows(trials):
        counts = " / ".join(str(sum(trial.outcome == outcome for trial in of_kind)) for outcome in ("right", "wrong", "unknown"))
        lines.append(f"| {kind.name} | {', '.join(f'`{cause}`' for cause in sorted(kind.right))} | {named_as(of_kind)} | {counts} "
                     f"| {seconds(trial.verdict_at for trial in of_kind)} | {seconds(to_cause(trial) for trial in of_kind)} |")
    return "\n".join(lines) + f"\n\nTimes are median / maximum. {summary(trials)}\n"


def confusion(trials):
    """A row per kind, a column per name."""
    names = sorted({trial.named or "-" for trial in trials}, key=lambda name: (name in ("-", UNKNOWN), name))
    width = max(len(kind.name) for kind, _ in rows(trials))
    lines = [" " * width + "  " + "  ".join(names)]
    for kind, of_kind in rows(trials):
        cells = []
        for name in names:
            count = sum((trial.named or "-") == name for trial in of_kind)
            mark = "" if not count else "" if name in kind.right or (name == "-" and UNKNOWN in kind.right) else "?" if name in ("-", UNKNOWN) else "!"
            cells.append(f"{count or '.'}{mark}".rjust(len(name)))
        lines.append(kind.name.ljust(width) + "  " + "  ".join(cells))
    return "\n".join(lines)


def summary(trials):
    count = {outcome: sum(trial.outcome == outcome for trial in trials) for outcome in ("right", "wrong", "unknown")}
    share = 100 * count["right"] / len(trials)
    return (f"{len(trials)} faults: {count['right']} right ({share:.1f} %), {count['wrong']} wrong, {count['unknown']} unknown; "
            f"verdict to cause {seconds(to_cause(trial) for trial in trials)} s.")


def good(trials):
    """Whether the run keeps what the product promises."""
    right = sum(trial.outcome == "right" for trial in trials)
    return (100 * right >= RIGHT_AT_LEAST * len(trials)
            and not any(trial.wrong or trial.failed for trial in trials))
