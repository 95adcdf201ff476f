"""A run whose workflow has a retry policy starts again when it fails, as its next generation, as often as it may. Its
caller and its parent see the last outcome only.
"""

import asyncio
from datetime import timedelta

import pytest

from tests.support.crashes import Crashes, CrashingWorld, When, die_at_each_call, persist, serve, settle, whole_history
from worldflow import (
    ConfigurationError,
    FatalError,
    RetryableError,
    RetryPolicy,
    set_attributes,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import RunContinued, RunStarted
from worldflow.engine.workflow.execution import Execution
from worldflow.presentation import run_details
from worldflow.runtime import Orchestrator, sending, starting

pytestmark = pytest.mark.usefixtures("quiet")

AGAIN = RetryPolicy(max_attempts=3, initial_interval="10s", backoff=2, jitter=0, non_retryable=(KeyError,))
OUTCOMES: dict[str, list[BaseException | str]] = {}


@step(inline=True, retry=RetryPolicy(max_attempts=1))
async def next_outcome(name: str) -> str:
    outcome = OUTCOMES[name].pop(0)
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


@workflow(retry=AGAIN)
async def tried_again(name: str) -> str:
    set_attributes(name=name)
    return await next_outcome(name)


@workflow
async def parent_of_one_tried_again(name: str) -> str:
    return await tried_again(name)


@workflow(retry=AGAIN)
async def fails_until_told() -> str:
    word = await wait_for_signal("word", str)
    if word != "well":
        raise ConnectionError(word)
    return word


@workflow(retry=AGAIN)
async def calls_a_named_child(name: str) -> str:
    await told_once.options(run_id="named")()
    return await next_outcome(name)


@workflow
async def told_once() -> str:
    return "told"


def generations_of(world: CrashingWorld, run_id: str = "r") -> list[str]:
    ids = [run_id, *(f"{run_id}~{n}" for n in range(2, 6))]
    return [world.read_run(one).status for one in ids if world.get_run(one)]


def test_it_fails_twice_and_completes(world: CrashingWorld) -> None:
    OUTCOMES["twice"] = [ConnectionError("one"), ConnectionError("two"), "done"]
    starting.start(world, "r", tried_again, {"name": "twice"})
    serve(world)

    assert generations_of(world) == ["continued", "continued", "completed"]
    assert world.read_run("r~3").result == "done"
    assert [world.read_run(one).attempt for one in ("r", "r~2", "r~3")] == [None, 2, 3]
    assert world.read_run("r").error.message == "one"  # type: ignore[union-attr]
    assert world.read_run("r~3").attributes == {"name": "twice"}
    first, second = world.read_events("r")[-1], world.read_events("r~2")[-1]
    assert isinstance(first, RunContinued) and isinstance(second, RunContinued)
    assert first.start_at and first.start_at - first.at == timedelta(seconds=10)
    assert second.start_at and second.start_at - second.at == timedelta(seconds=20)
    assert world.read_events("r~2")[0].at >= first.start_at
    for run_id in ("r", "r~2", "r~3"):
        whole_history(world, run_id, tried_again)


def test_the_last_attempt_fails_the_run(world: CrashingWorld) -> None:
    OUTCOMES["never"] = [ConnectionError("one"), ConnectionError("two"), ConnectionError("three")]
    starting.start(world, "r", tried_again, {"name": "never"})
    serve(world)
    assert generations_of(world) == ["continued", "continued", "failed"]
    assert world.read_run("r~3").error.message == "three"  # type: ignore[union-attr]


@pytest.mark.parametrize("error", [KeyError("k"), FatalError("fatal")])
def test_what_is_not_retryable_fails_it_at_once(world: CrashingWorld, error: Exception) -> None:
    OUTCOMES["fatal"] = [error]
    starting.start(world, "r", tried_again, {"name": "fatal"})
    serve(world)
    assert generations_of(world) == ["failed"]


def test_the_error_says_when(world: CrashingWorld) -> None:
    OUTCOMES["later"] = [RetryableError("later", retry_after="1h"), "done"]
    starting.start(world, "r", tried_again, {"name": "later"})
    serve(world)
    ended = world.read_events("r")[-1]
    assert isinstance(ended, RunContinued) and ended.start_at and ended.start_at - ended.at == timedelta(hours=1)


def test_a_bad_input_is_not_tried_again(world: CrashingWorld) -> None:
    starting.start(world, "r", "tried_again", {"nome": "typo"})
    serve(world)
    assert generations_of(world) == ["failed"]


def test_a_cancelled_run_is_not_tried_again(world: CrashingWorld) -> None:
    starting.start(world, "r", fails_until_told)
    sending.cancel(world, "r")
    serve(world)
    assert generations_of(world) == ["cancelled"]


def test_it_is_cancelled_between_two_attempts(world: CrashingWorld) -> None:
    OUTCOMES["cancelled"] = [ConnectionError("one"), "done"]
    starting.start(world, "r", tried_again, {"name": "cancelled"})
    settle(world)
    sending.cancel(world, "r", "enough")
    serve(world)
    assert generations_of(world) == ["continued", "cancelled"]
    assert OUTCOMES["cancelled"] == ["done"]


def test_signals_go_to_the_next_attempt(world: CrashingWorld) -> None:
    starting.start(world, "r", fails_until_told)
    for word in ("badly", "well"):
        sending.signal(world, "r", "word", word, signal_id=word)
    serve(world)
    assert world.read_run("r~2").result == "well"


def test_the_parent_learns_of_the_last_outcome_only(world: CrashingWorld) -> None:
    OUTCOMES["child"] = [ConnectionError("one"), "done"]
    starting.start(world, "r", parent_of_one_tried_again, {"name": "child"})
    serve(world)
    assert world.read_run("r").result == "done"
    assert [event.event_type for event in world.read_events("r")].count("ChildCompleted") == 1
    started = world.read_events("r~c1~2")[0]
    assert isinstance(started, RunStarted) and started.parent and started.parent.run_id == "r"


def test_a_child_with_an_id_of_its_own_is_not_started_twice(world: CrashingWorld) -> None:
    OUTCOMES["named"] = [ConnectionError("one"), "done"]
    starting.start(world, "r", calls_a_named_child, {"name": "named"})
    serve(world)
    assert world.read_run("r~2").result == "done"
    assert generations_of(world, "named") == ["completed"]


def test_a_handle_waits_for_the_last_attempt(world: CrashingWorld) -> None:
    OUTCOMES["handle"] = [ConnectionError("one"), "done"]
    starting.start(world, "r", tried_again, {"name": "handle"})
    serve(world)
    assert asyncio.run(Orchestrator(world).run("r").result()) == "done"


def test_a_policy_that_came_later_does_not_change_the_past(world: CrashingWorld) -> None:
    OUTCOMES["past"] = [ConnectionError("one"), ConnectionError("two"), ConnectionError("three")]
    starting.start(world, "r", tried_again, {"name": "past"})
    serve(world)
    history = world.read_events("r~3")
    execution = Execution("r~3", tried_again)
    execution.replay([history[0].model_copy(update={"attempt": None}), *history[1:]])
    execution.dispose()


def test_total_time_ends_the_attempts(world: CrashingWorld) -> None:
    starting.start(world, "r", tried_for_a_while)
    serve(world)
    assert generations_of(world) == ["continued", "continued", "failed"]


@workflow(retry=RetryPolicy(max_attempts=10, initial_interval="10s", backoff=1, jitter=0, total_time="25s"))
async def tried_for_a_while() -> None:
    raise ConnectionError


def test_it_says_which_attempt_it_is(world: CrashingWorld) -> None:
    OUTCOMES["shown"] = [ConnectionError("one"), "done"]
    starting.start(world, "r", tried_again, {"name": "shown"})
    serve(world)
    cells = [list(column.cells) for column in run_details(world.read_run("r~2")).columns]
    assert dict(zip(*cells, strict=True))["attempt"] == "2 of 3"


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"@workflow\(retry=...\) of wrong takes a RetryPolicy"):

        @workflow(name="wrong", retry=3)  # type: ignore[call-overload]
        async def misconfigured() -> None: ...

    with pytest.raises(TypeError, match="unexpected keyword argument 'retries'"):
        workflow(retries=3)(told_once.function)  # type: ignore[call-overload]


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_at_any_call(when: When) -> None:
    def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
        world = CrashingWorld(crashes)
        persist(lambda: starting.start(world, "r", fails_until_told))
        for word in ("badly", "worse", "well"):
            persist(lambda word=word: sending.signal(world, "r", "word", word, signal_id=word))  # type: ignore[misc]
        serve(world, live_limit=live_limit)
        return world

    def check(world: CrashingWorld) -> None:
        assert generations_of(world) == ["continued", "continued", "completed"], world.crashed
        for run_id in ("r", "r~2", "r~3"):
            whole_history(world, run_id, fails_until_told)

    die_at_each_call(lived, check, when)
