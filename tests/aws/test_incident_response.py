"""Plans, people, chat and runbook of incident-response.yaml."""
import re
import unittest

from cases import CASES, PARENTS, SECOND_TOPIC, TOPIC, VPN
from source import kinds
from template import ACCOUNT, ROOT, Rendered

# Systems Manager Automation runbook reference, AWSSupport-TroubleshootVPN: its parameters, and the form of each value.
IPV4 = r"(\d{1,3}\.){3}\d{1,3}"
RUNBOOK = {
    "AutomationAssumeRole": r"arn:aws:iam::\d{12}:role/\w+",
    "LogGroupName": r"[.\-_/#A-Za-z0-9]{1,512}",
    "VpnConnectionId": r"vpn-[0-9a-f]{8,17}",
    "TunnelAIPAddress": IPV4,
    "TunnelBIPAddress": IPV4,
    "IKEVersion": r"IKEv1|IKEv2",
    "LookBackPeriod": r"\d{2}",
}
REQUIRED = {"LogGroupName", "VpnConnectionId", "TunnelAIPAddress", "IKEVersion", "LookBackPeriod"}


def stack(case, **more):
    return Rendered("incident-response", CASES["incident-response"][case] | more)


def plans(template):
    return {it["Name"]: it for it in template.of_type("AWS::SSMIncidents::ResponsePlan").values()}


class Plans(unittest.TestCase):
    def test_every_kinds_plan_has_the_name_in_the_daemons_configuration(self):
        template = stack("least")
        self.assertEqual(set(plans(template)), {f"bothends-{VPN}-{kind}" for kind in kinds()})
        placeholder = template.outputs["ResponsePlan"]
        self.assertEqual(placeholder, f"arn:aws:ssm-incidents::{ACCOUNT}:response-plan/bothends-{{vpn_id}}-{{kind}}")
        self.assertIn(placeholder, (ROOT / "config" / "bothends.toml").read_text())

    def test_every_plan_has_its_own_dedupe_string(self):
        strings = [it["IncidentTemplate"]["DedupeString"]
                   for vpn in (VPN, "vpn-01234567") for it in plans(stack("least", VpnConnectionId=vpn)).values()]
        self.assertEqual(len(set(strings)), 6)
        for vpn in (VPN, "vpn-01234567"):
            for kind in kinds():
                self.assertIn(f"bothends/{vpn}/{kind}", strings)

    def test_the_impact_is_that_of_the_daemons_kinds(self):
        impact = {name.removeprefix(f"bothends-{VPN}-"): it["IncidentTemplate"]["Impact"]
                  for name, it in plans(stack("least")).items()}
        self.assertEqual(impact, {"outage": 1, "one_sided": 2, "redundancy_lost": 3})

    def test_titles_and_summaries_are_within_the_limits_and_begin_with_the_display_name(self):
        for it in plans(stack("most", ConnectionName="x" * 60)).values():
            self.assertLessEqual(len(it["IncidentTemplate"]["Title"]), 200)
            self.assertLessEqual(len(it["IncidentTemplate"]["Summary"]), 4000)
            self.assertTrue(it["IncidentTemplate"]["Title"].startswith("x" * 60 + ": "))
            self.assertLessEqual(len(it["DisplayName"]), 200)
            self.assertRegex(it["Name"], r"^[a-zA-Z0-9_-]{1,200}$")

    def test_the_minimum_is_three_plans_and_nothing_else(self):
        self.assertEqual({it["Type"] for it in stack("least").resources.values()}, {"AWS::SSMIncidents::ResponsePlan"})
        for it in plans(stack("least")).values():
            self.assertFalse({"Engagements", "ChatChannel", "Actions", "Tags"} & set(it))


