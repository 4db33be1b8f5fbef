"""The form of the Grafana dashboards: what Grafana would show wrongly, or not at all, without an error. There is no Grafana here.

live.py runs every query against a real Prometheus.
"""

import json
import pathlib
import re
import subprocess
import tempfile
import unittest

import dashboards

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


def site(name, tunnels, scraped=20, ready=1, degraded=0):
    """The series of a site with one connection, for twenty minutes; `tunnels` are role and state. It is scraped for so many minutes."""
    instance = f'job="bothends",instance="{name}:9846"'
    vpn = f'{instance},vpn="vpn-{name}"'
    rest = 20 - scraped
    series = {f"up{{{instance}}}": f"1x{scraped - 1}" + (f" 0x{rest}" if rest else "")}
    while_scraped = lambda value: f"{value}x{scraped - 1}"
    series[f'bothends_ready{{{instance}}}'] = while_scraped(ready)
    series[f'bothends_vpn_info{{{vpn},name="x",site="{name}"}}'] = while_scraped(1)
    for number, (role, state) in enumerate(tunnels):
        tunnel = f'{vpn},tunnel="203.0.113.{number}"'
        series[f'bothends_tunnel_info{{{tunnel},name="x",role="{role}",site="{name}"}}'] = while_scraped(1)
        series[f'bothends_tunnel_degraded{{{tunnel},reason="loss"}}'] = while_scraped(degraded)
        for of in ("carrying", "not_carrying", "cannot_tell"):
            series[f'bothends_tunnel_carrying{{{tunnel},carrying="{of}"}}'] = while_scraped(int(of == state))
    return series


UP, DOWN, UNCLEAR = ("active", "carrying"), ("active", "not_carrying"), ("active", "cannot_tell")
# What a site is, and its number and word on the tiles.
SITES = {
    "healthy": ([UP, UP], {}, 0, "healthy"),
    "unused": ([UP, ("unused", "not_carrying")], {}, 0, "healthy"),
    "degraded": ([UP, UP], {"degraded": 1}, 1, "degraded"),
    "unclear": ([UP, UNCLEAR], {}, 2, "cannot tell or not ready"),
    "not-ready": ([UP, UP], {"ready": 0}, 2, "cannot tell or not ready"),
    "half": ([UP, DOWN], {}, 3, "tunnel down"),
    "half-known": ([DOWN, UNCLEAR], {}, 3, "tunnel down"),
    "gone": ([UP, UP], {"scraped": 5}, 4, "no answer"),
    "out": ([DOWN, ("standby", "not_carrying")], {}, 5, "outage"),
    "out-beside-unused": ([DOWN, ("unused", "cannot_tell")], {}, 5, "outage"),
    "out-and-not-ready": ([DOWN, DOWN], {"ready": 0}, 5, "outage"),
}


class Fleet(unittest.TestCase):
    def panel(self, title):
        (panel,) = [panel for panel in BOARDS["fleet"]["panels"] if panel["title"] == title]
        return panel

    def test_each_state_of_a_site_has_its_tile_and_the_worst_counts(self):
        tiles = self.panel("Sites, worst first")
        expression = re.fullmatch(r"sort_desc\((.*)\)", tiles["targets"][0]["expr"])[1]
        series, expected = {}, []
        for name, (tunnels, more, number, _) in SITES.items():
            series |= site(name, tunnels, **more)
            expected.append({"labels": f'{{site="{name}"}}', "value": number})
        test = {
            "interval": "1m",
            "input_series": [{"series": of, "values": values} for of, values in series.items()],
            "promql_expr_test": [{"expr": expression, "eval_time": "18m", "exp_samples": expected}],
        }
        with tempfile.TemporaryDirectory() as place:
            file = pathlib.Path(place) / "fleet.yaml"
            # JSON is YAML.
            file.write_text(json.dumps({"evaluation_interval": "1m", "tests": [test]}))
            run = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_every_number_has_its_word_wherever_it_is_shown(self):
        words = {number: word for _, _, number, word in SITES.values()}
        tiles, timeline = (values(self.panel(title), "fieldConfig", "defaults", "mappings") for title in ("Sites, worst first", "State of each site"))
        (state,) = [it for it in self.panel("Sites")["fieldConfig"]["overrides"] if it["matcher"]["options"] == "state"]
        (in_table,) = [it["value"] for it in state["properties"] if it["id"] == "mappings"]
        for (mapping,) in (tiles, timeline, in_table):
            self.assertEqual({int(number): of["text"] for number, of in mapping["options"].items()}, words)


if __name__ == "__main__":
    unittest.main()
