"""`patched`: code that changed under runs, as Temporal's table has it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.support.driver import Drive, Driver
from tests.support.steps import work
from worldflow import NonDeterminismError, OutsideError, deprecate_patch, patched, step, wait_for_signal, workflow
from worldflow.engine.history import VersionMarked
from worldflow.engine.workflow.definitions import Workflow


@step
async def new_work() -> None: ...


async def before() -> None:
    await work()


async def changed() -> None:
    if patched("p"):
        await new_work()
    else:
        await work()


async def deprecated() -> None:
    deprecate_patch("p")
    await new_work()


async def removed() -> None:
    await new_work()


Code = Callable[[], Coroutine[Any, Any, None]]


def as_workflow(code: Code) -> Workflow[[], None]:
    async def patching() -> None:
        await wait_for_signal("go")
        await code()
        await wait_for_signal("end")

    return Workflow(patching, "patching")


def history_of(drive: Drive, code: Code) -> Driver:
    run = drive(as_workflow(code))
    run.signal("go")
    return run


@pytest.mark.parametrize(
    ("written_by", "read_by", "fits"),
    [
        (before, before, True),
        (before, changed, True),
        (before, deprecated, False),
        (before, removed, False),
        (changed, before, False),
        (changed, changed, True),
        (changed, deprecated, True),
        (changed, removed, False),
        (deprecated, before, False),
        (deprecated, changed, True),
        (deprecated, deprecated, True),
        (deprecated, removed, True),
        (removed, changed, False),
        (removed, deprecated, True),
        (removed, removed, True),
    ],
)
def test_which_code_replays_which_history(drive: Drive, written_by: Code, read_by: Code, fits: bool):
    run = history_of(drive, written_by)
    if fits:
        run.replay(as_workflow(read_by)).dispose()
    else:
        with pytest.raises(NonDeterminismError):
            run.replay(as_workflow(read_by))


def test_a_mark_of_a_patch_that_the_code_forgot_is_named(drive: Drive):
    run = history_of(drive, changed)
    with pytest.raises(NonDeterminismError, match="the history has the change 'p'"):
        run.replay(as_workflow(removed))


@pytest.mark.parametrize(
    ("code", "decided"),
    [
        (before, ["StepScheduled s1 work"]),
        (changed, ["VersionMarked p", "StepScheduled s1 new_work"]),
        (deprecated, ["VersionMarked p", "StepScheduled s1 new_work"]),
        (removed, ["StepScheduled s1 new_work"]),
    ],
)
def test_what_a_new_run_records(drive: Drive, code: Code, decided: list[str]):
    run = history_of(drive, code)
    assert run.decided == decided
    marks = [event.deprecated for event in run.history if isinstance(event, VersionMarked)]
    assert marks == [True if code is deprecated else None] * len(marks)


def test_a_run_that_has_not_come_to_the_place_goes_the_new_way(drive: Drive):
    run = drive(as_workflow(before))
    execution = run.replay(as_workflow(changed))
    run.workflow, run._live = as_workflow(changed), execution
    run._replica.dispose()
    run._replica = run.replay()
    run.signal("go")
    assert run.decided == ["VersionMarked p", "StepScheduled s1 new_work"]


def test_a_run_that_went_the_old_way_keeps_to_it(drive: Drive):
    @workflow
    async def looping() -> list[bool]:
        ways = [patched("p")] if ask_at_first else []
        for _ in range(2):
            await work()
            ways.append(patched("p"))
        return ways

    ask_at_first = False
    run = drive(looping)
    ask_at_first = True  # deployed now: the run was past this place
    run._live.dispose()
    run._replica.dispose()
    run._live, run._replica = run.replay(), run.replay()
    run.complete(work)
    run.complete(work)
    assert run.result() == [False, False, False]


def test_the_first_answer_holds_and_is_recorded_once(drive: Drive):
    @workflow
    async def asking() -> list[bool]:
        ways = []
        for _ in range(3):
            ways.append(patched("p"))
            await work()
        deprecate_patch("p")
        return ways

    run = drive(asking)
    for _ in range(3):
        run.complete(work)
    assert run.result() == [True, True, True]
    assert sum(isinstance(event, VersionMarked) for event in run.history) == 1


def test_patches_are_told_apart_by_their_ids(drive: Drive):
    @workflow
    async def several() -> list[bool]:
        ways = [patched("b"), patched("a")]
        await work()
        return ways

    run = drive(several)
    assert run.decided == ["VersionMarked b", "VersionMarked a", "StepScheduled s1 work"]
    run.complete(work)
    assert run.result() == [True, True]


def test_marks_may_come_in_another_order(drive: Drive):
    """Temporal looks for a mark by its id: code that asks in another order replays."""

    async def one_way() -> None:
        patched("a"), patched("b")
        await work()

    async def the_other() -> None:
        patched("b"), patched("a")
        await work()

    run = drive(as_workflow(one_way))
    run.signal("go")
    run.replay(as_workflow(the_other)).dispose()


def test_tasks_ask_for_themselves(drive: Drive):
    @workflow
    async def tasks() -> list[bool]:
        async def ask(n: int) -> bool:
            await work(n)
            return patched(f"p{n % 2}")

        return list(await asyncio.gather(*(ask(n) for n in range(4))))

    run = drive(tasks)
    for step_id in ("s3", "s1", "s4", "s2"):
        run.complete(step_id)
    assert run.result() == [True] * 4


def test_outside_a_workflow_there_is_nothing_to_patch():
    with pytest.raises(OutsideError):
        patched("p")
    with pytest.raises(OutsideError):
        deprecate_patch("p")
