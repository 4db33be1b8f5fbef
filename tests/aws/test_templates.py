"""The templates as CloudFormation sees them."""
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from cases import CASES, REGIONS, TOPIC
from template import TEMPLATES, Refused, Rendered, load

# CloudFormation quotas: the size of a template that "aws cloudformation deploy" sends without a bucket; resources;
# parameters. CloudWatch: the length of a rule (PutCompositeAlarm), of a description, of a name.
TEMPLATE_BYTES = 51_200
PARAMETERS = 200


def rendered():
    for name, cases in CASES.items():
        for case, given in cases.items():
            yield f"{name}: {case}", Rendered(name, given)


class Lint(unittest.TestCase):
    def lint(self, template, *more):
        command = [Path(sys.executable).with_name("cfn-lint"), "--regions", *REGIONS, *more, "--", template]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_cfn_lint_finds_nothing_in_three_regions_with_and_without_values(self):
        with tempfile.TemporaryDirectory() as place:
            for name, cases in CASES.items():
                files = []
                for given in cases.values():
                    files.append(Path(place) / f"{name}-{len(files)}.json")
                    values = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
                    files[-1].write_text(json.dumps(values))
                for more in ([], ["--parameter-files", *files]):
                    with self.subTest(f"{name} {'with' if more else 'without'} values"):
                        run = self.lint(TEMPLATES / f"{name}.yaml", *more)
                        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "", ""))

    def test_cfn_lint_finds_an_error_in_only_the_last_of_several_values(self):
        with tempfile.TemporaryDirectory() as place:
            template = Path(place) / "wrong.yaml"
            text = (TEMPLATES / "incident-response.yaml").read_text()
            template.write_text(text.replace("Name: !Sub bothends-${VpnConnectionId}-outage", "Name: !Ref ConnectionName"))
            files = [Path(place) / f"{n}.json" for n in (0, 1)]
            for file, name in zip(files, ("Milan", "Milan DC, primary")):
                given = CASES["incident-response"]["most"] | {"ConnectionName": name}
                values = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
                file.write_text(json.dumps(values))
            self.assertEqual(self.lint(template, "--parameter-files", files[0]).returncode, 0)
            self.assertIn("does not match", self.lint(template, "--parameter-files", *files).stdout)


