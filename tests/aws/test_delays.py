"""When the alarms go off, by the rules of CloudWatch's evaluation; the figures in docs/alarms.md are compared with it."""
import itertools
import re
import unittest
from math import ceil, floor

from cases import CASES, VPN
from evaluate import BEYOND, Data, acts, compute, play, state
from template import ROOT, Rendered

TEXT = (ROOT / "docs" / "alarms.md").read_text()
IPS = ("203.0.113.11", "203.0.113.12")
CUT = 60
LAST = 150
# TunnelState: interval and lag, in minutes. AWS documents neither; these were observed.
PACES = [(every, late) for every in (1, 5) for late in (2, 6)]
# How long after its end a minute's data is sent, in minutes: after the late replies and the previous batch.
SENT = (0.1, 1.2)


def kinds_of(template, kind):
    return list(template.of_type(f"AWS::CloudWatch::{kind}").values())


class World:
    """The data that arrives at CloudWatch, in minutes since some hour."""

    def __init__(self, pace=(1, 2), sent=0.1):
        self.data = Data()
        self.pace, self.sent = pace, sent

    def put(self, namespace, metric, stamp, arrival, value, **dimensions):
        key = namespace, metric, frozenset({"VpnId": VPN, **dimensions}.items())
        self.data.put(key, stamp, arrival, value)

    def heartbeats(self, start, end, but=()):
        for minute in range(start, end):
            if minute not in but:
                self.put("BothEnds", "Heartbeat", minute, minute + 1 + self.sent, 1)
        return self

    def our_end(self, start, end, up, ips=IPS):
        for minute, ip in itertools.product(range(start, end), ips):
            self.put("BothEnds", "TunnelUp", minute, minute + 1 + self.sent, up, TunnelIpAddress=ip)
        return self

    def aws(self, start, end, up, ips=IPS):
        """Each tunnel's state, and the connection's: the maximum and minimum of both under one name."""
        every, late = self.pace
        for minute in range(start, end):
            if minute % every == 0:
                for ip in ips:
                    self.put("AWS/VPN", "TunnelState", minute, minute + late, up, TunnelIpAddress=ip)
                    self.put("AWS/VPN", "TunnelState", minute, minute + late, up)
        return self

    def well_until(self, end, noticed=0):
        """Everything is up until the site falls silent: data not sent by then never arrives. AWS notices later."""
        sent = ceil(end - 1 - self.sent)
        return self.heartbeats(0, sent).our_end(0, sent, 1).aws(-60, end + noticed, 1)


def worlds():
    """Every combination of AWS's and our intervals and lags."""
    for pace, sent in itertools.product(PACES, SENT):
        yield World(pace, sent)


def alarm_spans(world, case="plans", **more):
    """The first and last minute in ALARM of each composite, over all numbers of periods that CloudWatch may fetch."""
    template = Rendered("alarms", CASES["alarms"][case] | more)
    alarms, composites = kinds_of(template, "Alarm"), kinds_of(template, "CompositeAlarm")
    for second in (0, 30):
        spans = {beyond: {} for beyond in BEYOND}
        moments = [minute + second / 60 for minute in range(50, LAST)]
        for beyond, now, _, raised in play(alarms, composites, world.data, moments):
            for name in raised:
                spans[beyond].setdefault(name.removeprefix(f"bothends-{VPN}-"), []).append(now)
        for times_of in spans.values():
            yield {name: (times[0], times[-1], len(times)) for name, times in times_of.items()}


def after(name, every):
    """Whole minutes from the cut until a composite goes off, minimum and maximum."""
    firsts = [spans[name][0] - CUT for spans in every]
    return floor(min(firsts)), ceil(max(firsts))


def figures(words):
    """The two figures after this text in docs/alarms.md."""
    (found,) = re.findall(rf"{words.replace(' ', chr(92) + 's+')}\s+(\d+)\s+to\s+(\d+)\s+minutes", TEXT)
    return tuple(map(int, found))


