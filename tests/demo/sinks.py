"""The sinks that the demo can use: the daemon's configuration for each, and how to query it."""

import json

import ask
from stage import RECEIVER_PORT

CONFIGURED = '''type = "incident_manager"
response_plan = "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{vpn_id}-{kind}"'''


def evidence_of(text):
    """Indented JSON; the unchanged text if it is not JSON."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


class IncidentManager:
    name = "incident_manager"
    takes = "AWS received an incident of kind"
    needs_receiver = False

    def instead(self, directory):
        return CONFIGURED, CONFIGURED

    def opened(self, kind):
        """The newest incident of a kind, if it is open."""
        return self._newest(kind, "OPEN")

    def resolved(self, kind):
        return self._newest(kind, "RESOLVED")

    def _newest(self, kind, status):
        found = ask.incidents(kind)
        return found[-1] if found and found[-1]["record"]["status"] == status else None

    def started(self):
        """The number of pages."""
        return len(ask.received("StartIncident"))

    def relates(self, later, earlier):
        """Whether the later incident refers to the earlier one."""
        return earlier["record"]["arn"] in json.dumps(later["relatedItems"])

    def shown(self, incident, kind):
        request = [request for request in ask.received("StartIncident")
                   if request["triggerDetails"]["source"] == f"bothends.{kind}"][-1]
        trigger = request["triggerDetails"]
        evidence = evidence_of(trigger.get("rawData", "")).replace("\n", "\n         ")
        return (f"title    {request['title']}\nimpact   {request['impact']}\n"
                f"record   {incident['record']['arn']}\ntrigger  {trigger.get('triggerArn')}\nevidence {evidence}")

    def calls(self):
        names = ("StartIncident", "CreateTimelineEvent", "UpdateIncidentRecord")
        return ", ".join(f"{name} {len(ask.received(name))}" for name in names)


class OpsCenter(IncidentManager):
    name = "ops_center"
    takes = "OpsCenter has an OpsItem of kind"

    def instead(self, directory):
        return CONFIGURED, 'type = "ops_center"'

    def _newest(self, kind, status):
        wanted = {"OPEN": "Open", "RESOLVED": "Resolved"}[status]
        found = [item for item in ask.command("ops_items") or [] if item["Source"] == f"bothends.{kind}"]
        return found[-1] if found and found[-1]["Status"] == wanted else None

    def started(self):
        return len(ask.received("CreateOpsItem"))

    def relates(self, later, earlier):
        return earlier["OpsItemId"] in json.dumps(later.get("RelatedOpsItems", []))

    def shown(self, item, kind):
        evidence = evidence_of(item["OperationalData"]["bothends-evidence"]["Value"]).replace("\n", "\n         ")
        return (f"title    {item['Title']}\nseverity {item['Severity']}\nitem     {item['OpsItemId']}\n"
                f"dedup    {item['OperationalData']['/aws/dedup']['Value']}\nevidence {evidence}")

    def calls(self):
        return ", ".join(f"{name} {len(ask.received(name))}" for name in ("CreateOpsItem", "UpdateOpsItem"))


class Webhook(IncidentManager):
    name = "webhook"
    takes = "the receiver was triggered (PagerDuty Events v2), kind"
    needs_receiver = True

    def instead(self, directory):
        self.posted = directory / "posted"
        key = directory / "integration-key"
        key.write_text("0123456789abcdef0123456789abcdef")
        key.chmod(0o600)
        return CONFIGURED, (f'type = "webhook"\npreset = "pagerduty"\nallow_http = true\nsecret_file = "{key}"\n'
                            f'url = "http://127.0.0.1:{RECEIVER_PORT}/v2/enqueue"')

    def events(self):
        return [json.loads(line) for line in self.posted.read_text().splitlines()] if self.posted.exists() else []

    def _newest(self, kind, status):
        wanted = {"OPEN": "trigger", "RESOLVED": "resolve"}[status]
        found = [event for event in self.events() if event["payload"]["class"] == kind]
        return found[-1] if found and found[-1]["event_action"] == wanted else None

    def started(self):
        return len({event["dedup_key"] for event in self.events()})

    def relates(self, later, earlier):
        return later["payload"]["group"] == earlier["payload"]["group"]

    def shown(self, event, kind):
        hidden = {**event, "routing_key": "(the integration key)"}
        return json.dumps(hidden, indent=2, ensure_ascii=False)

    def calls(self):
        actions = [event["event_action"] for event in self.events()]
        return ", ".join(f"{action} {actions.count(action)}" for action in ("trigger", "resolve"))


SINKS = {sink.name: sink for sink in (IncidentManager(), OpsCenter(), Webhook())}
