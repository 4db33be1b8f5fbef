"""The form of the Grafana dashboards: what Grafana would show wrongly, or not at all, without an error. There is no Grafana here.

live.py runs every query against a real Prometheus.
"""

import re
import unittest

import dashboards
from series import agrees, gateway, test, written

BOARDS = dashboards.load()
KINDS = {"stat", "table", "state-timeline", "timeseries", "bargauge", "row"}
# https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options/#unit: the ids in use.
UNITS = {"none", "short", "s", "percentunit", "reqps"}
RUST = (dashboards.ROOT / "src" / "telemetry" / "metric.rs").read_text()
METRICS = set(re.findall(r'"((?:bothends|process)_\w+)" \[', RUST)) | {"up"}
RECORDED = set(re.findall(r"- record: ([\w:]+)", (dashboards.ROOT / "packaging" / "prometheus" / "slo.yaml").read_text()))


def values(panel, *path):
    for key in path:
        panel = panel.get(key, {})
    return panel


class Dashboards(unittest.TestCase):
    def test_there_are_the_two_and_each_links_to_the_other(self):
        self.assertEqual(set(BOARDS), {"site", "fleet"})
        uids = {board["uid"] for board in BOARDS.values()}
        self.assertEqual(uids, {"bothends-site", "bothends-fleet"})
        for name, board in BOARDS.items():
            linked = set(re.findall(r'"/d/([\w-]+)', str(board).replace("'", '"')))
            self.assertEqual(linked, uids - {board["uid"]}, name)

    def test_ids_are_unique_and_titles_and_descriptions_are_there(self):
        for name, board in BOARDS.items():
            panels = list(dashboards.panels(board))
            ids = [panel["id"] for panel in panels]
            self.assertEqual(len(ids), len(set(ids)), name)
            titles = [panel["title"] for panel in panels]
            self.assertEqual(len(titles), len(set(titles)), name)
            for panel in panels:
                self.assertIn(panel["type"], KINDS, "a panel of Grafana's own, no plugin's")
                self.assertTrue(panel["title"])
                if panel["type"] != "row":
                    self.assertTrue(panel["description"].endswith("."), panel["title"])
                    self.assertTrue(panel["targets"], panel["title"])

    def test_no_two_panels_overlap_and_none_is_wider_than_the_page(self):
        for name, board in BOARDS.items():
            taken = {}
            for panel in dashboards.panels(board):
                at = panel["gridPos"]
                self.assertTrue(0 <= at["x"] and at["x"] + at["w"] <= 24 and at["h"] > 0, panel["title"])
                for x in range(at["x"], at["x"] + at["w"]):
                    for y in range(at["y"], at["y"] + at["h"]):
                        self.assertNotIn((x, y), taken, f"{name}: {panel['title']} is on {taken.get((x, y))}")
                        taken[x, y] = panel["title"]

    def test_every_variable_that_is_used_exists_and_every_one_that_exists_is_used(self):
        for name, board in BOARDS.items():
            there = {variable["name"] for variable in board["templating"]["list"]}
            used = set(dashboards.variables_in(str({**board, "title": ""})))
            self.assertEqual(used, there, name)

    def test_every_query_goes_to_the_chosen_data_source(self):
        for board in BOARDS.values():
            for panel, target in dashboards.targets(board):
                self.assertEqual({panel["datasource"]["uid"], target["datasource"]["uid"]}, {"${datasource}"}, panel["title"])
                self.assertEqual(target["format"] == "table", panel["type"] == "table", panel["title"])

    def test_ids_of_queries_are_unique_within_a_panel(self):
        for board in BOARDS.values():
            for panel in dashboards.panels(board):
                ids = [target["refId"] for target in panel.get("targets", [])]
                self.assertEqual(len(ids), len(set(ids)), panel["title"])

    def test_every_metric_exists(self):
        for board in BOARDS.values():
            for panel, target in dashboards.targets(board):
                bare = re.sub(r'"[^"]*"', '""', target["expr"])
                named = set(re.findall(r"\b(?:bothends_\w+|vpn\w*:[\w:]+)", bare))
                named = {name.removesuffix("_bucket") for name in named}
                self.assertLessEqual(named, METRICS | RECORDED, panel["title"])
                self.assertTrue(named, panel["title"])

    def test_every_panel_has_a_unit_and_every_state_its_text(self):
        for board in BOARDS.values():
            for panel in dashboards.panels(board):
                if panel["type"] == "row":
                    continue
                defaults = values(panel, "fieldConfig", "defaults")
                self.assertIn(defaults["unit"], UNITS, panel["title"])
                if panel["type"] == "state-timeline":
                    (mapping,) = defaults["mappings"]
                    self.assertTrue(all(of["text"] and of["color"] for of in mapping["options"].values()), panel["title"])

    def test_what_is_measured_in_seconds_has_that_unit(self):
        for board in BOARDS.values():
            for panel, target in dashboards.targets(board):
                if panel["type"] in ("timeseries", "stat") and "_seconds" in target["expr"]:
                    self.assertEqual(values(panel, "fieldConfig", "defaults", "unit"), "s", panel["title"])

    def test_columns_that_are_renamed_are_those_of_the_queries(self):
        for board in BOARDS.values():
            for panel in dashboards.panels(board):
                for step in panel.get("transformations", []):
                    for column in step["options"].get("renameByName", {}):
                        if found := re.fullmatch(r"Value #(\w)", column):
                            self.assertIn(found[1], [target["refId"] for target in panel["targets"]], panel["title"])


