"""AWS would accept the commands and the policy of the documentation."""
import json
import re
import shlex
import unittest
from fnmatch import fnmatchcase

from cases import CASES, CERTIFICATE
from evaluate import minutes_of
from template import ROOT, TEMPLATES, Rendered
from test_iam import reference, resource_forms

PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("aws", "alarms", "get-paged", "operate")}
# Values printed by the tutorial's commands and kept in its variables.
PRINTED = {"TOPIC": "arn:aws:sns:eu-west-1:123456789012:bothends", "POLICY": "arn:aws:iam::123456789012:policy/bothends-milan-1"}


def deployments(*names):
    """(template, parameters, capabilities) of each "aws cloudformation deploy" in these pages, or in all.

    Some pages change stacks that another page made: the parameters that they do not give keep their values.
    """
    made = {}
    for name in names or PAGES:
        variables = dict(PRINTED)
        for block in re.findall(r"(?ms)^ *```sh\n(.*?)^ *```", PAGES[name]):
            for line in block.replace("\\\n", " ").splitlines():
                if found := re.fullmatch(r'(?:export )?([A-Z0-9_]+)=([^$]*)', line):
                    variables[found[1]] = found[2].strip('"')
                line = line.replace('"$(cat ca.pem)"', "AUTHORITY").replace('"$(cat ca.pem new-ca.pem)"', "AUTHORITY" * 2)
                words = [re.sub(r"\$([A-Z0-9]+)", lambda it: variables[it[1]], word) for word in shlex.split(line)]
                if words[:3] != ["aws", "cloudformation", "deploy"]:
                    continue
                template = words[words.index("--template-file") + 1].removesuffix(".yaml")
                pairs = words[words.index("--parameter-overrides") + 1:]
                given = dict(pair.split("=", 1) for pair in pairs)
                given = {key: value.replace("AUTHORITY", CERTIFICATE) for key, value in given.items()}
                stack = words[words.index("--stack-name") + 1]
                if name in ("alarms", "operate"):
                    given = made[stack] | given
                made.setdefault(stack, given)
                yield template, given, "CAPABILITY_IAM" in words


class Commands(unittest.TestCase):
    def test_every_deployment_is_valid_and_has_the_capability_for_roles(self):
        seen = set()
        for template, given, capability in deployments():
            with self.subTest(f"{template} {given}"):
                made = Rendered(template, given).resources.values()
                self.assertEqual(capability, any(it["Type"].startswith("AWS::IAM::") for it in made))
            seen.add(template)
        self.assertEqual(seen, {"alarms", "daemon-role", "dashboard", "fleet-dashboard", "incident-response", "parent-plans"})
        self.assertEqual([template for template, _, _ in deployments("get-paged")], ["daemon-role", "alarms", "dashboard"])

    def test_every_variable_in_the_tutorial_is_set_before_its_use(self):
        # Set by step 1, or by an earlier command.
        said = PAGES["get-paged"]
        for name in set(re.findall(r"\$([A-Z0-9]+)", said)):
            self.assertRegex(said, rf"(?m)^(export )?{name}=")
            self.assertLess(said.index(f"{name}="), said.index(f"${name}"))

    def test_two_certificates_are_accepted_during_a_rotation(self):
        given = [given for template, given, _ in deployments() if template == "daemon-role"][-1]
        self.assertEqual(given["CertificateAuthority"], CERTIFICATE * 2)
        Rendered("daemon-role", given)

    def test_every_parameter_output_and_file_named_exists(self):
        names = set()
        for template, given, _ in deployments():
            rendered = Rendered(template, given)
            names |= set(rendered.parameters) | set(rendered.outputs)
        for text in PAGES.values():
            for name in re.findall(r"`((?:Enable|Page|Ticket|Sns|Watch|Engage|Chat|Assume|PrivateCa|Certificate|Heartbeat|Mute|Parent)\w+)`", text):
                self.assertIn(name, names)
            for name in re.findall(r"`([a-z-]+\.yaml)`", text):
                self.assertTrue((TEMPLATES / name).exists(), name)

    def test_every_alarm_with_an_action_is_explained(self):
        given = next(given for template, given, _ in deployments() if template == "alarms")
        alarms = Rendered("alarms", given).of_type("AWS::CloudWatch::CompositeAlarm").values()
        names = [it["AlarmName"].replace(given["VpnConnectionId"], "<vpn>") for it in alarms]
        self.assertCountEqual(re.findall(r"(?m)^\| `(bothends-<vpn>-\w+)` \|", PAGES["alarms"]), names)


