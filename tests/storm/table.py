"""The figures of a storm, and whether they keep what is promised."""

# From the first page on.
CALLS_PER_SECOND = 2
# Over so many seconds: a poll that needs several calls makes them one after the other.
CALLS_OVER = 10
# The last of all tunnels is Down within so many times the time that one alone needs.
AS_SLOW = 2
# Journal records per tunnel, from the cut until everything is resolved. Both ends' verdicts, the assessments and the causes, down and up
# again, are eleven; each connection's incident, with its record at the sink, has about ten more.
RECORDS_PER_TUNNEL = 20


def rates(calls, start, end, width=1):
    """Calls per second in each span of so many seconds."""
    spans = [0] * max(1, int((end - start) // width))
    for at, _ in calls:
        if start <= at < start + len(spans) * width:
            spans[int((at - start) // width)] += 1
    return [count / width for count in spans]


def by_operation(calls, start, end):
    counts = {}
    for at, operation in calls:
        if start <= at < end:
            counts[operation] = counts.get(operation, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def late(at, since):
    return None if at is None else at - since


def span(seconds):
    return "never" if seconds is None else f"{seconds:.1f} s"


def figures(storm):
    """Each figure as (what, value)."""
    cut, paged, end = storm.cut, storm.first_page, storm.observed
    after = rates(storm.calls, paged, end, CALLS_OVER) if paged else [0]
    healing = rates(storm.calls, storm.healed, storm.over, CALLS_OVER)
    cpu = storm.cost.between(cut, end)
    calm = storm.cost.between(storm.calm, storm.alone)
    calm_for = storm.alone - storm.calm
    busiest, thread = storm.cost.busiest(cut, end)
    counts = storm.journal.counts(cut, storm.over)
    return [
        ("one tunnel alone: Down by our end", span(late(storm.one_local, storm.alone))),
        ("one tunnel alone: Down by both ends", span(late(storm.one_agreed, storm.alone))),
        ("all tunnels: the first Down by our end", span(late(storm.first_local, cut))),
        ("all tunnels: half of them Down by our end", span(late(storm.half_local, cut))),
        ("all tunnels: the last Down by our end", span(late(storm.all_local, cut))),
        ("… by /metrics", span(late(storm.all_local_shown, cut))),
        ("all tunnels: the last Down by both ends", span(late(storm.all_agreed, cut))),
        ("… by /metrics", span(late(storm.all_agreed_shown, cut))),
        ("first page", span(late(paged, cut))),
        ("last page", span(late(storm.last_page, cut))),
        ("calls of StartIncident while it was cut", f"{storm.pages}"),
        ("pages: records at the sink", f"{len(storm.incidents)}"),
        ("AWS calls a second: in calm", f"{len([1 for at, _ in storm.calls if storm.calm <= at < storm.alone]) / calm_for:.2f}"),
        ("AWS calls a second: peak, over 1 s", f"{max(rates(storm.calls, cut, end)):.0f}"),
        ("AWS calls a second: from the first page on, mean", f"{sum(after) / len(after):.2f}"),
        (f"AWS calls a second: from the first page on, peak over {CALLS_OVER} s", f"{max(after):.1f}"),
        (f"AWS calls a second: while all comes back, peak over {CALLS_OVER} s", f"{max(healing):.1f}"),
        ("AWS calls from the cut on", f"{sum(by_operation(storm.calls, cut, end).values())}"),
        ("journal: tunnels with a record of our end's Down", f"{storm.written} of {len(storm.tunnels)}"),
        ("journal records: from the cut on", f"{sum(storm.journal.counts(cut, end).values())}"),
        ("journal records: until all was resolved", f"{sum(counts.values())}"),
        ("… of these warnings and errors", f"{sum(count for (_, level), count in counts.items() if level in ('warning', 'error'))}"),
        ("… suppressed / dropped", f"{storm.suppressed:.0f} / {storm.dropped:.0f}"),
        ("facts dropped", f"{storm.facts_dropped:.0f}"),
        ("probes skipped", f"{storm.ticks_skipped:.0f}"),
        ("CPU in calm, ms a second", f"{sum(calm.values()) / calm_for * 1000:.0f}"),
        ("CPU from the cut on, s", f"{sum(cpu.values()):.1f} in {end - cut:.0f} s"),
        ("… by thread", ", ".join(f"{name} {had:.1f}" for name, had in cpu.most_common(5))),
        ("busiest second", f"{busiest:.0%} of a core ({thread})"),
        ("memory, MB: in calm / peak", f"{storm.cost.memory(storm.calm, storm.alone):.0f} / {storm.cost.memory(cut, storm.over):.0f}"),
        ("load average of the machine at the cut", f"{storm.load:.1f}"),
        ("/metrics: size, slowest answer", f"{storm.metrics_size / 1e6:.1f} MB, {storm.slowest_scrape:.1f} s"),
        ("healed: all Up by both ends", span(late(storm.all_up, storm.healed))),
        ("healed: every incident resolved, every record closed", span(late(storm.all_closed, storm.healed))),
    ]


def details(storm):
    lines = []
    for when, start, end in (("from the cut to the first page", storm.cut, storm.first_page or storm.observed),
                             ("from the first page on", storm.first_page or storm.observed, storm.observed),
                             ("from the healing on", storm.healed, storm.over)):
        found = by_operation(storm.calls, start, end)
        lines.append(f"calls {when} ({end - start:.0f} s): " + (", ".join(f"{name} {count}" for name, count in found.items()) or "none"))
    lines.append("records: " + ", ".join(f"{name} ({level}) {count}"
                                         for (name, level), count in storm.journal.counts(storm.cut, storm.over).items()))
    if storm.failures:
        lines.append("calls that failed: " + ", ".join(f"{why} {count}" for why, count in storm.failures.items()))
    lines.append("problems seen: " + (", ".join(sorted(storm.problems)) or "none"))
    lines.append("titles: " + " | ".join(sorted({incident["record"]["title"] for incident in storm.incidents})[:4]))
    return lines


def broken(storm):
    """The promises that were not kept."""
    calls = rates(storm.calls, storm.first_page, storm.over, CALLS_OVER) if storm.first_page else [0]
    counts = storm.journal.counts(storm.cut, storm.over)
    records = sum(counts.values())
    one, last = late(storm.one_local, storm.alone), late(storm.all_local, storm.cut)
    one_agreed, last_agreed = late(storm.one_agreed, storm.alone), late(storm.all_agreed, storm.cut)
    bound = RECORDS_PER_TUNNEL * len(storm.tunnels)
    promises = [
        (len(storm.incidents) == 1, f"{len(storm.incidents)} pages, not 1"),
        (storm.pages == 1, f"{storm.pages} calls of StartIncident, not 1"),
        (max(calls) <= CALLS_PER_SECOND, f"{max(calls):.1f} AWS calls a second from the first page on, not {CALLS_PER_SECOND} at most"),
        (None not in (one, last) and last <= AS_SLOW * one, f"all Down by our end after {span(last)}, one after {span(one)}"),
        (None not in (one_agreed, last_agreed) and last_agreed <= AS_SLOW * one_agreed,
         f"all Down by both ends after {span(last_agreed)}, one after {span(one_agreed)}"),
        (records <= bound, f"{records} journal records, not {bound} at most"),
        (storm.dropped == 0 and storm.facts_dropped == 0, "journal records or facts were dropped"),
        (not any(name == "STUCK" for name, _ in counts), "the daemon was stuck: systemd's watchdog would have ended it"),
        (storm.all_closed is not None, "not everything was resolved"),
    ]
    return [text for kept, text in promises if not kept]


def markdown(storms):
    """A column per build."""
    columns = [dict(enumerate(figures(storm))) for storm in storms]
    lines = ["| | " + " | ".join(storm.build for storm in storms) + " |", "|---|" + "---|" * len(storms)]
    for row, (what, _) in columns[0].items():
        lines.append(f"| {what} | " + " | ".join(column[row][1] for column in columns) + " |")
    return "\n".join(lines)
