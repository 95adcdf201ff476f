"""Where the tasks of a workflow stand, and what they wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.driver import Driver
from worldflow import create_hook, sleep, step, wait_for_signal, workflow
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.standing import TaskStanding, standing


@step
async def stands_working() -> None: ...


async def _approved() -> None:
    async with asyncio.timeout(60):
        await wait_for_signal("approved")


@workflow
async def stands_in_three() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(stands_working(), name="worker")
        group.create_task(_approved(), name="approver")
        group.create_task(sleep(10), name="sleeper")
        with create_hook() as hook:
            await hook


@pytest.fixture
def stands() -> Iterator[dict[str, TaskStanding]]:
    execution = Execution("run-1", stands_in_three)
    execution.replay(Driver(stands_in_three).history)
    yield {task.name: task for task in standing(execution)}
    execution.dispose()


def test_each_task_says_what_it_waits_for(stands: dict[str, TaskStanding]) -> None:
    assert {name: task.waits_for for name, task in stands.items()} == {
        "stands_in_three": "hook h1",
        "worker": "step 'stands_working'",
        "approver": "wait_for_signal('approved')",
        "sleeper": "sleep()",
    }


def test_each_task_has_the_lines_of_the_users_code(stands: dict[str, TaskStanding]) -> None:
    found = {name: [frame.function for frame in task.frames if frame.is_users] for name, task in stands.items()}
    assert found == {"stands_in_three": ["stands_in_three"], "worker": [], "approver": ["_approved"], "sleeper": []}
    (frame,) = [frame for frame in stands["approver"].frames if frame.is_users]
    line = _approved.__code__.co_firstlineno + 2
    assert (frame.file, frame.line) == (__file__, line)
