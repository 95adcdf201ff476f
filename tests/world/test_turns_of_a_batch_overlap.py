"""Turns of different runs that come in one batch are taken side by side."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support import workflows
from tests.support.aws import QueueName
from tests.support.lambdas import failures, sqs_event, sqs_record
from tests.support.systems import AWSSystem
from worldflow.runtime import starting
from worldflow.serving.orchestrator_handler import TURNS_AT_ONCE, create_orchestrator_handler
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import Start

PATIENCE = 10.0


class Meeting:
    """Where turns wait for each other: none goes on before as many are there."""

    def __init__(self, number: int) -> None:
        self.there = threading.Barrier(number, timeout=PATIENCE)
        self.threads: set[threading.Thread] = set()

    def take(self, turns: Turns, run_id: str, messages: Sequence[Any], **options: Any) -> None:
        self.threads.add(threading.current_thread())
        self.there.wait()
        if run_id == "bad":
            raise RuntimeError("this one fails")


def batch(aws: AWSSystem, *run_ids: str, receives: int = 1, queue: QueueName = "runs") -> dict[str, Any]:
    records = [
        sqs_record(aws.stack.arns[queue], Start(run_id=run_id).dump(), id=run_id, receives=receives)
        for run_id in run_ids
    ]
    return sqs_event(*records)


@pytest.fixture
def meet(monkeypatch: pytest.MonkeyPatch) -> Any:
    def meet(number: int) -> Meeting:
        meeting = Meeting(number)
        monkeypatch.setattr(Turns, "take", lambda *args, **options: meeting.take(*args, **options))
        return meeting

    return meet


def test_turns_of_several_runs_are_under_way_at_once(aws: AWSSystem, meet: Any) -> None:
    meet(TURNS_AT_ONCE)
    names = [f"r{number}" for number in range(TURNS_AT_ONCE)]

    assert failures(create_orchestrator_handler(aws.world)(batch(aws, *names))) == []


def test_one_that_fails_fails_alone(aws: AWSSystem, meet: Any) -> None:
    meet(3)

    assert failures(create_orchestrator_handler(aws.world)(batch(aws, "a", "bad", "c"))) == ["bad"]


def test_of_a_batch_that_came_again_one_is_taken_at_a_time(aws: AWSSystem, meet: Any) -> None:
    """One of them may have killed the function: those before it are done, and acknowledged, when it does so again."""
    meeting = meet(1)
    create_orchestrator_handler(aws.world)(batch(aws, "a", "b", "c", receives=2))

    assert meeting.threads == {threading.current_thread()}


def test_of_dead_letters_one_is_taken_at_a_time(aws: AWSSystem, meet: Any) -> None:
    meeting = meet(1)
    create_orchestrator_handler(aws.world)(batch(aws, "a", "b", "c", receives=16, queue="dead-runs"))

    assert meeting.threads == {threading.current_thread()}


def test_what_they_do_is_done(aws: AWSSystem) -> None:
    handler = create_orchestrator_handler(aws.world)
    names = [f"run-{number}" for number in range(10)]
    for name in names:
        starting.start(aws.world, name, workflows.collect, {"count": 1})

    assert failures(handler(batch(aws, *names))) == []
    assert {name: len(aws.world.load_history(name)) for name in names} == dict.fromkeys(names, 1)
