"""Step queues of their own on AWS: which task goes where, and what becomes of one whose queue is not deployed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.console.conftest import Pages
from tests.support.aws import REGION
from tests.support.systems import AWSSystem, finish
from worldflow import ConfigurationError, step, workflow
from worldflow.costs.runs import costs_of
from worldflow.runtime import starting
from worldflow.settings import Settings
from worldflow.worlds.messages import Poke, StepTask
from worldflow.worlds.records import Redriven

HEAVY: Any = "heavy"


@step(name="queues_render", queue="heavy")
async def render(video: str) -> str:
    return f"{video}.mp4"


@workflow(name="queues_publish")
async def publish(video: str) -> str:
    return await render(video)


@pytest.fixture
def deploy(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Deploys the step queue `heavy`, with a function."""

    def deploy() -> None:
        name = "worldflow-steps-heavy.fifo"
        aws.stack.sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})
        settings = Settings.from_environment({**aws.stack.environment, "WORLDFLOW_STEP_QUEUES": "heavy"})
        monkeypatch.setattr(aws.world.access, "settings", settings)
        monkeypatch.setattr(aws.world, "step_queues", settings.step_queues)
        monkeypatch.setitem(aws.stack.arns, HEAVY, f"arn:aws:sqs:{REGION}:123456789012:{name}")
        aws.stack.purge(HEAVY)

    def invoke(queue: Any, records: Any) -> list[str]:
        return of_steps("steps" if queue == HEAVY else queue, records)

    of_steps = aws._invoke
    monkeypatch.setattr(aws, "_invoke", invoke)
    return deploy


@pytest.fixture
def waiting(aws: AWSSystem, deploy: Any) -> StepTask:
    """The task of a run whose step waits in the queue."""
    deploy()
    starting.start(aws.world, "r", publish, {"video": "cat"})
    aws.poll("runs")
    (message,) = aws.stack.messages(HEAVY)
    return StepTask.model_validate_json(message.body)


def numbers(aws: AWSSystem) -> tuple[int, int]:
    return len(aws.stack.messages(HEAVY)), len(aws.stack.messages("steps"))


def test_a_task_goes_to_the_queue_of_its_step(aws: AWSSystem, waiting: StepTask) -> None:
    assert (waiting.name, waiting.queue) == ("queues_render", "heavy")
    assert numbers(aws) == (1, 0)
    assert finish(aws, "r").result == "cat.mp4"


def test_a_queue_of_its_own_is_no_request_more(aws: AWSSystem, waiting: StepTask) -> None:
    finish(aws, "r")
    asked = Counter(aws.stack.requests)

    aws.stack.empty()
    starting.start(aws.world, "r", publish.name, {"video": "cat"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "queue", None)
        finish(aws, "r")
    assert Counter(aws.stack.requests) == asked


def test_what_is_asked_for_again_goes_there_too(aws: AWSSystem, waiting: StepTask) -> None:
    aws.stack.purge(HEAVY)
    aws.restart()
    aws.deliver("runs", Poke(run_id="r"))
    assert numbers(aws) == (1, 0)


def test_dead_letters_return_to_the_queue_of_their_step(aws: AWSSystem, waiting: StepTask) -> None:
    aws.stack.move(HEAVY, "dead-steps")
    assert aws.world.redrive() == Redriven(moved=1)
    assert numbers(aws) == (1, 0)
    assert finish(aws, "r").status == "completed"


def test_the_console_shows_the_queue(aws: AWSSystem, waiting: StepTask) -> None:
    assert '<td>steps heavy</td><td class="number">1</td>' in Pages(aws.world).text("/health")


def test_a_run_is_blocked_until_the_queue_is_deployed(aws: AWSSystem, deploy: Any) -> None:
    starting.start(aws.world, "r", publish, {"video": "cat"})
    record = finish(aws, "r")
    assert record.status == "blocked"
    assert "step 'queues_render' needs the step queue 'heavy', which is not deployed (deployed: default)" in str(
        record.blocked_reason
    )
    deploy()
    aws.restart()
    aws.world.send([Poke(run_id="r")])
    aws.settle()
    assert aws.world.read_run("r").result == "cat.mp4"


def test_a_run_with_a_queue_has_a_price(aws: AWSSystem, waiting: StepTask) -> None:
    finish(aws, "r")
    assert costs_of(aws.world, "r", {}).asked.sends


def test_names_that_settings_refuse(aws: AWSSystem) -> None:
    with pytest.raises(ConfigurationError, match="each name in WORLDFLOW_STEP_QUEUES must be"):
        Settings.from_environment({**aws.stack.environment, "WORLDFLOW_STEP_QUEUES": "heavy,Gpu"})
    elsewhere = {**aws.stack.environment, "WORLDFLOW_STEP_QUEUE_URL": "https://sqs/1/app-StepQueue-X.fifo"}
    with pytest.raises(ConfigurationError, match="WORLDFLOW_STEP_QUEUES needs WORLDFLOW_STEP_QUEUE_PREFIX"):
        Settings.from_environment({**elsewhere, "WORLDFLOW_STEP_QUEUES": "heavy"})
    named = {"WORLDFLOW_STEP_QUEUES": "heavy", "WORLDFLOW_STEP_QUEUE_PREFIX": "app-steps-"}
    settings = Settings.from_environment({**elsewhere, **named})
    assert settings.url_of_step_queue("heavy") == "https://sqs/1/app-steps-heavy.fifo"
