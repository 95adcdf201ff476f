"""`python -m tools.terraform`: writes the parameters and outputs of the template as the Terraform module has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tools.cdk import is_list, snake
from tools.template import ROOT, TEMPLATE

FILE = ROOT / "infrastructure/terraform/properties.tf.json"


def main() -> None:
    FILE.write_text(properties())


def properties() -> str:
    parameters, outputs = TEMPLATE["Parameters"], TEMPLATE["Outputs"]
    document = {
        "//": "The template's parameters and outputs. Written by `make terraform` from template.yaml.",
        "variable": {snake(name): _variable(snake(name), parameter) for name, parameter in parameters.items()},
        "locals": {"parameters": {name: _value(snake(name), parameter) for name, parameter in parameters.items()}},
        "output": {
            snake(name): {
                "description": output["Description"],
                "value": f'${{aws_cloudformation_stack.worldflow.outputs["{name}"]}}',
            }
            for name, output in outputs.items()
        },
    }
    return json.dumps(document, indent=2) + "\n"


def _variable(name: str, parameter: Mapping[str, Any]) -> dict[str, Any]:
    """Null is the template's default."""
    variable = {"type": _type(parameter), "default": None, "description": parameter["Description"]}
    values = parameter.get("AllowedValues")
    if values and _type(parameter) != "bool":
        known = f"contains({json.dumps(values)}, var.{name})"
        message = f"{name} must be one of {', '.join(map(str, values))}."
        variable["validation"] = [{"condition": f"${{var.{name} == null ? true : {known}}}", "error_message": message}]
    return variable


def _type(parameter: Mapping[str, Any]) -> str:
    if parameter.get("AllowedValues") == ["false", "true"]:
        return "bool"
    if is_list(parameter):
        return "list(string)"
    return "number" if parameter["Type"] == "Number" else "string"


def _value(name: str, parameter: Mapping[str, Any]) -> str:
    """As CloudFormation takes it."""
    kind = _type(parameter)
    text = f'join(",", var.{name})' if kind == "list(string)" else f"tostring(var.{name})"
    return f"${{var.{name} == null ? null : {text}}}"


if __name__ == "__main__":
    main()