class Evaluator(unittest.TestCase):
    def test_it_matches_the_tables_of_the_user_guide(self):
        words = {"0": False, "X": True, "-": None}
        rows = {
            3: {"0 - X - X": "OK OK OK", "0 - - - -": "OK OK OK", "- - - - -": "before ALARM OK",
                "0 X X - X": "ALARM ALARM ALARM", "- - - - X": "before ALARM OK", "X - - - -": "before ALARM OK"},
            2: {"0 - X - X": "ALARM ALARM ALARM", "0 0 X 0 X": "ALARM ALARM ALARM", "0 - X - -": "OK ALARM OK",
                "- - - - 0": "OK ALARM OK", "- - - - X": "before ALARM OK"},
        }
        for needed, table in rows.items():
            for row, expected in table.items():
                points = [words[word] for word in reversed(row.split())]
                for treated, says in zip(("ignore", "breaching", "notBreaching"), expected.split()):
                    alarm = {"EvaluationPeriods": 3, "DatapointsToAlarm": needed, "TreatMissingData": treated}
                    with self.subTest(f"{needed} of 3: {row}: {treated}"):
                        self.assertEqual(state(points, alarm, "before"), says)

    def test_expressions_follow_the_user_guide(self):
        for expression, values, expected in [
            ("FILL(a, 0)", {"a": None}, 0), ("FILL(a, 0)", {"a": 1}, 1), ("a", {"a": None}, None),
            ("IF((a<=0 AND b>=1),1,0)", {"a": 0, "b": 1}, 1), ("IF((a<=0 AND b>=1),1,0)", {"a": None, "b": 1}, 0),
            ("IF((a<=0 AND b>=1),1,0)", {"a": None, "b": None}, None), ("IF(FILL(a, 0)>=1 OR b>=1,1,0)", {"a": None, "b": 1}, 1),
        ]:
            self.assertEqual(compute(expression, values), expected, expression)

    def test_with_breaching_alone_a_silence_alarms_later_than_its_periods(self):
        # This is why the heartbeat is filled.
        world = World().heartbeats(0, CUT)
        alarm = {"AlarmName": "a", "Namespace": "BothEnds", "MetricName": "Heartbeat", "Statistic": "Maximum", "Period": 60,
                 "Dimensions": [{"Name": "VpnId", "Value": VPN}], "EvaluationPeriods": 5, "Threshold": 1,
                 "ComparisonOperator": "LessThanThreshold", "TreatMissingData": "breaching"}
        plain = {}
        for beyond, now, in_alarm, _ in play([alarm], [], world.data, range(30, LAST)):
            if in_alarm:
                plain.setdefault(beyond, now)
        self.assertEqual(plain, {beyond: CUT + 5 + beyond for beyond in BEYOND})


class Quiet(unittest.TestCase):
    def test_no_alarm_goes_off_while_everything_is_up_however_late_data_is(self):
        for world in worlds():
            world.well_until(LAST)
            for spans in alarm_spans(world):
                self.assertEqual(spans, {}, (world.pace, world.sent))

    def test_a_restart_that_costs_two_minutes_is_not_even_a_missing_heartbeat(self):
        for world in worlds():
            world.heartbeats(0, LAST, but=(60, 61)).our_end(0, LAST, 1).aws(-60, LAST, 1)
            template = Rendered("alarms", CASES["alarms"]["plans"])
            for _, _, in_alarm, _ in play(kinds_of(template, "Alarm"), [], world.data, range(30, 90)):
                self.assertEqual(in_alarm, {f"bothends-{VPN}-our-end-up"})

    def test_a_tunnel_that_idles_by_design_raises_no_alarm(self):
        for world in worlds():
            world.heartbeats(0, LAST).our_end(0, LAST, 1, IPS[:1]).aws(-60, LAST, 1, IPS[:1]).aws(-60, LAST, 0, IPS[1:])
            for spans in alarm_spans(world, "standby", Namespace="BothEnds"):
                self.assertEqual(spans, {})


