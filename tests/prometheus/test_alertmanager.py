"""packaging/prometheus/alertmanager.yaml and alertmanager-hub.yaml in a real Alertmanager: which alerts are inhibited, by what, and where each goes.

The names of alerts and their labels are those of packaging/prometheus/rules.yaml and slo.yaml. Alertmanager listens on loopback, and
sends nothing: its first notification would come after group_wait.
"""

import datetime
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "packaging/prometheus/alertmanager.yaml"
HUB = ROOT / "packaging/prometheus/alertmanager-hub.yaml"
RULES = "".join((ROOT / "packaging/prometheus" / name).read_text() for name in ("rules.yaml", "slo.yaml"))
DEADLINE = 20.0
ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


class Alertmanager:
    """A process with an empty store, at a port of its own."""

    def __init__(self, config):
        self.store = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [
                ALERTMANAGER,
                f"--config.file={config}",
                f"--storage.path={self.store.name}",
                "--web.listen-address=127.0.0.1:0",
                "--cluster.listen-address=",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port, self.said = None, []
        # A process that says nothing more is ended, and so is the reading.
        watchdog = threading.Timer(DEADLINE, self.process.kill)
        watchdog.start()
        for line in self.process.stderr:
            self.said.append(line)
            found = re.search(r"Listening on.*address=\S*?:(\d+)", line)
            if found:
                self.port = int(found[1])
                break
        watchdog.cancel()
        if self.port is None:
            self.end()
            raise AssertionError("Alertmanager does not start:\n" + "".join(self.said))
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def end(self):
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.process.stderr.close()
        self.store.cleanup()

    def ask(self, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def post(self, alerts, ends=None):
        self.ask("/api/v2/alerts", [{"labels": alert, **({"endsAt": ends} if ends else {})} for alert in alerts])

    def states(self):
        """The alerts that fire, by their labels: the names of the alerts that inhibit each."""
        alerts = self.ask("/api/v2/alerts")
        names = {alert["fingerprint"]: alert["labels"]["alertname"] for alert in alerts}
        return {
            labels(alert["labels"]): [names.get(of, "ended") for of in alert["status"]["inhibitedBy"]] for alert in alerts
        }

    def states_once(self, inhibited):
        """The same as soon as this alert is inhibited, or no longer is."""
        alert, expected = inhibited
        until = time.monotonic() + DEADLINE
        while True:
            states = self.states()
            if bool(states.get(labels(alert))) == expected:
                return states
            if time.monotonic() > until:
                raise AssertionError(f"{alert} is not {'inhibited' if expected else 'free'}: {states}")


def labels(of):
    return tuple(sorted(of.items()))


def alert(alertname, instance="milan-1:9846", **more):
    return {"alertname": alertname, "job": "bothends", "instance": instance, **more}


def of_tunnel(alertname, vpn="vpn-0a", tunnel="203.0.113.11", **more):
    return alert(alertname, vpn=vpn, tunnel=tunnel, severity="warning", **more)


def outage(scope, **more):
    return alert("BothEndsOutage", scope=scope, kind="outage", severity="critical", site="milan-1", **more)


def silenced(scope, **more):
    return alert("BothEndsSilenced", scope=scope, severity="none", **more)


UPLINK = outage("uplink", name="wan1")
MILAN = outage("connection", name="Milan DC", vpn="vpn-0a")
MILAN_LOST = alert("BothEndsRedundancyLost", scope="connection", name="Milan DC", vpn="vpn-0a", severity="warning")
PARIS_LOST = alert("BothEndsRedundancyLost", scope="connection", name="Paris", vpn="vpn-0b", severity="warning")
TUNNEL_WARNINGS = ("BothEndsDisputed", "BothEndsAwsUnknown", "BothEndsEvidenceOld")


class Inhibition(unittest.TestCase):
    CONFIG = CONFIG

    def setUp(self):
        self.alertmanager = Alertmanager(self.CONFIG)
        self.addCleanup(self.alertmanager.end)

    def holds(self, sources, inhibited, free):
        """While the sources fire, exactly these are inhibited by them. The last source must inhibit the first target: Alertmanager
        takes alerts in one at a time, so what it has not inhibited by then it does not inhibit."""
        self.alertmanager.post(inhibited + free + sources)
        states = self.alertmanager.states_once((inhibited[0], True))
        by = sorted({source["alertname"] for source in sources})
        for target in inhibited:
            self.assertEqual(sorted(set(states[labels(target)])), by, target)
        for target in free + sources:
            self.assertEqual(states[labels(target)], [], target)


class Inhibiting(Inhibition):
    def test_the_outage_of_an_uplink_mutes_what_follows_from_it_at_its_gateway_and_no_incident(self):
        elsewhere = [of_tunnel(name, instance="rome-1:9846") for name in TUNNEL_WARNINGS]
        self.holds(
            [UPLINK],
            [of_tunnel(name) for name in TUNNEL_WARNINGS],
            [MILAN, PARIS_LOST, alert("BothEndsNotReady", severity="critical"), *elsewhere],
        )

    def test_the_outage_of_a_group_mutes_nothing(self):
        group = outage("group", name="hubs")
        self.holds([MILAN], [MILAN_LOST], [group, PARIS_LOST, of_tunnel("BothEndsDisputed", vpn="vpn-0b")])

    def test_an_outage_stands_for_the_lost_redundancy_of_its_connection_alone(self):
        self.holds([MILAN], [MILAN_LOST, of_tunnel("BothEndsDisputed")], [PARIS_LOST])

    def test_a_connection_that_spends_its_budget_stands_for_its_tunnels(self):
        for what in ("Burns", "Leaks"):
            milan = alert(f"BothEndsConnectionBudget{what}", vpn="vpn-0a", name="Milan DC", severity="warning")
            self.holds([milan], [of_tunnel(f"BothEndsTunnelBudget{what}")], [of_tunnel(f"BothEndsTunnelBudget{what}", vpn="vpn-0b")])

    def test_a_silence_mutes_the_warnings_about_its_tunnels_and_no_incident(self):
        other = [of_tunnel(name, vpn="vpn-0b") for name in TUNNEL_WARNINGS]
        self.holds(
            [silenced("connection", name="Milan DC", vpn="vpn-0a")],
            [of_tunnel(name) for name in TUNNEL_WARNINGS],
            [MILAN_LOST, PARIS_LOST, *other],
        )

    def test_a_silenced_tunnel_mutes_its_own_warnings_alone(self):
        self.holds(
            [silenced("tunnel", name="tunnel 1", vpn="vpn-0a", tunnel="203.0.113.11")],
            [of_tunnel(name) for name in TUNNEL_WARNINGS],
            [of_tunnel(name, tunnel="203.0.113.12") for name in TUNNEL_WARNINGS] + [MILAN_LOST],
        )

    def test_a_daemon_that_is_not_ready_has_one_alert(self):
        problem = alert("BothEndsProblem", code="sink_rejects", component="sink webhook", severity="warning")
        self.holds(
            [alert("BothEndsNotReady", severity="critical")],
            [problem, of_tunnel("BothEndsAwsUnknown")],
            [MILAN, {**problem, "instance": "rome-1:9846"}],
        )

    def test_what_is_muted_is_free_again_when_the_outage_ends(self):
        warning = of_tunnel("BothEndsDisputed")
        self.holds([UPLINK], [warning], [])
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        self.alertmanager.post([UPLINK], ends=now)
        self.alertmanager.states_once((warning, False))


class Hub(Inhibition):
    CONFIG = HUB

    def at(self, alertname, instance, **more):
        return alert(alertname, instance=instance, kind="outage", scope="connection", severity="critical", **more)

    def test_the_outage_of_a_hub_stands_for_those_of_its_sites_alone(self):
        hub = self.at("BothEndsOutage", "paris-1:9846", hub="paris", tier="hub", vpn="vpn-0p")
        incidents = ("BothEndsOutage", "BothEndsRedundancyLost", "BothEndsOneSided", "BothEndsDisputed")
        self.holds(
            [hub],
            [self.at(name, "milan-1:9846", hub="paris", vpn="vpn-0a") for name in incidents],
            [
                # Of another connection of the hub, of a site of another hub, of one without a hub; and that a site is not watched.
                self.at("BothEndsRedundancyLost", "paris-1:9846", hub="paris", tier="hub", vpn="vpn-0q"),
                self.at("BothEndsOutage", "tokyo-1:9846", hub="osaka", vpn="vpn-0t"),
                self.at("BothEndsOutage", "oslo-1:9846", vpn="vpn-0o"),
                self.at("BothEndsAbsent", "milan-1:9846", hub="paris"),
            ],
        )

    def test_a_hub_whose_targets_lack_its_name_mutes_nothing(self):
        nameless = self.at("BothEndsOutage", "paris-1:9846", tier="hub", vpn="vpn-0p")
        unrelated = self.at("BothEndsOutage", "oslo-1:9846", vpn="vpn-0o")
        # A hub with its name, and a site of it: once that is inhibited, everything has been looked at.
        named = self.at("BothEndsOutage", "lyon-1:9846", hub="lyon", tier="hub", vpn="vpn-0l")
        site = self.at("BothEndsOutage", "nice-1:9846", hub="lyon", vpn="vpn-0n")
        self.alertmanager.post([nameless])
        self.holds([named], [site], [unrelated])


class Routing(unittest.TestCase):
    def test_the_configurations_are_valid(self):
        for config in (CONFIG, HUB):
            subprocess.run(["amtool", "check-config", str(config)], check=True, capture_output=True)

    def test_what_pages_is_what_an_outage_and_a_blind_daemon_say_once(self):
        # Each alert with the severity of its rule. An outage that also spends a budget pages once; the budget is a ticket.
        severities = dict(re.findall(r"- alert: (\w+)\n(?:.*\n)*?        labels: \{severity: (\w+)\}", RULES))
        self.assertEqual(set(severities), set(re.findall(r"- alert: (\w+)", RULES)))
        to = {}
        for name, severity in severities.items():
            to.setdefault(self.receiver(alert(name, severity=severity)), set()).add(name)
        pages = {"BothEndsOutage", "BothEndsOneSided", "BothEndsAbsent", "BothEndsNoTarget", "BothEndsNotReady"}
        self.assertEqual((to["pager"], to["nobody"]), (pages, {"BothEndsSilenced"}))
        self.assertLessEqual({name for name in severities if "Budget" in name}, to["tickets"])

    def receiver(self, of):
        asked = ["amtool", "config", "routes", "test", f"--config.file={CONFIG}"]
        asked += [f'{name}="{value}"' for name, value in of.items()]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()

    def test_what_wakes_somebody_is_what_is_critical(self):
        for of, receiver in [
            (UPLINK, "pager"),
            (MILAN, "pager"),
            (MILAN_LOST, "tickets"),
            (of_tunnel("BothEndsDisputed"), "tickets"),
            (silenced("connection", vpn="vpn-0a"), "nobody"),
        ]:
            self.assertEqual(self.receiver(of), receiver, of)

    def test_every_alert_that_is_named_exists(self):
        # A rule of a misspelt alert is valid, and inhibits nothing.
        named = set(re.findall(r"BothEnds\w+", CONFIG.read_text() + HUB.read_text()))
        self.assertLessEqual(named, set(re.findall(r"- alert: (\w+)", RULES)))
        self.assertGreater(len(named), 5)


if __name__ == "__main__":
    unittest.main()
