"""A deployed stack: the environment of an application that uses it, from the outputs of its template."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from worldflow.engine.errors import ConfigurationError
from worldflow.settings import Output, Settings, variable

OF_APPLICATIONS_ONLY = {
    "WORLDFLOW_ORCHESTRATOR_FUNCTION": "OrchestratorFunctionName",
    "WORLDFLOW_API_GATEWAY_URL": "ApiUrl",
}
"""Variables that the library does not read, and their outputs."""

OUTPUTS = {
    variable(name): output.name
    for name, field in Settings.model_fields.items()
    for output in field.metadata
    if isinstance(output, Output)
} | OF_APPLICATIONS_ONLY
"""The variables of an application, and the outputs that hold their values."""


def environment(outputs: Mapping[str, str]) -> dict[str, str]:
    """The variables, from a stack's outputs. Raises `KeyError` for an output that is missing."""
    return {name: outputs[output] for name, output in OUTPUTS.items()}


def read_environment(name: str) -> dict[str, str]:
    """The variables with which an application reaches the stack of this name, which CloudFormation is asked for.

    Raises `ConfigurationError` where there is no such stack, or one that is not Worldflow's; and botocore's errors.
    """
    stack = _read(name)
    outputs: dict[str, Any] = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    try:
        return environment(outputs) | _step_queues(stack)
    except KeyError as missing:
        status = stack["StackStatus"]
        raise ConfigurationError(
            f"stack {name!r} ({status}) has no output {missing.args[0]}: it was not deployed from Worldflow's "
            f"template, or its deployment is not finished"
        ) from None


def _step_queues(stack: Mapping[str, Any]) -> dict[str, str]:
    """Those that a user has added to the template, which the stack's parameter names."""
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])}
    if not (names := parameters.get("StepQueues")):
        return {}
    return {variable("step_queues"): names, variable("step_queue_prefix"): f"{stack['StackName']}-steps-"}


def read_parameters(name: str) -> dict[str, str]:
    """The template's parameters, as the stack of this name has them. Raises as `read_environment`."""
    parameters = _read(name).get("Parameters", [])
    return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in parameters}


def _read(name: str) -> dict[str, Any]:
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    try:
        (stack,) = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if not _is_unknown(error):
            raise
        raise ConfigurationError(
            f"there is no stack {name!r} in {session.region_name}; set AWS_REGION and AWS_PROFILE to those of the stack"
        ) from None
    return dict(stack)


def _is_unknown(error: ClientError) -> bool:
    """Whether there is no such stack: CloudFormation says it in words only."""
    details = error.response["Error"]
    return details["Code"] == "ValidationError" and "does not exist" in details.get("Message", "")
