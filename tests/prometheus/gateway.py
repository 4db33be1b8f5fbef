"""A gateway whose daemon a real Prometheus scrapes: tests/storm's stage with two connections, short times, and the shipped rules.

Prometheus runs on the gateway's network, so its port is free too. Its rules are those of the package with shorter times: what stands
for minutes is scraped and evaluated every second here.
"""

import json
import pathlib
import re
import shutil
import signal
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "storm"))

from stage import PLAN, REFERENCES, Connection, Stage, fetch  # noqa: E402

PROMETHEUS = "127.0.0.1:9090"
TARGET = "127.0.0.1:9846"
RULES = ("rules.yaml", "slo.yaml")

SETTINGS = f'''
[site]
name = "milan-1"
[labels]
environment = "prod"
[aws]
region = "eu-west-1"
ec2_telemetry = true
poll_interval = "5s"
suspect_poll_interval = "2s"
[[uplink]]
name = "wan"
interface = "wan0"
references = {json.dumps(REFERENCES)}
[incident]
open_after = {{ outage = "1s", redundancy_lost = "1s", degraded = "off" }}
resolve_after = "1s"
start_grace = "0s"
[[incident.sink]]
type = "incident_manager"
response_plan = "{PLAN}"
'''


def sooner(rules):
    """The shipped rules with every `for` and every interval in seconds."""
    rules = re.sub(r"(?m)^( +for: )\w+$", r"\g<1>3s", rules)
    return re.sub(r"(?m)^( +interval: )\w+$", r"\g<1>1s", rules)


class Gateway(Stage):
    """Everything that runs; `environment` is an own label of the connections."""

    def __init__(self, daemon, stand_in):
        connections = [Connection(0), Connection(1)]
        connections[0].name, connections[1].name = "Milan DC", "Rome"
        super().__init__(connections, True, daemon, stand_in)
        self.programs["prometheus"] = pathlib.Path(shutil.which("prometheus") or "prometheus")
        self.environment = "prod"

    def configuration(self):
        text = SETTINGS.replace('"prod"', f'"{self.environment}"')
        for connection in self.connections:
            text += f'[[vpn]]\nid = "{connection.id}"\nname = "{connection.name}"\nrouting = "static"\n'
            for tunnel in connection.tunnels:
                text += f'[[vpn.tunnel]]\noutside_ip = "{tunnel.outside}"\ninside_ip = "{tunnel.inside}"\nsource_ip = "{tunnel.source}"\n'
        return text

    def up(self):
        super().up()
        for name in RULES:
            self._file(name, sooner((ROOT / "packaging" / "prometheus" / name).read_text()))
        settings = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": list(RULES),
            "scrape_configs": [{"job_name": "bothends", "static_configs": [{"targets": [TARGET]}]}],
        }
        # JSON is YAML.
        config = self._file("prometheus.yml", json.dumps(settings))
        self._start("prometheus", [f"--config.file={config}", f"--storage.tsdb.path={self.directory / 'tsdb'}",
                                   f"--web.listen-address={PROMETHEUS}", "--log.level=warn"])

    def reload(self, text=None):
        """Another configuration, and the signal to read it; without one, that of this gateway."""
        self._file("bothends.toml", self.configuration() if text is None else text)
        self.children["bothends"].send_signal(signal.SIGHUP)

    def metrics(self):
        """A scrape of ours."""
        return fetch(f"http://{TARGET}/metrics")

    def api(self, path, **parameters):
        """Prometheus' answer to a request of its HTTP API; an AssertionError says why there is none."""
        self.check_alive()
        answer = fetch(f"http://{PROMETHEUS}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        if answer is None:
            raise AssertionError(f"{path} {parameters}: no answer, or an error")
        answer = json.loads(answer)
        if answer["status"] != "success" or answer.get("warnings"):
            raise AssertionError(f"{path} {parameters}: {answer}")
        return answer["data"]

    def query(self, expression):
        """The samples of an expression, now: labels and value."""
        return [(it["metric"], float(it["value"][1])) for it in self.api("query", query=expression)["result"]]

    def series(self, expression, start, end, step=1):
        """The series of an expression from `start` to `end`: labels, and pairs of time and value."""
        found = self.api("query_range", query=expression, start=start, end=end, step=step)["result"]
        return [(it["metric"], [(at, float(value)) for at, value in it["values"]]) for it in found]

    def alerts(self):
        """The state of each active alert, by its name and what it is about."""
        return {(it["labels"]["alertname"], it["labels"].get("vpn", "")): it["state"] for it in self.api("alerts")["alerts"]}
