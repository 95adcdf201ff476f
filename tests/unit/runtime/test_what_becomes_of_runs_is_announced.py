"""Status events: each is announced at least once, and a copy has the id of the first."""

from collections.abc import Sequence

import pytest

from tests.support.crashes import CrashingWorld, settle
from tests.support.driver import START
from worldflow import FatalError, RetryPolicy, continue_as_new, set_attributes, step, wait_for_signal, workflow
from worldflow.engine.history import CancelRequested, SignalReceived
from worldflow.engine.workflow import definitions
from worldflow.runtime import sending, starting
from worldflow.runtime.sweep import sweep
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import FactArrived, Poke, RunMessage, Start, StepDue
from worldflow.worlds.status_events import StatusEvent


@step
async def announced_step() -> str:
    return "secret"


@workflow
async def announced(customer: str, fails: bool = False) -> str:
    set_attributes(tier="gold")
    if fails:
        raise FatalError(f"no {customer}")
    await announced_step()
    return await wait_for_signal("go", str)


@workflow
async def announced_generation(number: int = 1) -> None:
    if number == 1:
        continue_as_new(2)


@step(inline=True, retry=RetryPolicy(initial_interval="1m", jitter=False))
def announced_again() -> None:
    raise ValueError("not yet")


@workflow
async def announced_late() -> None:
    await announced_again()


@workflow
async def announced_parent() -> None:
    await announced("c2", fails=True)


def take(world: CrashingWorld, *messages: RunMessage, redo: bool = False, run_id: str = "run-1") -> list[StatusEvent]:
    """What a turn announces, in a process of its own."""
    before = len(world.announced)
    turns = Turns(world)
    turns.take(run_id, messages, redo=redo)
    turns.close()
    return world.announced[before:]


def kinds(events: Sequence[StatusEvent]) -> list[str]:
    return [event.kind for event in events]


def signal(number: int = 1) -> FactArrived:
    return FactArrived(run_id="run-1", fact=SignalReceived(name="go", value="now", signal_id=f"s{number}"))


def test_a_run_that_starts_and_completes(world: CrashingWorld) -> None:
    starting.start(world, "run-1", announced, {"customer": "c1"})
    settle(world)
    sending.signal(world, "run-1", "go", "done")
    settle(world)

    started, completed = world.announced
    assert (started.kind, started.run_id, started.workflow_name) == ("started", "run-1", "announced")
    assert started.attributes == {"tier": "gold"}
    assert (completed.kind, completed.seq) == ("completed", world.load_history("run-1")[-1].seq)
    assert completed.at == world.read_run("run-1").ended_at
    assert completed.created_at == started.created_at >= START
    assert started.id != completed.id
    assert "secret" not in str(world.announced)
    assert "done" not in str(world.announced)


def test_a_run_that_starts_and_fails_in_one_turn(world: CrashingWorld) -> None:
    starting.start(world, "run-1", announced, {"customer": "c1", "fails": True})
    settle(world)

    assert kinds(world.announced) == ["started", "failed"]
    assert world.announced[1].error_type == "worldflow.engine.errors:FatalError"
    assert "no c1" not in str(world.announced)


def test_a_run_that_is_cancelled(world: CrashingWorld) -> None:
    starting.start(world, "run-1", announced, {"customer": "c1"})
    settle(world)
    sending.cancel(world, "run-1", "because of c1")
    settle(world)

    assert kinds(world.announced) == ["started", "cancelled"]
    assert "because" not in str(world.announced)


def test_a_run_that_continues_names_the_next(world: CrashingWorld) -> None:
    starting.start(world, "run-1", announced_generation, {})
    settle(world)

    told = [(event.run_id, event.kind, event.next_run_id) for event in world.announced]
    assert told == [
        ("run-1", "started", None),
        ("run-1", "continued", "run-1~2"),
        ("run-1~2", "started", None),
        ("run-1~2", "completed", None),
    ]


def test_a_child_names_its_parent(world: CrashingWorld) -> None:
    starting.start(world, "run-1", announced_parent, {})
    settle(world)

    children = {event.parent_run_id for event in world.announced if event.run_id != "run-1"}
    assert children == {"run-1"}


def test_a_retry_starts_and_ends_with_ids_of_its_own(world: CrashingWorld) -> None:
    starting.start(world, "run-1", announced, {"customer": "c1", "fails": True})
    settle(world)
    starting.retry(world, "run-1")
    settle(world)

    assert [(event.run_id, event.kind) for event in world.announced] == [
        ("run-1", "started"),
        ("run-1", "failed"),
        ("run-1~2", "started"),
        ("run-1~2", "failed"),
    ]
    assert len({event.id for event in world.announced}) == 4


def test_an_id_that_is_used_again_has_other_events(world: CrashingWorld) -> None:
    told = [
        StatusEvent(
            kind="started", run_id="r", workflow_name="w", at=START, created_at=created_at, seq=1, attributes={}
        ).id
        for created_at in (START, START.replace(microsecond=1))
    ]
    assert len(set(told)) == 2


