"""The alarms: their names, their metrics, and their states in every situation."""
import itertools
import re
import unittest
from datetime import datetime, timedelta

from cases import CASES, TOPIC, VPN
from evaluate import BREACHES, begins, compute, holds, minutes_of, queries
from source import adopted_alarm, documented_metrics, kinds, published_names
from template import ACCOUNT, Refused, Rendered

PLAN = f"arn:aws:ssm-incidents::{ACCOUNT}:response-plan/"
ITEM = f"arn:aws:ssm:eu-west-1:{ACCOUNT}:opsitem:"

# TreatMissingData of each alarm on a metric; the template says why.
MISSING = {
    "heartbeat-missing": "breaching",
    "heartbeat-missing-long": "breaching",
    "our-end-up": "notBreaching",
    "aws-down": "breaching",
    "aws-down-long": "ignore",
    "tunnel-1-down": "breaching",
    "tunnel-2-down": "breaching",
    "ends-disagree": "notBreaching",
}
# How many minutes of data must breach; test_delays.py says when the alarm goes off.
MINUTES = {
    "heartbeat-missing": 5,
    "heartbeat-missing-long": 15,
    "our-end-up": 1,
    "aws-down": 5,
    "aws-down-long": 15,
    "tunnel-1-down": 15,
    "tunnel-2-down": 15,
    "ends-disagree": 30,
}


def stack(case, **more):
    return Rendered("alarms", CASES["alarms"][case] | more)


def metric_alarms(template):
    prefix = f"bothends-{VPN}-"
    return {it["AlarmName"].removeprefix(prefix): it for it in template.of_type("AWS::CloudWatch::Alarm").values()}


def composites(template):
    prefix = f"bothends-{VPN}-"
    found = template.of_type("AWS::CloudWatch::CompositeAlarm").values()
    return {it["AlarmName"].removeprefix(prefix): it for it in found}


def metrics_of(alarm):
    """(namespace, metric, dimensions, statistic, period) of each metric that an alarm reads."""
    if "MetricName" in alarm:
        alarm = {"Metrics": [{"MetricStat": {"Metric": alarm, "Stat": alarm["Statistic"], "Period": alarm["Period"]}}]}
    for it in alarm["Metrics"]:
        if stat := it.get("MetricStat"):
            metric = stat["Metric"]
            dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}
            yield metric["Namespace"], metric["MetricName"], dimensions, stat["Stat"], stat["Period"]


def in_alarm(names):
    return {f"bothends-{VPN}-{name}" for name in names}


class Names(unittest.TestCase):
    def test_the_kinds_alarms_have_the_names_that_the_daemon_looks_for(self):
        alarms = composites(stack("plans"))
        self.assertEqual(set(alarms) - {"unwatched"}, set(kinds()))
        for kind in kinds():
            self.assertEqual(alarms[kind]["AlarmName"], adopted_alarm(VPN, kind))

    def test_a_component_alarm_is_not_mistaken_for_a_kind(self):
        self.assertEqual(set(metric_alarms(stack("plans"))) & set(kinds()), set())
        for alarm in metric_alarms(stack("plans")).values():
            for action in ("AlarmActions", "OKActions", "InsufficientDataActions"):
                self.assertNotIn(action, alarm)

    def test_names_rules_and_descriptions_are_within_cloudwatch_s_limits(self):
        for case in CASES["alarms"]:
            template = stack(case, ConnectionName="x" * 60)
            for alarm in [*metric_alarms(template).values(), *composites(template).values()]:
                self.assertLessEqual(len(alarm["AlarmName"]), 255)
                self.assertLessEqual(len(alarm["AlarmDescription"]), 1024)
                self.assertLessEqual(len(alarm.get("AlarmRule", "")), 10_240)
                self.assertLessEqual(len(alarm.get("Metrics", [])), 10)
                self.assertTrue(alarm["AlarmDescription"].startswith("x" * 60))


