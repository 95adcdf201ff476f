"""Who updates or queries a run that is blocked is told so, and why."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.crashes import CrashingWorld, settle
from worldflow import QueryNotFoundError, RunBlockedError, on_update, publish, wait_for_signal, workflow
from worldflow.engine.workflow import definitions
from worldflow.runtime import queries, sending, starting, updates
from worldflow.runtime.run_handle import RunHandle


@workflow
async def is_asked_things() -> None:
    publish("before", lambda: "seen")
    on_update("add")(lambda: "added")
    await wait_for_signal("go")


async def waits_for_another() -> None:
    await wait_for_signal("something_else")
    await wait_for_signal("go")


@pytest.fixture
def blocked(world: CrashingWorld, trouble: list[str]) -> Iterator[CrashingWorld]:
    """A world with a run that is blocked, since its workflow is gone."""
    starting.start(world, "r", is_asked_things)
    settle(world)
    versions = definitions._workflows._versions.pop("is_asked_things")
    sending.resume(world, "r")
    sending.signal(world, "r", "unread")
    settle(world)
    assert world.read_run("r").status == "blocked"
    yield world
    definitions._workflows._versions["is_asked_things"] = versions


def test_an_update_says_so(blocked: CrashingWorld):
    with pytest.raises(RunBlockedError, match="is_asked_things"):
        asyncio.run(RunHandle(blocked, "r").update("add", timeout="5s"))


def test_a_query_says_so(blocked: CrashingWorld):
    versions = {1: definitions.Workflow(waits_for_another, "is_asked_things")}
    definitions._workflows._versions["is_asked_things"] = versions
    with pytest.raises(RunBlockedError, match="is_asked_things"):
        queries.query(blocked, "r", "before")


def test_one_that_goes_on_again_answers(blocked: CrashingWorld):
    update = updates.send_update(blocked, "r", "add", ())
    with pytest.raises(RunBlockedError, match="the update waits"):
        updates.look_for_answer(blocked, update)
    definitions._workflows._versions["is_asked_things"] = {1: is_asked_things}
    sending.resume(blocked, "r")
    settle(blocked)
    assert queries.query(blocked, "r", "before") == "seen"
    reply = updates.look_for_answer(blocked, update)
    assert reply
    assert updates.answer(reply) == "added"
    with pytest.raises(QueryNotFoundError, match="published: before"):
        queries.query(blocked, "r", "after")
