"""`make aws-setup`: writes what `worldflow.aws_setup` creates, as the template defines it.

These are the properties of the resources that hold data or messages, with the template's parameters at their defaults.
A reference to another resource becomes `${Id}` or `${Id.Arn}`, which `worldflow.aws_setup.definitions` replaces.
"""

from __future__ import annotations

import json
from typing import Any

from tools.template import ROOT, Template

PATH = ROOT / "layers/worldflow/worldflow/aws_setup/resources.json"

TYPES = {
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::ScheduleGroup",
    "AWS::SecretsManager::Secret",
}
ROLE = "SchedulerRole"
"""The only role of a service. The others are those of functions."""


def definitions() -> str:
    """The JSON of the file."""
    resources = Template().body()["Resources"]
    properties = {
        id: _referring(resource.get("Properties", {}))
        for id, resource in resources.items()
        if id == ROLE or resource["Type"] in TYPES
    }
    return json.dumps(properties, indent=2) + "\n"


def _referring(node: Any) -> Any:
    match node:
        case {"Ref": str(name)}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"${{{name}.{attribute}}}"
        case {"Fn::Sub": str(text)}:
            return text
        case dict():
            return {key: _referring(value) for key, value in node.items()}
        case list():
            return list(map(_referring, node))
    return node


if __name__ == "__main__":
    PATH.write_text(definitions())