class Metrics(unittest.TestCase):
    def setUp(self):
        self.published = documented_metrics()

    def test_the_documentation_and_the_code_have_the_same_metrics(self):
        self.assertEqual(set(self.published), published_names())

    def test_every_alarm_reads_a_published_metric_with_its_dimensions(self):
        for case, namespace in [("plans", "BothEnds"), ("standby", "BothEnds/milan-1"), ("one tunnel", "BothEnds")]:
            for name, alarm in metric_alarms(stack(case)).items():
                for own, metric, dimensions, statistic, _ in metrics_of(alarm):
                    with self.subTest(f"{case}: {name}: {metric}"):
                        self.assertEqual(dimensions["VpnId"], VPN)
                        self.assertIn(statistic, ("Minimum", "Maximum"))
                        if own == "AWS/VPN":
                            self.assertEqual(metric, "TunnelState")
                            self.assertLessEqual(set(dimensions), {"VpnId", "TunnelIpAddress"})
                        else:
                            self.assertEqual(own, namespace)
                            self.assertIn(frozenset(dimensions), self.published[metric])

    def test_no_alarm_on_tunnel_state_has_a_period_that_can_be_empty(self):
        for name, alarm in metric_alarms(stack("plans")).items():
            for namespace, _, _, _, period in metrics_of(alarm):
                if namespace == "AWS/VPN":
                    self.assertGreaterEqual(period, 300, name)

    def test_missing_data_is_treated_as_intended(self):
        self.assertEqual({name: it["TreatMissingData"] for name, it in metric_alarms(stack("plans")).items()}, MISSING)

    def test_each_alarm_needs_as_many_minutes_as_documented(self):
        for name, alarm in metric_alarms(stack("plans")).items():
            (period,) = {period for *_, period in metrics_of(alarm)}
            minutes = period * alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) // 60
            self.assertEqual(minutes, MINUTES[name], name)
            if minutes > 1:
                self.assertIn(f"{minutes} minutes", alarm["AlarmDescription"])
        # The newest two periods of AWS's data may not have arrived yet.
        self.assertEqual(metric_alarms(stack("plans"))["ends-disagree"]["EvaluationPeriods"], 6 + 2)
        longer = metric_alarms(stack("no tickets"))
        for name in ("heartbeat-missing", "our-end-up"):
            self.assertEqual(longer[name]["EvaluationPeriods"], 10)
            self.assertIn("10 minutes", longer[name]["AlarmDescription"])

    def test_a_missing_heartbeat_counts_as_zero_and_missing_aws_data_as_none(self):
        for name, alarm in metric_alarms(stack("plans")).items():
            metrics, expression = queries(alarm)
            nothing = compute(expression, {metric[0]: None for metric in metrics})
            filled = 0 if name in ("heartbeat-missing", "heartbeat-missing-long", "our-end-up") else None
            self.assertEqual(nothing, filled, name)

    def test_thresholds_separate_down_from_up(self):
        def breaches(alarm, value):
            metrics, expression = queries(alarm)
            result = compute(expression, {metric[0]: value for metric in metrics})
            return BREACHES[alarm["ComparisonOperator"]](result, alarm["Threshold"])
        alarms = metric_alarms(stack("plans"))
        del alarms["ends-disagree"]
        # The values: all down, one of two down (AWS sends one fraction for both), all up.
        expected = {"aws-down": (True, False, False), "aws-down-long": (True, False, False),
                    "tunnel-1-down": (True, True, False), "tunnel-2-down": (True, True, False),
                    "heartbeat-missing": (True, True, False), "heartbeat-missing-long": (True, True, False),
                    "our-end-up": (False, False, True)}
        self.assertEqual({name: tuple(breaches(it, value) for value in (0, 0.5, 1)) for name, it in alarms.items()}, expected)

    def test_one_sided_needs_every_tunnel_down_by_the_same_end_and_up_by_the_other(self):
        for case, tunnels in [("plans", 2), ("one tunnel", 1)]:
            alarm = metric_alarms(stack(case))["ends-disagree"]
            ids = {it["Id"] for it in alarm["Metrics"]}
            expression = next(it["Expression"] for it in alarm["Metrics"] if "Expression" in it)
            self.assertEqual([it["Id"] for it in alarm["Metrics"] if it["ReturnData"]], ["onesided"])
            self.assertEqual(set(re.findall(r"\b[al](?:min|max)\d\b", expression)), ids - {"onesided"})
            for it in alarm["Metrics"]:
                if "MetricStat" in it:
                    stat = it["MetricStat"]
                    self.assertEqual(it["Id"][1:4], stat["Stat"][:3].lower())
                    self.assertEqual(it["Id"][0], "a" if stat["Metric"]["Namespace"] == "AWS/VPN" else "l")
                    ip = next(d["Value"] for d in stat["Metric"]["Dimensions"] if d["Name"] == "TunnelIpAddress")
                    self.assertEqual(ip, CASES["alarms"][case][f"TunnelOutsideIp{it['Id'][-1]}"])
            # Each end of each tunnel: down throughout, up throughout, or both within the period.
            for ends in itertools.product([(0, 0), (1, 1), (0, 1)], repeat=2 * tunnels):
                local, aws = ends[:tunnels], ends[tunnels:]
                values = {f"{end}{stat}{n + 1}": pair[n][at] for end, pair in (("l", local), ("a", aws))
                          for n in range(tunnels) for at, stat in enumerate(("min", "max"))}
                result = compute(expression, values)
                down, up = ((0, 0),) * tunnels, ((1, 1),) * tunnels
                self.assertEqual(bool(result), (local, aws) in ((down, up), (up, down)), ends)


