"""A run that goes on from another's history, from any event of it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.driver import Drive, Driver
from tests.support.steps import work
from worldflow import (
    InvalidInputError,
    RetryPolicy,
    continue_as_new,
    create_hook,
    on_update,
    patched,
    random,
    set_attributes,
    sleep,
    step,
    uuid4,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import (
    ChildStarted,
    Event,
    Fact,
    RunCompleted,
    RunEnded,
    RunStarted,
    StepCompleted,
    StepScheduled,
    TimerFired,
)
from worldflow.engine.history.forking import forked


@step(retry=RetryPolicy(max_attempts=3, initial_interval="1m", jitter=0))
async def fork_unsteady() -> str: ...


@workflow
async def fork_kid(n: int) -> int: ...


@workflow
async def fork_everything() -> list[object]:
    seen: list[object] = [str(uuid4()), random().random()]
    set_attributes(stage="begun")
    on_update("note")(seen.append)
    seen += await asyncio.gather(work(1), fork_kid(2), fork_kid.options(run_id="named")(3))
    with create_hook(token="token") as hook:
        seen.append(await hook)
    seen.append(await fork_unsteady())
    if patched("new"):
        await sleep("1d")
    try:
        async with asyncio.timeout(3600):
            seen.append(await wait_for_signal("go"))
    except TimeoutError:
        seen.append("too late")
    seen.append(str(uuid4()))
    return seen


@workflow
async def fork_in_short(n: int = 1) -> None:
    await work()
    if n == 1:
        continue_as_new(2)


def a_long_life(run: Driver) -> Driver:
    run.complete(work, "worked")
    run.update("note", "noted")
    run.child_completes("c2", 3)
    run.child_completes("c1", 2)
    run.resume_hook("h1", {"by": "me"})
    run.fail(fork_unsteady, OSError("1"), retryable=True)
    run.clock += timedelta(minutes=1)
    run.fail(fork_unsteady, OSError("2"), retryable=True)
    run.clock += timedelta(minutes=2)
    run.complete(fork_unsteady, "at last")
    run.fire()
    return run


@pytest.fixture
def finished(drive: Drive) -> Driver:
    run = a_long_life(drive(fork_everything))
    run.signal("go", "went")
    assert run.ended
    return run


def test_at_every_event_before_the_end(finished: Driver):
    history = finished.history
    last_turn = max(event.seq for event in history if isinstance(event, Fact))
    for after in range(1, last_turn):
        fork = forked(history, "fork-1", after)
        assert [event.seq for event in fork] == list(range(1, len(fork) + 1))
        assert len(fork) >= after
        run = finished.going_on(fork, "fork-1")
        for fact in history[len(fork) :]:
            if isinstance(fact, Fact):
                run.clock = fact.at
                run.feed(fact.recorded(0, fact.at))  # type: ignore[arg-type]
        assert run.all_decided == finished.all_decided
        assert run.result() == finished.result()


def test_it_ends_with_what_was_decided_on_its_last_fact(finished: Driver):
    ends = {len(forked(finished.history, "fork-1", after)) for after in range(1, len(finished.history) - 2)}
    for end in ends:
        following = finished.history[end]
        assert isinstance(following, Fact), following


def test_it_may_go_another_way(finished: Driver):
    signalled = next(event.seq for event in finished.history if event.event_type == "SignalReceived")
    run = finished.going_on(forked(finished.history, "fork-1", signalled - 1), "fork-1")
    run.fire()
    assert run.result()[-2] == "too late"
    assert run.result()[:2] == finished.result()[:2]  # what came by chance before the fork is the same


def test_of_a_run_that_goes_on(drive: Drive):
    run = a_long_life(drive(fork_everything))
    fork = run.going_on(forked(run.history, "fork-1", len(run.history)), "fork-1")
    fork.signal("go", "fork")
    run.signal("go", "original")
    assert (run.result()[-2], fork.result()[-2]) == ("original", "fork")


def test_of_a_fork(finished: Driver):
    first = forked(finished.history, "fork-1", 5)
    second = forked(first, "fork-2", 2)
    assert second == forked(finished.history, "fork-2", 2)


@pytest.mark.parametrize("after", [0, -1, -100])
def test_before_the_beginning_there_is_nothing(finished: Driver, after: int):
    with pytest.raises(InvalidInputError, match="cannot be forked at event"):
        forked(finished.history, "fork-1", after)


@pytest.mark.parametrize("beyond", [0, 1, 100])
def test_nothing_goes_on_from_the_end(finished: Driver, beyond: int):
    with pytest.raises(InvalidInputError, match=r"1 to \d+"):
        forked(finished.history, "fork-1", len(finished.history) + beyond)


def test_the_last_event_that_the_refusal_names_is_one_that_works(finished: Driver):
    with pytest.raises(InvalidInputError) as refused:
        forked(finished.history, "fork-1", len(finished.history))
    last = int(str(refused.value).rpartition(" to ")[2])
    forked(finished.history, "fork-1", last)
    with pytest.raises(InvalidInputError):
        forked(finished.history, "fork-1", last + 1)


def test_of_nothing():
    with pytest.raises(InvalidInputError):
        forked([], "fork-1", 1)


def test_a_run_that_continued_can_be_forked_before_that(drive: Drive):
    run = drive(fork_in_short)
    run.complete(work)
    fork = run.going_on(forked(run.history, "fork-1", 1), "fork-1")
    fork.complete(work)
    assert fork.state.ended
    assert fork.state.ended.next_run_id == "fork-1~2"  # type: ignore[union-attr]


# --- whose it is ---


def events_of(kind: type[Event], history: list[Event]) -> list[Event]:  # type: ignore[valid-type]
    return [event for event in history if isinstance(event, kind)]


def test_it_is_a_run_of_its_own_with_the_chance_of_the_other(finished: Driver):
    (started,) = events_of(RunStarted, forked(finished.history, "fork-1", 1))
    assert (started.run_id, started.seed, started.parent) == ("fork-1", "run-1", None)
    again = events_of(RunStarted, forked(forked(finished.history, "fork-1", 1), "fork-2", 1))
    assert again[0].seed == "run-1"


def test_its_open_children_are_its_own(finished: Driver):
    children = events_of(ChildStarted, forked(finished.history, "fork-1", 6))
    assert [child.child_run_id for child in children] == ["fork-1~c1", "fork-1~c2"]


def test_the_original_is_left_alone(finished: Driver):
    before = list(finished.history)
    forked(finished.history, "fork-1", 6)
    assert finished.history == before
    assert isinstance(finished.history[-1], RunEnded)


def test_facts_that_were_held_there_are_held_here(drive: Drive):
    @workflow
    async def napping() -> str:
        await sleep(10)
        return "awake"

    run = drive(napping)
    run.clock += timedelta(seconds=10)
    run.hold(TimerFired(timer_id="t1"))
    fork = run.going_on(forked(run.history, "fork-1", 3), "fork-1")
    fork.learn("t1")
    assert fork.result() == "awake"


AT = datetime(2026, 1, 15, tzinfo=UTC)
STARTED = RunStarted(seq=1, at=AT, run_id="r", workflow_name="w", created_at=AT)
SCHEDULED = StepScheduled(seq=2, at=AT, step_id="s1", name="work")


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ([], "the run has not started: there is no event to fork at"),
        ([STARTED, SCHEDULED], "must be an event before the end of the run: 1 to 2"),
        (
            [STARTED, SCHEDULED, StepCompleted(seq=3, at=AT, step_id="s1"), RunCompleted(seq=4, at=AT)],
            "must be an event before the end of the run: 1 to 2",
        ),
        (
            [STARTED, RunCompleted(seq=2, at=AT)],
            "the run ended in its first turn: there is no earlier event to fork at",
        ),
    ],
)
def test_what_it_cannot_go_on_from_is_refused_with_what_it_can(history: list[Event], said: str):
    with pytest.raises(InvalidInputError) as caught:
        forked(history, "f", 9)
    assert [field.message for field in caught.value.fields] == [said]