class Parents(unittest.TestCase):
    """The plans of parent-plans.yaml, for what several connections share."""

    def plans(self, case, **more):
        return plans(Rendered("parent-plans", CASES["parent-plans"][case] | more))

    def test_a_parent_has_a_plan_of_each_kind_by_the_name_that_scope_becomes(self):
        for parent in PARENTS:
            there = self.plans("least", Parent=parent)
            self.assertEqual(set(there), {f"bothends-{parent}-{kind}" for kind in kinds()})
        placeholder = Rendered("parent-plans", CASES["parent-plans"]["least"]).outputs["ResponsePlan"]
        self.assertEqual(placeholder, f"arn:aws:ssm-incidents::{ACCOUNT}:response-plan/bothends-{{scope}}-{{kind}}")
        # A connection's own plans have that name, too: {scope} of a connection is its id.
        for name in plans(stack("least")):
            self.assertIn(name, {f"bothends-{VPN}-{kind}" for kind in kinds()})
        self.assertIn(placeholder, (ROOT / "docs" / "aws.md").read_text())

    def test_no_parents_incident_is_merged_into_anothers_or_a_connections(self):
        strings = [it["IncidentTemplate"]["DedupeString"] for it in plans(stack("least")).values()]
        for parent in PARENTS:
            strings += [it["IncidentTemplate"]["DedupeString"] for it in self.plans("least", Parent=parent).values()]
        self.assertEqual(len(set(strings)), len(kinds()) * (1 + len(PARENTS)))

    def test_impact_people_and_chat_are_as_those_of_a_connection(self):
        given = {key: value for key, value in CASES["parent-plans"]["most"].items() if key not in ("Parent", "ParentName")}
        for engaged in ("outage", "outage-and-one-sided", "all"):
            own = self.plans("most", EngageFor=engaged)
            connection = plans(stack("least", **given | {"EngageFor": engaged}))
            for kind in kinds():
                one, other = own[f"bothends-{PARENTS[1]}-{kind}"], connection[f"bothends-{VPN}-{kind}"]
                self.assertEqual(one["IncidentTemplate"]["Impact"], other["IncidentTemplate"]["Impact"])
                self.assertEqual(one.get("Engagements"), other.get("Engagements"), f"{engaged}: {kind}")
                self.assertEqual(one["ChatChannel"], other["ChatChannel"])

    def test_names_titles_and_summaries_are_within_the_limits(self):
        for name, it in self.plans("longest").items():
            self.assertRegex(name, r"^[a-zA-Z0-9_-]{1,200}$")
            self.assertLessEqual(len(it["IncidentTemplate"]["Title"]), 200)
            self.assertTrue(it["IncidentTemplate"]["Title"].startswith("x" * 60 + ": "))
            self.assertLessEqual(len(it["IncidentTemplate"]["Summary"]), 4000)
            self.assertLessEqual(len(it["IncidentTemplate"]["DedupeString"]), 1000)
            self.assertLessEqual(len(it["DisplayName"]), 200)