class MuteRule(unittest.TestCase):
    """The rule and the policy of docs/alarms.md, against the template's own rule and the Service Authorization Reference."""

    def setUp(self):
        (line,) = [line for line in PAGES["alarms"].replace("\\\n", " ").splitlines()
                   if line.startswith("aws cloudwatch put-alarm-mute-rule")]
        words = shlex.split(line)[3:]
        self.given = dict(zip(words[::2], words[1::2], strict=True))
        self.rule, self.targets = json.loads(self.given["--rule"]), json.loads(self.given["--mute-targets"])

    def test_the_command_mutes_what_the_templates_window_mutes(self):
        made = next(given for template, given, _ in deployments() if template == "alarms")
        window = Rendered("alarms", made | {"MuteSchedule": "cron(0 2 * * SUN)"}).resources["MaintenanceWindow"]["Properties"]
        self.assertEqual(self.targets, window["MuteTargets"])
        self.assertEqual(set(self.rule["Schedule"]), set(window["Rule"]["Schedule"]))
        self.assertEqual(set(self.given), {"--region", "--name", "--description", "--rule", "--mute-targets"})

    def test_its_schedule_is_one_that_cloudwatch_takes(self):
        schedule = self.rule["Schedule"]
        self.assertRegex(schedule["Expression"], r"^at\(\d{4}-\d\d-\d\dT\d\d:\d\d\)$")
        self.assertGreater(minutes_of(schedule["Duration"]), 0)
        self.assertIn(f"--alarm-mute-rule-name {self.given['--name']}`", PAGES["alarms"])

    def test_the_connections_of_one_rule_are_as_many_as_documented(self):
        (most, connections) = re.findall(r"One rule takes (\d+) alarms, so (\d+) connections", PAGES["alarms"])[0]
        self.assertEqual(int(most) // len(self.targets["AlarmNames"]), int(connections))

    def test_the_policy_grants_the_command_and_nothing_else(self):
        (block,) = re.findall(r"(?ms)^```json\n(.*?)^```", PAGES["alarms"])
        statements = json.loads(block)["Statement"]
        granted = {(action, it["Resource"]) for it in statements
                   for action in ([it["Action"]] if isinstance(it["Action"], str) else it["Action"])}
        for action, resource in granted:
            with self.subTest(f"{action}: {resource}"):
                self.assertIsNotNone(reference(action)[1])
                self.assertTrue(any(fnmatchcase(resource.replace("*", "x"), form) for form in resource_forms(action)))
        # On the rule and on each alarm, in the Region of the command.
        head = f"arn:aws:cloudwatch:{self.given['--region']}:123456789012:"
        wanted = [f"{head}alarm-mute-rule:{self.given['--name']}", *(f"{head}alarm:{name}" for name in self.targets["AlarmNames"])]
        for resource in wanted:
            self.assertTrue(any(action == "cloudwatch:PutAlarmMuteRule" and fnmatchcase(resource, pattern)
                                for action, pattern in granted), resource)
        self.assertEqual({action for action, _ in granted},
                         {f"cloudwatch:{verb}AlarmMuteRule" for verb in ("Put", "Get", "Delete")})

    def test_the_daemon_may_not_mute_the_alarms(self):
        for given in CASES["daemon-role"].values():
            self.assertNotIn("Mute", json.dumps(Rendered("daemon-role", given).resources))


class Order(unittest.TestCase):
    def test_the_alarms_are_deployed_after_mode_raise_and_a_drill(self):
        # Before that there is no heartbeat, and they would go off.
        tutorial, page = PAGES["get-paged"], PAGES["alarms"]
        alarms = tutorial.index("--template-file alarms.yaml")
        self.assertLess(tutorial.index('mode = "raise"'), alarms)
        self.assertLess(tutorial.index("```sh\nbothends drill\n"), alarms)
        alarms = page.index("--template-file alarms.yaml")
        self.assertLess(page.index('set `mode = "raise"`'), alarms)
        self.assertLess(page.index("drill"), alarms)
        for page in (page, (ROOT / "docs" / "cloudwatch.md").read_text(), (TEMPLATES / "alarms.yaml").read_text()):
            self.assertRegex(" ".join(page.split()), r'(?i)in mode "observe" it sends no heartbeat|In mode `observe` there is no `Heartbeat`'
                                   r'|In `mode = "observe"` none is sent')

    def test_a_file_that_systemd_loads_at_the_start_is_renewed_by_a_restart(self):
        drop_in = (ROOT / "systemd" / "drop-ins" / "signing-helper.conf").read_text()
        self.assertIn("LoadCredential=", drop_in)
        for what in ("An AWS access key", "The site's certificate"):
            (steps,) = re.findall(rf"(?ms)^\*\*{what}\*\*.*?(?=^\*\*)", PAGES["operate"])
            self.assertIn("systemctl restart bothends", steps)

    def test_the_templates_are_where_the_pages_say(self):
        (place,) = set(re.findall(r"`(/usr/share/bothends/aws)/`", PAGES["aws"] + PAGES["get-paged"]))
        self.assertIn(f'"{place.removeprefix("/")}/"', (ROOT / "Cargo.toml").read_text())


if __name__ == "__main__":
    unittest.main()
