"""Steps of one batch run in one event loop: what one does to its tasks is no matter of its neighbours'."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.support.systems import AWSSystem
from tests.world.test_step_handler import StepExecutor, task
from worldflow import step
from worldflow.engine.history import StepCompleted, StepFailed


@pytest.fixture
def executor(aws: AWSSystem) -> Iterator[StepExecutor]:
    executor = StepExecutor(aws)
    yield executor
    executor.close()


@pytest.mark.parametrize("how", ["raises", "cancels itself"])
def test_the_one_that_is_cancelled_has_failed(executor: StepExecutor, how: str) -> None:
    @step(name="batch_cancels")
    async def cancels(how: str) -> None:
        here = asyncio.current_task()
        assert here
        if how == "raises":
            raise asyncio.CancelledError
        here.cancel()
        await asyncio.sleep(0)

    failed = executor(
        task("square", "s1", number=2), task("batch_cancels", "s2", how=how), task("square", "s3", number=3)
    )

    assert failed == []
    told = {fact.step_id: fact for fact in executor.told()}
    assert told["s1"] == StepCompleted(step_id="s1", result=4)
    assert told["s3"] == StepCompleted(step_id="s3", result=9)
    assert isinstance(told["s2"], StepFailed) and told["s2"].error.type == "asyncio.exceptions:CancelledError"
    assert executor.result("square", step_id="s9", number=5) == 25  # in the next batch


def test_where_one_cancels_all_tasks_their_messages_come_again(executor: StepExecutor) -> None:
    @step(name="batch_cancels_steps")
    async def cancels_steps() -> None:
        for other in asyncio.all_tasks():
            if "execute_in_order" in repr(other):
                other.cancel()
        await asyncio.sleep(0)

    assert executor(task("batch_cancels_steps", "s1")) == ["1"]
    assert executor.told() == []
    assert executor.result("square", number=5) == 25


def test_ten_plain_steps_run_at_a_time(executor: StepExecutor) -> None:
    """As many as a batch has, whatever the number of processors."""
    together = threading.Barrier(10)

    @step(name="batch_meets")
    def meets() -> None:
        together.wait(10)

    assert executor(*(task("batch_meets", f"s{number}") for number in range(10))) == []
    assert [type(fact) for fact in executor.told()] == [StepCompleted] * 10
