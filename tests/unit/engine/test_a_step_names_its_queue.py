"""`@step(queue=...)`: the history and the task name the queue, and what names none is as it was."""

from __future__ import annotations

import pytest

from tests.support.driver import Drive
from worldflow import ConfigurationError, step, workflow
from worldflow.engine.history import StepScheduled
from worldflow.engine.workflow.definitions import Step
from worldflow.worlds.messages import StepTask


@step(queue="heavy")
async def queued_render(number: int = 0) -> str: ...


@step
async def queued_nowhere() -> str: ...


def queue_of(drive: Drive, call: Step[..., str], *, inline_steps: bool = False) -> tuple[str | None, bool | None]:
    @workflow(inline_steps=inline_steps)
    async def queued_calls() -> str:
        return await call()

    (decision,) = drive(queued_calls).decisions
    assert isinstance(decision, StepScheduled)
    return decision.queue, decision.inline


def test_the_history_has_the_queue_of_a_call(drive: Drive) -> None:
    assert queue_of(drive, queued_render) == ("heavy", None)
    assert queue_of(drive, queued_render.options(queue="gpu")) == ("gpu", None)
    assert queue_of(drive, queued_nowhere.options(queue="gpu")) == ("gpu", None)


def test_the_default_queue_has_no_name(drive: Drive) -> None:
    assert queue_of(drive, queued_render.options(queue="default")) == (None, None)
    assert queue_of(drive, queued_render.options(queue="default", inline=True)) == (None, True)


def test_a_step_with_a_queue_is_not_inline_among_inline_steps(drive: Drive) -> None:
    assert queue_of(drive, queued_render, inline_steps=True) == ("heavy", None)
    assert queue_of(drive, queued_nowhere, inline_steps=True) == (None, True)


def test_a_replay_keeps_the_queue_of_the_first_run(drive: Drive) -> None:
    @workflow
    async def queued_once() -> str:
        return await queued_render()

    run = drive(queued_once)

    @workflow(name="queued_once")
    async def queued_elsewhere() -> str:
        return await queued_render.options(queue="gpu")()

    run.replay(queued_elsewhere)
    assert run.state.steps["s1"].scheduled.queue == "heavy"


def test_what_names_no_queue_is_written_as_before() -> None:
    assert "queue" not in StepScheduled(step_id="s1", name="n").payload
    assert "queue" not in StepTask(run_id="r", step_id="s1", name="n").dump()


@pytest.mark.parametrize("name", ["", "Heavy", "2nd", "a_b", "x" * 31, 7])
def test_a_name_that_is_none(name: object) -> None:
    with pytest.raises(ConfigurationError, match="lowercase letters, digits and hyphens that begin with a letter, not"):
        step(queue=name)(len)  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="lowercase letters"):
        queued_nowhere.options(queue=name)  # type: ignore[arg-type]


def test_an_inline_step_goes_through_no_queue() -> None:
    with pytest.raises(ConfigurationError, match="an inline step runs in the orchestrator's turn"):
        queued_render.options(inline=True)