def host(name, tunnels, vpn=None, ready=1, problem=None, incident=None, parent=None, degraded=None, scraped=20):
    """The series of a daemon for twenty minutes. A tunnel is a character of series.MINUTES, behind it s for standby or u for unused.
    Open may be a problem's code, an incident's kind, a parent that is down; and a tunnel may be up, but degraded."""
    roles = {"s": "standby", "u": "unused"}
    timeline = lambda of: of * scraped + "." * (20 - scraped)
    made = [(roles.get(tunnel[1:], "active"), timeline(tunnel[0]), "-" * 20) for tunnel in tunnels]
    vpn = vpn or f"vpn-{name}"
    series = gateway(made, name, vpn)
    of_host = f'job="bothends",instance="{name}:9846"'
    add = lambda metric, labels, value: series.update({f"{metric}{{{of_host}{labels}}}": written([value] * scraped + [None] * (20 - scraped))})
    add("bothends_ready", "", ready)
    # What was open once is 0 as long as the daemon runs.
    add("bothends_problem", ',code="sink_unreachable",component="sink sns"', 0)
    if problem:
        add("bothends_problem", f',code="{problem}",component="x"', 1)
    for kind in ("outage", "redundancy_lost", "one_sided", "degraded"):
        for metric, value in (("open", int(kind == incident)), ("withheld", 0)):
            add(f"bothends_incident_{metric}", f',scope="connection",name="x",vpn="{vpn}",kind="{kind}"', value)
    for state in ("up", "down", "unknown"):
        add("bothends_parent_state", f',scope="uplink",name="wan",state="{state}"', int(state == (parent or "up")))
    for number in range(1, len(tunnels) + 1):
        labels = f',vpn="{vpn}",tunnel="203.0.113.{number}"'
        for reason in ("loss", "latency", "jitter"):
            add("bothends_tunnel_degraded", f'{labels},reason="{reason}"', int((number, reason) == (degraded, "loss")))
    return series


# What a site is, and its number and word on the tiles. The words, and what leads to each, are those of `bothends status`:
# src/http/summary.rs has most of these cases in its own test, docs/exit-codes.md the rules.
WORDS = {0: "healthy", 1: "unknown", 2: "no answer", 3: "degraded", 4: "down"}
NEVER = {"problem": "never_answered"}
SITES = {
    "healthy": ("UU", {}, 0),
    "standby-dead": (["U", "Ds"], {}, 0),
    "unused": (["U", "?u"], {}, 0),
    "only-unused": (["?u"], {}, 0),
    "aws-silent-on-one": ("Uk", {}, 0),
    "one-dead": ("UD", {}, 3),
    "one-bgp-down": ("UB", {}, 3),
    "one-never": ("UA", NEVER, 3),
    "disputed-by-aws": ("Ua", {}, 3),
    "disputed-by-us": ("Ul", {}, 3),
    "dead": ("DD", {}, 4),
    "dead-with-standby": (["D", "Ds"], {}, 4),
    "dead-beside-never": ("DA", NEVER, 4),
    "dead-beside-unused": (["D", "?u"], {}, 4),
    "dead-and-not-ready": ("DD", {"ready": 0}, 4),
    "by-our-end-alone": ("l", {}, 4),
    "by-aws-alone": ("a", {}, 3),
    "half-known": ("D?", {}, 3),
    "aws-silent": ("kk", {}, 1),
    "not-ready": ("UU", {"ready": 0}, 1),
    # Our end never answered: at first it waits, then it is a problem.
    "never-at-first": ("ww", {"ready": 0}, 1),
    "never-and-down-at-first": ("AA", {"ready": 0}, 4),
    "never": ("ww", NEVER, 3),
    "never-and-down": ("AA", NEVER, 4),
    # The first seconds.
    "starts": ("bb", {"ready": 0}, 1),
    "starts-beside-one-up": ("Ub", {}, 0),
    # Seen from behind the gateway.
    "shared": ("SS", {}, 0),
    "shared-one-down": ("Sb", {}, 3),
    "shared-down-at-aws": ("bb", {}, 3),
    # The host of a pair that does not hold the address of votes_if_address.
    "standby-host": ("ww", {}, 0),
    "standby-host-aws-down": ("AA", {}, 0),
    "standby-host-one-down": (["w", "As"], {}, 0),
    "standby-host-aws-silent": ("??", {}, 0),
    "standby-host-with-a-problem": ("AA", {"ready": 0, "problem": "sink_rejects"}, 3),
    "problem": ("UU", {"problem": "clock_off"}, 3),
    "outage": ("UU", {"incident": "outage"}, 4),
    "redundancy": ("UU", {"incident": "redundancy_lost"}, 3),
    "one-sided": ("UU", {"incident": "one_sided"}, 3),
    "uplink-down": ("UU", {"parent": "down"}, 3),
    "lossy": ("UU", {"degraded": 1}, 3),
    "lossy-standby": (["U", "Us"], {"degraded": 2}, 0),
    "gone": ("UU", {"scraped": 5}, 2),
    "gone-in-an-outage": ("DD", {"scraped": 5, "incident": "outage"}, 2),
}