class Cut(unittest.TestCase):
    """The site is cut off; AWS takes a minute to say Down (dead peer detection: 30 s at least, and BGP's hold time)."""

    def test_a_cut_pages_and_does_nothing_else_as_soon_as_documented(self):
        every = []
        for world in worlds():
            world.well_until(CUT, 1).aws(CUT + 1, LAST, 0)
            for spans in alarm_spans(world):
                # AWS's view alone does not distinguish the tunnels.
                self.assertEqual(set(spans), {"outage"}, (world.pace, world.sent))
                first, last, times = spans["outage"]
                self.assertEqual(times, last - first + 1, "the alarm flaps")
                every.append(spans)
        self.assertEqual(figures(r"From a cut to the page takes"), after("outage", every))

    def test_on_aws_data_alone_it_pages_as_late_as_documented(self):
        # Our end reports, and its tunnels are up.
        every = []
        for world in worlds():
            world.heartbeats(0, LAST).our_end(0, LAST, 1).aws(-60, CUT + 1, 1).aws(CUT + 1, LAST, 0)
            for spans in alarm_spans(world):
                self.assertEqual(set(spans) - {"one_sided"}, {"outage"})
                every.append(spans)
        self.assertEqual(figures(r"On AWS's word alone it takes"), after("outage", every))

    def test_a_cut_during_which_aws_is_silent_pages_too(self):
        for world in worlds():
            world.well_until(CUT)
            for spans in alarm_spans(world):
                self.assertLess(spans["outage"][0], LAST - 20, world.pace)
                self.assertNotIn("redundancy_lost", spans)

    def test_it_ends_when_aws_says_up(self):
        for world in worlds():
            world.well_until(CUT, 1).aws(CUT + 1, CUT + 40, 0).aws(CUT + 40, LAST, 1)
            world.heartbeats(CUT + 42, LAST).our_end(CUT + 42, LAST, 1)
            for spans in alarm_spans(world):
                self.assertLess(spans["outage"][1], CUT + 40 + 12)
                # "unwatched" may stay in ALARM until the daemon can vote again; its action waits.
                self.assertLessEqual(set(spans), {"outage", "unwatched"})
                self.assertLess(spans.get("unwatched", (0, 0))[1], spans["outage"][1] + 5)
        unwatched = Rendered("alarms", CASES["alarms"]["plans"]).resources["Unwatched"]["Properties"]
        self.assertRegex(unwatched["ActionsSuppressor"], ":alarm:Outage$")
        self.assertGreaterEqual(unwatched["ActionsSuppressorExtensionPeriod"], 300)


class Window(unittest.TestCase):
    """A mute rule holds actions back and nothing else; what is still so at its end is sent then."""

    def sent(self, world, window):
        """(moment, alarm, state) of every action of the composites, for each number of periods that CloudWatch may fetch."""
        template = Rendered("alarms", CASES["alarms"]["window"])
        (rule,) = template.of_type("AWS::CloudWatch::AlarmMuteRule").values()
        alarms, composites = kinds_of(template, "Alarm"), kinds_of(template, "CompositeAlarm")
        history = {beyond: {it["AlarmName"]: [] for it in composites} for beyond in BEYOND}
        for beyond, now, _, raised in play(alarms, composites, world.data, range(30, LAST)):
            for name, states in history[beyond].items():
                states.append((now, "ALARM" if name in raised else "OK"))
        for of in history.values():
            yield sorted((moment, name.removeprefix(f"bothends-{VPN}-"), state) for name, states in of.items()
                         for moment, state in acts(states, lambda it: name in rule["MuteTargets"]["AlarmNames"] and it in window))

    def test_a_cut_within_the_window_that_goes_on_is_sent_at_its_end(self):
        world = World().well_until(CUT, 1).aws(CUT + 1, LAST, 0)
        for sent in self.sent(world, range(CUT - 10, 120)):
            self.assertEqual(sent, [(120, "outage", "ALARM")])
        # The same without a window is sent when it is noticed.
        for sent in self.sent(world, ()):
            ((moment, *what),) = sent
            self.assertEqual((what, moment < CUT + 13), (["outage", "ALARM"], True))

    def test_a_cut_that_ends_within_the_window_is_never_sent_as_one(self):
        world = World().well_until(CUT, 1).aws(CUT + 1, CUT + 20, 0).aws(CUT + 20, LAST, 1)
        world.heartbeats(CUT + 22, LAST).our_end(CUT + 22, LAST, 1)
        for sent in self.sent(world, range(CUT - 10, 120)):
            self.assertEqual({state for _, _, state in sent}, {"OK"})
            self.assertIn((120, "outage", "OK"), sent)

    def test_a_window_that_ends_with_the_work_may_send_what_ends_a_moment_later(self):
        # This is why the documentation lets it end a quarter of an hour after the work.
        world = World().well_until(CUT, 1).aws(CUT + 1, CUT + 20, 0).aws(CUT + 20, LAST, 1)
        world.heartbeats(CUT + 22, LAST).our_end(CUT + 22, LAST, 1)
        for sent in self.sent(world, range(CUT - 10, CUT + 20)):
            self.assertIn((CUT + 20, "outage", "ALARM"), sent)
        for sent in self.sent(world, range(CUT - 10, CUT + 20 + 15)):
            self.assertEqual({state for _, _, state in sent}, {"OK"})

    def test_a_cut_after_the_window_is_sent_as_ever(self):
        world = World().well_until(CUT, 1).aws(CUT + 1, LAST, 0)
        with_it, without = list(self.sent(world, range(30, CUT))), list(self.sent(world, ()))
        self.assertEqual(with_it, without)


