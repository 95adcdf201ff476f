"""Code that cannot run blocks its run: facts are held, and the run goes on when the code is mended."""

import pytest

from tests.support.crashes import CrashingWorld
from tests.support.driver import START
from tests.support.steps import work
from worldflow import RetryPolicy, step, wait_for_signal
from worldflow.engine.history import CancelRequested, SignalReceived, StepCompleted, StepFailed
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.workflow import definitions
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import FactArrived, Poke, Start, StepTask
from worldflow.worlds.records import RunRecord


async def good() -> list[str]:
    return [await work(1), await wait_for_signal("go"), await work(2)]


async def changed() -> list[str]:
    await wait_for_signal("something-else")
    return []


def deploy(function) -> None:
    """New code under the old name."""
    definitions._workflows._versions["shop"] = {1: definitions.Workflow(function, "shop")}


@pytest.fixture
def started(world: CrashingWorld) -> CrashingWorld:
    deploy(good)
    starting.start(world, "run-1", "shop")
    Turns(world).take("run-1", [Start(run_id="run-1")])
    return world


def take(world: CrashingWorld, *facts, **how) -> None:
    Turns(world).take("run-1", [FactArrived(run_id="run-1", fact=fact) for fact in facts], **how)


def record(world: CrashingWorld):
    return world.read_run("run-1")


def kinds(world: CrashingWorld) -> list[str]:
    return [
        event.event_type + (" held" if getattr(event, "held", None) else "") for event in world.load_history("run-1")
    ]


def tasks(world: CrashingWorld) -> list[str]:
    found = []
    while deliveries := world.receive("steps"):
        for delivery in deliveries:
            assert isinstance(delivery.message, StepTask)
            found.append(delivery.message.step_id)
        world.acknowledge(deliveries)
    return found


def test_code_that_is_not_deterministic(started: CrashingWorld):
    deploy(changed)
    take(started, StepCompleted(step_id="s1", result="a"), SignalReceived(signal_id="1", name="go", value="b"))
    assert record(started).status == "blocked"
    assert "NonDeterminismError" in record(started).blocked_reason
    assert "StepScheduled s1 work" in record(started).blocked_reason
    assert kinds(started) == ["RunStarted", "StepScheduled", "StepCompleted held", "SignalReceived held"]


def test_it_goes_on_when_the_code_is_mended(started: CrashingWorld):
    deploy(changed)
    take(started, StepCompleted(step_id="s1", result="a"), SignalReceived(signal_id="1", name="go", value="b"))
    tasks(started)
    deploy(good)
    Turns(started).take("run-1", [Poke(run_id="run-1")])
    assert record(started).status == "running"
    assert record(started).blocked_reason is None
    assert kinds(started)[4:] == ["Applied", "Applied", "StepScheduled"]
    assert tasks(started) == ["s2"]
    take(started, StepCompleted(step_id="s2", result="c"))
    assert record(started).result == ["a", "b", "c"]


def test_any_message_makes_it_go_on(started: CrashingWorld):
    deploy(changed)
    take(started, StepCompleted(step_id="s1", result="a"))
    deploy(good)
    take(started, SignalReceived(signal_id="1", name="go", value="b"))
    assert record(started).status == "running"
    assert kinds(started)[2:] == ["StepCompleted held", "Applied", "SignalReceived", "StepScheduled"]


def test_held_facts_are_held_once(started: CrashingWorld):
    deploy(changed)
    for _ in range(3):
        take(started, StepCompleted(step_id="s1", result="a"), redo=True)
    assert kinds(started) == ["RunStarted", "StepScheduled", "StepCompleted held"]


def test_work_decided_before_is_still_sent_again(started: CrashingWorld):
    tasks(started)
    deploy(changed)
    take(started, SignalReceived(signal_id="1", name="go", value="b"))
    assert record(started).status == "blocked"
    Turns(started).take("run-1", [Poke(run_id="run-1")])
    assert record(started).status == "blocked"
    assert tasks(started) == ["s1"]


def test_a_run_that_was_told_nothing_meanwhile_was_not_blocked(started: CrashingWorld):
    deploy(changed)
    Turns(started).take("run-1", [Poke(run_id="run-1")])
    assert record(started).status == "running"
    deploy(good)
    take(started, StepCompleted(step_id="s1", result="a"))
    assert record(started).status == "running"


def test_a_failure_that_was_held_is_tried_again(started: CrashingWorld):
    original, work.retry = work.retry, RetryPolicy(initial_interval=0, jitter=0)
    try:
        deploy(changed)
        take(started, StepFailed(step_id="s1", error=encode_exception(ValueError())))
        deploy(good)
        Turns(started).take("run-1", [Poke(run_id="run-1")])
        assert kinds(started)[2:] == ["StepFailed held", "Applied", "StepRetryScheduled"]
        take(started, StepCompleted(step_id="s1", attempt=2, result="a"))
        take(started, SignalReceived(signal_id="1", name="go", value="b"))
        take(started, StepCompleted(step_id="s2", result="c"))
        assert record(started).result == ["a", "b", "c"]
    finally:
        work.retry = original


