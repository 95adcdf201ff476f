"""Deploys the stack to check from a copy of the project with the checks' workflows in it, and removes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from worldflow.devtools.deletion import delete

WORKFLOWS = Path(__file__).with_name("workflows.py")

OURS = {"Stage": "dev", "RetentionDays": "1"}
"""Parameters without which the stack could not be removed, or a check would be skipped."""


class DeploymentFailed(Exception):
    """The stack could not be deployed; the message says why."""


def exists(session: boto3.Session, name: str) -> bool:
    try:
        (stack,) = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" not in error.response["Error"].get("Message", ""):
            raise
        return False
    return stack["StackStatus"] != "DELETE_COMPLETE"


def parameters(config: str, given: Sequence[str]) -> list[str]:
    """`Name=value`, for sam build and sam deploy alike: those of samconfig.toml, then ours, then those given."""
    settings = tomllib.loads(Path("samconfig.toml").read_text()).get(config, {})
    overrides = settings.get("global", {}).get("parameters", {}).get("parameter_overrides", [])
    named = _named(overrides.split() if isinstance(overrides, str) else overrides) | OURS | _named(given)
    return [f"{name}={value}" for name, value in named.items()]


def _named(overrides: Sequence[str]) -> dict[str, str]:
    for one in overrides:
        if "=" not in one:
            raise DeploymentFailed(f"{one!r} in PARAMETERS is not of the form Name=value")
    return dict(one.split("=", 1) for one in overrides)


@contextmanager
def project_with_workflows(overrides: Sequence[str]) -> Iterator[Path]:
    """A copy of what sam builds, with one more module of workflows, and what the payload codec needs if it is on."""
    with tempfile.TemporaryDirectory(prefix="verify-aws-") as folder:
        copy = Path(folder)
        for name in ("template.yaml", "samconfig.toml"):
            shutil.copy(name, copy)
        for name in ("functions", "layers"):
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(name, copy / name, symlinks=True, ignore=ignored)
        shutil.copy(WORKFLOWS, copy / "layers/workflows/workflows/verification.py")
        if _named(overrides).get("PayloadKeyArns"):
            requirements = copy / "layers/workflows/requirements.txt"
            requirements.write_text(f"{requirements.read_text()}\ncryptography\n")
        yield copy


def deploy(name: str, overrides: Sequence[str]) -> None:
    """Runs `sam build` and `sam deploy`. Raises `DeploymentFailed`."""
    with project_with_workflows(overrides) as project:
        _sam(project, "build", "--parameter-overrides", *overrides)
        _sam(
            project,
            "deploy",
            *("--stack-name", name, "--s3-prefix", name, "--resolve-s3", "--capabilities", "CAPABILITY_IAM"),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--parameter-overrides"),
            *overrides,
        )


def _sam(project: Path, *arguments: str) -> None:
    done = subprocess.run([os.environ.get("SAM", "sam"), *arguments], cwd=project, check=False)
    if done.returncode:
        raise DeploymentFailed(f"sam {arguments[0]} failed with status {done.returncode}; see its output above")


def remove(session: boto3.Session, name: str) -> None:
    """Deletes the stack with its data, and its artifacts in S3."""
    delete(name, yes=True)
    _remove_artifacts(session, name)


def _empty(session: boto3.Session, bucket: str, prefix: str = "") -> None:
    s3 = session.client("s3")
    with suppress(s3.exceptions.NoSuchBucket):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            found = page.get("Versions", []) + page.get("DeleteMarkers", [])
            if found:
                objects: Any = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
                s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})


def _remove_artifacts(session: boto3.Session, name: str) -> None:
    """Deletes what `sam deploy --resolve-s3 --s3-prefix` uploaded. Its bucket is shared by all stacks, and stays."""
    with suppress(ClientError):
        (stack,) = session.client("cloudformation").describe_stacks(StackName="aws-sam-cli-managed-default")["Stacks"]
        for output in stack.get("Outputs", []):
            if output["OutputKey"] == "SourceBucket":
                _empty(session, output["OutputValue"], f"{name}/")
