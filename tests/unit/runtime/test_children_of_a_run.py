"""Parents and children, turn by turn: starts, ends, and what becomes of those whose parent ends first."""

import asyncio
from typing import Any

import pytest

from tests.support.crashes import CrashingWorld, serve
from tests.support.driver import START
from tests.support.office import Office
from tests.support.steps import work
from worldflow import RunCancelledError, continue_as_new, sleep, wait_for_signal, workflow, workflow_info
from worldflow.engine.history import (
    ChildCompleted,
    ChildFailed,
    Parent,
    RunStarted,
    SignalReceived,
    StepCompleted,
)
from worldflow.engine.workflow.definitions import Workflow, find_workflow
from worldflow.runtime import sending, starting
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import FactArrived, Poke, Start
from worldflow.worlds.records import RunRecord

pytestmark = pytest.mark.usefixtures("quiet")


class Trouble(Exception):
    def __init__(self, where: str, code: int) -> None:
        super().__init__(f"{where} ({code})")
        self.code = code


@workflow
async def child_job(name: str = "a", how: str = "return") -> list[Any]:
    if how == "raise":
        raise Trouble(name, 7)
    if how == "wait":
        return [await wait_for_signal("go")]
    if how == "continue":
        await wait_for_signal("go")
        continue_as_new(name, "return")
    return [name, workflow_info().parent_run_id]


@workflow
async def parent_job(how: str = "return", policy: str = "cancel", named: str | None = None) -> list[Any]:
    job = child_job.options(parent_close=policy, run_id=named)  # type: ignore[arg-type]
    try:
        return await job("kid", how)
    except Trouble as error:
        return [error.code]
    except RunCancelledError as error:
        return ["cancelled", error.run_id]


def result(world: CrashingWorld, run_id: str = "run-1") -> Any:
    record = world.read_run(run_id)
    assert record.status == "completed", record
    return record.result


def status(world: CrashingWorld, run_id: str) -> str:
    return world.read_run(run_id).status


def begun(world: CrashingWorld, turns: Turns, flow: Workflow[..., Any] = parent_job, **arguments: Any) -> Office:
    """A run whose child is waiting."""
    office = Office(world, flow, **arguments)
    world.acknowledge(world.receive("runs"))
    turns.take("run-1", [office.start()])
    return office


# --- the start ---


def test_a_child_is_a_record_and_a_start(world: CrashingWorld, turns: Turns):
    office = begun(world, turns)
    assert world.calls[-3:] == ["append", "create_run", "send"]
    assert office.kinds() == ["start @run-1~c1"]
    record = world.get_run("run-1~c1")
    assert record
    assert record.parent == Parent(run_id="run-1", child_id="c1")
    assert (record.workflow_name, record.version) == ("child_job", 1)
    serve(world)
    assert result(world) == ["kid", "run-1"]


@pytest.mark.parametrize("end", [sending.cancel, sending.terminate])
def test_a_child_that_others_end_is_told_as_cancelled(world: CrashingWorld, end: Any):
    starting.start(world, "run-1", parent_job, {"how": "wait"})
    serve(world)
    end(world, "run-1~c1")
    serve(world)
    assert result(world) == ["cancelled", "run-1~c1"]


def test_a_redo_starts_it_again_and_creates_nothing(world: CrashingWorld, turns: Turns):
    office = begun(world, turns, how="wait")
    office.taken()
    turns.take("run-1", [Poke(run_id="run-1")])
    assert office.kinds() == ["start @run-1~c1"]
    serve(world)
    assert sum(isinstance(event, RunStarted) for event in world.load_history("run-1~c1")) == 1


def test_a_child_of_its_own_version(world: CrashingWorld, turns: Turns):
    @workflow(name="aging", version=1)
    async def first() -> int:
        return workflow_info().version

    @workflow
    async def calling() -> int:
        return await first()

    begun(world, turns, calling)

    @workflow(name="aging", version=2)
    async def second() -> int:
        return workflow_info().version

    serve(world)
    assert result(world) == 1
    assert find_workflow("aging").version == 2


def test_a_child_whose_code_is_not_here_blocks_the_child_and_not_the_parent(world: CrashingWorld, turns: Turns):
    @workflow
    async def gone() -> None: ...

    @workflow
    async def calling() -> None:
        await gone()

    gone.name = "moved away"
    begun(world, turns, calling)
    serve(world)
    assert status(world, "run-1~c1") == "blocked"
    assert status(world, "run-1") == "running"


# --- the end ---