class Rules(unittest.TestCase):
    def test_every_rule_refers_to_alarms_of_the_same_stack(self):
        for case in CASES["alarms"]:
            template = stack(case)
            there = {f"bothends-{VPN}-{name}" for name in metric_alarms(template)}
            for name, alarm in composites(template).items():
                with self.subTest(f"{case}: {name}"):
                    named = set(re.findall(r'\("([^"]+)"\)', alarm["AlarmRule"]))
                    self.assertGreater(len(named), 0)
                    self.assertLessEqual(named, there)

    def test_every_component_alarm_is_used(self):
        for case in CASES["alarms"]:
            template = stack(case)
            rules = " ".join(alarm["AlarmRule"] for alarm in composites(template).values())
            for name in metric_alarms(template):
                self.assertIn(f'"bothends-{VPN}-{name}"', rules)

    def test_which_alarms_go_off_in_each_situation(self):
        alarms = composites(stack("plans"))
        heartbeat, long = {"heartbeat-missing"}, {"heartbeat-missing", "heartbeat-missing-long"}
        aws, aws_long = {"aws-down"}, {"aws-down", "aws-down-long"}
        up = {"our-end-up"}
        both_tunnels = {"tunnel-1-down", "tunnel-2-down"}
        for situation, raised, expected in [
            ("everything is up", up, set()),
            ("a restart of the daemon, or a short failure of its sinks", heartbeat, set()),
            ("the daemon is dead, the line is up", long, {"unwatched"}),
            ("the line has just broken and the daemon reports it itself", aws, set()),
            ("the site is cut off", heartbeat | aws, {"outage"}),
            ("AWS is silent, so there is no heartbeat, and our end is up", heartbeat | aws | up, set()),
            ("the same for a long time", long | aws | up, {"unwatched"}),
            ("the site has been cut off for a long time", long | aws_long | both_tunnels, {"outage"}),
            ("only AWS says Down, for a long time", aws_long | both_tunnels, {"outage"}),
            ("one tunnel is down", {"tunnel-1-down"}, {"redundancy_lost"}),
            ("the other tunnel is down", {"tunnel-2-down"}, {"redundancy_lost"}),
            ("one tunnel is down and the daemon dead", {"tunnel-2-down"} | long, {"redundancy_lost", "unwatched"}),
            ("the ends disagree", {"ends-disagree"}, {"one_sided"}),
            ("AWS was silent after saying Down, and is back", {"aws-down-long"}, {"outage"}),
        ]:
            with self.subTest(situation):
                self.assertEqual({name for name, it in alarms.items() if holds(it["AlarmRule"], in_alarm(raised))}, expected)

    def test_without_redundancy_there_is_no_alarm_on_it(self):
        for case in ("one tunnel", "standby"):
            self.assertEqual(set(composites(stack(case))), {"outage", "one_sided", "unwatched"})
            self.assertFalse({"tunnel-1-down", "tunnel-2-down"} & set(metric_alarms(stack(case))))