class People(unittest.TestCase):
    ESCALATION = f"arn:aws:ssm-contacts:eu-west-1:{ACCOUNT}:contact/Escalation"

    def engaged(self, template):
        return {name.removeprefix(f"bothends-{VPN}-"): it.get("Engagements") for name, it in plans(template).items()}

    def test_contacts_are_engaged_for_the_chosen_kinds(self):
        self.assertEqual(self.engaged(stack("most")), {kind: [self.ESCALATION] for kind in kinds()})
        self.assertEqual(self.engaged(stack("one person, one tunnel")),
                         {"outage": [self.ESCALATION], "one_sided": [self.ESCALATION], "redundancy_lost": None})
        there = CASES["incident-response"]["next connection"]["EngagementArn"]
        self.assertEqual(self.engaged(stack("next connection")),
                         {"outage": [there], "one_sided": None, "redundancy_lost": None})

    def test_the_on_call_person_is_paged_first_and_then_everybody(self):
        template = stack("most")
        first, then = template.resources["Escalation"]["Properties"]["Plan"]
        contact = f"arn:aws:ssm-contacts:eu-west-1:{ACCOUNT}:contact/"

        def asked(stage):
            return [it["ContactTargetInfo"]["ContactId"] for it in stage["Targets"]]

        self.assertEqual((first["DurationInMinutes"], asked(first)), (10, [contact + "OnCall"]))
        self.assertEqual(asked(then), [contact + "Contact1", contact + "Contact2"])
        self.assertEqual(template.resources["Rotation"]["Properties"]["ContactIds"],
                         [contact + "Contact1", contact + "Contact2"])
        rotation = template.resources["OnCall"]["Properties"]["Plan"][0]["RotationIds"]
        self.assertEqual(rotation, [f"arn:aws:ssm-contacts:eu-west-1:{ACCOUNT}:rotation/Rotation"])
        alone = stack("one person, one tunnel").resources["Escalation"]["Properties"]["Plan"]
        self.assertEqual([asked(stage) for stage in alone], [[contact + "Contact1"], [contact + "Contact1"]])

    def test_a_person_is_reached_by_each_channel_given(self):
        def ways(template, person):
            stages = template.resources[f"Plan{person}"]["Properties"]["Stages"]
            return [[it["ChannelTargetInfo"]["ChannelId"].rsplit("/")[-1] for it in stage["Targets"]] for stage in stages]
        self.assertEqual(ways(stack("most"), 1), [["Email1", "Sms1"], ["Voice1"]])
        self.assertEqual(ways(stack("most"), 2), [["Email2"]])
        self.assertEqual(ways(stack("one person, one tunnel"), 1), [["Sms1"], ["Voice1"]])

    def test_nobody_is_put_on_call_before_their_channels_exist(self):
        template = stack("most")
        self.assertEqual(template.resources["Rotation"]["DependsOn"], ["Plan1", "Plan2"])
        self.assertEqual(template.resources["Escalation"]["DependsOn"], "Plan1")

    def test_everything_waits_for_the_stacks_replication_set(self):
        template = stack("most")
        for key, it in template.resources.items():
            if it["Type"] == "AWS::SSMIncidents::ResponsePlan" or key in ("Contact1", "Contact2", "Escalation"):
                self.assertIn("replication-set/ReplicationSet", str(it["Properties"]["Tags"]), key)
        replication = template.resources["ReplicationSet"]
        # Leftovers of a failed first deployment would block the second.
        self.assertEqual(replication["DeletionPolicy"], "RetainExceptOnCreate")
        self.assertEqual(replication["UpdateReplacePolicy"], "Retain")
        regions = [it["RegionName"] for it in replication["Properties"]["Regions"]]
        self.assertEqual(regions, ["eu-west-1", "eu-central-1"])


class Chat(unittest.TestCase):
    def test_the_plans_notify_the_topic_created_or_given(self):
        for case, topics in (("most", [f"arn:aws:sns:eu-west-1:{ACCOUNT}:ChatTopic"]), ("next connection", [TOPIC, SECOND_TOPIC])):
            for it in plans(stack(case)).values():
                self.assertEqual(it["ChatChannel"], {"ChatbotSns": topics})
        both = stack("most", SecondChatTopicArn=SECOND_TOPIC)
        for it in plans(both).values():
            self.assertEqual(it["ChatChannel"]["ChatbotSns"], both.resources["SlackChannel"]["Properties"]["SnsTopicArns"])
        channel = stack("most").resources["SlackChannel"]["Properties"]
        self.assertEqual(channel["SnsTopicArns"], [f"arn:aws:sns:eu-west-1:{ACCOUNT}:ChatTopic"])
        self.assertNotIn("ChatTopic", stack("next connection").resources)


class Runbook(unittest.TestCase):
    def test_it_gets_only_its_parameters_and_all_required_ones(self):
        for case in ("most", "one person, one tunnel"):
            for name, plan in plans(stack(case)).items():
                with self.subTest(f"{case}: {name}"):
                    (action,) = plan["Actions"]
                    automation = action["SsmAutomation"]
                    self.assertEqual(automation["DocumentName"], "AWSSupport-TroubleshootVPN")
                    # The version of AWS's document is not pinned.
                    self.assertNotIn("DocumentVersion", automation)
                    self.assertTrue(automation["RoleArn"].endswith(":role/RunbookStarterRole"))
                    given = {it["Key"]: it["Values"] for it in automation["Parameters"]}
                    self.assertLessEqual(REQUIRED, set(given))
                    for key, (value,) in given.items():
                        self.assertTrue(re.fullmatch(RUNBOOK[key], value), f"{key}: {value}")
                    self.assertTrue(given["AutomationAssumeRole"][0].endswith(":role/RunbookRole"))
                    self.assertEqual("TunnelBIPAddress" in given, case == "most")


if __name__ == "__main__":
    unittest.main()
