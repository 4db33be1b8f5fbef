"""The fleet dashboard's Metrics Insights queries, which are only strings for CloudFormation and for cfn-lint."""
import json
import re
import unittest

from cases import CASES
from source import documented_metrics, published_names
from template import Rendered

# CloudWatch user guide, "Metrics Insights quotas", and "Query components and syntax": what one query may return; FROM needs quotes
# around a namespace with other characters than letters, digits and _.
SERIES = 500
QUERY = re.compile(
    r'SELECT (?P<function>MIN|MAX)\((?P<metric>\w+)\) FROM SCHEMA\("(?P<namespace>[\w./#-]+)", (?P<dimensions>\w+(?:, \w+)*)\) '
    r"GROUP BY (?P<groups>\w+(?:, \w+)*) ORDER BY (?P<order>MIN|MAX)\(\) (?P<direction>ASC|DESC) LIMIT (?P<limit>\d+)")
# Which end of the values is the bad one.
WORST = {"BothEndsDown": "MAX", "PacketLoss": "MAX", "RoundTripTime": "MAX", "TunnelUp": "MIN", "TunnelState": "MIN", "Heartbeat": "MAX"}


def widgets(case):
    body = Rendered("fleet-dashboard", CASES["fleet-dashboard"][case]).resources["Dashboard"]["Properties"]["DashboardBody"]
    return json.loads(body)["widgets"]


def queries(case):
    for widget in widgets(case):
        for metric in widget["properties"].get("metrics", []):
            (options,) = metric
            yield widget["properties"], options, QUERY.fullmatch(options["expression"])


class FleetDashboard(unittest.TestCase):
    def test_every_query_is_of_metrics_insights_syntax_and_within_its_limits(self):
        for case, given in CASES["fleet-dashboard"].items():
            for properties, options, query in queries(case):
                with self.subTest(f"{case}: {properties['title']}"):
                    self.assertIsNotNone(query, options["expression"])
                    self.assertLessEqual(int(query["limit"]), SERIES)
                    self.assertIn(int(query["limit"]), (20, int(given.get("MaxConnections", 100))))
                    self.assertEqual(options["period"], properties["period"])

    def test_every_metric_exists_with_exactly_these_dimensions(self):
        published = documented_metrics()
        self.assertEqual(set(published), published_names())
        for case, given in CASES["fleet-dashboard"].items():
            for properties, _, query in queries(case):
                dimensions = frozenset(query["dimensions"].split(", "))
                with self.subTest(f"{case}: {query['metric']}"):
                    if query["namespace"] == "AWS/VPN":
                        self.assertEqual((query["metric"], dimensions), ("TunnelState", {"VpnId", "TunnelIpAddress"}))
                        self.assertEqual(properties["period"], 300)
                    else:
                        self.assertEqual(query["namespace"], given.get("Namespace", "BothEnds"))
                        self.assertIn(dimensions, published[query["metric"]])
                        self.assertEqual(properties["period"], 60)
                    self.assertLessEqual(set(query["groups"].split(", ")), dimensions)

    def test_the_worst_come_first(self):
        for properties, _, query in queries("most"):
            with self.subTest(properties["title"]):
                self.assertEqual(query["function"], WORST[query["metric"]])
                self.assertEqual(query["order"], query["function"])
                # Of heartbeats the missing ones are the message, so fewer come first.
                ascending = query["function"] == "MIN" or query["metric"] == "Heartbeat"
                self.assertEqual(query["direction"], "ASC" if ascending else "DESC")

    def test_every_metric_of_the_daemon_is_shown_and_so_is_aws_own(self):
        shown = {query["metric"] for _, _, query in queries("least")}
        self.assertEqual(shown, set(documented_metrics()) | {"TunnelState"})

    def test_widgets_do_not_overlap(self):
        for case in CASES["fleet-dashboard"]:
            cells = [(x, y) for it in widgets(case) for x in range(it["x"], it["x"] + it["width"])
                     for y in range(it["y"], it["y"] + it["height"])]
            self.assertEqual(len(cells), len(set(cells)))
            self.assertTrue(all(x < 24 for x, _ in cells))


if __name__ == "__main__":
    unittest.main()