class Window(unittest.TestCase):
    """The maintenance window: a mute rule over every alarm that acts."""

    def rule(self, case, **more):
        (rule,) = stack(case, **more).of_type("AWS::CloudWatch::AlarmMuteRule").values()
        return rule

    def test_without_a_schedule_there_is_no_rule_and_nothing_else_changes(self):
        with_it, without = stack("window"), stack("window", MuteSchedule="")
        self.assertEqual(set(with_it.resources) - set(without.resources), {"MaintenanceWindow"})
        self.assertEqual({key: with_it.resources[key] for key in without.resources}, without.resources)
        self.assertEqual(stack("plans").of_type("AWS::CloudWatch::AlarmMuteRule"), {})

    def test_every_alarm_that_acts_is_muted_and_nothing_else_is(self):
        for case in CASES["alarms"]:
            template = stack(case, MuteSchedule="cron(0 2 * * SUN)")
            (rule,) = template.of_type("AWS::CloudWatch::AlarmMuteRule").values()
            every = [*metric_alarms(template).values(), *composites(template).values()]
            acting = {it["AlarmName"] for it in every if {"AlarmActions", "OKActions", "InsufficientDataActions"} & set(it)}
            muted = rule["MuteTargets"]["AlarmNames"]
            self.assertLessEqual(acting, set(muted), case)
            # Those without tickets have no action: muting them says so in the console, and changes nothing.
            self.assertCountEqual(muted, [it["AlarmName"] for it in composites(template).values()], case)
            # A rule can mute 100.
            self.assertLessEqual(len(muted), 100)

    def test_it_begins_when_the_schedule_says_and_lasts_as_long(self):
        schedule = self.rule("window")["Rule"]["Schedule"]
        self.assertEqual(schedule, {"Expression": "cron(0 2 * * SUN)", "Duration": "PT4H", "Timezone": "Europe/Rome"})
        self.assertEqual(self.rule("standby")["Rule"]["Schedule"]["Timezone"], "UTC")
        for expression, first in [
            (schedule["Expression"], "2026-11-01T02:00"),
            (self.rule("standby")["Rule"]["Schedule"]["Expression"], "2027-01-01T22:30"),
            ("cron(5 0 * * *)", "2026-11-01T00:05"), ("cron(0 3 31 * *)", "2026-12-31T03:00"),
            ("cron(0 3 * * MON-FRI)", "2026-11-02T03:00"), ("cron(0 3 * 11,12 6,7)", "2026-11-01T03:00"),
        ]:
            begun = next(it for it in minutes(datetime(2026, 11, 1), 90) if begins(expression, it))
            self.assertEqual(begun.isoformat(timespec="minutes"), first, expression)

    def test_no_schedule_that_is_accepted_mutes_for_ever(self):
        # The densest one with the longest window.
        schedule = self.rule("window", MuteSchedule="cron(59 23 * * *)", MuteDuration="PT23H59M")["Rule"]["Schedule"]
        begun = [it for it in minutes(datetime(2026, 11, 1), 3) if begins(schedule["Expression"], it)]
        self.assertEqual(len(begun), 3)
        for one, next_one in itertools.pairwise(begun):
            self.assertLess(one + timedelta(minutes=minutes_of(schedule["Duration"])), next_one)
        for key, wrong in [
            ("MuteSchedule", ["cron(* * * * *)", "cron(0 * * * *)", "cron(0 2,14 * * *)", "cron(0 2-4 * * *)", "cron(60 2 * * *)",
                              "cron(0 24 * * *)", "cron(0 2 * *)", "cron(0 2 ? * SUN)", "cron(0 2 * * SUN *)", "0 2 * * SUN",
                              "at(2026-12-06T02:00)", "rate(1 day)", "cron(0 2 * * sun)"]),
            ("MuteDuration", ["", "PT", "PT0M", "PT0H", "PT24H", "PT90M", "P1D", "4h", "PT1H60M"]),
            ("MuteTimeZone", ["", "Europe/Rome;", "x" * 51]),
        ]:
            for value in wrong:
                with self.subTest(f"{key}={value}"), self.assertRaisesRegex(Refused, f"^{key}: "):
                    stack("window", **{key: value})

    def test_its_name_and_description_are_within_cloudwatch_s_limits(self):
        rule = self.rule("window", ConnectionName="x" * 60)
        self.assertEqual(rule["Name"], f"bothends-{VPN}-maintenance")
        self.assertLessEqual(len(rule["Description"]), 1024)
        self.assertTrue(rule["Description"].startswith("x" * 60))


def minutes(start, days):
    return (start + timedelta(minutes=minute) for minute in range(days * 24 * 60))


class Targets(unittest.TestCase):
    def actions(self, case, which="AlarmActions"):
        return {name: alarm.get(which) for name, alarm in composites(stack(case)).items()}

    def test_each_kinds_alarm_has_its_own_response_plan(self):
        plans = Rendered("incident-response", CASES["incident-response"]["least"])
        there = {PLAN + it["Name"] for it in plans.of_type("AWS::SSMIncidents::ResponsePlan").values()}
        actions = self.actions("plans")
        self.assertEqual(actions.pop("unwatched"), [f"{ITEM}3#CATEGORY=Availability"])
        self.assertEqual(actions, {kind: [f"{PLAN}bothends-{VPN}-{kind}"] for kind in kinds()})
        self.assertEqual({action for (action,) in actions.values()}, there)

    def test_ops_items_have_a_severity(self):
        severity = {"outage": 1, "one_sided": 2, "redundancy_lost": 3, "unwatched": 3}
        self.assertEqual(self.actions("items"), {
            name: [f"{ITEM}{level}#CATEGORY=Availability"] for name, level in severity.items()})
        self.assertEqual(set(map(str, self.actions("items", "OKActions").values())), {"None"})

    def test_a_topic_gets_the_end_too(self):
        every = {name: [TOPIC] for name in ("outage", "one_sided", "redundancy_lost", "unwatched")}
        self.assertEqual(self.actions("topic"), every)
        self.assertEqual(self.actions("topic", "OKActions"), every)

    def test_without_tickets_the_page_remains(self):
        actions = self.actions("no tickets")
        self.assertEqual(actions.pop("outage"), [f"{PLAN}bothends-{VPN}-outage"])
        self.assertEqual(set(actions.values()), {None})


if __name__ == "__main__":
    unittest.main()
