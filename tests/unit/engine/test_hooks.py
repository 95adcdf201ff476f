"""A hook gives the values that are sent to its token, in order, until it is disposed of."""

import asyncio
from typing import Any

import pytest

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import (
    Hook,
    HookConflictError,
    InvalidInputError,
    OutsideError,
    SerializationError,
    create_hook,
    sleep,
    workflow,
)
from worldflow.engine.history import HookCreated, HookResumed


@workflow
async def awaiting() -> list[int]:
    hook = create_hook(int, token="order-1", metadata={"what": "approval"})
    return [await hook, await hook]


def test_it_is_a_decision_with_its_token_and_metadata(drive: Drive):
    run = drive(awaiting)
    (created,) = run.decisions
    assert created == HookCreated(hook_id="h1", token="order-1", metadata={"what": "approval"})


def test_each_await_gives_the_next_value(drive: Drive):
    run = drive(awaiting)
    run.resume_hook("h1", 1)
    run.resume_hook("h1", 2)
    assert run.result() == [1, 2]


def test_a_value_that_is_sent_twice_is_one(drive: Drive):
    run = drive(awaiting)
    run.feed(HookResumed(hook_id="h1", resume_id="a", value=1))
    assert not run.state.accepts(HookResumed(hook_id="h1", resume_id="a", value=1))


def test_they_come_in_an_async_for(drive: Drive):
    @workflow
    async def looping() -> list[int]:
        got = []
        with create_hook(int, token="t") as hook:
            async for value in hook:
                got.append(value)
                if value == 3:
                    break
        return got

    run = drive(looping)
    for value in (1, 2):
        assert run.resume_hook("h1", value) == []
    run.resume_hook("h1", 3)
    assert run.decided == ["HookDisposed h1", "RunCompleted"]
    assert run.result() == [1, 2, 3]


def test_a_hook_that_is_disposed_of_takes_nothing(drive: Drive):
    @workflow
    async def disposing() -> None:
        create_hook(token="t").dispose()
        await work()

    run = drive(disposing)
    assert run.decided == ["HookCreated h1", "HookDisposed h1", "StepScheduled s1 work"]
    assert not run.state.accepts(HookResumed(hook_id="h1", resume_id="a"))


def test_disposing_twice_is_once(drive: Drive):
    @workflow
    async def disposing() -> None:
        with create_hook(token="t") as hook:
            hook.dispose()

    assert drive(disposing).decided == ["HookCreated h1", "HookDisposed h1", "RunCompleted"]


def test_it_is_disposed_of_when_its_block_raises(drive: Drive):
    @workflow
    async def raising() -> None:
        with create_hook(token="t"):
            raise ValueError

    assert drive(raising).decided == ["HookCreated h1", "HookDisposed h1", "RunFailed"]


def test_a_token_that_nobody_gave_cannot_be_guessed_and_is_the_same_on_replay(drive: Drive):
    @workflow
    async def anonymous() -> list[str]:
        hooks: list[Hook[Any]] = [create_hook(), create_hook()]
        await work()
        return [hook.token for hook in hooks]

    run = drive(anonymous)
    run.complete(work)
    first, second = run.result()
    assert len(first) == len(second) == 32
    assert first != second
    assert [event.token for event in run.history if isinstance(event, HookCreated)] == [first, second]


@pytest.mark.parametrize("token", ["", "a b", "a/b", "a#b", "x" * 201, "ä", "a\n", 5])
def test_what_is_no_token(drive: Drive, token: Any):
    @workflow
    async def wrong() -> None:
        create_hook(token=token)

    with pytest.raises(InvalidInputError, match="is not a valid hook token"):
        drive(wrong).result()


def test_metadata_that_json_cannot_carry(drive: Drive):
    @workflow
    async def wrong() -> None:
        create_hook(metadata=object())

    with pytest.raises(SerializationError):
        drive(wrong).result()


def test_several_hooks_keep_their_values_apart(drive: Drive):
    @workflow
    async def several() -> list[int]:
        hooks = [create_hook(int, token=f"t{n}") for n in range(3)]
        return list(await asyncio.gather(*(take(hook) for hook in hooks)))

    run = drive(several)
    for hook_id, value in (("h3", 3), ("h1", 1), ("h2", 2)):
        run.resume_hook(hook_id, value)
    assert run.result() == [1, 2, 3]


async def take(hook: Hook[int]) -> int:
    return await hook


# --- a token that is taken ---


@workflow
async def conflicting() -> str:
    hook = create_hook(token="taken")
    try:
        return str(await hook)
    except HookConflictError as error:
        await work()
        return error.token


def test_a_token_of_another_run_is_told_where_it_is_awaited(drive: Drive):
    run = drive(conflicting)
    run.conflict("h1")
    assert run.open_steps() == ["s1"]
    run.complete(work)
    assert run.result() == "taken"


def test_it_is_told_to_those_who_await_it_later_and_again(drive: Drive):
    @workflow
    async def late() -> list[str]:
        hook = create_hook(token="taken")
        await sleep(10)
        told = []
        for _ in range(2):
            try:
                await hook
            except HookConflictError as error:
                told.append(error.token)
        try:
            async for _ in hook:
                pass
        except HookConflictError as error:
            told.append(error.token)
        hook.dispose()
        return told

    run = drive(late)
    run.conflict("h1")
    run.fire()
    assert run.decided == ["RunCompleted"]  # there is nothing to dispose of
    assert run.result() == ["taken"] * 3


def test_a_conflict_takes_the_hook_away(drive: Drive):
    run = drive(conflicting)
    run.conflict("h1")
    assert not run.state.accepts(HookResumed(hook_id="h1", resume_id="a"))
    assert "h1" not in run.state.hooks


def test_a_run_holds_a_token_once(drive: Drive):
    @workflow
    async def twice() -> str:
        create_hook(token="mine")
        try:
            create_hook(token="mine")
        except HookConflictError as error:
            return str(error)
        return ""

    run = drive(twice)
    assert "this run already holds" in run.result()


def test_a_token_is_free_again_when_its_hook_is_disposed_of(drive: Drive):
    @workflow
    async def again() -> int:
        with create_hook(int, token="mine") as hook:
            first = await hook
        with create_hook(int, token="mine") as hook:
            return first + await hook

    run = drive(again)
    run.resume_hook("h1", 1)
    assert run.decided == ["HookDisposed h1", "HookCreated h2"]
    run.resume_hook("h2", 2)
    assert run.result() == 3


def test_outside_a_workflow_there_are_no_hooks():
    with pytest.raises(OutsideError):
        create_hook()