class Silence(unittest.TestCase):
    """One party is silent, and the line is up."""

    def test_a_dead_daemon_is_a_ticket_as_soon_as_documented_and_no_page(self):
        every = []
        for world in worlds():
            world.well_until(CUT).aws(CUT, LAST, 1)
            for spans in alarm_spans(world):
                self.assertEqual(set(spans), {"unwatched"}, (world.pace, world.sent))
                every.append(spans)
        # Its action first waits for its suppressor, the outage alarm.
        unwatched = Rendered("alarms", CASES["alarms"]["plans"]).resources["Unwatched"]["Properties"]
        wait = unwatched["ActionsSuppressorWaitPeriod"] // 60
        ticket_after = tuple(minutes + wait for minutes in after("unwatched", every))
        self.assertEqual(figures(r"A daemon that has died is reported after"), ticket_after)

    def test_in_mode_observe_it_is_always_unwatched(self):
        world = World().our_end(0, LAST, 1).aws(-60, LAST, 1)
        for spans in alarm_spans(world):
            self.assertEqual(set(spans), {"unwatched"})

    def test_aws_silence_is_no_outage_while_our_end_has_a_tunnel_up(self):
        # Without fresh AWS evidence there is no heartbeat (stale_after, ten minutes).
        for world in worlds():
            world.heartbeats(0, CUT + 10).our_end(0, LAST, 1).aws(-60, CUT, 1)
            for spans in alarm_spans(world):
                self.assertEqual(set(spans), {"unwatched"}, (world.pace, world.sent))

    def test_one_tunnel_down_or_without_aws_data_is_redundancy_lost(self):
        for world, silent in itertools.product(worlds(), (False, True)):
            world.heartbeats(0, LAST).our_end(0, LAST, 1, IPS[:1]).aws(-60, LAST, 1, IPS[:1]).aws(-60, CUT, 1, IPS[1:])
            if not silent:
                world.aws(CUT, LAST, 0, IPS[1:])
            for spans in alarm_spans(world):
                self.assertEqual(set(spans), {"redundancy_lost"}, (world.pace, silent))
                # Three data of five minutes each: with data every five minutes they span ten.
                self.assertGreaterEqual(spans["redundancy_lost"][0], CUT + 10)

    def test_down_at_one_end_alone_is_a_ticket_after_half_an_hour(self):
        for world in worlds():
            world.heartbeats(0, LAST).our_end(0, CUT, 1).our_end(CUT, LAST, 0).aws(-60, LAST, 1)
            for spans in alarm_spans(world):
                self.assertEqual(set(spans), {"one_sided"}, (world.pace, world.sent))
                first, last, times = spans["one_sided"]
                self.assertGreaterEqual(first, CUT + 29)
                self.assertLessEqual(first, CUT + 45)
                # With AWS's data at its latest the alarm may clear for some minutes, once.
                self.assertGreaterEqual(times, last - first - 3)


if __name__ == "__main__":
    unittest.main()
