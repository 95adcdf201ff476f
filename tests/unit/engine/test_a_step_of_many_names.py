from __future__ import annotations

import pytest

from worldflow import ConfigurationError, step, workflow
from worldflow.engine.workflow.definitions import find_step
from worldflow.engine.workflow.families import add_step, found_step, member
from worldflow.testing import WorkflowEnvironment


async def _tell(name: str) -> str:
    return f"{name} told"


async def test_a_member_is_run_by_the_function_of_its_family() -> None:
    family = add_step(_tell, "tellers", family=True)

    @workflow
    async def ask_two_tellers() -> list[str]:
        return [await member(family, f"tellers.{name}", timeout="5s", guarantee="at_most_once")(name) for name in "ab"]

    async with WorkflowEnvironment() as env:
        run = await env.start(ask_two_tellers)
        assert await run.result() == ["a told", "b told"]
        scheduled = [event.payload for event in await run.events() if event.event_type == "StepScheduled"]
        assert [each["name"] for each in scheduled] == ["tellers.a", "tellers.b"]
        assert [each["timeout"] for each in scheduled] == [5, 5]
        assert [each["at_most_once"] for each in scheduled] == [True, True]


def test_a_step_of_its_own_goes_before_the_family() -> None:
    family = add_step(_tell, "tellers", family=True)

    @step(name="tellers.own")
    async def own() -> None: ...

    assert find_step("tellers.own") is own
    assert find_step("tellers.other") is family
    assert found_step("tellers", family=True) is family
    assert found_step("tellers") is None


def test_only_what_is_one_level_below_is_of_the_family() -> None:
    add_step(_tell, "tellers", family=True)

    for name in ("tellers", "tellers.a.b", "others.a"):
        with pytest.raises(Exception, match="there is no step"):
            find_step(name)


def test_a_member_that_runs_at_most_once_is_not_retried() -> None:
    family = add_step(_tell, "tellers", family=True)

    assert member(family, "tellers.a", guarantee="at_most_once").retry.max_attempts == 1
    assert family.retry.max_attempts == 4
    with pytest.raises(ConfigurationError, match="guarantee"):
        member(family, "tellers.a", guarantee="always")  # type: ignore[arg-type]
