"""What is read and reckoned, without a stage."""

import types
import unittest

import journal
import meter
import table


class Reads(unittest.TestCase):
    def test_a_record_of_the_journal_with_a_value_of_several_lines(self):
        text = b"two\nlines"
        data = b"PRIORITY=4\nMESSAGE\n" + len(text).to_bytes(8, "little") + text + b"\nVPN_ID=vpn-0\n"
        self.assertEqual(journal.parse(data), {"PRIORITY": "4", "MESSAGE": "two\nlines", "VPN_ID": "vpn-0"})

    def test_the_names_of_records_in_the_docs(self):
        self.assertTrue({"END_DOWN", "BOTH_ENDS_DOWN", "INCIDENT_OPENED"} <= set(journal.names().values()))

    def test_metrics(self):
        metrics = meter.Metrics('# HELP x y\nbothends_tunnel_verdict{tunnel="a",end="local",verdict="down"} 1\n'
                                'bothends_tunnel_verdict{tunnel="b",end="local",verdict="down"} 0\nbothends_facts_dropped_total 3\n', 0, 0)
        self.assertEqual((metrics.verdicts("local", "down"), metrics.verdicts("aws", "down")), (1, 0))
        self.assertEqual(metrics.sum("bothends_facts_dropped_total"), 3)

    def test_dates_of_the_status(self):
        self.assertEqual(meter.seconds("1970-01-01T00:01:00.250Z"), 60.25)


def storm(**changes):
    """One that keeps every promise: one of two tunnels Down after 3 s, both after 5 s."""
    kept = dict(tunnels=[1, 2], alone=0, one_local=3, one_agreed=70, cut=100, all_local=105, all_agreed=175, first_page=210, observed=310,
                over=400, pages=1, incidents=[1], dropped=0, facts_dropped=0, all_closed=390,
                calls=[(210 + second / 2, "GetMetricData") for second in range(380)],
                journal=types.SimpleNamespace(counts=lambda start, end: {("END_DOWN", "notice"): 40}))
    return types.SimpleNamespace(**{**kept, **changes})


class Judges(unittest.TestCase):
    def test_what_keeps_its_promises(self):
        self.assertEqual(table.broken(storm()), [])

    def test_each_promise_that_is_broken(self):
        burst = [(230 + second / 100, "CreateTimelineEvent") for second in range(30)]
        many = types.SimpleNamespace(counts=lambda start, end: {("END_DOWN", "notice"): 41})
        stuck = types.SimpleNamespace(counts=lambda start, end: {("STUCK", "error"): 1})
        late_burst = [(380 + second / 100, "CreateTimelineEvent") for second in range(30)]
        for changes in (dict(pages=2), dict(pages=0), dict(incidents=[]), dict(incidents=[1, 2]), dict(calls=burst), dict(calls=late_burst),
                        dict(all_local=107), dict(all_local=None), dict(all_agreed=300), dict(one_local=None),
                        dict(journal=many), dict(journal=stuck), dict(dropped=1), dict(facts_dropped=1), dict(all_closed=None)):
            self.assertEqual(len(table.broken(storm(**changes))), 1, changes)

    def test_calls_in_spans(self):
        calls = [(0.5, "a"), (0.9, "a"), (2.0, "b"), (9.0, "b")]
        self.assertEqual(table.rates(calls, 0, 3), [2, 0, 1])
        self.assertEqual(table.rates(calls, 0, 4, 2), [1, 0.5])
        self.assertEqual(table.by_operation(calls, 0, 3), {"a": 2, "b": 1})


if __name__ == "__main__":
    unittest.main()
