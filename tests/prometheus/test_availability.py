"""slo.yaml beside the report: the availability of docs/report.md's own table, and when a budget's alert begins and ends."""

import pathlib
import re
import unittest

from series import agrees, gateway, test

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "packaging" / "prometheus" / "slo.yaml"


class Report(unittest.TestCase):
    """Of every case of docs/report.md, Prometheus counts the same minutes."""

    def cases(self):
        text = (ROOT / "docs" / "report.md").read_text()
        rows = text.split("| case | tunnel 1 |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
        rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
        for at, (case, *cells) in enumerate(rows):
            if not case:
                continue
            below = rows[at + 1][1:3] if at + 1 < len(rows) and not rows[at + 1][0] else ["", ""]
            tunnels = []
            for cell, silence in zip(cells[:2], below):
                if not cell:
                    continue
                found = re.fullmatch(r"`(\S+)`( \w+)?", cell)
                timeline, role = found[1], (found[2] or " active").strip()
                begin, end = timeline.index("["), timeline.index("]") - 1
                timeline = timeline.replace("[", "").replace("]", "")
                silence = silence.strip("`") or "-" * len(timeline)
                tunnels.append((role, timeline, silence))
            up, down = int(cells[2]), int(cells[3])
            # Both ends, our end, AWS.
            shares = [None if "n/a" in cell else float(cell.removesuffix(" %")) / 100 for cell in cells[7:10]]
            yield case, tunnels, (begin, end), (up, down), shares

    def test_the_minutes_up_and_down_are_those_of_the_report(self):
        tests = []
        for case, tunnels, (begin, end), (up, down), _ in self.cases():
            window = f"[{(end - begin - 1) * 60 + 30}s]"
            count = f"count_over_time(vpn:bothends_up:known{window})"
            known = up + down
            questions = [
                (f"sum({count})", end - 1, known or None),
                (f"sum(sum_over_time(vpn:bothends_up:known{window}))", end - 1, up if known else None),
            ]
            tests.append(test(case, gateway(tunnels), questions))
        self.assertGreater(len(tests), 20)
        agrees(self, tests, RULES)

    def test_the_share_of_one_tunnel_is_that_of_the_report_by_both_ends_and_by_each(self):
        tests = []
        for case, tunnels, (begin, end), _, shares in self.cases():
            if len(tunnels) > 1:
                continue
            window = f"[{(end - begin - 1) * 60 + 30}s]"
            names = ["vpn_tunnel:bothends_up:known", 'vpn_tunnel_end:bothends_up:known{end="local"}', 'vpn_tunnel_end:bothends_up:known{end="aws"}']
            # The report cuts its percentages.
            questions = [
                (f"floor(sum(avg_over_time({name}{window})) * 100000 + 0.001)", end - 1, share if share is None else round(share * 100000))
                for name, share in zip(names, shares)
            ]
            tests.append(test(case, gateway(tunnels), questions))
        self.assertGreater(len(tests), 10)
        agrees(self, tests, RULES)


def fires(alert, minute, value, more=""):
    """Whether an alert fires at a minute: the number of its series."""
    return (f'count(ALERTS{{alertname="{alert}",alertstate="firing"{more}}})', minute, value)


CONNECTION, TUNNEL = "BothEndsConnectionBudgetBurns", "BothEndsTunnelBudgetBurns"
LEAKS = ("BothEndsConnectionBudgetLeaks", "BothEndsTunnelBudgetLeaks")
ACTIVE = "active"


class Alerts(unittest.TestCase):
    def holds(self, name, series, questions):
        agrees(self, [test(name, series, questions)], RULES)

    def quiet(self, minutes, alerts=(CONNECTION, TUNNEL, *LEAKS)):
        return [fires(alert, minute, None) for alert in alerts for minute in minutes]

    def test_aws_alone_spends_no_budget_where_our_end_does_not_know(self):
        # The standby host of a pair, while AWS replaces an endpoint or the connection is down: the other host counts that.
        timeline = "w" * 60 + "A" * 5 + "w" * 600
        quiet = "-" * len(timeline)
        series = gateway([(ACTIVE, timeline, quiet), (ACTIVE, timeline, quiet)])
        self.holds("a standby host", series, [("count(vpn:bothends_up:known)", 64, None), *self.quiet((62, 70, 90, 300, 660))])
        # A tunnel that never answered beside one that works.
        series = gateway([(ACTIVE, "U" * len(timeline), quiet), (ACTIVE, timeline, quiet)])
        self.holds("a tunnel that never answered", series, [("sum(vpn:bothends_up:known)", 64, 1), *self.quiet((62, 70, 90, 300, 660))])

    def test_our_end_alone_spends_no_budget(self):
        # A firewall drops ICMP: the report says 100 %.
        timeline = "U" * 60 + "l" * 60 + "U" * 10
        tunnel = (ACTIVE, timeline, "-" * len(timeline))
        questions = [
            ("sum(vpn:bothends_up:avg_over_time30d)", 128, 1),
            ('sum(vpn_tunnel_end:bothends_up:known{end="local"})', 90, 0),
            *self.quiet((65, 90, 119, 125)),
        ]
        self.holds("ICMP is dropped", gateway([tunnel, tunnel]), questions)

    def test_bgp_that_is_down_spends_the_budget(self):
        timeline = "U" * 60 + "B" * 10
        tunnel = (ACTIVE, timeline, "-" * len(timeline))
        self.holds("BGP is down", gateway([tunnel, tunnel]), [fires(CONNECTION, 69, 1), fires(TUNNEL, 69, 2)])

    def test_a_silence_of_one_tunnel_does_not_silence_the_connection(self):
        timeline = "U" * 60 + "D" * 60
        series = gateway([(ACTIVE, timeline, "-" * 120), (ACTIVE, timeline, "s" * 120)])
        questions = [
            ("sum(vpn:bothends_up:known)", 59, 1),
            ("sum(vpn:bothends_up:known)", 90, 0),
            fires(CONNECTION, 90, 1),
            fires(TUNNEL, 90, 1, ',tunnel="203.0.113.1"'),
            fires(TUNNEL, 90, None, ',tunnel="203.0.113.2"'),
        ]
        self.holds("one is silenced", series, questions)
        # Its traffic counts for the connection like its downtime.
        series = gateway([(ACTIVE, "D" * 120, "-" * 120), (ACTIVE, "U" * 120, "s" * 120)])
        self.holds("the silenced one works", series, [("sum(vpn:bothends_up:avg_over_time1h)", 90, 1), fires(CONNECTION, 90, None)])

    def test_silences_of_every_tunnel_silence_the_connection_and_end_its_alert(self):
        timeline = "U" * 60 + "D" * 60
        silence = "-" * 80 + "s" * 40
        tunnels = [(ACTIVE, timeline, silence), (ACTIVE, timeline, silence), ("unused", timeline, "-" * 120)]
        questions = [fires(CONNECTION, 79, 1), ("sum(vpn:bothends_up:known)", 82, None), fires(CONNECTION, 82, None), fires(TUNNEL, 82, None)]
        self.holds("each is silenced", gateway(tunnels), questions)

    def test_an_alert_that_fires_is_held_for_an_hour_without_a_known_state_and_then_ends(self):
        for what, unknown in (("nobody can tell", "?"), ("our end has moved", "w"), ("AWS alone says down", "A"), ("not scraped", ".")):
            timeline = "U" * 60 + "D" * 10 + unknown * 600
            tunnel = (ACTIVE, timeline, "-" * len(timeline))
            questions = [
                *(fires(CONNECTION, minute, 1) for minute in (69, 100, 125)),
                *(fires(TUNNEL, minute, 2) for minute in (69, 100, 125)),
                *self.quiet((132, 200, 660), (CONNECTION, TUNNEL)),
                *self.quiet((440, 660), LEAKS),
            ]
            self.holds(what, gateway([tunnel, tunnel]), questions)

    def test_what_the_other_host_of_a_pair_knows_ends_the_alert_of_this_one(self):
        here, there = "U" * 60 + "D" * 10 + "w" * 50, "w" * 70 + "U" * 50
        quiet = "-" * 120
        series = gateway([(ACTIVE, here, quiet)] * 2, "milan-1") | gateway([(ACTIVE, there, quiet)] * 2, "milan-2")
        questions = [fires(CONNECTION, 69, 1), *self.quiet((73, 90, 119), (CONNECTION, TUNNEL))]
        self.holds("a takeover that mends it", series, questions)


if __name__ == "__main__":
    unittest.main()
