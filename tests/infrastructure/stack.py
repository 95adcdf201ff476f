"""The template as CloudFormation gets it: parameters put in, SAM's resources expanded."""

import math
import re
from collections.abc import Mapping
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tools.template import NO_VALUE, ROOT, TEMPLATE, Template

__all__ = ["NO_VALUE", "ROOT", "TEMPLATE", "Properties", "RefusedParameters", "Stack", "listed", "target", "translated"]

Properties = Mapping[str, Any]


class RefusedParameters(Exception):
    """A parameter has a value that the template does not allow, or a rule does not allow these together."""


class Stack(Template):
    """The resources that the template makes of some parameters."""

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        for name, value in self.parameters.items():
            _check(name, value)
        for rule in TEMPLATE["Rules"].values():
            if "RuleCondition" in rule and not self.holds(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self.holds(assertion["Assert"]):
                    raise RefusedParameters(assertion["AssertDescription"])
        body = self.body()
        self.outputs = {name: output["Value"] for name, output in body["Outputs"].items()}
        self.resources: dict[str, Any] = translated(body)["Resources"]

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
