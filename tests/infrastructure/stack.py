"""The template as CloudFormation gets it: parameters put in, SAM's resources expanded."""

import copy
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())

NO_VALUE = {"Ref": "AWS::NoValue"}

Properties = Mapping[str, Any]


class RefusedParameters(Exception):
    """A parameter has a value that the template does not allow, or a rule does not allow these together."""


class Stack:
    """The resources that the template makes of some parameters."""

    def __init__(self, **parameters: object) -> None:
        self.parameters = {name: _default(parameter) for name, parameter in TEMPLATE["Parameters"].items()} | parameters
        for name, value in self.parameters.items():
            _check(name, value)
        for rule in TEMPLATE["Rules"].values():
            if "RuleCondition" in rule and not self._holds(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self._holds(assertion["Assert"]):
                    raise RefusedParameters(assertion["AssertDescription"])
        template = self._resolved(copy.deepcopy(TEMPLATE))
        resources = template["Resources"]
        for name in [name for name, resource in resources.items() if not self._exists(resource)]:
            del resources[name]
        self.outputs = {name: output["Value"] for name, output in template["Outputs"].items()}
        self.resources: dict[str, Any] = translated(template)["Resources"]

    def all(self, kind: str) -> dict[str, Properties]:
        """Logical ids and properties of the resources of a type, without its `AWS::`."""
        found = {id: r.get("Properties", {}) for id, r in self.resources.items() if r["Type"] == f"AWS::{kind}"}
        assert found, f"the template has no AWS::{kind}"
        return found

    def __getitem__(self, logical_id: str) -> Properties:
        properties: Properties = self.resources[logical_id]["Properties"]
        return properties

    def event_source(self, queue: str) -> Properties:
        """The event source mapping that reads a queue."""
        mappings = self.all("Lambda::EventSourceMapping").values()
        (mapping,) = (mapping for mapping in mappings if target(mapping["EventSourceArn"]) == queue)
        return mapping

    def statements(self, role: str) -> dict[str, Properties]:
        """The statements of a role's policies by their Sid."""
        documents = [policy["PolicyDocument"] for policy in self[role]["Policies"]]
        return {statement["Sid"]: statement for document in documents for statement in document["Statement"]}

    def _exists(self, resource: Mapping[str, Any]) -> bool:
        return "Condition" not in resource or self._holds(TEMPLATE["Conditions"][resource["Condition"]])

    def _resolved(self, node: Any) -> Any:
        match node:
            case {"Ref": str(name)} if name in self.parameters:
                return self.parameters[name]
            case {"Fn::FindInMap": [name, key, field]}:
                return TEMPLATE["Mappings"][name][str(self._resolved(key))][field]
            case {"Fn::If": [condition, yes, no]}:
                return self._resolved(yes if self._holds(TEMPLATE["Conditions"][condition]) else no)
            case {"Fn::Split": [separator, text]} if isinstance(resolved := self._resolved(text), str):
                return resolved.split(separator)
            case dict():
                resolved = {key: self._resolved(value) for key, value in node.items()}
                return {key: value for key, value in resolved.items() if value != NO_VALUE}
            case list():
                return [value for value in map(self._resolved, node) if value != NO_VALUE]
        return node

    def _holds(self, condition: Any) -> bool:
        match condition:
            case {"Fn::Equals": [{"Fn::Join": [separator, values]}, text]}:
                return bool(separator.join(self._resolved(values)) == text)
            case {"Fn::Equals": [left, right]}:
                return str(self._resolved(left)) == str(self._resolved(right))
            case {"Fn::Contains": [list() as values, value]}:
                return str(self._resolved(value)) in map(str, values)
            case {"Fn::EachMemberEquals": [values, value]}:
                return all(member == value for member in self._resolved(values))
            case {"Condition": str(name)}:
                return self._holds(TEMPLATE["Conditions"][name])
            case {"Fn::Not": [inner]}:
                return not self._holds(inner)
            case {"Fn::And": [*inner]}:
                return all(map(self._holds, inner))
            case {"Fn::Or": [*inner]}:
                return any(map(self._holds, inner))
        raise AssertionError(f"unknown condition {condition}")


def translated(template: dict[str, Any]) -> dict[str, Any]:
    """What SAM makes of a template, which it may change."""
    for resource in template["Resources"].values():
        for code in ("CodeUri", "ContentUri") & resource.get("Properties", {}).keys():
            resource["Properties"][code] = "s3://bucket/code.zip"
    # No managed policies to look up: every role is spelled out.
    sam = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    translation: dict[str, Any] = sam.translate(template, {})
    return translation


def _check(name: str, value: Any) -> None:
    """As CloudFormation does before it makes anything, of a list each member."""
    parameter = TEMPLATE["Parameters"][name]
    for member in listed(value):
        if not re.fullmatch(parameter.get("AllowedPattern", ".*"), str(member)):
            raise RefusedParameters(f"{name} does not match its pattern: {member}")
        if str(member) not in map(str, parameter.get("AllowedValues", [member])):
            raise RefusedParameters(f"{name} is none of its values: {member}")
        least, most = parameter.get("MinValue", -math.inf), parameter.get("MaxValue", math.inf)
        if parameter["Type"] == "Number" and not least <= float(member) <= most:
            raise RefusedParameters(f"{name} is out of bounds: {member}")


def _default(parameter: Mapping[str, Any]) -> Any:
    default = parameter["Default"]
    return default.split(",") if parameter["Type"] == "CommaDelimitedList" else default


def target(reference: Any) -> str:
    """The logical id that a Ref, a GetAtt or a Sub begins with or, of a plain string, the string."""
    match reference:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return name
        case {"Fn::Sub": str(text)}:
            return text.removeprefix("${").partition("}")[0].partition(".")[0]
    return str(reference)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
