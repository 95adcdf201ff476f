"""A workflow signals and cancels other runs, and learns whether they are there."""

from typing import Any

import pytest

from tests.support.systems import System, finish, start
from worldflow import (
    InvalidInputError,
    OutsideError,
    RunEndedError,
    RunNotFoundError,
    cancel_run,
    signal_run,
    step,
    wait_for_signal,
    workflow,
)


@workflow(signals={"amount": int})
async def listens_to_runs() -> Any:
    return [await wait_for_signal("word"), await wait_for_signal("amount")]


@workflow
async def speaks_to_runs(other: str) -> str:
    try:
        await signal_run(other, "word", {"from": "afar"})
        await signal_run(other, "amount", 3)
    except RunNotFoundError as error:
        return f"nobody there: {error.run_id}"
    except RunEndedError as error:
        return f"it is {error.status}"
    return "told"


@workflow
async def stops_a_run(other: str) -> None:
    await cancel_run(other, "enough")


@workflow
async def says_what_does_not_fit(other: str) -> None:
    await signal_run(other, "amount", "many")


def test_each_signal_comes_once_and_in_order(system: System) -> None:
    start(system, "listener", listens_to_runs)
    start(system, "speaker", speaks_to_runs, other="listener")
    assert finish(system, "speaker").result == "told"
    assert finish(system, "listener").result == [{"from": "afar"}, 3]
    received = [event for event in system.world.load_history("listener") if event.event_type == "SignalReceived"]
    assert [event.payload["signal_id"] for event in received] == ["speaker/s1", "speaker/s2"]


def test_a_run_that_is_not_there(system: System) -> None:
    start(system, "speaker", speaks_to_runs, other="nobody")
    assert finish(system, "speaker").result == "nobody there: nobody"


def test_a_run_that_has_ended(system: System) -> None:
    start(system, "ended", stops_a_run, other="ended-itself")
    finish(system, "ended")
    start(system, "speaker", speaks_to_runs, other="ended")
    assert finish(system, "speaker").result == "it is failed"


def test_another_run_is_cancelled_for_a_reason(system: System) -> None:
    start(system, "listener", listens_to_runs)
    start(system, "stopper", stops_a_run, other="listener")
    assert finish(system, "stopper").status == "completed"
    assert finish(system, "listener").reason == "enough"


def test_a_value_that_the_other_does_not_take_fails_the_caller_at_once(system: System) -> None:
    start(system, "listener", listens_to_runs)
    start(system, "wrong", says_what_does_not_fit, other="listener")
    error = finish(system, "wrong").error
    assert error is not None and error.type.endswith(":InvalidInputError") and "'amount'" in error.message


def test_outside_a_workflow_the_orchestrator_is_named() -> None:
    with pytest.raises(OutsideError, match=r"signal_run\(\) only works inside a workflow"):
        signal_run("r", "word")


def test_a_name_that_no_signal_has_is_refused_where_it_is_called(system: System) -> None:
    caught: list[str] = []

    @step(inline=True)
    async def note_the_refusal(text: str) -> None:
        caught.append(text)

    @workflow
    async def says_nothing_right() -> None:
        try:
            await signal_run("r", "not a name")
        except InvalidInputError as error:
            await note_the_refusal(error.fields[0].field)

    start(system, "wrong", says_nothing_right)
    finish(system, "wrong")
    assert caught == ["name"]
