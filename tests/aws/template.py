"""Reads a CloudFormation template and renders it with parameters, as CloudFormation would: the tests see what AWS gets.

Supports the functions that our templates use and fails on any other.
"""
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "packaging" / "aws"
ACCOUNT = "123456789012"

_NOTHING = object()

# The form of Ref and GetAtt of a resource, where it matters.
_ARNS = {
    "AWS::CloudWatch::Alarm": "arn:{p}:cloudwatch:{r}:{a}:alarm:{id}",
    "AWS::CloudWatch::CompositeAlarm": "arn:{p}:cloudwatch:{r}:{a}:alarm:{id}",
    "AWS::IAM::ManagedPolicy": "arn:{p}:iam::{a}:policy/{id}",
    "AWS::IAM::Role": "arn:{p}:iam::{a}:role/{id}",
    "AWS::RolesAnywhere::Profile": "arn:{p}:rolesanywhere:{r}:{a}:profile/{id}",
    "AWS::RolesAnywhere::TrustAnchor": "arn:{p}:rolesanywhere:{r}:{a}:trust-anchor/{id}",
    "AWS::SNS::Topic": "arn:{p}:sns:{r}:{a}:{id}",
    "AWS::SSMContacts::Contact": "arn:{p}:ssm-contacts:{r}:{a}:contact/{id}",
    "AWS::SSMContacts::ContactChannel": "arn:{p}:ssm-contacts:{r}:{a}:contactchannel/{id}",
    "AWS::SSMContacts::Rotation": "arn:{p}:ssm-contacts:{r}:{a}:rotation/{id}",
    "AWS::SSMIncidents::ReplicationSet": "arn:{p}:ssm-incidents::{a}:replication-set/{id}",
}


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms; a duplicate key is an error."""


def _short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt":
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


def _mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise ValueError(f"{node.start_mark}: duplicate keys: {twice}")
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _short_form)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


class Refused(Exception):
    """CloudFormation would reject these parameters."""


def load(name):
    """The parsed template."""
    return yaml.load((TEMPLATES / f"{name}.yaml").read_text(), Loader=_Loader)


class Rendered:
    """A template with its parameters filled in: `resources` and `outputs` are what is deployed."""

    def __init__(self, name, given, region="eu-west-1"):
        self.name = name
        self.body = load(name)
        self.region = region
        self.parameters = self._parameters(given)
        self._conditions = {}
        self._check_rules()
        declared = self.body["Resources"]
        self._present = [key for key in declared if self._wanted(declared[key])]
        self.resources = {key: self._value(declared[key]) for key in self._present}
        self.outputs = {
            key: self._value(output["Value"])
            for key, output in self.body.get("Outputs", {}).items()
            if self._wanted(output)
        }

    def of_type(self, kind):
        """The properties of the resources of a type, by logical name."""
        return {key: it["Properties"] for key, it in self.resources.items() if it["Type"] == kind}

    def _wanted(self, thing):
        return "Condition" not in thing or self._condition(thing["Condition"])

    def _parameters(self, given):
        declared = self.body["Parameters"]
        unknown = set(given) - set(declared)
        if unknown:
            raise Refused(f"no such parameter: {unknown}")
        values = {}
        for key, it in declared.items():
            if key not in given and "Default" not in it:
                raise Refused(f"{key} is required")
            value = given.get(key, it.get("Default"))
            value = ",".join(value) if isinstance(value, list) else str(value)
            if "AllowedValues" in it and value not in map(str, it["AllowedValues"]):
                raise Refused(f"{key}: {value!r} is not one of {it['AllowedValues']}")
            # CloudFormation matches the whole value, and each entry of a list.
            entries = value.split(",") if it["Type"] == "CommaDelimitedList" else [value]
            for entry in entries:
                if "AllowedPattern" in it and not re.fullmatch(it["AllowedPattern"], entry):
                    raise Refused(f"{key}: {entry!r} is not {it['AllowedPattern']}")
            if it["Type"] == "Number":
                if not it["MinValue"] <= int(value) <= it["MaxValue"]:
                    raise Refused(f"{key}: {value} is not in {it['MinValue']} to {it['MaxValue']}")
                value = int(value)
            values[key] = entries if it["Type"] == "CommaDelimitedList" else value
        return values

    def _check_rules(self):
        for name, rule in self.body.get("Rules", {}).items():
            if self._value(rule.get("RuleCondition", True)):
                for assertion in rule["Assertions"]:
                    if not self._value(assertion["Assert"]):
                        raise Refused(f"{name}: {assertion['AssertDescription']}")

    def _condition(self, name):
        if name not in self._conditions:
            self._conditions[name] = self._value(self.body["Conditions"][name])
        return self._conditions[name]

    def _value(self, it):
        value = self._resolve(it)
        return None if value is _NOTHING else value

    def _resolve(self, it):
        if isinstance(it, list):
            return [value for value in map(self._resolve, it) if value is not _NOTHING]
        if not isinstance(it, dict):
            return it
        if len(it) == 1:
            ((key, argument),) = it.items()
            if key == "Ref":
                return self._ref(argument)
            if key == "Condition" and isinstance(argument, str):
                return self._condition(argument)
            if key.startswith("Fn::"):
                return self._function(key[4:], argument)
        values = {key: self._resolve(value) for key, value in it.items()}
        return {key: value for key, value in values.items() if value is not _NOTHING}

    def _ref(self, name):
        pseudo = {"AWS::Region": self.region, "AWS::Partition": "aws", "AWS::AccountId": ACCOUNT,
                  "AWS::StackName": "stack", "AWS::NoValue": _NOTHING}
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        resource = self._resource(name)
        if resource["Type"].startswith("AWS::CloudWatch::"):
            return self._resolve(resource["Properties"]["AlarmName"])
        return self._arn(name)

    def _resource(self, name):
        if name not in self._present:
            raise KeyError(f"{self.name}: {name} does not exist, but is referenced")
        return self.body["Resources"][name]

    def _arn(self, name):
        form = _ARNS[self._resource(name)["Type"]]
        return form.format(p="aws", r=self.region, a=ACCOUNT, id=name)

    def _function(self, name, argument):
        if name == "If":
            condition, yes, no = argument
            return self._resolve(yes if self._condition(condition) else no)
        if name == "GetAtt":
            resource, attribute = argument
            if not attribute.endswith("Arn"):
                raise KeyError(f"{self.name}: GetAtt {argument}")
            return self._arn(resource)
        if name == "Sub":
            text, own = argument if isinstance(argument, list) else (argument, {})
            own = {key: self._resolve(value) for key, value in own.items()}
            unused = [key for key in own if "${" + key + "}" not in text]
            if unused:
                raise KeyError(f"{self.name}: Sub does not use {unused}")
            return re.sub(r"\$\{([^}]+)\}", lambda hit: str(own[hit[1]] if hit[1] in own else self._ref(hit[1])), text)
        values = self._resolve(argument)
        if name == "Join":
            separator, parts = values
            return separator.join(parts)
        if name == "Split":
            separator, text = values
            return text.split(separator)
        if name == "Equals":
            return values[0] == values[1]
        if name == "Not":
            return not values[0]
        if name == "And":
            return all(values)
        if name == "Or":
            return any(values)
        raise KeyError(f"{self.name}: Fn::{name}")
