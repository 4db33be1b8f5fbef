#!/usr/bin/env python3
"""A real Prometheus scrapes a real daemon through an outage, with the rules and the dashboards of the package.

make prometheus       needs root, for network namespaces; BIN= and STAND_IN= name other builds
KEEP=1                leaves everything running during the outage until it is stopped, for a picture of Prometheus' own page
"""

import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

import dashboards
from gateway import ROOT, TARGET, Gateway

# Each step takes seconds; a build without optimisation on a busy machine takes longer.
STEP = 60.0
EVERY = 0.25


def now():
    """The end of a range whose last step is not before the newest sample."""
    return time.time() + 1


class Story:
    """What happens, once, and what Prometheus answered in each act."""

    def __init__(self):
        target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug"
        daemon = pathlib.Path(os.environ.get("BIN") or target / "bothends").resolve()
        self.gateway = Gateway(daemon, pathlib.Path(os.environ.get("STAND_IN") or target / "examples" / "aws-stand-in").resolve())
        self.milan, self.rome = self.gateway.connections
        self.panels = {}

    def until(self, what, holds):
        """Polls until `holds` gives something true; its value."""
        deadline = time.monotonic() + STEP
        while True:
            try:
                if value := holds():
                    return value
                problem = "not yet"
            except AssertionError as error:
                problem = error
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {STEP:.0f} s: {what} ({problem}); alerts: {self.safe_alerts()}\n"
                                     f"{self.gateway.last_output('bothends')}\n{self.gateway.last_output('prometheus')}")
            time.sleep(EVERY)

    def safe_alerts(self):
        try:
            return self.gateway.alerts()
        except AssertionError as error:
            return error

    def reaches(self, alert, state, vpn=""):
        """Waits for a state of an alert, about a connection or about none."""
        self.until(f"{alert} {vpn} {state}", lambda: self.gateway.alerts().get((alert, vpn), "inactive") == state)

    def history(self, alert):
        """The states that an alert has had so far, in order, as Prometheus has stored them."""
        series = self.gateway.series(f'ALERTS{{alertname="{alert}"}}', self.began, now())
        states = [state for _, state in sorted((at, labels["alertstate"]) for labels, points in series for at, _ in points)]
        return [state for at, state in enumerate(states) if at == 0 or states[at - 1] != state]

    def play(self):
        gateway, milan = self.gateway, self.milan
        query = gateway.query
        gateway.up()
        self.until("Prometheus answers and scrapes", lambda: query("up == 1"))
        self.until("all tunnels carry traffic", lambda: query('sum(bothends_tunnel_carrying{carrying="carrying"})') == [({}, 4.0)])
        self.began = time.time()
        self.alerts_in_peace = self.until("no alert", lambda: gateway.alerts() == {} and [gateway.alerts()])
        self.until("the recording rules have values", lambda: query("vpn:bothends_up:avg_over_time30d == 1"))

        # Our end alone: the ends disagree.
        gateway.cut([address for tunnel in milan.tunnels for address in (tunnel.inside, tunnel.outside)])
        self.reaches("BothEndsDisputed", "firing", milan.id)
        # Both ends.
        gateway.aws_says(milan.tunnels, "DOWN")
        self.reaches("BothEndsOutage", "firing", milan.id)
        self.reaches("BothEndsConnectionBudgetBurns", "firing", milan.id)
        self.until("the recorded state", lambda: query(f'vpn:bothends_up:known{{vpn="{milan.id}"}} == 0'))
        self.reaches("BothEndsDisputed", "inactive", milan.id)
        # A problem, so that its panels have something to show.
        gateway.reload("not a configuration")
        self.until("the refused reload", lambda: query('bothends_problem{code="reload_refused"} == 1'))
        self.ask_the_dashboards()
        self.scrape = gateway.metrics()
        self.labelled = query('(bothends_incident_open{kind="outage"} == 1) * on (job, instance, vpn) group_left (environment) bothends_vpn_info')
        self.rules = [rule for group in gateway.api("rules")["groups"] for rule in group["rules"]]
        self.recorded = {name for name in (rule["name"] for rule in self.rules if rule["type"] == "recording") if query(name)}
        self.keep()

        gateway.environment = "test"
        gateway.reload()
        self.until("the reloaded label", lambda: query('bothends_tunnel_info{environment="test"}'))
        self.relabelled = query("count by (environment) (bothends_vpn_info)")
        gateway.heal()
        gateway.aws_says(milan.tunnels, "UP")
        self.reaches("BothEndsOutage", "inactive", milan.id)
        self.ended = now()
        self.outage = gateway.series('bothends_incident_open{kind="outage",scope="connection"}', self.began, self.ended)
        self.firing = gateway.series('ALERTS{alertname="BothEndsOutage",alertstate="firing"}', self.began, self.ended)
        self.verdicts = gateway.series(f'bothends_tunnel_verdict{{vpn="{milan.id}",verdict="down"}}', self.began, self.ended)
        # The daemon stops: its end is missing, and that has its own alert.
        daemon = gateway.children.pop("bothends")
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(STEP)
        # The answer about alerts comes from memory, before what it says is stored.
        self.until("BothEndsAbsent fires", lambda: self.history("BothEndsAbsent")[-1:] == ["firing"])
        self.states = {alert: self.history(alert) for alert in ("BothEndsDisputed", "BothEndsOutage", "BothEndsAbsent")}
        self.left = gateway.query("bothends_tunnel_carrying")

    def ask_the_dashboards(self):
        values = {"instance": TARGET, "site": "milan-1", "vpn": f"({self.milan.id}|{self.rome.id})"}
        until = now()
        for name, dashboard in dashboards.load().items():
            for panel, target in dashboards.targets(dashboard):
                expression = dashboards.filled(target["expr"], values)
                at_once, over_time = self.gateway.query(expression), self.gateway.series(expression, until - 30, until)
                self.panels[name, panel["title"], target["refId"]] = at_once if target["instant"] else over_time
        for variable in dashboards.load()["site"]["templating"]["list"]:
            if variable["type"] == "query":
                kind, text = variable["definition"].split("(", 1)
                text = dashboards.filled(text.removesuffix(")"), values)
                expression = text if kind == "query_result" else text.rsplit(",", 1)[0]
                self.panels["site", f"variable {variable['name']}", ""] = self.gateway.query(expression)

    def keep(self):
        if os.environ.get("KEEP"):
            print(f"Prometheus runs in the network namespace {self.gateway.gateway}; Ctrl-C, or SIGTERM to {os.getpid()}, ends it", flush=True)
            signal.pause()


