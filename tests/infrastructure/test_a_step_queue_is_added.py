"""A step queue is added as docs/guide/queues.md shows, and keeps what the template promises of queues."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.docs.pages import blocks
from tests.infrastructure.stack import TEMPLATE, RefusedParameters, Stack, target
from worldflow import step
from worldflow.devtools.layer_check import without_queues
from worldflow.serving.outages import LIFE_RECEIVES

(SNIPPET,) = blocks("docs/guide/queues.md", "yaml")
QUEUES = "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${AWS::StackName}-steps-*.fifo"
ADDED = ["HeavyFunction", "HeavyQueue", "HeavyRole"]


@pytest.fixture(scope="module")
def added() -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        resources: dict[str, Any] = yaml_parse(SNIPPET)
        patch.setitem(TEMPLATE, "Resources", TEMPLATE["Resources"] | resources)
        yield Stack(StepQueues="heavy")


def test_it_takes_fifteen_lines() -> None:
    assert len(SNIPPET.splitlines()) <= 15
    assert sorted(yaml_parse(SNIPPET)) == ADDED


def test_without_one_the_stack_is_as_it_was(stack: Stack) -> None:
    others = {id: resource for id, resource in stack.resources.items() if id != "StepQueuePolicy"}
    assert "steps-" not in str(others)
    assert "STEP_QUEUES" not in str(others)


def test_its_function_outlives_its_timeout_in_no_receive(added: Stack) -> None:
    source, queue, function = added.event_source("HeavyQueue"), added["HeavyQueue"], added["HeavyFunction"]
    assert target(source["FunctionName"]) == "HeavyFunction"
    assert queue["VisibilityTimeout"] == function["Timeout"] + 30
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert function["RecursiveLoop"] == "Allow"


def test_it_is_the_step_queue_in_all_but_name_and_time(added: Stack) -> None:
    own = {name: value for name, value in added["HeavyQueue"].items() if name != "QueueName"}
    assert own | {"VisibilityTimeout": 0} == dict(added["StepQueue"]) | {"VisibilityTimeout": 0}
    assert own["RedrivePolicy"]["maxReceiveCount"] == LIFE_RECEIVES


def test_its_name_is_where_the_orchestrator_sends(added: Stack) -> None:
    name = added["HeavyQueue"]["QueueName"]["Fn::Sub"]
    told = added["OrchestratorFunction"]["Environment"]["Variables"]
    assert name == f"{told['WORLDFLOW_STEP_QUEUE_PREFIX']['Fn::Sub']}{told['WORLDFLOW_STEP_QUEUES']}.fifo"
    assert {"Fn::Sub": QUEUES} in added.statements("OrchestratorRole")["Send"]["Resource"]
    put_back = next(one for one in added["OperatePolicy"]["PolicyDocument"]["Statement"] if one["Sid"] == "PutBack")
    assert {"Fn::Sub": QUEUES} in put_back["Resource"]


def test_its_role_has_the_rights_of_the_step_executor_and_its_own_queues() -> None:
    keys = {"KmsKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/k", "PayloadKeyArns": "arn:aws:kms:eu-west-1:1:key/p"}
    keys["PayloadKeyArns"] = keys["KmsKeyArn"]
    stack = Stack(StepQueues="heavy", Tracing="XRay", **keys)
    rights = {one["Sid"]: one for one in stack["StepQueuePolicy"]["PolicyDocument"]["Statement"]}
    executors = stack.statements("StepExecutorRole")
    assert rights.pop("Receive") == dict(executors["Receive"]) | {"Resource": {"Fn::Sub": QUEUES}}
    assert rights == {sid: one for sid, one in executors.items() if sid != "Receive"}


def test_a_build_stops_at_a_step_whose_queue_is_not_in_the_template(tmp_path: Path) -> None:
    @step(name="added_queues_film", queue="gpu")
    async def film() -> None: ...

    template = tmp_path / "template.yaml"
    template.write_text(SNIPPET)
    (found,) = [found for found in without_queues(template) if film.name in found]
    assert "needs the step queue 'gpu', which template.yaml does not have: add it" in found
    template.write_text(SNIPPET.replace("-steps-heavy", "-steps-gpu"))
    assert not [found for found in without_queues(template) if film.name in found]


@pytest.mark.parametrize("names", ["Heavy", "heavy,", "heavy gpu"])
def test_names_that_the_parameter_refuses(names: str) -> None:
    with pytest.raises(RefusedParameters):
        Stack(StepQueues=names)