class Parameters(unittest.TestCase):
    def test_every_template_is_tested_with_values(self):
        self.assertEqual(set(CASES), {path.stem for path in TEMPLATES.glob("*.yaml")})

    def test_every_parameter_has_a_description_and_a_pattern(self):
        for name in CASES:
            for key, it in load(name)["Parameters"].items():
                with self.subTest(f"{name}: {key}"):
                    self.assertGreater(len(it["Description"]), 10)
                    # CloudFormation's limit of a parameter's description.
                    self.assertLessEqual(len(it["Description"]), 4000)
                    if it["Type"] == "Number":
                        self.assertLess(it["MinValue"], it["MaxValue"])
                    elif "AllowedValues" not in it:
                        self.assertIn("AllowedPattern", it)
                        self.assertIn("ConstraintDescription", it)
                        self.assertRegex(it["AllowedPattern"], r"^\^.*\$$")

    def test_every_parameter_is_shown_in_a_group_and_used(self):
        for name in CASES:
            body = load(name)
            groups = body["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
            shown = [key for group in groups for key in group["Parameters"]]
            self.assertCountEqual(shown, body["Parameters"], name)
            text = json.dumps({key: body.get(key) for key in ("Conditions", "Resources")})
            for key in body["Parameters"]:
                with self.subTest(f"{name}: {key}"):
                    self.assertTrue(f'{{"Ref": "{key}"}}' in text or "${" + key + "}" in text)

    def test_the_same_parameter_means_the_same_in_every_template(self):
        seen = {}
        for name in CASES:
            for key, it in load(name)["Parameters"].items():
                if key in ("VpnConnectionId", "ConnectionName", "Namespace"):
                    form = (it["AllowedPattern"], it["ConstraintDescription"])
                    self.assertEqual(seen.setdefault(key, form), form, f"{name}: {key}")

    def test_a_value_of_the_wrong_form_is_rejected(self):
        wrong = [
            ("alarms", "plans", "VpnConnectionId", "vpn-012345678"),
            ("alarms", "plans", "VpnConnectionId", "tgw-01234567"),
            ("alarms", "plans", "ConnectionName", 'Milan "DC"'),
            ("alarms", "plans", "ConnectionName", "${AWS::Region}"),
            ("alarms", "plans", "TunnelOutsideIp1", ""),
            ("alarms", "plans", "PageTarget", "pager"),
            ("alarms", "plans", "HeartbeatMinutes", "3"),
            ("alarms", "topic", "SnsTopicArn", f"{TOPIC}.fifo"),
            ("incident-response", "most", "ContactPhone1", "0212345678"),
            ("incident-response", "most", "TunnelOutsideIp1", "2001:db8::11"),
            ("incident-response", "most", "LookBackHours", "1"),
            ("incident-response", "most", "SlackWorkspaceId", "SlackWorkspace"),
            ("daemon-role", "certificate", "CertificateAuthority", "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----"),
            ("daemon-role", "certificate", "CertificateName", "*"),
            ("daemon-role", "certificate", "VpnConnectionId1", "*"),
            ("daemon-role", "most", "Regions", "*"),
            ("daemon-role", "most", "Regions", "eu-west-1, eu-south-1"),
            ("daemon-role", "most", "AssumeRoleArns", ["*"]),
            ("daemon-role", "most", "SnsTopicArn", "arn:aws:sns:eu-west-1:123456789012:*"),
            ("daemon-role", "most", "Namespace", "*"),
            ("daemon-role", "most", "Parent1", "vpn-0123456789abcdef0"),
            ("daemon-role", "most", "Parent1", "site-*"),
            ("parent-plans", "most", "Parent", "wan1"),
            ("parent-plans", "most", "Parent", "site-milan / 1"),
            ("parent-plans", "longest", "Parent", "site-" + "x" * 65),
            ("parent-plans", "most", "ParentName", 'Milan "DC"'),
            ("dashboard", "most", "Namespace", 'a"b'),
            ("fleet-dashboard", "most", "Namespace", 'a"b'),
            ("fleet-dashboard", "most", "DashboardName", "all VPNs"),
            ("fleet-dashboard", "most", "MaxConnections", "501"),
        ]
        for name, case, key, value in wrong:
            with self.subTest(f"{name}: {key}={value}"):
                with self.assertRaisesRegex(Refused, f"^{key}: "):
                    Rendered(name, CASES[name][case] | {key: value})

    def test_parameters_that_belong_together_are_required_together(self):
        wrong = [
            ("alarms", "items", {"PageTarget": "sns-topic"}, "TopicIsGiven"),
            ("alarms", "items", {"TicketTarget": "sns-topic"}, "TopicIsGiven"),
            ("incident-response", "least", {"RunbookLogGroup": "vpn"}, "RunbookKnowsTheTunnel"),
            ("incident-response", "least", {"SlackWorkspaceId": "T0"}, "SlackIsWhole"),
            ("incident-response", "most", {"ChatTopicArn": TOPIC}, "SlackIsWhole"),
            ("incident-response", "least", {"SecondChatTopicArn": TOPIC}, "SecondChatTopicIsTheSecond"),
            ("incident-response", "next connection", {"ContactAlias1": "ada"}, "EngagementIsOne"),
            ("incident-response", "least", {"ContactAlias1": "ada"}, "Contact1CanBeReached"),
            ("incident-response", "least", {"ContactAlias2": "ada", "ContactPhone2": "+390212345678"}, "Contact2CanBeReached"),
            ("incident-response", "one person, one tunnel", {"OnCallSchedule": "yes"}, "ScheduleHasTwo"),
            ("parent-plans", "most", {"ChatTopicArn": ""}, "SecondChatTopicIsTheSecond"),
            ("daemon-role", "certificate", {"CertificateName": ""}, "CertificateIsKnown"),
            ("daemon-role", "certificate", {"CertificateAuthority": ""}, "CertificateIsKnown"),
        ]
        for name, case, more, rule in wrong:
            with self.subTest(f"{name}: {more}"):
                with self.assertRaisesRegex(Refused, f"^{rule}: "):
                    Rendered(name, CASES[name][case] | more)


class Form(unittest.TestCase):
    def test_every_template_is_within_cloudformations_limits(self):
        for name in CASES:
            path = TEMPLATES / f"{name}.yaml"
            body = load(name)
            self.assertLess(path.stat().st_size, TEMPLATE_BYTES, name)
            self.assertLess(len(body["Parameters"]), PARAMETERS, name)
            self.assertLess(len(body["Description"]), 1024, name)
            # Aliases are valid YAML, but CloudFormation rejects them.
            self.assertIsNone(re.search(r"(?m)^[^#'\"]*(: |- )[&*][a-z]", path.read_text()), name)

    def test_no_partition_account_or_region_is_hard_coded(self):
        for name in CASES:
            resources = json.dumps(load(name)["Resources"])
            self.assertNotIn("arn:aws", resources, name)
            self.assertIsNone(re.search(r"\b[0-9]{12}\b|\b(eu|us|ap)-[a-z]+-[0-9]\b", resources), name)

    def test_another_region_changes_nothing_but_the_region(self):
        for name, cases in CASES.items():
            for case, given in cases.items():
                here = json.dumps(Rendered(name, given, "eu-west-1").resources)
                there = json.dumps(Rendered(name, given, "ap-southeast-2").resources)
                if "eu-west-1" not in json.dumps(given):
                    self.assertEqual(here.replace("eu-west-1", "ap-southeast-2"), there, f"{name}: {case}")

    def test_names_contain_the_connection_or_the_parent_so_that_two_stacks_can_coexist(self):
        named = ("Name", "AlarmName", "DashboardName", "ConfigurationName", "Alias", "RoleName", "TopicName")
        for case, template in rendered():
            if template.name in ("daemon-role", "fleet-dashboard"):
                # The first has no names of its own; the second is one for all connections, and its name is a parameter.
                continue
            for key, it in template.resources.items():
                for member in named:
                    value = it["Properties"].get(member)
                    if value and it["Properties"].get("Type") != "PERSONAL":
                        with self.subTest(f"{case}: {key}"):
                            own = template.parameters.get("VpnConnectionId") or template.parameters["Parent"]
                            self.assertIn(own.replace("-", ""), value.replace("-", "").replace("_", ""))


if __name__ == "__main__":
    unittest.main()
