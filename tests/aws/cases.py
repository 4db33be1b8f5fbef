"""Realistic parameters: for each template the minimum, the maximum, and some in between."""

VPN = "vpn-0123456789abcdef0"
NAME = "Milan DC, primary"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:bothends"
SECOND_TOPIC = "arn:aws:sns:eu-central-1:123456789012:bothends"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/0e5e9d1c-0b1f-4f0e-8f58-0d8f3e5a1c11"
ANCHOR = "arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/0e5e9d1c-0b1f-4f0e-8f58-0d8f3e5a1c11"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ\nzCCAV+/==\n-----END CERTIFICATE-----\n"

_IPS = {"TunnelOutsideIp1": "203.0.113.11", "TunnelOutsideIp2": "203.0.113.12"}
_ONE = {"VpnConnectionId": VPN, "ConnectionName": NAME}
_TWO = _ONE | _IPS
_PEOPLE = {
    "ContactAlias1": "ada", "ContactName1": "Ada", "ContactEmail1": "ada@example.com", "ContactPhone1": "+390212345678",
    "ContactAlias2": "grace", "ContactName2": "Grace", "ContactEmail2": "grace@example.com",
    "OnCallSchedule": "yes", "RotationTimeZone": "Europe/Rome",
}
PARENTS = ("site-milan-1", "uplink-wan1", "uplink-wan2", "group-paris")
_ALL_CONNECTIONS = {f"VpnConnectionId{n}": f"vpn-0123456789abcdef{n}" for n in (1, 2, 3, 4)}

CASES = {
    "alarms": {
        "plans": _TWO | {"PageTarget": "response-plan", "TicketTarget": "response-plan"},
        "items": _TWO | {"PageTarget": "ops-item"},
        "topic": _TWO | {"PageTarget": "sns-topic", "TicketTarget": "sns-topic", "SnsTopicArn": TOPIC},
        "no tickets": _TWO | {"PageTarget": "response-plan", "TicketTarget": "none", "HeartbeatMinutes": "10"},
        "one tunnel": _ONE | {"PageTarget": "ops-item", "TunnelOutsideIp1": "2001:db8::11"},
        "standby": _TWO | {
            "PageTarget": "ops-item", "WatchRedundancy": "no", "Namespace": "BothEnds/milan-1",
            "MuteSchedule": "cron(30 22 1-7 JAN,JUL *)", "MuteDuration": "PT1H30M"},
        "window": _TWO | {
            "PageTarget": "sns-topic", "TicketTarget": "sns-topic", "SnsTopicArn": TOPIC,
            "MuteSchedule": "cron(0 2 * * SUN)", "MuteDuration": "PT4H", "MuteTimeZone": "Europe/Rome"},
    },
    "incident-response": {
        "least": _ONE,
        "most": _TWO | _PEOPLE | {
            "CreateReplicationSet": "yes", "SecondRegion": "eu-central-1", "SlackWorkspaceId": "T0123ABC",
            "SlackChannelId": "C0123ABC", "TopicKeyArn": KEY, "RunbookLogGroup": "/vpn/milan-1"},
        "next connection": _ONE | {
            "EngagementArn": "arn:aws:ssm-contacts:eu-west-1:123456789012:contact/bothends-escalation",
            "ChatTopicArn": TOPIC, "SecondChatTopicArn": SECOND_TOPIC, "EngageFor": "outage"},
        "one person, one tunnel": _ONE | {
            "ContactAlias1": "ada", "ContactPhone1": "+390212345678", "EngageFor": "outage-and-one-sided",
            "RunbookLogGroup": "vpn", "TunnelOutsideIp1": "203.0.113.11", "IkeVersion": "IKEv1", "LookBackHours": "12"},
    },
    "parent-plans": {
        "least": {"Parent": PARENTS[0], "ParentName": "Milan"},
        "most": {
            "Parent": PARENTS[1], "ParentName": "Milan, uplink wan1", "EngageFor": "outage",
            "EngagementArn": "arn:aws:ssm-contacts:eu-west-1:123456789012:contact/bothends-escalation",
            "ChatTopicArn": TOPIC, "SecondChatTopicArn": SECOND_TOPIC},
        "longest": {"Parent": "site-" + "x" * 64, "ParentName": "x" * 60},
    },
    "daemon-role": {
        "least": {"Credential": "policy-only", "VpnConnectionId1": VPN, "EnableCheck": "no"},
        "certificate": {
            "VpnConnectionId1": VPN, "CertificateName": "bothends-milan-1", "CertificateAuthority": CERTIFICATE},
        "next site": {"VpnConnectionId1": VPN, "CertificateName": "bothends-turin-1", "TrustAnchorArn": ANCHOR},
        "no Incident Manager": {
            "Credential": "policy-only", "VpnConnectionId1": VPN, "EnableIncidentManager": "no",
            "EnableOpsCenter": "yes", "SnsTopicArn": TOPIC},
        "most": _ALL_CONNECTIONS | {f"Parent{n}": parent for n, parent in enumerate(PARENTS, 1)} | {
            "CertificateName": "bothends-milan-1", "Regions": "eu-west-1,eu-south-1", "Namespace": "BothEnds/milan-1",
            "PrivateCaArn": "arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/0e5e9d1c-0b1f-4f0e-8f58-0d8f3e5a1c11",
            "IncidentManagerRegions": "eu-west-1,eu-central-1",
            "EnableOpsCenter": "yes", "SnsTopicArn": TOPIC, "SnsTopicKeyArn": KEY, "EnableEc2Telemetry": "yes",
            "AssumeRoleArns": ["arn:aws:iam::210987654321:role/BothEndsRead", "arn:aws:iam::310987654321:role/a/Incidents"]},
    },
    "dashboard": {
        "most": _TWO,
        "one tunnel": _ONE | {"TunnelOutsideIp1": "2001:db8::11", "ShowAlarms": "without-redundancy"},
        "no alarms": _TWO | {"ShowAlarms": "no", "Namespace": "BothEnds/milan-1", "MetricsRegion": "eu-south-1"},
    },
}
CASES["fleet-dashboard"] = {
    "least": {},
    "most": {"DashboardName": "vpn-wall", "Namespace": "BothEnds/milan-1", "MaxConnections": "500"},
}
REGIONS = ("eu-west-1", "us-east-1", "ap-southeast-2")
