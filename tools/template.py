"""The template with its parameters put in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[1]
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())

NO_VALUE = {"Ref": "AWS::NoValue"}


class Template:
    """The template resolved for some parameters, the others having their defaults."""

    def __init__(self, **parameters: object) -> None:
        self.parameters = {name: _default(parameter) for name, parameter in TEMPLATE["Parameters"].items()} | parameters

    def body(self) -> dict[str, Any]:
        """The template with the resources that exist. References to other resources remain."""
        body: dict[str, Any] = self.resolved(TEMPLATE)
        body["Resources"] = {id: resource for id, resource in body["Resources"].items() if self._exists(resource)}
        return body

    def _exists(self, resource: Mapping[str, Any]) -> bool:
        return "Condition" not in resource or self.holds(TEMPLATE["Conditions"][resource["Condition"]])

    def resolved(self, node: Any) -> Any:
        match node:
            case {"Ref": str(name)} if name in self.parameters:
                return self.parameters[name]
            case {"Fn::FindInMap": [name, key, field]}:
                return TEMPLATE["Mappings"][name][str(self.resolved(key))][field]
            case {"Fn::If": [condition, yes, no]}:
                return self.resolved(yes if self.holds(TEMPLATE["Conditions"][condition]) else no)
            case {"Fn::Split": [separator, text]} if isinstance(resolved := self.resolved(text), str):
                return resolved.split(separator)
            case dict():
                resolved = {key: self.resolved(value) for key, value in node.items()}
                return {key: value for key, value in resolved.items() if value != NO_VALUE}
            case list():
                return [value for value in map(self.resolved, node) if value != NO_VALUE]
        return node

    def holds(self, condition: Any) -> bool:
        match condition:
            case {"Fn::Equals": [{"Fn::Join": [separator, values]}, text]}:
                return bool(separator.join(self.resolved(values)) == text)
            case {"Fn::Equals": [left, right]}:
                return str(self.resolved(left)) == str(self.resolved(right))
            case {"Fn::Contains": [list() as values, value]}:
                return str(self.resolved(value)) in map(str, values)
            case {"Fn::EachMemberEquals": [values, value]}:
                return all(member == value for member in self.resolved(values))
            case {"Condition": str(name)}:
                return self.holds(TEMPLATE["Conditions"][name])
            case {"Fn::Not": [inner]}:
                return not self.holds(inner)
            case {"Fn::And": [*inner]}:
                return all(map(self.holds, inner))
            case {"Fn::Or": [*inner]}:
                return any(map(self.holds, inner))
        raise AssertionError(f"unknown condition {condition}")


def _default(parameter: Mapping[str, Any]) -> Any:
    default = parameter["Default"]
    return default.split(",") if parameter["Type"] == "CommaDelimitedList" else default
