"""The Grafana dashboards of packaging/grafana as data: panels, their queries with Grafana's variables filled in."""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "packaging" / "grafana"
# What Grafana itself fills in.
OWN = {"__rate_interval", "__interval", "__range", "__url_time_range", "__all"}


def load():
    """Each dashboard by the name of its file."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard):
    """Every panel, those in rows included."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def targets(dashboard):
    """(panel, target) of each query."""
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            yield panel, target


def variables_in(text):
    """The names of the variables that a text uses; those of a data link's fields and values are Grafana's."""
    names = re.findall(r"\$\{?(\w+)", text)
    return {name for name in names if name not in OWN | {"__field", "__value"}}


def filled(expression, values):
    """A query as Grafana sends it."""
    values = {"__rate_interval": "10s", "__interval": "1s", "__range": "60s", **values}
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], expression)
