"""A sender reports a failure to a hook; and a run asks who holds a hook's token."""

from typing import Any

import pytest

from tests.support.systems import System, finish, local_system, start
from worldflow import HookFailedError, HookNotFoundError, InvalidInputError, create_hook, wait_for_signal, workflow
from worldflow.runtime import sending, webhooks


@workflow
async def waits_for_hooks(times: int) -> list[Any]:
    got: list[Any] = []
    with create_hook(token="shaky") as hook:
        for _ in range(times):
            try:
                got.append(await hook)
            except HookFailedError as error:
                got.append(f"failed: {error} ({error.token})")
            except KeyError as error:
                got.append(f"no {error.args[0]}")
    return got


@workflow
async def asks_for_the_token() -> str | None:
    hook = create_hook(token="shaky")
    conflict = await hook.get_conflict()
    if conflict is None:
        await wait_for_signal("go")
    return conflict.run_id if conflict else "mine"


@workflow
async def asks_after_the_end() -> None:
    with create_hook(token="over") as hook:
        pass
    await hook.get_conflict()


def test_a_hook_that_is_disposed_of_has_no_conflict() -> None:
    with local_system(":memory:") as system:
        start(system, "r", asks_after_the_end)
        error = finish(system, "r").error
        assert error and "the hook 'over' was disposed of" in error.message


def test_values_and_failures_come_in_their_order(system: System) -> None:
    start(system, "r", waits_for_hooks, times=3)
    webhooks.resume_hook(system.world, "shaky", 1)
    webhooks.fail_hook(system.world, "shaky", "out of paper")
    webhooks.resume_hook(system.world, "shaky", 2)
    assert finish(system, "r").result == [1, "failed: out of paper (shaky)", 2]


def test_an_exception_is_raised_as_it_is(system: System) -> None:
    start(system, "r", waits_for_hooks, times=1)
    webhooks.fail_hook(system.world, "shaky", KeyError("paper"))
    assert finish(system, "r").result == ["no paper"]


def test_a_failure_with_the_same_id_comes_once_and_is_replayed(system: System) -> None:
    start(system, "r", waits_for_hooks, times=2)
    for _ in range(2):
        webhooks.fail_hook(system.world, "shaky", "out of paper", resume_id="f")
        system.settle()
    system.restart()
    webhooks.resume_hook(system.world, "shaky", 2)
    assert finish(system, "r").result == ["failed: out of paper (shaky)", 2]


def test_what_is_no_error_and_what_nobody_holds_is_refused(system: System) -> None:
    with pytest.raises(HookNotFoundError):
        webhooks.fail_hook(system.world, "shaky", "out of paper")
    with pytest.raises(InvalidInputError, match="is not an error"):
        webhooks.fail_hook(system.world, "shaky", 3)  # type: ignore[arg-type]


def test_who_asks_second_learns_who_was_first(system: System) -> None:
    start(system, "first", asks_for_the_token)
    start(system, "second", asks_for_the_token)
    assert finish(system, "second").result == "first"
    sending.signal(system.world, "first", "go")
    assert finish(system, "first").result == "mine"
