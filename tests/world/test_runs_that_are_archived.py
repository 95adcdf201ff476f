"""A run that is archived can be read as before. It takes nothing more, and its id is free."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.support.archiving import archive, left
from tests.support.systems import AWSSystem, System, finish, signal, start
from worldflow import (
    FatalError,
    continue_as_new,
    create_hook,
    on_update,
    publish,
    step,
    step_info,
    wait_for_signal,
    workflow,
)
from worldflow.engine.errors import RunArchivedError, RunEndedError, RunNotFoundError
from worldflow.runtime import Orchestrator, queries, sending, starting, updates
from worldflow.runtime.archive import archive_old_runs
from worldflow.worlds.messages import Poke

LARGE = "x" * 70_000

pytestmark = pytest.mark.parametrize("system", ["memory", "aws"], indirect=True)

charged: list[str] = []


@pytest.fixture(autouse=True)
def nothing_charged() -> None:
    charged.clear()


@step(guarantee="at_most_once")
async def charge_once(what: str) -> str:
    charged.append(what)
    return what


@step(heartbeat_timeout="1m")
async def beats() -> str:
    step_info().heartbeat("alive")
    return LARGE


@step
async def breaks() -> None:
    raise FatalError("broken")


@workflow
async def uses_all(text: str) -> list[str]:
    """Leaves something in every table."""
    publish("stage", lambda: "late")
    on_update("double")(lambda number: 2 * number)
    await charge_once("all")
    said = await wait_for_signal("said", str)
    with create_hook(str, token="desk") as hook:
        resumed = await hook
    return [text, await beats(), said, resumed]


@workflow
async def charges(what: str) -> str:
    return await charge_once(what)


@workflow
async def fails_late() -> None:
    await wait_for_signal("go")
    await breaks()


@workflow
async def counts_down(number: int) -> str:
    await wait_for_signal("go")
    if number:
        continue_as_new(number=number - 1)
    return "done"


def go(system: System, run_id: str) -> None:
    sending.signal(system.world, run_id, "go")
    system.settle()


def use_all(system: System, run_id: str = "r") -> None:
    start(system, run_id, uses_all, text=LARGE)
    updates.send_update(system.world, run_id, "double", (21,), update_id="twice")
    signal(system, run_id, "said", LARGE)
    asyncio.run(Orchestrator(system.world).resume_hook("desk", LARGE))
    assert finish(system, run_id).status == "completed"


def views(system: System, run_id: str = "r") -> list[Any]:
    """All ways in which a run is looked at."""
    world, run = system.world, Orchestrator(system.world).run(run_id)
    record = world.read_run(run_id).model_dump(exclude={"archived_at", "newest_run_id"})
    status = asyncio.run(world.get_run_status(run_id))
    status.pop("archived_at", None)
    events = asyncio.run(world.load_events(run_id))
    later = world.read_events(run_id, 3)
    update = updates.send_update(world, run_id, "double", (), update_id="twice")
    answer = updates.look_for_answer(world, update)
    return [record, status, events, later, asyncio.run(run.result()), queries.query(world, run_id, "stage"), answer]


@pytest.mark.time_of_day(system=["memory"])
def test_it_is_read_as_if_nothing_had_happened_and_nothing_is_left_in_the_tables(system: System) -> None:
    use_all(system)
    before = views(system)

    report = archive(system)

    assert (report.archived, report.failed, report.complete) == (1, 0, True)
    assert left(system) == {}
    assert views(system) == before
    assert asyncio.run(system.world.get_run_status("r"))["archived_at"]
    assert not system.world.list_runs().runs


@pytest.mark.time_of_day(system=["memory"])
def test_what_is_too_young_or_has_not_ended_stays(system: System) -> None:
    start(system, "open", uses_all, text="")
    start(system, "old", charges, what="old")
    system.clock.forward(system.clock.now() + timedelta(days=2))
    start(system, "young", charges, what="young")

    assert archive_old_runs(system.world, older_than=timedelta(days=1)).archived == 1
    assert {record.run_id for record in system.world.list_runs().runs} == {"open", "young"}
    with pytest.raises(ValueError, match="cannot be archived earlier"):
        archive_old_runs(system.world, older_than=timedelta(hours=23))


@pytest.mark.parametrize(
    "ask",
    [
        lambda world: sending.signal(world, "r", "go"),
        lambda world: sending.cancel(world, "r"),
        lambda world: sending.terminate(world, "r"),
        lambda world: sending.resume(world, "r"),
        lambda world: updates.send_update(world, "r", "any", ()),
    ],
    ids=["signal", "cancel", "terminate", "resume", "update"],
)
def test_what_is_asked_of_it_is_refused_as_of_any_run_that_has_ended(system: System, ask: Callable[..., Any]) -> None:
    start(system, "r", charges, what="r")
    archive(system)

    with pytest.raises(RunEndedError, match=r"already ended \(completed\)"):
        ask(system.world)


def test_a_run_that_never_was_is_not_found(system: System) -> None:
    for read in (system.world.read_run, system.world.read_events, lambda run_id: sending.cancel(system.world, run_id)):
        with pytest.raises(RunNotFoundError):
            read("r")


def test_it_is_not_retried_but_forked(system: System) -> None:
    start(system, "r", fails_late)
    signal(system, "r", "go")
    assert finish(system, "r").status == "failed"
    archive(system)

    with pytest.raises(RunArchivedError, match="fork it as a new run"):
        starting.retry(system.world, "r")
    starting.fork(system.world, "r", "again", after=1)
    system.settle()
    signal(system, "again", "go")
    assert finish(system, "again").status == "failed"
    assert [event.event_type for event in system.world.read_events("again")][1] == "RunForked"


def test_its_id_is_free_and_the_new_run_has_nothing_of_the_old(system: System) -> None:
    use_all(system)
    old = system.world.read_run("r")
    archive(system)

    _, created = starting.start(system.world, "r", charges, {"what": "new"})
    system.settle()

    assert created
    # Nor its claim: the step may run, though one of its name and number ran at most once before.
    assert finish(system, "r").result == "new"
    assert charged == ["all", "new"]

    archive(system)
    assert system.world.read_run("r").result == "new"
    name = f"{old.created_at:%Y%m%dT%H%M%S.%fZ}"
    assert kept(system, "r", name)["created_at"] == old.model_dump(mode="json")["created_at"]


def kept(system: System, run_id: str, name: str) -> Any:
    """The record of a run whose id another had after it."""
    if isinstance(system, AWSSystem):
        key = f"archive/{run_id}/{name}.jsonl.gz"
        data = system.stack.s3.get_object(Bucket=system.stack.resources.payload_bucket, Key=key)["Body"].read()
    else:
        data = system.world._rows("select data from archives where run_id = ? and name = ?", run_id, name)[0][0]  # type: ignore[attr-defined]
    return json.loads(gzip.decompress(data).splitlines()[0])


def test_generations_go_one_by_one_and_the_first_with_the_newest(system: System) -> None:
    world = system.world
    start(system, "r", counts_down, number=3)
    for run_id in ("r", "r~2", "r~3"):
        go(system, run_id)
    assert world.read_run("r~4").status == "running"

    assert archive(system).archived == 2
    assert {record.run_id for record in world.list_runs().runs} == {"r", "r~4"}
    sending.signal(world, "r~2", "go")  # any of them leads to the newest
    assert finish(system, "r~4").result == "done"

    assert archive(system).archived == 2
    assert left(system) == {}
    for run_id in ("r", "r~2", "r~4"):
        assert asyncio.run(Orchestrator(world).run(run_id).result()) == "done"
    assert world.read_run("r").status == "continued"


def test_generations_that_a_pass_left_are_archived_before_the_first(system: System) -> None:
    start(system, "r", counts_down, number=3)
    for run_id in ("r", "r~2", "r~3", "r~4"):
        go(system, run_id)
    system.clock.forward(system.clock.now() + timedelta(days=2))
    # The index shows the first only, as it may.
    first = [record for record in system.world.walk_runs("continued") if record.run_id == "r"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system.world, "walk_runs", lambda status, created_before: first if status == "continued" else [])
        assert archive_old_runs(system.world, older_than=timedelta(days=1)).archived == 4

    assert left(system) == {}


def test_a_run_that_is_retried_stays_with_its_retry(system: System) -> None:
    start(system, "r", fails_late)
    signal(system, "r", "go")
    starting.retry(system.world, "r")
    system.settle()
    start(system, "other", fails_late)
    signal(system, "other", "go")
    starting.start(system.world, "other", fails_late, reuse="allow")
    system.settle()

    assert archive(system).archived == 2
    assert {record.run_id for record in system.world.list_runs().runs} == {"other", "other~2"}
    assert system.world.read_run("r").archived_at
    with pytest.raises(RunArchivedError):
        starting.retry(system.world, "r")


def test_a_redo_of_a_first_generation_begins_none_that_is_archived(system: System) -> None:
    start(system, "r", counts_down, number=2)
    for run_id in ("r", "r~2"):
        go(system, run_id)
    archive(system)
    assert system.world.get_run("r~2") is None
    before = system.world.read_events("r~3")

    system.world.send([Poke(run_id="r")])
    system.settle()

    assert system.world.get_run("r~2") is None
    assert system.world.read_events("r~3") == before


def test_a_damaged_history_is_left_where_it_is(system: System) -> None:
    start(system, "bad", charges, what="bad")
    start(system, "good", charges, what="good")
    record = system.world.get_run("bad")
    assert record
    system.world.update_run(record.model_copy(update={"seq": record.seq + 1}))

    report = archive(system)

    assert (report.archived, report.failed) == (1, 1)
    assert system.world.get_run("bad")
    assert system.world.load_history("bad")
