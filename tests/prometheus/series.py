"""The series of a daemon from what its ends see, and promtool on expressions over them.

A timeline has a character for each minute of a tunnel, those of docs/report.md and a few more; the series follow from it by the tables
of docs/concepts.md.
"""

import json
import pathlib
import subprocess
import tempfile

# A minute: our end's verdict, AWS's, the assessment, and whether the tunnel carries traffic.
MINUTES = {
    "U": ("up", "up", "healthy", "carrying"),
    "D": ("down", "down", "down", "not_carrying"),
    "l": ("down", "up", "disputed", "not_carrying"),
    "a": ("up", "down", "disputed", "cannot_tell"),
    "L": ("down", "unknown", "unconfirmed", "not_carrying"),
    "A": ("unknown", "down", "unconfirmed", "not_carrying"),
    "B": ("up", "down", "down", "not_carrying"),  # BGP is down
    "w": ("unknown", "up", "blind", "cannot_tell"),  # our end is not here, or was never answered, and AWS says up
    "k": ("up", "unknown", "blind", "cannot_tell"),
    "b": ("unknown", "down", "unconfirmed", "cannot_tell"),  # our end begins; or the path is shared
    "S": ("unknown", "up", "healthy", "carrying"),  # the path is shared
    "?": ("unknown", "unknown", "blind", "cannot_tell"),
    ".": None,
}
WORDS = {
    "local": ("up", "down", "unknown"),
    "aws": ("up", "down", "unknown"),
    "assessment": ("healthy", "down", "disputed", "unconfirmed", "blind"),
    "carrying": ("carrying", "not_carrying", "cannot_tell"),
}


def written(samples):
    """Samples in promtool's notation; None is a scrape that failed, which ends a series at once."""
    parts, rest = [], list(samples)
    while rest:
        first = rest[0]
        length = next((at for at, sample in enumerate(rest) if sample != first), len(rest))
        ended = "stale" if length == 1 else f"stale _x{length - 1}"
        parts.append(ended if first is None else f"{first}x{length - 1}")
        rest = rest[length:]
    return " ".join(parts)


def gateway(tunnels, instance="milan-1", vpn="vpn-0a"):
    """The series of a daemon with one connection: of each tunnel its role, its timeline, and that of its silence. Where no tunnel has
    a minute the daemon is not scraped. The instance is its site as well."""
    length = max(len(timeline) for _, timeline, _ in tunnels)
    scraped = [any(timeline[at] != "." for _, timeline, _ in tunnels) for at in range(length)]
    of_host = f'job="bothends",instance="{instance}:9846"'
    while_scraped = written([1 if here else None for here in scraped])
    series = {f"up{{{of_host}}}": written([int(here) for here in scraped])}
    series[f'bothends_vpn_info{{{of_host},vpn="{vpn}",name="Milan DC",site="{instance}"}}'] = while_scraped
    # A silence of the connection is one of all its tunnels; so are those of each. Here each tunnel has its own.
    series[f'bothends_silenced{{{of_host},scope="connection",name="Milan DC",vpn="{vpn}"}}'] = written([0 if here else None for here in scraped])
    for number, (role, timeline, silence) in enumerate(tunnels, 1):
        labels = f'{of_host},vpn="{vpn}",tunnel="203.0.113.{number}"'
        # An unused tunnel has no verdict, whatever happens on it.
        minutes = [MINUTES["?" if role == "unused" and minute != "." else minute] for minute in timeline]
        add = lambda name, more, of: series.update(
            {f"{name}{{{labels},{more}}}": written([None if minute is None else int(of(minute)) for minute in minutes])}
        )
        add("bothends_tunnel_info", f'name="tunnel {number}",role="{role}",site="{instance}"', lambda _: 1)
        for at, end in enumerate(("local", "aws")):
            for word in WORDS[end]:
                add("bothends_tunnel_verdict", f'end="{end}",verdict="{word}"', lambda minute: minute[at] == word)
        for at, of in ((2, "assessment"), (3, "carrying")):
            for word in WORDS[of]:
                add(f"bothends_tunnel_{of}", f'{of}="{word}"', lambda minute: minute[at] == word)
        silenced = [None if minute is None else int(silence[of] == "s") for of, minute in enumerate(minutes)]
        series[f'bothends_silenced{{{labels},scope="tunnel",name="tunnel {number}"}}'] = written(silenced)
    return series


def agrees(case, tests, *rules):
    """Fails with what promtool says against the tests, with these files of rules."""
    with tempfile.TemporaryDirectory() as place:
        file = pathlib.Path(place) / "tests.yaml"
        # JSON is YAML.
        file.write_text(json.dumps({"rule_files": [str(of) for of in rules], "evaluation_interval": "1m", "tests": tests}))
        run = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True)
    if run.returncode != 0:
        case.fail(run.stdout + run.stderr)


def test(name, series, questions):
    """A test of promtool; a question is an expression, a minute, and the value expected of it without labels, or None where there is
    none."""
    asked = [
        {"expr": expression, "eval_time": f"{minute}m", "exp_samples": [] if value is None else [{"labels": "{}", "value": value}]}
        for expression, minute, value in questions
    ]
    written_series = [{"series": of, "values": values} for of, values in series.items()]
    return {"name": name, "interval": "1m", "input_series": written_series, "promql_expr_test": asked}