def test_it_can_be_cancelled_without_its_code(started: CrashingWorld):
    deploy(changed)
    take(started, StepCompleted(step_id="s1", result="a"), CancelRequested(reason="never mind"))
    assert record(started).status == "cancelled"
    assert kinds(started)[-2:] == ["CancelRequested held", "RunCancelled"]
    deploy(good)
    Turns(started).take("run-1", [Poke(run_id="run-1")])
    assert record(started).status == "cancelled"


def test_it_can_be_cancelled_when_its_code_breaks_while_it_is_being_cancelled(started: CrashingWorld):
    async def tidy() -> list[str]:
        try:
            return [await work(1)]
        finally:
            await work("clean up")

    deploy(tidy)
    take(started, CancelRequested(reason="first"))
    assert record(started).status == "running"
    deploy(changed)
    take(started, StepCompleted(step_id="s2"))
    assert record(started).status == "blocked"
    take(started, CancelRequested(reason="again"))
    assert record(started).status == "cancelled"


def test_an_unknown_workflow(world: CrashingWorld):
    starting.start(world, "run-1", "shop_of_tomorrow")
    Turns(world).take("run-1", [Start(run_id="run-1")])
    assert record(world).status == "blocked"
    assert "no workflow 'shop_of_tomorrow'" in record(world).blocked_reason
    assert kinds(world) == ["RunStarted held"]
    definitions._workflows._versions["shop_of_tomorrow"] = {1: definitions.Workflow(good, "shop_of_tomorrow")}
    try:
        Turns(world).take("run-1", [Poke(run_id="run-1")])
        assert record(world).status == "running"
        assert kinds(world) == ["RunStarted held", "Applied", "StepScheduled"]
        take(world, StepCompleted(step_id="s1", result="a"))
        take(world, SignalReceived(signal_id="1", name="go", value="b"))
        take(world, StepCompleted(step_id="s2", result="c"))
        assert record(world).result == ["a", "b", "c"]
    finally:
        del definitions._workflows._versions["shop_of_tomorrow"]


def test_a_result_that_the_code_cannot_read(world: CrashingWorld):
    @step
    async def count() -> int: ...

    async def counting() -> int:
        return await count()

    deploy(counting)
    starting.start(world, "run-1", "shop")
    turns = Turns(world)
    turns.take("run-1", [Start(run_id="run-1")])
    turns.take("run-1", [FactArrived(run_id="run-1", fact=StepCompleted(step_id="s1", result="five"))])
    assert record(world).status == "blocked"
    assert "no longer matches the annotation" in record(world).blocked_reason

    @step  # type: ignore[no-redef]
    async def count() -> str: ...  # noqa: F811

    async def counting_words() -> str:
        return await count()

    deploy(counting_words)
    Turns(world).take("run-1", [Poke(run_id="run-1")])
    assert record(world).result == "five"


def test_a_turn_without_code_holds_what_it_gets(started: CrashingWorld):
    take(started, StepCompleted(step_id="s1", result="a"), use_code=False)
    assert record(started).status == "blocked"
    assert kinds(started) == ["RunStarted", "StepScheduled", "StepCompleted held"]
    take(started, SignalReceived(signal_id="1", name="go", value="b"))
    assert record(started).status == "running"


def test_a_live_execution_does_not_outlive_a_turn_without_code(started: CrashingWorld):
    turns = Turns(started)
    turns.take("run-1", [Poke(run_id="run-1")])
    facts = [FactArrived(run_id="run-1", fact=StepCompleted(step_id="s1", result="a"))]
    turns.take("run-1", facts, use_code=False)
    take_signal = FactArrived(run_id="run-1", fact=SignalReceived(signal_id="1", name="go", value="b"))
    turns.take("run-1", [take_signal])
    turns.take("run-1", [FactArrived(run_id="run-1", fact=StepCompleted(step_id="s2", result="c"))])
    assert record(started).result == ["a", "b", "c"]


def test_an_annotation_that_cannot_be_carried_blocks_the_run(world: CrashingWorld):
    async def unfit(thing: object) -> None: ...

    class Plain: ...

    unfit.__annotations__["thing"] = Plain
    deploy(unfit)
    world.create_run(
        RunRecord(run_id="run-1", workflow_name="shop", created_at=START, updated_at=START, input={"thing": 1})
    )
    Turns(world).take("run-1", [Start(run_id="run-1")])
    assert record(world).status == "blocked"