def test_an_ended_child_that_is_started_again_tells_its_parent_again(world: CrashingWorld, turns: Turns):
    office = begun(world, turns)
    turns.take("run-1~c1", [Start(run_id="run-1~c1")])
    first = office.taken()[-1]
    turns.take("run-1~c1", [Start(run_id="run-1~c1")])
    assert first in office.taken()
    turns.take("run-1", [first, first])  # type: ignore[list-item]
    assert office.history().count("ChildCompleted") == 1


def test_a_child_that_continued_leads_to_its_newest_generation(world: CrashingWorld, turns: Turns):
    begun(world, turns, how="continue")
    serve(world)
    sending.signal(world, "run-1~c1", "go")
    serve(world)
    assert result(world) == ["kid", "run-1"]
    assert (status(world, "run-1~c1"), status(world, "run-1~c1~2")) == ("continued", "completed")


def test_its_newest_generation_tells_again_when_the_first_is_started_again(world: CrashingWorld, turns: Turns):
    office = begun(world, turns, how="continue")
    turns.take("run-1~c1", [Start(run_id="run-1~c1"), signal("run-1~c1")])
    turns.take("run-1~c1~2", [Start(run_id="run-1~c1~2")])
    lost = [message for message in office.taken() if isinstance(message, FactArrived) and message.run_id == "run-1"]
    assert len(lost) == 1
    turns.take("run-1", [Poke(run_id="run-1")])
    turns.take("run-1~c1", [Start(run_id="run-1~c1")])
    turns.take("run-1~c1~2", [Start(run_id="run-1~c1~2")])
    assert lost[0] in office.taken()


def signal(run_id: str) -> FactArrived:
    return FactArrived(run_id=run_id, fact=SignalReceived(signal_id=run_id, name="go"))


def test_a_cancelled_await_reaches_the_newest_generation(world: CrashingWorld, turns: Turns):
    @workflow
    async def impatient() -> str:
        try:
            async with asyncio.timeout(60):
                await ever_on()
        except TimeoutError:
            return "late"
        return ""

    begun(world, turns, impatient)
    for run_id in ("run-1~c1", "run-1~c1~2"):
        turns.take(run_id, [Start(run_id=run_id), signal(run_id)])
    serve(world)
    assert result(world) == "late"
    assert status(world, "run-1~c1~3") == "cancelled"


@workflow
async def ever_on(n: int = 1) -> None:
    await wait_for_signal("go")
    continue_as_new(n + 1)


def test_ends_that_nobody_waits_for_any_more_are_dropped(world: CrashingWorld, turns: Turns):
    office = begun(world, turns, how="wait")
    sending.terminate(world, "run-1")
    serve(world)
    length = len(office.history())
    for fact in (ChildCompleted(child_id="c1", result=[]), ChildCompleted(child_id="c9", result=[])):
        turns.take("run-1", [office.fact(fact)])
    assert len(office.history()) == length


# --- somebody else's ---


def others(world: CrashingWorld, run_id: str, **fields: Any) -> None:
    world.create_run(RunRecord(run_id=run_id, workflow_name="child_job", created_at=START, updated_at=START, **fields))


@pytest.mark.parametrize("parent", [None, Parent(run_id="run-2", child_id="c1"), Parent(run_id="run-1", child_id="c2")])
def test_a_child_that_belongs_to_somebody_else_fails_the_call(
    world: CrashingWorld, turns: Turns, parent: Parent | None
):
    others(world, "taken", parent=parent)
    office = begun(world, turns, named="taken")
    assert office.kinds() == ["fact c1"]
    serve(world)
    (failed,) = (event for event in world.load_history("run-1") if isinstance(event, ChildFailed))
    assert failed.error.type == "worldflow.engine.errors:RunExistsError"
    assert status(world, "run-1") == "failed"
    assert world.load_history("taken") == []


def test_it_is_not_told_of_the_end_of_one_that_is_not_its_parent(world: CrashingWorld, turns: Turns):
    others(world, "taken", input={"how": "wait"})
    turns.take("taken", [Start(run_id="taken")])
    begun(world, turns, named="taken", policy="terminate")
    serve(world)
    assert status(world, "run-1") == "failed"
    assert status(world, "taken") == "running"


def test_two_children_of_one_id(world: CrashingWorld, turns: Turns):
    @workflow
    async def twins() -> list[str]:
        job = child_job.options(run_id="twin")
        told = await asyncio.gather(job("a"), job("b"), return_exceptions=True)
        return [type(one).__name__ for one in told]

    begun(world, turns, twins)
    serve(world)
    assert sorted(result(world)) == ["RunExistsError", "list"]


# --- a parent that ends first ---


