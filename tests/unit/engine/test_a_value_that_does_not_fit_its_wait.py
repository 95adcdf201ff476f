"""A value that does not fit is left out, and the wait goes on: a sender's mistake does not fail the run. Histories in
which it was raised, by an older version, replay as they were.
"""

import logging
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.driver import Drive, Driver
from tests.support.steps import work
from worldflow import SerializationError, create_hook, on_update, wait_for_signal, workflow
from worldflow.engine.errors import ConfigurationError, InvalidInputError
from worldflow.engine.history import VersionMarked
from worldflow.engine.workflow import inbox
from worldflow.engine.workflow.execution import Execution


class Vote(BaseModel):
    by: str


def test_a_signal_is_left_out_and_the_next_is_read(drive: Drive, caplog: pytest.LogCaptureFixture):
    @workflow
    async def waits() -> str:
        vote = await wait_for_signal("vote", Vote)
        await work()
        return vote.by

    run = drive(waits)
    run.signal("vote", {"by": 5})
    run.signal("vote", "secret")
    assert not run.ended
    run.signal("vote", {"by": "Grace"})
    run.complete(work)
    assert run.result() == "Grace"
    warnings = {record.getMessage() for record in caplog.records if record.levelno == logging.WARNING}
    assert {warning.partition(":")[0] for warning in warnings} == {"run run-1"}
    assert all("skipped a value of signal 'vote' that does not match its type" in warning for warning in warnings)
    assert "secret" not in caplog.text


def test_what_came_before_the_wait_is_left_out(drive: Drive):
    @workflow
    async def waits() -> str:
        await work()
        return (await wait_for_signal("vote", Vote)).by

    run = drive(waits)
    run.signal("vote", None)
    run.signal("vote", {"by": "Grace"})
    run.complete(work)
    assert run.result() == "Grace"


def test_in_an_async_for(drive: Drive):
    @workflow
    async def collects() -> list[int]:
        numbers = []
        async for number in wait_for_signal("number", int):
            numbers.append(number)
            if len(numbers) == 2:
                break
        return numbers

    run = drive(collects)
    for value in (1, "two", None, 3):
        run.signal("number", value)
    assert run.result() == [1, 3]


def test_a_hook(drive: Drive):
    @workflow
    async def waits() -> int:
        return await create_hook(int, token="votes")

    run = drive(waits)
    run.resume_hook("h1", "many")
    run.resume_hook("h1", 5)
    assert run.result() == 5


@pytest.mark.parametrize("kind", ["signal", "hook"])
def test_a_workflow_may_want_it_raised(drive: Drive, kind: str):
    @workflow
    async def waits() -> Any:
        if kind == "hook":
            return await create_hook(int, token="votes", on_misfit="raise")
        return await wait_for_signal("vote", int, on_misfit="raise")

    run = drive(waits)
    if kind == "hook":
        run.resume_hook("h1", "many")
    else:
        run.signal("vote", "many")
    with pytest.raises(SerializationError, match="does not match its type"):
        run.result()


def test_another_word_is_refused(drive: Drive):
    @workflow
    async def waits() -> Any:
        return await wait_for_signal("vote", int, on_misfit="ignore")  # type: ignore[call-overload]

    with pytest.raises(ValueError, match='on_misfit must be "skip" or "raise"'):
        drive(waits).result()


# --- histories of before ---


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has runs go as they did with a version that raised."""

    def patched(self: Execution, change_id: str, *, deprecated: bool = False) -> bool:
        assert change_id.startswith("worldflow:")
        return False

    with monkeypatch.context() as patch:
        patch.setattr(Execution, "patched", patched)
        yield


@workflow
async def waits_and_asks_again() -> list[str]:
    try:
        await wait_for_signal("vote", Vote)
    except SerializationError:
        await work("asked again")
    return [(await wait_for_signal("vote", Vote)).by]


@pytest.fixture
def old_run(as_before: Any, drive: Drive) -> Driver:
    run = drive(waits_and_asks_again)
    run.signal("vote", "nonsense")
    assert run.decided == ["StepScheduled s1 work"]
    return run


def test_an_old_history_replays_as_it_was(old_run: Driver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    execution = old_run.replay()
    assert execution.calls._open
    execution.dispose()


def test_an_old_run_that_failed_replays_as_failed(as_before: Any, drive: Drive, monkeypatch: pytest.MonkeyPatch):
    @workflow
    async def waits() -> str:
        return (await wait_for_signal("vote", Vote)).by

    run = drive(waits)
    run.signal("vote", "nonsense")
    with pytest.raises(SerializationError):
        run.result()
    monkeypatch.undo()
    run.replay().dispose()


def test_the_mark_is_made_once_a_run_and_only_where_it_counts(drive: Drive):
    @workflow
    async def waits() -> str:
        return (await wait_for_signal("vote", Vote)).by

    run = drive(waits)
    for value in (1, 2):
        run.signal("vote", value)
    run.signal("vote", {"by": "Grace"})
    marks = [event for event in run.history if isinstance(event, VersionMarked)]
    assert [(mark.change_id, mark.deprecated) for mark in marks] == [(inbox._MISFITS_ARE_LEFT_OUT, True)]

    run = drive(waits)
    run.signal("vote", {"by": "Grace"})
    assert not any(isinstance(event, VersionMarked) for event in run.history)


# --- types that are declared ---


@workflow(signals={"vote": Vote})
async def declares() -> str:
    return (await wait_for_signal("vote")).by


def test_a_declared_type_is_the_type_of_the_wait(drive: Drive):
    run = drive(declares)
    run.signal("vote", {"by": "Grace"})
    assert run.result() == "Grace"


def test_a_declared_name_must_be_one():
    async def flow() -> None: ...

    with pytest.raises(
        ConfigurationError, match=r"@workflow\(signals=...\) of flow: 'my vote' is not a valid signal name"
    ):
        workflow(signals={"my vote": Vote})(flow)


# --- names that nobody can send to ---


@pytest.mark.parametrize("name", ["", "my vote", "größe", "a" * 101])
def test_a_name_that_no_signal_can_have(drive: Drive, name: str):
    @workflow
    async def waits() -> None:
        await wait_for_signal(name)

    with pytest.raises(InvalidInputError, match="is not a valid name: it must be up to 100 letters"):
        drive(waits).result()


@pytest.mark.parametrize("name", ["", "add item"])
def test_a_name_that_no_update_can_have(drive: Drive, name: str):
    @workflow
    async def handles() -> None:
        @on_update(name)
        async def add() -> None: ...

        await work()

    with pytest.raises(InvalidInputError, match="is not a valid name"):
        drive(handles).result()


def test_an_old_run_with_such_a_name_waits_on(as_before: Any, drive: Drive, monkeypatch: pytest.MonkeyPatch):
    @workflow
    async def waits() -> None:
        await work(await wait_for_signal("my vote"))

    run = drive(waits)
    monkeypatch.undo()
    execution = run.replay()
    assert not execution.ended
    execution.dispose()