class Fleet(unittest.TestCase):
    def panel(self, title):
        (panel,) = [panel for panel in BOARDS["fleet"]["panels"] if panel["title"] == title]
        return panel

    def query(self, title, ref="A"):
        (expression,) = [target["expr"] for target in self.panel(title)["targets"] if target["refId"] == ref]
        return expression

    def test_the_state_of_a_site_is_that_of_bothends_status(self):
        tiles = self.query("Sites, worst first")
        expression = re.fullmatch(r"sort_desc\((.*)\)", tiles)[1]
        for title in ("Sites", "State of each site"):
            self.assertEqual(self.query(title), expression, "one and the same query")
        series, questions = {}, []
        for name, (tunnels, more, number) in SITES.items():
            series |= host(name, tunnels, **more)
            questions.append((f'sum(({expression}) and on (site) label_replace(vector(1), "site", "{name}", "", ""))', 12, number))
        agrees(self, [test("sites", series, questions)])

    def test_what_a_pair_of_gateways_sees_counts_once(self):
        without, down, incidents = (self.query(title) for title in ("Connections without traffic", "Tunnels down", "Incidents open"))
        rome = host("rome-1", "UU")
        for what, first, second, expected in (
            ("in peace, one stands by", "UU", "ww", (0, 0)),
            ("in an outage, one stands by", "DD", "AA", (1, 2)),
            ("in an outage, both monitor", "DD", "DD", (1, 2)),
            ("one of both sees traffic", "DD", "UU", (0, 0)),
            ("neither holds the address", "AA", "AA", (0, 0)),
        ):
            series = rome | host("milan-1", first, "vpn-0a") | host("milan-2", second, "vpn-0a")
            agrees(self, [test(what, series, [(f"{of}", 12, value) for of, value in zip((without, down), expected)])])
        series = rome | host("milan-1", "DD", "vpn-0a", incident="outage") | host("milan-2", "DD", "vpn-0a", incident="outage")
        agrees(self, [test("incidents", series, [(incidents, 12, 1)])])
        agrees(self, [test("none", rome, [(incidents, 12, 0)])])

    def test_the_standby_host_of_a_pair_has_no_word_on_traffic_in_the_table(self):
        series = host("milan-1", "DU", "vpn-0a") | host("milan-2", "Aw", "vpn-0a") | host("oslo-1", "SS")
        of = lambda ref, site: f'sum(({self.query("Sites", ref)}) and on (site) label_replace(vector(1), "site", "{site}", "", ""))'
        questions = [(of("B", "milan-1"), 12, 1), (of("B", "milan-2"), 12, None), (of("C", "milan-1"), 12, 1), (of("C", "milan-2"), 12, 1)]
        # Where the path is shared our end does not know of each tunnel, and does of the connection.
        questions.append((of("B", "oslo-1"), 12, 1))
        agrees(self, [test("table", series, questions)])

    def test_every_number_has_its_word_wherever_it_is_shown(self):
        tiles, timeline = (values(self.panel(title), "fieldConfig", "defaults", "mappings") for title in ("Sites, worst first", "State of each site"))
        (state,) = [it for it in self.panel("Sites")["fieldConfig"]["overrides"] if it["matcher"]["options"] == "state"]
        (in_table,) = [it["value"] for it in state["properties"] if it["id"] == "mappings"]
        for (mapping,) in (tiles, timeline, in_table):
            self.assertEqual({int(number): of["text"] for number, of in mapping["options"].items()}, WORDS)


class Site(unittest.TestCase):
    def test_each_connection_of_a_site_counts_once_as_what_is_known_of_it(self):
        (panel,) = [panel for panel in BOARDS["site"]["panels"] if panel["title"] == "Does traffic flow through the connections?"]
        queries = [dashboards.filled(target["expr"], {"instance": "milan.*", "vpn": ".*"}) for target in panel["targets"]]
        for what, tunnels, expected in (
            ("one tunnel is enough", "DU", (1, 0, 0)),
            ("none does", "DD", (0, 1, 0)),
            ("beside an unused tunnel", ["D", "?u"], (0, 1, 0)),
            ("nobody can tell", "D?", (0, 0, 1)),
            ("on the standby host of a pair", "ww", (0, 0, 1)),
        ):
            # Another host of the same site name sees the same.
            series = host("milan-1", tunnels, "vpn-0a") | host("milan-2", tunnels, "vpn-0a") | host("rome-1", "UU")
            agrees(self, [test(what, series, list(zip(queries, [12] * 3, expected)))])


if __name__ == "__main__":
    unittest.main()