@pytest.mark.parametrize(
    ("policy", "child", "sent"),
    [
        ("cancel", "cancelled", ["fact cancel @run-1~c1"]),
        ("terminate", "cancelled", ["fact terminate @run-1~c1"]),
        ("abandon", "running", []),
    ],
)
@pytest.mark.parametrize("end", [sending.cancel, sending.terminate])
def test_what_becomes_of_a_child_whose_parent_is_ended(
    world: CrashingWorld, turns: Turns, policy: str, child: str, sent: list[str], end: Any
):
    office = begun(world, turns, left_alone, policy=policy)
    serve(world)
    office.taken()
    end(world, "run-1")
    serve(world)
    assert status(world, "run-1") == "cancelled"
    assert status(world, "run-1~c1") == child
    assert [kind for kind in office.kinds() if kind.endswith("@run-1~c1")] == sent


@workflow
async def left_alone(policy: str) -> None:
    task = asyncio.ensure_future(child_job.options(parent_close=policy)("kid", "wait"))  # type: ignore[arg-type]
    await wait_for_signal("never")
    await task


@pytest.mark.parametrize("policy", ["cancel", "terminate", "abandon"])
def test_a_redo_of_the_end_tells_them_again(world: CrashingWorld, turns: Turns, policy: str):
    office = begun(world, turns, left_alone, policy=policy)
    sending.terminate(world, "run-1")
    serve(world)
    office.taken()
    turns.take("run-1", [Poke(run_id="run-1")])
    kinds = {"cancel": "fact cancel", "terminate": "fact terminate", "abandon": "start"}
    assert office.kinds() == [f"{kinds[policy]} @run-1~c1"]


@pytest.mark.parametrize(("policy", "begins"), [("cancel", False), ("terminate", False), ("abandon", True)])
def test_a_child_that_is_decided_with_the_end(world: CrashingWorld, turns: Turns, policy: str, begins: bool):
    @workflow
    async def leaving() -> None:
        task = asyncio.ensure_future(child_job.options(parent_close=policy)("kid"))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert not task.done()

    office = begun(world, turns, leaving)
    assert office.kinds() == (["start @run-1~c1"] if begins else [])
    serve(world)
    assert (world.get_run("run-1~c1") is not None) == begins


def test_a_parent_that_continues_ends_for_its_children(world: CrashingWorld, turns: Turns):
    @workflow
    async def moving_on(n: int = 1) -> int:
        if n == 1:
            task = asyncio.ensure_future(child_job("kid", "wait"))
            await sleep(1)
            continue_as_new(n + len([task]))
        return (await child_job("again", "return")) and n

    begun(world, turns, moving_on)
    serve(world)
    assert status(world, "run-1~c1") == "cancelled"
    assert result(world, "run-1~2") == 2
    assert status(world, "run-1~2~c1") == "completed"


def test_a_family_ends_from_the_top(world: CrashingWorld):
    @workflow
    async def line(depth: int) -> None:
        if depth:
            await line(depth - 1)
        await wait_for_signal("never")

    starting.start(world, "run-1", line, {"depth": 4})
    serve(world)
    sending.cancel(world, "run-1")
    serve(world)
    assert {run.status for run in world.list_runs().runs} == {"cancelled"}
    assert len(world.list_runs().runs) == 5


# --- many ---


@workflow
async def tiny(n: int) -> int:
    return n


@workflow
async def swarm(count: int) -> int:
    return sum(await asyncio.gather(*(tiny(n) for n in range(count))))


def test_a_thousand_children_of_one_run(world: CrashingWorld):
    starting.start(world, "run-1", swarm, {"count": 1_000})
    serve(world, patience=20_000)
    assert result(world) == sum(range(1_000))
    assert len(world.calls) < 1_000 * 8


def test_steps_in_children_go_through_the_queue(world: CrashingWorld, turns: Turns):
    @workflow
    async def working() -> Any:
        return await work("kid")

    @workflow
    async def boss() -> list[Any]:
        return list(await asyncio.gather(working(), working()))

    office = begun(world, turns, boss)
    for run_id in ("run-1~c1", "run-1~c2"):
        turns.take(run_id, [Start(run_id=run_id)])
    assert office.kinds()[-2:] == ["step s1/1 @run-1~c1", "step s1/1 @run-1~c2"]
    for run_id in ("run-1~c2", "run-1~c1"):
        turns.take(run_id, [FactArrived(run_id=run_id, fact=StepCompleted(step_id="s1", result=run_id))])
    world.acknowledge([*world.receive("steps"), *world.receive("steps")])
    serve(world)
    assert result(world) == ["run-1~c1", "run-1~c2"]
