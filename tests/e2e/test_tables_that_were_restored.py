"""Disaster recovery as the guide has it: stop, restore the tables, deploy with their names, reconcile, start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import ENDED, Project, until
from worldflow.devtools.stack import Stack, deploy

NAME = "worldflow-restored"


@pytest.fixture
def own_stack(project: Project, stack: Stack) -> Iterator[Stack]:
    """A stack beside that of all other tests, on the same local AWS."""
    yield deploy(stack.aws, project.template, name=NAME, parameters=project.parameters)
    stack.aws.client("cloudformation").delete_stack(StackName=NAME)


def mappings(stack: Stack, *, enabled: bool) -> None:
    """Stops what brings messages to the functions of a stack, or lets it go on."""
    lambdas = stack.aws.client("lambda")
    for found in stack.aws.client("cloudformation").describe_stack_resources(StackName=NAME)["StackResources"]:
        if found["ResourceType"] == "AWS::Lambda::Function":
            function = found["PhysicalResourceId"]
            for mapping in lambdas.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]:
                lambdas.update_event_source_mapping(UUID=mapping["UUID"], Enabled=enabled)


def record(stack: Stack, run_id: str) -> dict[str, Any]:
    answer = stack.call("GET", f"/runs/{run_id}")
    assert answer.status == 200, answer
    return dict(answer.body)


def ended(stack: Stack, run_id: str) -> dict[str, Any]:
    return until(lambda: found if (found := record(stack, run_id))["status"] in ENDED else None, within=60)


def test_runs_go_on_from_the_moment_that_the_tables_were_restored_to(project: Project, own_stack: Stack) -> None:
    stack, aws = own_stack, own_stack.aws
    started = stack.call("POST", "/runs", {"workflow": "collect", "input": {"count": 2}, "run_id": "collects"})
    assert started.status == 201
    assert stack.call("POST", "/runs/collects/signals/number", 7).status == 202
    until(lambda: len(stack.call("GET", "/runs/collects/events").body["events"]) > 1 or None, within=60)
    tables = {name: f"{stack.outputs[f'{name}TableName']}-restored" for name in ("Events", "Runs")}
    for name, restored in tables.items():  # at the moment of the call, on the local AWS
        source = stack.outputs[f"{name}TableName"]
        aws.client("dynamodb").restore_table_to_point_in_time(SourceTableName=source, TargetTableName=restored)
    assert stack.call("POST", "/runs/collects/signals/number", 8).status == 202
    assert ended(stack, "collects")["result"] == [7, 8]

    mappings(stack, enabled=False)
    parameters = [*project.parameters, *(f"Restored{name}Table={restored}" for name, restored in tables.items())]
    stack = deploy(aws, project.template, name=NAME, parameters=parameters)
    assert [stack.outputs[f"{name}TableName"] for name in tables] == list(tables.values())
    assert record(stack, "collects")["status"] == "running"
    command = [sys.executable, "-m", "worldflow", "reconcile", "--stack", NAME, "--json"]
    done = subprocess.run(
        command, env={**os.environ, **aws.env}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["woken"] == 1
    mappings(stack, enabled=True)

    assert stack.call("POST", "/runs/collects/signals/number", 11).status == 202
    assert ended(stack, "collects")["result"] == [7, 11]
    kept = aws.client("dynamodb").list_tables()["TableNames"]
    assert {restored.removesuffix("-restored") for restored in tables.values()} <= set(kept)
