"""What `promtool test rules` does not notice: it passes where a rule is named in no test, misspelt, or expected to give nothing."""

import pathlib
import re
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SHIPPED = HERE.parents[1] / "packaging" / "prometheus"
RULES = {path.name: path.read_text() for path in SHIPPED.glob("*.yaml") if "groups:" in path.read_text()}
TESTS = "".join(path.read_text() for path in sorted(HERE.glob("*_test.yaml")))


def alerts(text):
    return re.findall(r"(?m)^ +- alert: (\w+)$", text)


def recorded(text):
    return re.findall(r"(?m)^ +- record: ([\w:]+)$", text)


class Rules(unittest.TestCase):
    def test_every_file_of_rules_is_tested_and_shipped(self):
        named = re.findall(r"\.\./\.\./packaging/prometheus/([\w.]+)", TESTS)
        self.assertEqual(sorted(set(named)), sorted(RULES))
        cargo = (HERE.parents[1] / "Cargo.toml").read_text()
        for name in RULES:
            self.assertTrue(f'"packaging/prometheus/{name}"' in cargo, f"{name} is not in the package")

    def test_every_alert_is_seen_firing_and_seen_quiet(self):
        for name in [alert for text in RULES.values() for alert in alerts(text)]:
            with self.subTest(name):
                self.assertRegex(TESTS, rf"alertname: {name}\n +exp_alerts:\n")
                self.assertRegex(TESTS, rf"alertname: {name}\n +exp_alerts: \[\]\n")

    def test_every_recording_rule_has_a_value_in_a_test(self):
        for name in [record for text in RULES.values() for record in recorded(text)]:
            with self.subTest(name):
                self.assertRegex(TESTS, rf"expr: '?{re.escape(name)}(?![\w:])[^\n]*\n +eval_time: \w+\n +exp_samples:\n")

    def test_no_test_names_a_rule_that_does_not_exist(self):
        there = {alert for text in RULES.values() for alert in alerts(text)}
        self.assertEqual(set(re.findall(r"alertname: (\w+)\n", TESTS)), there)

    def test_every_metric_named_exists(self):
        known = set(re.findall(r'"(bothends_\w+)" \[', (HERE.parents[1] / "src" / "telemetry" / "metric.rs").read_text()))
        for name, text in RULES.items():
            expressions = re.sub(r"(?m)^ *#.*$|(?:summary|description|record|name): .*$", "", text)
            named = set(re.findall(r"(?<![\w:])bothends_\w+(?![\w:])", expressions))
            self.assertLessEqual(named, known, name)
            self.assertTrue(named)
            series = set(re.findall(r"\b\w+:bothends_\w+:\w+", expressions))
            self.assertLessEqual(series, set(recorded(text)), name)

    def test_names_of_recorded_series_are_level_metric_operation(self):
        for name in [record for text in RULES.values() for record in recorded(text)]:
            self.assertRegex(name, r"^(vpn|vpn_tunnel|vpn_tunnel_end):bothends_[a-z_]+:[a-z0-9_]+$")

    def test_every_alert_says_what_to_do_first(self):
        for text in RULES.values():
            for name in alerts(text):
                (says,) = re.findall(rf'(?s)alert: {name}\n.*?description: "([^\n]*)"\n', text + "\n")[:1]
                with self.subTest(name):
                    self.assertRegex(says, r"^(Run `|Look at |Set |Nothing to do\. )")


if __name__ == "__main__":
    unittest.main()
