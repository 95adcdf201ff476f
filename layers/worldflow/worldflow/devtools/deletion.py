"""`python -m worldflow.devtools.deletion STACK [--yes]`: deletes a stack of Stage dev, and its data too."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import boto3
import typer

from worldflow.aws_setup.bucket import Bucket
from worldflow.aws_setup.parts import Part, Queue, Secret
from worldflow.aws_setup.table import Table
from worldflow.engine.errors import ConfigurationError
from worldflow.terminal import describe_error, is_explained

KINDS = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret", "AWS::SQS::Queue"}
"""Those of what CloudFormation keeps when it deletes the stack."""


def delete(stack: str, *, yes: bool) -> None:
    """Deletes the stack, then what is left of it. Asks first, unless `yes`.

    Raises `ConfigurationError` for a stack whose parameter Stage is not dev, and botocore's errors.
    """
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    cloudformation: Any = session.client("cloudformation")
    (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    parameters = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in described["Parameters"]}
    if (stage := parameters.get("Stage")) != "dev":
        raise ConfigurationError(
            f"stack {stack} was not deleted: its Stage is {stage}, but only data of Stage dev can be deleted"
        )
    parts = list(_may_be_kept(session, cloudformation, stack))
    if not yes:
        typer.echo("\n".join(map(str, parts)), err=True)
        question = f"Delete stack {stack} in {session.region_name} with these, all runs and their histories?"
        typer.confirm(question, abort=True, err=True)
    # By its id, which it keeps: once deleted, it has no name.
    cloudformation.delete_stack(StackName=described["StackId"])
    waiter = cloudformation.get_waiter("stack_delete_complete")
    waiter.wait(StackName=described["StackId"], WaiterConfig={"Delay": 2, "MaxAttempts": 900})
    typer.echo(f"stack {stack}: deleted", err=True)
    for part in parts:
        if part.exists():
            part.remove()
            typer.echo(f"{part}: deleted", err=True)


def _may_be_kept(session: boto3.Session, cloudformation: Any, stack: str) -> list[Part]:
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return [_part(session, resource) for resource in resources if resource["ResourceType"] in KINDS]


def _part(session: boto3.Session, resource: Mapping[str, str]) -> Part:
    name = resource["PhysicalResourceId"]
    match resource["ResourceType"]:
        case "AWS::DynamoDB::Table":
            return Table(session.client("dynamodb"), name, properties={})
        case "AWS::S3::Bucket":
            account = session.client("sts").get_caller_identity()["Account"]
            return Bucket(session.client("s3"), name, account, properties={})
        case "AWS::SecretsManager::Secret":
            return Secret(session.client("secretsmanager"), name, properties={})
        case _:
            return Queue(session.client("sqs"), name.rpartition("/")[2], properties={})


def main() -> None:
    stacks = [argument for argument in sys.argv[1:] if argument != "--yes"]
    if len(stacks) != 1:
        sys.exit("usage: python -m worldflow.devtools.deletion STACK [--yes]")
    try:
        delete(stacks[0], yes="--yes" in sys.argv)
    except Exception as error:
        if not is_explained(error):
            raise
        sys.exit(f"Error: {describe_error(error)}")


if __name__ == "__main__":
    main()
