"""The form of the Grafana dashboards: what Grafana would show wrongly, or not at all, without an error. There is no Grafana here.

live.py runs every query against a real Prometheus.
"""

import re
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


if __name__ == "__main__":
    unittest.main()
