"""The dashboard's body, which is only a string for CloudFormation."""
import json
import unittest

from cases import CASES, VPN
from source import documented_metrics
from template import ACCOUNT, Rendered


def widgets(case):
    body = Rendered("dashboard", CASES["dashboard"][case]).resources["Dashboard"]["Properties"]["DashboardBody"]
    return json.loads(body)["widgets"]


def metrics(case):
    for widget in widgets(case):
        for metric in widget["properties"].get("metrics", []):
            *names, options = metric
            dimensions = dict(zip(names[2::2], names[3::2]))
            yield widget["properties"], names[0], names[1], dimensions, options


class Dashboard(unittest.TestCase):
    def test_every_metric_exists_with_its_dimensions(self):
        published = documented_metrics()
        for case in CASES["dashboard"]:
            given = CASES["dashboard"][case]
            for properties, namespace, name, dimensions, options in metrics(case):
                with self.subTest(f"{case}: {name}"):
                    self.assertEqual(dimensions["VpnId"], VPN)
                    region = options.get("region", properties["region"])
                    if namespace == "AWS/VPN":
                        self.assertEqual(region, "eu-west-1")
                        self.assertEqual((name, set(dimensions)), ("TunnelState", {"VpnId", "TunnelIpAddress"}))
                        self.assertEqual(options["period"], 300)
                    else:
                        self.assertEqual(namespace, given.get("Namespace", "BothEnds"))
                        self.assertIn(frozenset(dimensions), published[name])
                        self.assertEqual(region, given.get("MetricsRegion", "eu-west-1"))
                    self.assertEqual(properties["period"], 60)
                    percentiles = ("p50", "p99") if name == "RoundTripTime" else ("Minimum", "Maximum")
                    self.assertIn(options["stat"], percentiles)

    def test_both_ends_of_each_tunnel_share_a_graph_and_every_metric_is_shown(self):
        both = {}
        for properties, _, name, dimensions, _ in metrics("most"):
            both.setdefault(properties["title"], set()).add((name, dimensions.get("TunnelIpAddress")))
        for ip in ("203.0.113.11", "203.0.113.12"):
            self.assertTrue(any({("TunnelUp", ip), ("TunnelState", ip)} <= shown for shown in both.values()))
        shown = {name for names in both.values() for name, _ in names}
        self.assertEqual(shown, set(documented_metrics()) | {"TunnelState"})

    def test_all_graphs_share_one_time_axis_and_do_not_overlap(self):
        for case in CASES["dashboard"]:
            rows = []
            for widget in widgets(case):
                self.assertEqual((widget["x"], widget["width"]), (0, 24))
                rows += range(widget["y"], widget["y"] + widget["height"])
            self.assertEqual(len(rows), len(set(rows)), case)

    def test_the_alarms_shown_are_those_of_the_alarms_template(self):
        for case, alarms in (("most", "plans"), ("one tunnel", "one tunnel"), ("no alarms", None)):
            shown = [arn for widget in widgets(case) for arn in widget["properties"].get("alarms", [])]
            there = Rendered("alarms", CASES["alarms"][alarms]).of_type("AWS::CloudWatch::CompositeAlarm") if alarms else {}
            head = f"arn:aws:cloudwatch:eu-west-1:{ACCOUNT}:alarm:"
            self.assertCountEqual(shown, [head + it["AlarmName"] for it in there.values()])

    def test_with_one_tunnel_there_is_nothing_of_a_second(self):
        body = json.dumps(widgets("one tunnel"))
        self.assertNotIn('""', body)
        self.assertNotIn('": both ends', body)


if __name__ == "__main__":
    unittest.main()