def test_a_message_that_comes_again_announces_again_with_the_same_ids(world: CrashingWorld) -> None:
    starting.start(world, "run-1", announced, {"customer": "c1"})
    first = take(world, Start(run_id="run-1"))
    again = take(world, Start(run_id="run-1"), redo=True)
    assert kinds(first) == ["started"]
    assert [event.id for event in again] == [event.id for event in first]

    settle(world)
    ended = take(world, signal())
    assert kinds(ended) == ["completed"]
    ended_again = take(world, signal(), redo=True)
    assert [event.id for event in ended_again] == [event.id for event in ended]


def test_the_message_of_a_later_turn_that_comes_again_does_not_announce_the_start(world: CrashingWorld) -> None:
    starting.start(world, "run-1", announced, {"customer": "c1"})
    settle(world)  # the step's result, too
    stray = FactArrived(run_id="run-1", fact=SignalReceived(name="other", value=1, signal_id="x"))

    assert take(world, stray) == []
    assert take(world, stray, redo=True) == []


def test_the_daily_poke_announces_nothing(world: CrashingWorld) -> None:
    starting.start(world, "run-1", announced, {"customer": "c1"})
    take(world, Start(run_id="run-1"))

    assert take(world, Poke(run_id="run-1")) == []


def test_a_poke_finds_an_end_that_was_not_announced(world: CrashingWorld) -> None:
    starting.start(world, "run-1", announced, {"customer": "c1"})
    settle(world)
    sending.signal(world, "run-1", "go", "x")
    settle(world)

    assert kinds(take(world, Poke(run_id="run-1"))) == ["completed"]


# --- blocked ---


async def changed(customer: str, fails: bool = False) -> str:
    await wait_for_signal("another", str)
    return ""


@pytest.fixture
def blocked(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch) -> CrashingWorld:
    """A run whose code has changed under it."""
    starting.start(world, "run-1", announced, {"customer": "c1"})
    settle(world)
    world.announced.clear()
    versions = {1: definitions.Workflow(changed, "announced")}
    monkeypatch.setattr(
        definitions._workflows, "_versions", {**definitions._workflows._versions, "announced": versions}
    )
    return world


def test_a_run_that_is_blocked(blocked: CrashingWorld) -> None:
    (event,) = take(blocked, signal())

    assert (event.kind, event.error_type) == ("blocked", "NonDeterminismError")
    assert blocked.read_run("run-1").status == "blocked"
    assert event.seq == blocked.load_history("run-1")[-1].seq


def test_it_is_announced_once_for_as_long_as_it_is_blocked(blocked: CrashingWorld) -> None:
    (event,) = take(blocked, signal())

    assert take(blocked, signal(2)) == []
    assert take(blocked, Poke(run_id="run-1")) == []
    sweep(blocked)
    (copy,) = take(blocked, signal(2), redo=True)
    assert copy.id == event.id


def test_so_is_one_whose_inline_step_waits_for_code(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """No fact is held then, and each poke finds that the step is still due."""
    starting.start(world, "run-1", announced_late, {})
    settle(world)
    world.announced.clear()
    without = {
        name: versions for name, versions in definitions._workflows._versions.items() if name != "announced_late"
    }
    monkeypatch.setattr(definitions._workflows, "_versions", without)
    due = world.next_due()
    assert due is not None
    world.time = due
    (woken,) = world.receive("runs")
    assert isinstance(woken.message, StepDue)
    (event,) = take(world, woken.message)
    world.acknowledge([woken])

    assert event.kind == "blocked"
    assert take(world, Poke(run_id="run-1")) == []
    assert world.read_run("run-1").status == "blocked"


def test_one_that_is_blocked_anew_is_another_event(blocked: CrashingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = take(blocked, signal())
    with monkeypatch.context() as mended:
        versions = {1: definitions.Workflow(waits_twice, "announced")}
        mended.setattr(definitions._workflows, "_versions", {**definitions._workflows._versions, "announced": versions})
        assert take(blocked, Poke(run_id="run-1")) == []
        assert blocked.read_run("run-1").status == "running"
    (second,) = take(blocked, signal(2))
    assert second.kind == "blocked"
    assert second.id != first.id


async def waits_twice(customer: str, fails: bool = False) -> str:
    set_attributes(tier="gold")
    await announced_step()
    await wait_for_signal("go", str)
    return await wait_for_signal("go", str)


def test_a_run_that_never_had_code_is_started_and_blocked(world: CrashingWorld) -> None:
    starting.start(world, "run-1", "no_such_announced", {})
    told = take(world, Start(run_id="run-1"))

    assert kinds(told) == ["started", "blocked"]
    assert told[1].error_type == "WorkflowNotFoundError"


def test_a_blocked_run_that_is_cancelled(blocked: CrashingWorld) -> None:
    take(blocked, signal())
    told = take(blocked, FactArrived(run_id="run-1", fact=CancelRequested()))
    assert kinds(told) == ["cancelled"]
