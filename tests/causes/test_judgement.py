"""The evaluation itself: what is right, what is wrong, and what the exit code says of it."""

import unittest

import kinds
import reading
import table
from trial import Trial


def trial(kind, **seen):
    return Trial(1, kinds.KINDS[kind], 1, "", "bird", **seen)


class Judgement(unittest.TestCase):
    def test_right_is_the_right_name_in_time(self):
        self.assertEqual(trial("kill", verdict_at=2.0, cause_at=2.5, named="ike_down").outcome, "right")

    def test_a_wrong_name_stays_wrong_though_the_right_one_follows(self):
        judged = trial("kill", verdict_at=2.0, named="ike_down", wrong=["tunnel 1: path_to_aws after 2.1 s"])
        self.assertEqual(judged.outcome, "wrong")
        self.assertFalse(table.good([judged] + [trial("kill", verdict_at=2.0, named="ike_down")] * 99))

    def test_nothing_named_is_unknown(self):
        for named in (None, "unknown"):
            self.assertEqual(trial("kill", verdict_at=2.0, named=named).outcome, "unknown")
        self.assertEqual(trial("kill").outcome, "unknown")

    def test_unknown_is_right_where_no_cause_of_the_list_is_true(self):
        for named in (None, "unknown"):
            self.assertEqual(trial("icmp", verdict_at=2.0, named=named).outcome, "right")
        self.assertEqual(trial("nat_port").outcome, "right")

    def test_ninety_seven_of_a_hundred_are_enough_if_none_is_wrong(self):
        right, unknown = trial("kill", verdict_at=2.0, named="ike_down"), trial("kill", verdict_at=2.0)
        self.assertTrue(table.good([right] * 97 + [unknown] * 3))
        self.assertFalse(table.good([right] * 96 + [unknown] * 4))

    def test_a_tunnel_that_was_left_alone_and_is_not_healthy_fails_the_run(self):
        judged = trial("kill", verdict_at=2.0, named="ike_down", failed=["tunnel 2 was left alone, and is down"])
        self.assertFalse(table.good([judged]))

    def test_the_time_to_the_cause_begins_at_the_verdict(self):
        self.assertEqual(table.to_cause(trial("kill", verdict_at=2.0, cause_at=3.5)), 1.5)
        self.assertEqual(table.to_cause(trial("kill", verdict_at=2.0, cause_at=1.0)), 0)
        self.assertIsNone(table.to_cause(trial("kill", verdict_at=2.0)))

    def test_the_table_marks_what_was_named_otherwise(self):
        lines = table.confusion([trial("kill", verdict_at=2.0, named="path_to_aws")]).splitlines()
        self.assertIn("1!", lines[1])
        self.assertIn("path_to_aws 1", table.markdown([trial("kill", verdict_at=2.0, named="path_to_aws")]))

    def test_a_cause_is_read_from_status(self):
        self.assertIsNone(reading.cause({"cause": None}))
        self.assertIsNone(reading.cause({}))
        self.assertEqual(reading.cause({"cause": {"cause": "mtu"}}), "mtu")


if __name__ == "__main__":
    unittest.main()
