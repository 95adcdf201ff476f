"""`python -m worldflow.devtools.quota CONFIG`: finds what a deployment would fail for after a build of minutes.

That is a missing region, missing credentials, or concurrency settings that the account could not have: new accounts may
run far fewer functions at once than the 1,000 that AWS documents, ten for instance.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from samtranslator.yaml_helper import yaml_parse

UNRESERVED = 100
"""What Lambda keeps for functions without a reservation."""

RESERVATIONS = ("OrchestratorReservedConcurrency", "StepReservedConcurrency", "ApiMaximumConcurrency")

DEAD_LETTERS = 6
"""What reads the queues of dead letters: two for each."""

WITHOUT_AWS = "`make local-aws` and `make deploy-local` need no account"

ADVICE = "request an increase (Service Quotas, L-B99A9384)"


def quota(session: boto3.Session) -> int | None:
    """How many functions the account may run at once in this region, or None if it may not be asked."""
    try:
        client: Any = session.client("lambda")
        return int(client.get_account_settings()["AccountLimit"]["ConcurrentExecutions"])
    except (BotoCoreError, ClientError):
        return None


def faults(parameters: Mapping[str, str], quota: int | None) -> list[str]:
    """Why a stack of these parameters cannot be deployed, or would throttle its own messages."""
    orchestrators, steps = int(parameters["OrchestratorMaximumConcurrency"]), int(parameters["StepMaximumConcurrency"])
    reserved = {name: int(parameters[name]) for name in RESERVATIONS if int(parameters[name])}
    found = [
        f"{name}={reserved[name]} would throttle received messages: it must be 0 or at least {least}"
        for name, least in (
            ("OrchestratorReservedConcurrency", 2 * orchestrators + DEAD_LETTERS),
            ("StepReservedConcurrency", steps),
        )
        if name in reserved and reserved[name] < least
    ]
    if reserved and quota is not None and quota - sum(reserved.values()) < UNRESERVED:
        named = ", ".join(f"{name}={value}" for name, value in reserved.items())
        found.append(
            f"{named} cannot be reserved: the account's concurrency quota in this region is {quota}, of which Lambda "
            f"keeps {UNRESERVED} unreserved; set 0 in samconfig.toml, or {ADVICE}"
        )
    return found


def warning(parameters: Mapping[str, str], quota: int | None) -> str | None:
    """What a stack of these parameters lacks when it is busy, if it does."""
    orchestrators, steps = int(parameters["OrchestratorMaximumConcurrency"]), int(parameters["StepMaximumConcurrency"])
    wanted = 2 * orchestrators + DEAD_LETTERS + steps + int(parameters["ApiMaximumConcurrency"])
    if quota is None or wanted <= quota:
        return None
    return (
        f"the stack's maximum concurrency is {wanted}, but the account's quota in this region is {quota}: Lambda "
        f"throttles the rest, and tasks throttled five times become dead letters; lower the maximum "
        f"concurrencies, or {ADVICE}"
    )


def of_stack(name: str, session: boto3.Session) -> dict[str, str]:
    """The parameters of a deployed stack."""
    cloudformation: Any = session.client("cloudformation")
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack.get("Parameters", [])}


def of_config(environment: str) -> dict[str, str]:
    """The parameters of a table of the project's samconfig.toml, and its template's defaults."""
    template = yaml_parse(Path("template.yaml").read_text())
    defaults = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
    overrides = _settings(environment, "global")["parameter_overrides"]
    return defaults | dict(override.split("=", 1) for override in overrides)


def _settings(environment: str, command: str) -> dict[str, Any]:
    table = tomllib.loads(Path("samconfig.toml").read_text())[environment]
    return dict(table.get(command, {}).get("parameters", {}))


def session_of_config(environment: str) -> boto3.Session:
    """The account and the region that `sam deploy` uses. Raises `SystemExit` if there is none."""
    settings = _settings(environment, "global") | _settings(environment, "deploy")
    region = settings.get("region") or os.environ.get("AWS_REGION")
    try:
        session = boto3.Session(region_name=region, profile_name=settings.get("profile"))
        has_credentials = session.get_credentials() is not None
    except BotoCoreError as error:
        sys.exit(f"Error: {error}")
    if not has_credentials:
        sys.exit(f"Error: there are no AWS credentials in this environment; {WITHOUT_AWS}")
    if not session.region_name:
        sys.exit(f"Error: there is no AWS region: set AWS_REGION; {WITHOUT_AWS}")
    return session


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m worldflow.devtools.quota CONFIG")
    parameters = of_config(sys.argv[1])
    allowed = quota(session_of_config(sys.argv[1]))
    if text := warning(parameters, allowed):
        print(f"Warning: {text}", file=sys.stderr)
    if found := faults(parameters, allowed):
        sys.exit("\n".join(f"Error: {fault}" for fault in found))


if __name__ == "__main__":
    main()