class Live(unittest.TestCase):
    """The story is played once; each test states a fact about what was seen."""

    @classmethod
    def setUpClass(cls):
        cls.story = Story()
        cls.addClassCleanup(cls.story.gateway.down)
        try:
            cls.story.play()
        except BaseException:
            # A signal, for which unittest does not clean up.
            cls.story.gateway.down()
            raise

    def test_in_peace_no_alert_is_active(self):
        self.assertEqual(self.story.alerts_in_peace, [{}])

    def test_an_alert_with_a_duration_is_pending_then_firing_then_over(self):
        # Its end was waited for. When the line is healed, AWS's end follows after a poll, so it may be pending again.
        self.assertEqual(self.story.states["BothEndsDisputed"][:2], ["pending", "firing"])

    def test_the_outage_fires_at_once_and_resolves(self):
        self.assertEqual(self.story.states["BothEndsOutage"], ["firing"])

    def test_a_daemon_that_stops_has_an_alert_and_its_tunnels_have_no_state(self):
        self.assertEqual(self.story.states["BothEndsAbsent"], ["pending", "firing"])
        self.assertEqual(self.story.left, [])

    def test_the_outage_is_in_the_series_of_its_connection_alone(self):
        values = {labels["vpn"]: [value for _, value in points] for labels, points in self.story.outage}
        shape = {vpn: [value for at, value in enumerate(row) if at == 0 or row[at - 1] != value] for vpn, row in values.items()}
        self.assertEqual(shape, {self.story.milan.id: [0, 1, 0], self.story.rome.id: [0]})
        (labels, points), = self.story.firing
        self.assertEqual((labels["vpn"], labels["name"], labels["site"]), (self.story.milan.id, "Milan DC", "milan-1"))
        self.assertTrue(self.story.began < points[0][0] < points[-1][0] <= self.story.ended)

    def test_the_gap_between_both_ends_is_in_the_series(self):
        for tunnel in self.story.milan.tunnels:
            first = {labels["end"]: min(at for at, value in points if value == 1)
                     for labels, points in self.story.verdicts if labels["tunnel"] == tunnel.outside}
            self.assertLess(first["local"] + 2, first["aws"], "AWS said down after the alert had been pending for 3 s")

    def test_every_rule_was_evaluated_without_an_error_and_every_recording_rule_has_values(self):
        wrong = {rule["name"]: rule.get("lastError", rule["health"]) for rule in self.story.rules if rule["health"] != "ok"}
        self.assertEqual(wrong, {})
        names = {rule["name"] for rule in self.story.rules if rule["type"] == "recording"}
        # Nothing has spent its budget for three days.
        self.assertGreaterEqual(self.story.recorded, {name for name in names if not name.endswith(":slow")})
        self.assertGreater(len(names), 20)

    def test_own_labels_join_by_the_connection_and_follow_a_reload(self):
        ((labels, _),) = self.story.labelled
        self.assertEqual((labels["environment"], labels["vpn"]), ("prod", self.story.milan.id))
        self.assertEqual(self.story.relabelled, [({"environment": "test"}, 2.0)])

    def test_every_panel_has_something_to_show_during_the_outage(self):
        empty = [panel for panel, answer in self.story.panels.items() if not answer]
        self.assertEqual(empty, [])
        self.assertGreater(len(self.story.panels), 30)

    def test_the_panels_show_the_outage(self):
        panel = self.story.panels
        flows = [panel["site", "Does traffic flow through the connections?", ref][0][1][-1][1] for ref in "ABC"]
        self.assertEqual(flows, [1.0, 1.0, 0.0])
        self.assertEqual(panel["fleet", "Connections without traffic", "A"][0][1][-1][1], 1.0)
        self.assertEqual(panel["site", "Incidents open", "A"][0][1][-1][1], 1.0)
        ((labels, score),) = panel["fleet", "Sites, worst first", "A"]
        self.assertEqual((labels, score), ({"site": "milan-1"}, 4.0))
        rows = [labels["row"] for labels, _ in panel["site", "Verdict of each end", "A"]]
        self.assertEqual([row.rsplit(" · ", 1)[1] for row in rows], ["aws", "local"] * 4, "both ends of a tunnel one below the other")
        causes = {labels["vpn"] for labels, _ in panel["fleet", "Tunnels that carry no traffic, and why", "A"]}
        self.assertEqual(causes, {self.story.milan.id})

    def test_promtool_finds_nothing_wrong_with_the_exposition(self):
        checked = subprocess.run(["promtool", "check", "metrics"], input=self.story.scrape, capture_output=True)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, b"", b""))


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("prometheus: needs root, for network namespaces")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unittest.main()
