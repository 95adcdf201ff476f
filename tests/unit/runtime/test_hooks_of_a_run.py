"""Tokens of hooks: one live run holds each, and lets go of it in time."""

import asyncio
from typing import Any

import pytest

from tests.support.crashes import CrashingWorld, serve
from tests.support.office import Office
from worldflow import HookConflictError, HookNotFoundError, InvalidInputError, create_hook, wait_for_signal, workflow
from worldflow.engine.errors import ConflictError
from worldflow.engine.history import HookConflicted, HookResumed, SignalReceived
from worldflow.runtime import sending, starting, webhooks
from worldflow.turns.turns import Turns
from worldflow.worlds import World, items
from worldflow.worlds.messages import Poke
from worldflow.worlds.records import HookRecord

pytestmark = pytest.mark.usefixtures("quiet")


@workflow
async def holding(token: str = "door", times: int = 1) -> list[Any]:
    got = []
    with create_hook(token=token, metadata={"for": "you"}) as hook:
        try:
            for _ in range(times):
                got.append(await hook)
        except HookConflictError as error:
            return [f"{error.token} is taken"]
    await wait_for_signal("end")
    return got


@workflow
async def never_disposing() -> str:
    hook = create_hook(token="door")
    await wait_for_signal("end")
    return hook.token


@workflow
async def failing_holder() -> None:
    create_hook(token="door")
    await wait_for_signal("end")
    raise ValueError


@workflow
async def changing(n: int = 3) -> list[Any]:
    """Gives its token up, and asks for it again in the same breath."""
    got = []
    for _ in range(n):
        with create_hook(token="door") as hook:
            got.append(await hook)
    return got


def holder(world: CrashingWorld) -> str | None:
    hook = items.get_hook(world, "door")
    return hook.run_id if hook else None


def begun(world: CrashingWorld, run_id: str, flow: Any = holding, **arguments: Any) -> None:
    starting.start(world, run_id, flow, arguments)
    serve(world)


def end(world: CrashingWorld, run_id: str) -> None:
    sending.signal(world, run_id, "end")
    serve(world)


def test_a_hook_is_one_write_more(world: CrashingWorld, turns: Turns):
    office = Office(world, holding)
    world.calls.clear()
    turns.take("run-1", [office.start()])
    assert world.calls == ["append", "put_hook"]


def test_who_holds_it_can_be_looked_up(world: CrashingWorld):
    begun(world, "run-1")
    assert webhooks.get_hook(world, "door") == HookRecord(
        token="door", run_id="run-1", hook_id="h1", metadata={"for": "you"}
    )


def test_a_value_comes_once_however_often_it_is_sent(world: CrashingWorld):
    begun(world, "run-1", times=2)
    for _ in range(3):
        webhooks.resume_hook(world, "door", "a", resume_id="1")
    webhooks.resume_hook(world, "door", "b", resume_id="2")
    serve(world)
    end(world, "run-1")
    assert world.read_run("run-1").result == ["a", "b"]


def test_the_second_who_asks_is_told(world: CrashingWorld):
    begun(world, "run-1")
    begun(world, "run-2")
    assert world.read_run("run-2").result == ["door is taken"]
    assert holder(world) == "run-1"


@pytest.mark.parametrize("flow", [never_disposing, failing_holder])
def test_the_end_lets_go(world: CrashingWorld, flow: Any):
    begun(world, "run-1", flow)
    assert holder(world) == "run-1"
    end(world, "run-1")
    assert holder(world) is None
    with pytest.raises(HookNotFoundError):
        webhooks.resume_hook(world, "door")


@pytest.mark.parametrize("ends", [sending.cancel, sending.terminate])
def test_so_does_an_end_by_others(world: CrashingWorld, ends: Any):
    begun(world, "run-1")
    ends(world, "run-1")
    serve(world)
    assert holder(world) is None


def test_disposing_lets_go_while_the_run_goes_on(world: CrashingWorld):
    begun(world, "run-1")
    webhooks.resume_hook(world, "door", 1)
    serve(world)
    assert world.read_run("run-1").status == "running"
    assert holder(world) is None
    begun(world, "run-2")
    assert holder(world) == "run-2"
    end(world, "run-1")
    assert holder(world) == "run-2"  # the end of the one before takes nothing away


def test_what_an_ended_run_could_not_give_back_is_taken_over(world: CrashingWorld):
    begun(world, "run-1", never_disposing)
    lost = items.get_hook(world, "door")
    assert lost
    end(world, "run-1")
    items.put_hook(world, lost)  # as if its function had died before it let go
    with pytest.raises(HookNotFoundError):
        webhooks.get_hook(world, "door")
    begun(world, "run-2")
    assert holder(world) == "run-2"


