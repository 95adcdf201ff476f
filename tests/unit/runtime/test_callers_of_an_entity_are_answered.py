"""Whatever becomes of an entity, or of the run that called it, a call that a workflow awaits is answered."""

import asyncio
import contextlib
from typing import Any

import pytest

from tests.support.crashes import Crashes, CrashingWorld, When, die_at_each_call, persist, serve, settle, take_turn
from worldflow import (
    Entity,
    InvalidInputError,
    RunEndedError,
    SerializationError,
    WorldflowError,
    continue_as_new,
    entity,
    sleep,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import Replied
from worldflow.engine.values.serialization import Codec
from worldflow.engine.workflow import entity_runs
from worldflow.runtime import Orchestrator, sending, starting, updates
from worldflow.turns.other_runs import OtherRuns
from worldflow.turns.turns import Turns

pytestmark = pytest.mark.usefixtures("quiet")


@entity
class AnsweringAccount(Entity):
    balance: int = 0
    notes: list[str] = []  # noqa: RUF012 - of each entity its own

    async def add(self, amount: int) -> int:
        self.balance += amount
        return self.balance

    async def take(self, amount: int) -> int:
        if amount > self.balance:
            raise ValueError(f"only {self.balance}")
        return await self.add(-amount)

    async def add_slowly(self, amount: int) -> int:
        await sleep("1h")
        return await self.add(amount)

    async def keep_going(self, amount: int) -> int:
        with contextlib.suppress(asyncio.CancelledError):
            await sleep("1h")
        return await self.add(amount)

    async def give_up(self) -> None:
        self.balance += 1
        self.notes.append("given up")
        raise asyncio.CancelledError

    async def misspell(self) -> None:
        self.balnce = 1

    async def begin_anew(self) -> None:
        self.balance += 1
        continue_as_new()

    async def ask(self, other: str, *more: str) -> int:
        return await AnsweringAccount(other).ask(*more) if more else await AnsweringAccount(other).add(1)


@workflow
async def calls_and_tells(key: str, operation: str, arguments: list[Any]) -> str:
    try:
        return str(await getattr(AnsweringAccount(key), operation)(*arguments))
    except WorldflowError as error:
        return f"{type(error).__name__}: {error}"


def call(world: CrashingWorld, run_id: str, operation: str, *arguments: Any, key: str = "a") -> None:
    values = {"key": key, "operation": operation, "arguments": list(arguments)}
    persist(lambda: starting.start(world, run_id, calls_and_tells, values))


def answers(world: CrashingWorld, *run_ids: str) -> list[Any]:
    return [world.read_run(run_id).result for run_id in run_ids]


# --- the entity ends ---


def terminated(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    """An entity is terminated that works on one call, and has yet to begin the other."""
    world = CrashingWorld(crashes)
    call(world, "r1", "add_slowly", 1)
    call(world, "r2", "add", 1)
    for _ in range(2):  # also where it dies
        persist(lambda: settle(world))
        world.recover()
    persist(lambda: sending.terminate(world, "AnsweringAccount@a"))
    serve(world, live_limit=live_limit)
    return world


def check_terminated(world: CrashingWorld) -> None:
    ended = "RunEndedError: run 'AnsweringAccount@a' has already ended (cancelled)"
    assert world.read_run("r1").result == ended, world.crashed
    assert world.read_run("r2").result in (ended, "1"), world.crashed  # a death may have put it before the other
    assert world._rows("select body from messages") == [], world.crashed


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_one_that_is_terminated_answers_all_and_the_process_dies(when: When) -> None:
    die_at_each_call(terminated, check_terminated, when)


def test_a_cancellation_with_a_call_in_one_turn_leaves_the_answer(world: CrashingWorld, turns: Turns) -> None:
    call(world, "r0", "add", 1)
    settle(world, turns)
    call(world, "r1", "add", 1)
    take_turn(world, turns)
    sending.cancel(world, "AnsweringAccount@a")
    settle(world, turns)
    assert world.read_run("AnsweringAccount@a").status == "cancelled"
    assert answers(world, "r1") == ["2"]


def test_a_cancellation_that_an_operation_keeps_to_itself_ends_the_entity(world: CrashingWorld, turns: Turns) -> None:
    call(world, "r1", "keep_going", 1)
    call(world, "r2", "add", 1)
    settle(world, turns)
    sending.cancel(world, "AnsweringAccount@a")
    settle(world, turns)
    assert world.read_run("AnsweringAccount@a").status == "cancelled"
    assert answers(world, "r1", "r2") == ["1", "RunEndedError: run 'AnsweringAccount@a' has already ended (cancelled)"]


def test_one_that_cannot_answer_for_hours_does_not_fail(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    call(world, "r", "add", 5)
    answer, tries = OtherRuns.answer_call, iter(range(50))

    def answer_at_last(self: OtherRuns, run_id: str, step_id: str, outcome: dict[str, Any]) -> None:
        if next(tries, None) is not None:
            raise SerializationError("the key is away", "result")
        answer(self, run_id, step_id, outcome)

    monkeypatch.setattr(OtherRuns, "answer_call", answer_at_last)
    serve(world)
    assert answers(world, "r") == ["5"]
    assert world.read_run("AnsweringAccount@a").status == "running"


def test_one_that_has_failed_is_not_begun_anew_by_a_call(world: CrashingWorld) -> None:
    turns = Turns(world, history_limit=4)
    for run_id in ("r1", "r2", "r3"):
        call(world, run_id, "add", 1)
        settle(world, turns)
    ended = "RunEndedError: run 'AnsweringAccount@a' has already ended (failed)"
    assert answers(world, "r1", "r2", "r3") == ["1", ended, ended]

    account = Orchestrator(world).entity(AnsweringAccount, "a")

    async def call_from_outside() -> None:
        asking = asyncio.create_task(account.add(1))
        await asyncio.sleep(0.02)
        await asyncio.to_thread(settle, world, turns)
        await asking

    with pytest.raises(RunEndedError):
        asyncio.run(call_from_outside())
    assert world.get_run("AnsweringAccount@a~2") is None


# --- the caller is retried ---

repaired: list[bool] = []


@workflow
async def calls_beside_a_failure() -> int:
    async def fail() -> None:
        await wait_for_signal("go")
        if not repaired:
            raise ValueError("not repaired yet")

    return (await asyncio.gather(AnsweringAccount("a").add_slowly(5), fail()))[0]


def test_the_retry_of_a_run_gets_the_answer_of_a_call_that_still_runs(world: CrashingWorld) -> None:
    repaired.clear()
    starting.start(world, "r", calls_beside_a_failure)
    settle(world)
    sending.signal(world, "r", "go")
    settle(world)
    assert world.read_run("r").status == "failed"
    repaired.append(True)
    starting.retry(world, "r")
    serve(world)
    assert answers(world, "r~2") == [5]
    assert sum(isinstance(event, Replied) for event in world.load_history("AnsweringAccount@a")) == 1


@workflow
async def needs_what_is_there(amount: int) -> int:
    return await AnsweringAccount("a").take(amount)


def test_the_retry_of_a_run_makes_a_call_again_that_failed(world: CrashingWorld) -> None:
    starting.start(world, "r", needs_what_is_there, {"amount": 5})
    settle(world)
    starting.retry(world, "r")
    settle(world)
    assert world.read_run("r~2").status == "failed"
    call(world, "filling", "add", 8)
    settle(world)
    starting.retry(world, "r")
    settle(world)
    assert (world.read_run("r~3").status, world.read_run("r~3").result) == ("completed", 3)


def test_a_fork_would_answer_the_callers_of_an_entity_and_is_refused(world: CrashingWorld) -> None:
    call(world, "r", "add", 1)
    settle(world)
    with pytest.raises(InvalidInputError, match="is an entity, whose fork would answer its callers"):
        starting.fork(world, "AnsweringAccount@a", "AnsweringAccount@b", after=1)


# --- calls in a circle ---


@pytest.mark.parametrize("path", [["b", "a"], ["b", "c", "b"]])
def test_a_call_of_an_entity_that_waits_for_it_fails(world: CrashingWorld, path: list[str]) -> None:
    call(world, "r", "ask", *path)
    settle(world)
    *_, caller, called = path
    problem = f"AnsweringAccount@{caller} cannot call AnsweringAccount@{called}, whose operation waits for it"
    assert answers(world, "r") == [f"WorldflowError: {problem} to end"]


def test_entities_that_call_each_other_at_the_same_time_do_not_wait_for_ever(world: CrashingWorld) -> None:
    call(world, "r1", "ask", "b")
    call(world, "r2", "ask", "a", key="b")
    settle(world)
    refused = "WorldflowError: AnsweringAccount@{} cannot call AnsweringAccount@{}, whose operation waits for it to end"
    assert answers(world, "r1", "r2") == [refused.format("a", "b"), refused.format("b", "a")]
    call(world, "r3", "add", 1)
    settle(world)
    assert answers(world, "r3") == ["1"]


def test_entities_call_each_other_again_when_nobody_waits(world: CrashingWorld) -> None:
    call(world, "r1", "ask", "b")
    settle(world)
    call(world, "r2", "ask", "a", key="b")
    settle(world)
    assert answers(world, "r1", "r2") == ["1", "1"]


# --- its lock ---


@workflow
async def calls_beside_a_lock() -> list[str]:
    account, got = AnsweringAccount("a"), []

    async def lock() -> None:
        async with account.lock(lease="1h"):
            got.append(f"locked {await account.add(1)}")

    async def call() -> None:
        await sleep("1m")
        got.append(f"called {await account.add(1)}")

    await asyncio.gather(lock(), call())
    return got


@workflow
async def waits_in_a_lock() -> str:
    async with AnsweringAccount("a").lock(lease="1h"):
        await wait_for_signal("go")
        return str(await AnsweringAccount("a").add(1))


def test_a_fork_does_not_act_in_the_lock_of_the_original(world: CrashingWorld) -> None:
    starting.start(world, "r", waits_in_a_lock)
    settle(world)
    starting.fork(world, "r", "fork", after=len(world.load_history("r")))
    settle(world)
    sending.signal(world, "fork", "go")
    call(world, "other", "add", 1)
    settle(world)
    error = world.read_run("fork").error
    assert error and error.type.endswith("EntityLockLostError")
    assert answers(world, "other") == [None], "the fork has ended the lock"
    sending.signal(world, "r", "go")
    settle(world)
    assert answers(world, "r", "other") == ["1", "2"]


def test_a_call_beside_a_wait_for_a_lock_waits_too(world: CrashingWorld) -> None:
    call(world, "r", "add_slowly", 1)
    settle(world)
    starting.start(world, "beside", calls_beside_a_lock)
    serve(world)
    assert answers(world, "beside") == [["locked 2", "called 3"]]


# --- its state ---


def test_what_is_no_state_of_its_class_cannot_be_set(world: CrashingWorld) -> None:
    call(world, "r", "misspell")
    settle(world)
    error = world.read_run("r").error
    assert error and error.message.startswith("AnsweringAccount has no state 'balnce': annotate it in the class")


@pytest.mark.parametrize(
    ("operation", "problem"), [("give_up", "StepError: asyncio"), ("begin_anew", "WorldflowError: an operation cannot")]
)
def test_an_operation_that_gives_itself_up_changes_nothing(world: CrashingWorld, operation: str, problem: str) -> None:
    call(world, "r1", operation)
    settle(world)
    assert world.read_run("r1").result.startswith(problem)
    call(world, "r2", "add", 5)
    settle(world)
    assert answers(world, "r2") == ["5"]


def test_a_state_that_does_not_fit_blocks_and_is_not_lost(
    world: CrashingWorld, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entity_runs, "LONG", 3)
    call(world, "r1", "add", 5)
    while not world.get_run("AnsweringAccount@a~2"):
        take_turn(world, turns)
    with monkeypatch.context() as deployment:
        deployment.setitem(AnsweringAccount._definition._codecs, "balance", Codec(list[int], "balance"))
        settle(world)
        call(world, "r2", "add", 1)
        settle(world)
        blocked = world.read_run("AnsweringAccount@a~2")
        assert (blocked.status, blocked.blocked_reason) == (
            "blocked",
            "SerializationError: AnsweringAccount.balance: the state does not match its annotation: "
            "balance: Input should be a valid array",
        )
    sending.resume(world, "AnsweringAccount@a~2")
    settle(world)
    assert answers(world, "r2") == ["6"]


@pytest.mark.parametrize("run_id", ["answeringaccount@a", "AnsweringAccount@", "a"])
def test_an_update_begins_no_entity_by_another_id_than_its_own(world: CrashingWorld, run_id: str) -> None:
    workflow = "entity:AnsweringAccount"
    with pytest.raises(InvalidInputError, match="must be AnsweringAccount@ and a key"):
        updates.update_with_start(world, run_id, workflow, {}, name="add", args=[1])
    assert world.get_run(run_id) is None
