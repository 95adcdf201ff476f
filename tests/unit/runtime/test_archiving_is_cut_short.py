"""The archiver dies, or somebody comes between, at each of its calls: no run is ever half there, and the next pass ends
what was begun.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.crashes import Crash, CrashingWorld, When, never, once, serve, settle
from tests.support.driver import START
from tests.support.local_tables import rows
from worldflow import FatalError, continue_as_new, create_hook, open_stream, step, wait_for_signal, workflow
from worldflow.engine.errors import RunArchivedError
from worldflow.engine.history import SignalReceived
from worldflow.runtime import starting
from worldflow.runtime.archive import archive_old_runs
from worldflow.turns import generations
from worldflow.worlds import streams
from worldflow.worlds.messages import FactArrived, Poke, Revival, Start

RUNS = ("failing", "loop", "loop~2", "loop~3")
LATER = START + timedelta(days=10)


@step(guarantee="at_most_once")
async def breaks_once() -> None:
    raise FatalError("broken")


@workflow
async def failing() -> str:
    with create_hook(str, token="desk"):
        await breaks_once()
    return "mended"


@workflow
async def looping(left: int) -> str:
    open_stream("progress").write(left)
    if left:
        continue_as_new(left=left - 1)
    return "done"


@workflow
async def told() -> str:
    return await wait_for_signal("news", str)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world with runs that ended."""
    path = tmp_path_factory.mktemp("archive") / "runs.db"
    with closing(CrashingWorld(path=str(path))) as world:
        starting.start(world, "failing", failing)
        starting.start(world, "loop", looping, {"left": 2})
        serve(world)
    return path


@pytest.fixture
def opened(template: Path, tmp_path: Path) -> Callable[[], Any]:
    """Opens a copy of that world, days later."""

    @contextmanager
    def opened() -> Iterator[CrashingWorld]:
        path = tmp_path / "copy.db"
        for left in tmp_path.glob("copy.db*"):
            left.unlink()
        shutil.copy(template, path)
        with closing(CrashingWorld(path=str(path))) as world:
            world.time = LATER
            yield world

    return opened


def archive(world: CrashingWorld) -> None:
    assert archive_old_runs(world, older_than=timedelta(days=1)).failed == 0


def views(world: CrashingWorld) -> list[Any]:
    read = [(world.read_run(run_id), world.read_events(run_id)) for run_id in RUNS]
    # A redo of the end writes the record once more.
    hidden = {"archived_at", "newest_run_id", "updated_at", "streams"}
    written = [(streams.names(world, run_id), streams.read(world, run_id, "progress").items) for run_id in RUNS]
    return [*((run.model_dump(exclude=hidden), events) for run, events in read), written]


def all_calls(opened: Callable[[], Any]) -> list[tuple[int, When]]:
    """Each moment at which something may come between."""
    with opened() as world:
        archive(world)
        assert {"archive", "seal", "delete_hook", "clear", "delete_streams", "forget"} == set(world.calls)
        return [(call, when) for call in range(len(world.calls)) for when in ("before", "after")]


def knock(world: CrashingWorld) -> None:
    """Late copies of messages arrive, at a process that knows nothing of the runs."""
    for run_id in RUNS:
        late = SignalReceived(signal_id="late", name="late")
        world.send([Start(run_id=run_id), Poke(run_id=run_id), FactArrived(run_id=run_id, fact=late)])
    settle(world)


def test_a_crash_at_each_call(opened: Callable[[], Any]) -> None:
    with opened() as world:
        before = views(world)
    for call, when in all_calls(opened):
        with opened() as world:
            world.crashes = once(call, when)
            with pytest.raises(Crash):
                archive(world)
            assert views(world) == before, world.crashed
            knock(world)
            assert views(world) == before, world.crashed

            archive(world)

            assert rows(world) == {}, world.crashed
            assert views(world) == before, world.crashed


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "goes on"])
def test_a_retry_at_each_call(opened: Callable[[], Any], dies: bool) -> None:
    retried = 0
    with opened() as world:
        before = views(world)
    for call, when in all_calls(opened):
        with opened() as world:
            answers: list[bool] = []
            meanwhile(world, call, when, lambda world=world, answers=answers: answers.append(retry(world)), dies)
            assert views(world) == before, (call, when, answers)
            if any(answers):
                retried += 1
                newest = generations.newest_generation(world, generations.read_record(world, "failing"))
                assert (newest.run_id, newest.status) == ("failing~2", "failed")
                world.time += timedelta(days=2)
            archive(world)
            assert rows(world) == {}, (call, when, answers)
            assert views(world) == before
    assert retried


def retry(world: CrashingWorld) -> bool:
    try:
        starting.retry(world, "failing")
    except RunArchivedError:
        return False
    settle(world)
    return True


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "goes on"])
def test_a_new_run_of_the_id_at_each_call(opened: Callable[[], Any], dies: bool) -> None:
    began = set()
    for call, when in all_calls(opened):
        with opened() as world:
            meanwhile(world, call, when, lambda world=world: began.add(start_again(world)), dies)
            archive(world)
            record = generations.newest_generation(world, generations.read_record(world, "loop"))
            assert record.status == "completed"
            assert world.read_run(record.run_id).result == "done"
            world.time += timedelta(days=2)
            archive(world)
            assert rows(world) == {}
    assert began == {"loop", "loop~4", None}


def start_again(world: CrashingWorld) -> str | None:
    try:
        record, created = starting.start(world, "loop", looping, {"left": 0}, reuse="allow")
    except RunArchivedError:
        return None
    assert created or record.run_id == "loop"
    settle(world)
    return record.run_id


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "goes on"])
def test_a_signal_that_was_promised_a_run_arrives_at_each_call(opened: Callable[[], Any], dies: bool) -> None:
    news = SignalReceived(signal_id="news", name="news", value="good")
    message = FactArrived(run_id="failing", fact=news, revival=Revival(workflow_name="told", input={}))
    for call, when in all_calls(opened):
        with opened() as world:
            meanwhile(world, call, when, lambda world=world: deliver(world, message), dies)
            archive(world)
            world.recover()
            settle(world)
            newest = generations.newest_generation(world, generations.read_record(world, "failing"))
            assert (newest.workflow_name, newest.result) == ("told", "good"), (call, when)


def deliver(world: CrashingWorld, message: FactArrived) -> None:
    world.send([message])
    with suppress(RunArchivedError):  # then it comes again
        settle(world)


def meanwhile(world: CrashingWorld, call: int, when: When, action: Callable[[], object], dies: bool) -> None:
    """Archives, and does something at one of the calls: there and then, or when the archiver has died there."""
    if dies:
        world.crashes = once(call, when)
        with pytest.raises(Crash):
            archive(world)
        action()
        return

    def act(number: int, moment: When) -> bool:
        if (number, moment) == (call, when):
            world.crashes = never
            action()
        return False

    world.crashes = act
    archive(world)