def test_of_two_who_take_over_at_once_one_does(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch):
    begun(world, "run-1", never_disposing)
    lost = items.get_hook(world, "door")
    assert lost
    end(world, "run-1")
    items.put_hook(world, lost)
    put_hook, raced = items.put_hook, []

    def race(_: World, hook: HookRecord, before: str | None = None) -> bool:
        if before and not raced:
            raced.append(hook.run_id)
            starting.start(world, "run-3", holding)
            Turns(world).take("run-3", [Poke(run_id="run-3")])
        return put_hook(world, hook, before)

    monkeypatch.setattr(items, "put_hook", race)
    begun(world, "run-2")
    assert raced == ["run-2"]
    assert holder(world) == "run-3"
    assert world.read_run("run-2").result == ["door is taken"]


def test_a_token_given_up_and_asked_for_again_stays(world: CrashingWorld):
    begun(world, "run-1", changing)
    for n in range(3):
        hook = webhooks.get_hook(world, "door")
        assert hook.hook_id == f"h{n + 1}"
        webhooks.resume_hook(world, "door", n, resume_id=f"{n}")
        serve(world)
    assert world.read_run("run-1").result == [0, 1, 2]
    assert holder(world) is None


@pytest.mark.parametrize("redo", [True, False])
def test_a_redo_holds_what_is_open_and_lets_go_of_what_is_not(world: CrashingWorld, turns: Turns, redo: bool):
    office = Office(world, changing)
    turns.take("run-1", [office.start()])
    turns.take("run-1", [office.fact(HookResumed(hook_id="h1", resume_id="1"))], redo=redo)
    turns.take("run-1", [Poke(run_id="run-1")])
    hook = items.get_hook(world, "door")
    assert hook
    assert hook.hook_id == "h2"


def test_a_value_for_a_hook_that_is_gone_is_dropped(world: CrashingWorld, turns: Turns):
    office = Office(world, changing)
    turns.take("run-1", [office.start()])
    turns.take("run-1", [office.fact(HookResumed(hook_id="h1", resume_id="1"))])
    length = len(office.history())
    for hook_id in ("h1", "h3"):
        turns.take("run-1", [office.fact(HookResumed(hook_id=hook_id, resume_id="2"))])
    assert len(office.history()) == length


def test_a_conflict_that_is_told_twice_is_one(world: CrashingWorld, turns: Turns):
    office = Office(world, changing)
    turns.take("run-1", [office.start()])
    conflict = office.fact(HookConflicted(hook_id="h1"))
    turns.take("run-1", [conflict, conflict])
    turns.take("run-1", [conflict])
    assert office.history().count("HookConflicted") == 1


def test_a_conflict_is_found_again_by_a_redo(world: CrashingWorld, turns: Turns):
    """The function died before it could tell: whoever looks again tells."""
    begun(world, "run-2")
    office = Office(world, holding)
    turns.take("run-1", [office.start()])
    office.taken()
    world.acknowledge(world.receive("runs"))
    turns.take("run-1", [Poke(run_id="run-1")])
    assert office.kinds() == ["fact h1"]


def test_it_is_committed_before_it_is_held(world: CrashingWorld, turns: Turns, monkeypatch: pytest.MonkeyPatch):
    office = Office(world, holding)

    def lose(*_: Any) -> None:
        raise ConflictError

    monkeypatch.setattr(world, "append", lose)
    with pytest.raises(ConflictError):
        turns.take("run-1", [office.start()])
    assert holder(world) is None


@pytest.mark.parametrize("token", ["", "a b", "x" * 201, None])
def test_what_is_no_token_is_refused(world: CrashingWorld, token: Any):
    for ask in (webhooks.get_hook, webhooks.resume_hook):
        with pytest.raises(InvalidInputError):
            ask(world, token)


def test_a_token_that_nobody_holds(world: CrashingWorld):
    with pytest.raises(HookNotFoundError) as told:
        webhooks.resume_hook(world, "nobody")
    assert told.value.token == "nobody"
    assert world.receive("runs") == []


def test_a_task_that_waits_at_a_hook_that_is_disposed_of_does_not_wait_for_ever(world: CrashingWorld):
    @workflow
    async def disposed() -> str:
        hook = create_hook(token="door")

        async def take() -> Any:
            return await hook

        waiting = asyncio.ensure_future(take())
        await wait_for_signal("end")
        hook.dispose()
        try:
            await waiting
        except BaseException as error:
            return type(error).__name__
        return "a value"

    begun(world, "run-1", disposed)
    end(world, "run-1")
    assert world.read_run("run-1").result in ("HookError", "HookNotFoundError", "CancelledError")


@workflow
async def many_doors(count: int) -> None:
    for number in range(count):
        create_hook(token=f"door-{number}").dispose()
        await wait_for_signal("next")


def test_a_redo_costs_no_more_for_the_hooks_of_long_ago(world: CrashingWorld, turns: Turns):
    office = Office(world, many_doors, count=100)
    turns.take("run-1", [office.start()])
    for number in range(60):
        turns.take("run-1", [office.fact(SignalReceived(signal_id=f"{number}", name="next"))])
    world.calls.clear()
    turns.take("run-1", [Poke(run_id="run-1")])
    assert world.calls.count("delete_hook") < 30
