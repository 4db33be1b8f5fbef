"""The commands of docs/aws.md are ones that CloudFormation would take."""
import re
import shlex
import unittest

from cases import CERTIFICATE
from template import ROOT, TEMPLATES, Rendered

TEXT = (ROOT / "docs" / "aws.md").read_text()


def deployments():
    """(template, parameters, capabilities) of each "aws cloudformation deploy" in the page."""
    for block in re.findall(r"(?ms)^ *```sh\n(.*?)^ *```", TEXT):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.replace('"$(cat ca.pem)"', "AUTHORITY"))
            if words[:3] == ["aws", "cloudformation", "deploy"]:
                template = words[words.index("--template-file") + 1].removesuffix(".yaml")
                pairs = words[words.index("--parameter-overrides") + 1:]
                given = dict(pair.split("=", 1) for pair in pairs)
                given = {key: value.replace("AUTHORITY", CERTIFICATE) for key, value in given.items()}
                yield template, given, "CAPABILITY_IAM" in words


class Commands(unittest.TestCase):
    def test_every_deployment_is_taken_and_asks_for_the_capability_if_it_makes_roles(self):
        seen = set()
        for template, given, capability in deployments():
            with self.subTest(f"{template} {given}"):
                made = Rendered(template, given).resources.values()
                self.assertEqual(capability, any(it["Type"].startswith("AWS::IAM::") for it in made))
            seen.add(template)
        self.assertEqual(seen, {"alarms", "daemon-role", "dashboard", "incident-response"})

    def test_two_certificates_are_taken_while_one_replaces_the_other(self):
        given = next(given for template, given, _ in deployments() if "CertificateAuthority" in given)
        Rendered("daemon-role", given | {"CertificateAuthority": CERTIFICATE * 2})

    def test_every_parameter_output_and_file_that_the_page_names_is_there(self):
        names = set()
        for template, given, _ in deployments():
            rendered = Rendered(template, given)
            names |= set(rendered.parameters) | set(rendered.outputs)
        for name in re.findall(r"`((?:Enable|Page|Ticket|Sns|Watch|Engage|Chat|Assume|PrivateCa|Certificate)\w+)`", TEXT):
            self.assertIn(name, names)
        for path in re.findall(r"\]\(([^)#]+)\)", TEXT):
            self.assertTrue((ROOT / "docs" / path).exists(), path)

    def test_every_alarm_that_tells_somebody_is_explained(self):
        given = next(given for template, given, _ in deployments() if template == "alarms")
        told = Rendered("alarms", given).of_type("AWS::CloudWatch::CompositeAlarm").values()
        names = [it["AlarmName"].replace(given["VpnConnectionId"], "<vpn>") for it in told]
        self.assertCountEqual(re.findall(r"(?m)^\| `(bothends-<vpn>-\w+)` \|", TEXT), names)


class Order(unittest.TestCase):
    def test_the_alarms_come_after_the_daemon_raises_and_has_been_drilled(self):
        # Before that there is no heartbeat, and they would tell of it.
        alarms = TEXT.index("--template-file alarms.yaml")
        self.assertLess(TEXT.index('set `mode = "raise"`'), alarms)
        self.assertLess(TEXT.index("```sh\nbothends drill\n"), alarms)
        for page in (TEXT, (ROOT / "docs" / "cloudwatch.md").read_text(), (TEMPLATES / "alarms.yaml").read_text()):
            self.assertRegex(page, r'(?i)in mode "observe" it sends no heartbeat|In mode `observe` there is no `Heartbeat`'
                                   r'|In `mode = "observe"` none is sent')

    def test_a_file_that_systemd_hands_over_at_the_start_is_renewed_by_a_restart(self):
        drop_in = (ROOT / "systemd" / "drop-ins" / "signing-helper.conf").read_text()
        self.assertIn("LoadCredential=", drop_in)
        (renewal,) = re.findall(r"(?ms)^- \*\*The site's certificate\*\*.*?(?=^- )", TEXT)
        self.assertIn("systemctl restart bothends", renewal)

    def test_the_templates_are_where_the_page_says_that_the_package_puts_them(self):
        (place,) = set(re.findall(r"`(/usr/share/bothends/aws)/`", TEXT))
        self.assertIn(f'"{place.removeprefix("/")}/"', (ROOT / "Cargo.toml").read_text())


if __name__ == "__main__":
    unittest.main()
