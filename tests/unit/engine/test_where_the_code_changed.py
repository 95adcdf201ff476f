"""What a replay says of code that changed names a line of the workflow's own file, and the change by its name."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import NonDeterminismError, patched, sleep, workflow
from worldflow.engine.workflow.definitions import Workflow


@workflow
async def was_plain() -> None:
    await work(1)


@workflow(timeout="1h")
async def was_limited() -> None:
    await work(1)


async def sleeps_instead() -> None:
    await sleep("1s")  # here
    await work(1)


async def helper() -> None:
    await sleep("1s")  # here


async def sleeps_in_a_helper() -> None:
    await helper()
    await work(1)


@workflow
async def was_patched() -> None:
    if patched("new-mail"):
        await work(1)


async def forgot_the_patch() -> None:
    await work(1)


def complaint(drive: Drive, before: Any, after: Callable[..., Any]) -> str:
    run = drive(before)
    with pytest.raises(NonDeterminismError) as caught:
        run.replay(Workflow(after, before.name, timeout=before.timeout))
    return str(caught.value)


def line_of(function: Callable[..., Any]) -> int:
    lines, first = inspect.getsourcelines(function)
    return first + next(n for n, line in enumerate(lines) if "# here" in line)


@pytest.mark.parametrize("before", [was_plain, was_limited])
@pytest.mark.parametrize(("after", "at"), [(sleeps_instead, sleeps_instead), (sleeps_in_a_helper, helper)])
def test_the_line_is_the_workflows_own(drive: Drive, before: Any, after: Callable[..., Any], at: Any):
    assert f"{__file__}:{line_of(at)}, in {before.name})" in complaint(drive, before, after)


def test_a_change_that_nobody_asks_for_is_named(drive: Drive):
    said = complaint(drive, was_patched, forgot_the_patch)
    assert "the change 'new-mail'" in said
    assert "deprecate_patch" in said
    assert re.search(re.escape(__file__) + r":\d+, in was_patched", said)
