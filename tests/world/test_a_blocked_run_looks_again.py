"""A run that is blocked by what a deployment can mend pokes itself after 1, 5 and 30 minutes, and never more often."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.crashes import Crash, CrashingWorld, never
from tests.support.systems import System, signal, skip, start
from worldflow import RetryPolicy, sleep, step, wait_for_signal
from worldflow.engine.history import SignalReceived
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import sending, starting
from worldflow.turns.second_looks import next_look
from worldflow.turns.turns import Turns
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, Poke, Start

NAME = "a_workflow_that_is_deployed_late"
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def undeployed() -> Iterator[None]:
    yield
    definitions._workflows._versions.pop(NAME, None)


def deploy(function: Callable[..., Any] | None) -> None:
    """Puts code under the name, or takes it away."""
    definitions._workflows._versions.pop(NAME, None)
    if function:
        definitions._workflows._versions[NAME] = {1: Workflow(function, NAME)}


async def two_signals(n: int = 0) -> list[Any]:
    return [n, await wait_for_signal("one"), await wait_for_signal("two")]


async def sleeps_first(n: int = 0) -> list[Any]:
    await sleep("100d")
    return [n, await wait_for_signal("one"), await wait_for_signal("two")]


async def of_a_text(n: list[str]) -> list[Any]:
    return [n, await wait_for_signal("one"), await wait_for_signal("two")]


async def fails_at_one() -> None:
    await wait_for_signal("one")
    raise ValueError("no")


@step(inline=True, retry=RetryPolicy(max_attempts=3, initial_interval="1m", jitter=False))
def fails_once(log: list[int] = []) -> int:  # noqa: B006
    log.append(1)
    if len(log) == 1:
        raise ValueError("not yet")
    return len(log)


async def an_inline_step() -> int:
    return await fails_once()


class Pokes:
    """When runs took turns that they had asked for themselves, in minutes since some moment."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.since = world.now()
        self.at: list[float] = []

    def note(self, messages: Sequence[Any]) -> None:
        if any(isinstance(message, Poke) and message.nonce.startswith("blocked-") for message in messages):
            self.at.append((self.world.now() - self.since) / MINUTE)

    @property
    def minutes(self) -> list[int]:
        """In whole minutes: a message comes within some seconds of its time."""
        return [int(minutes) for minutes in self.at]


@pytest.fixture
def pokes(system: System, monkeypatch: pytest.MonkeyPatch) -> Pokes:
    pokes, begin = Pokes(system.world), Turns.begin

    def noted(turns: Turns, run_id: str, messages: Sequence[Any], **how: Any) -> Any:
        pokes.note(messages)
        return begin(turns, run_id, messages, **how)

    monkeypatch.setattr(Turns, "begin", noted)
    return pokes


def pass_by(system: System, time: timedelta) -> None:
    """Lets time pass, and whatever is due meanwhile happen."""
    until = system.clock.now() + time
    while (due := system.next_due()) and due <= until:
        skip(system)
    system.clock.forward(until)


def status(system: System) -> str:
    return system.world.read_run("r").status


def block(system: System) -> None:
    """Has a run blocked, from now on."""
    deploy(None)
    starting.start(system.world, "r", NAME, {})
    system.settle()
    assert status(system) == "blocked"


def test_it_does_so_three_times(system: System, pokes: Pokes) -> None:
    block(system)
    pass_by(system, timedelta(days=1))

    assert pokes.minutes == [1, 5, 30]
    assert system.next_due() is None, "nothing is under way any more"
    assert status(system) == "blocked"


@pytest.mark.parametrize("minutes", [0, 3, 20])
def test_it_goes_on_when_the_code_is_there(system: System, pokes: Pokes, minutes: int) -> None:
    block(system)
    pass_by(system, minutes * MINUTE)
    deploy(two_signals)
    while status(system) == "blocked":
        assert skip(system)

    assert status(system) == "running"
    assert pokes.minutes == [one for one in (1, 5, 30) if one <= minutes] + [
        next(one for one in (1, 5, 30) if one > minutes)
    ]
    signal(system, "r", "one", "a")
    signal(system, "r", "two", "b")
    assert system.world.read_run("r").result == [0, "a", "b"]
    assert system.next_due() is None, "one that goes on asks for no more"


@pytest.mark.parametrize("bad", [None, sleeps_first, of_a_text], ids=["gone", "not deterministic", "other input"])
def test_whatever_a_deployment_has_broken(system: System, pokes: Pokes, bad: Any) -> None:
    deploy(two_signals)
    start(system, "r", definitions.find_workflow(NAME, 1), n=1)
    pass_by(system, 40 * MINUTE)
    deploy(bad)
    system.restart()
    pokes.since = system.clock.now()
    signal(system, "r", "one", "a")
    assert status(system) == "blocked"
    deploy(two_signals)
    assert skip(system)

    assert status(system) == "running"
    assert pokes.minutes == [1]


def test_one_that_comes_early_by_this_clock_is_not_asked_for_again() -> None:
    since = NOON
    first = next_look("r", since, since)
    assert first and first.due == since + MINUTE

    early = first.due - timedelta(milliseconds=5)
    following = next_look("r", since, early, [first.message])  # type: ignore[list-item]
    assert following and following.due == since + 5 * MINUTE


def test_what_comes_meanwhile_brings_no_more_of_them_about(system: System, pokes: Pokes) -> None:
    block(system)
    for number in range(20):
        pass_by(system, 2 * MINUTE)
        sending.signal(system.world, "r", "one", number, signal_id=f"s{number}")
        system.settle()
    pass_by(system, timedelta(days=1))

    assert pokes.minutes == [1, 5, 30]


def test_turns_that_others_ask_for_bring_no_more_of_them_about(system: System, pokes: Pokes) -> None:
    block(system)
    for _ in range(20):
        pass_by(system, 2 * MINUTE)
        sending.resume(system.world, "r")
        system.settle()
    pass_by(system, timedelta(days=1))

    assert pokes.minutes == [1, 5, 30]


def test_a_run_that_is_blocked_again_begins_again(system: System, pokes: Pokes) -> None:
    block(system)
    deploy(two_signals)
    assert skip(system)
    pass_by(system, 40 * MINUTE)
    deploy(sleeps_first)
    system.restart()
    pokes.since, pokes.at = system.clock.now(), []
    signal(system, "r", "one", "a")
    assert status(system) == "blocked"
    pass_by(system, timedelta(days=1))

    assert pokes.minutes == [1, 5, 30]


def test_so_does_one_whose_code_goes_away_while_an_inline_step_waits_for_its_retry(
    system: System, pokes: Pokes
) -> None:
    """No fact is held then: what waits for the code is the attempt."""
    fails_once.function.__defaults__[0].clear()  # type: ignore[index]
    deploy(an_inline_step)
    start(system, "r", definitions.find_workflow(NAME, 1))
    deploy(None)
    system.restart()
    assert skip(system)
    assert status(system) == "blocked"
    deploy(an_inline_step)
    while status(system) == "blocked":
        assert skip(system)

    assert pokes.minutes == [2]
    assert system.world.read_run("r").result == 2


def test_a_retry_counts_from_its_own_begin(system: System, pokes: Pokes) -> None:
    """What it holds of the run that failed is as old as that."""
    deploy(fails_at_one)
    start(system, "r", definitions.find_workflow(NAME, 1))
    signal(system, "r", "one")
    assert status(system) == "failed"
    pass_by(system, timedelta(hours=3))
    deploy(None)
    system.restart()
    pokes.since = system.clock.now()
    starting.retry(system.world, "r")
    system.settle()
    assert system.world.read_run("r~2").status == "blocked"
    pass_by(system, timedelta(days=1))

    assert pokes.minutes == [1, 5, 30]


def test_a_run_whose_turns_die_does_not(system: System, pokes: Pokes) -> None:
    """Its code may be what kills them, and others with them."""
    deploy(two_signals)
    start(system, "r", definitions.find_workflow(NAME, 1))
    told = FactArrived(run_id="r", fact=SignalReceived(signal_id="1", name="one"))
    Turns(system.world).take("r", [told], redo=True, use_code=False)
    assert status(system) == "blocked"
    pass_by(system, timedelta(days=1))

    assert pokes.minutes == []


def test_a_crash_loses_none_of_them() -> None:
    made = 0
    for call in range(20):
        for when in ("before", "after"):
            deploy(None)
            world = CrashingWorld()
            starting.start(world, "r", NAME, {})
            base = len(world.calls)
            world.crashes = lambda number, moment, at=(base + call, when): (number, moment) == at  # type: ignore[misc]
            try:
                Turns(world).take("r", [Start(run_id="r")])
            except Crash:
                made += 1
                Turns(world).take("r", [Start(run_id="r")], redo=True)
            world.crashes = never
            assert world.read_run("r").status == "blocked"
            assert waiting(world) == {world.load_history("r")[0].at + MINUTE}
            world.close()
    assert made >= 6, "a commit, a send and a record, before and after"


def waiting(world: CrashingWorld) -> set[datetime]:
    """When pokes come that wait."""
    found = set()
    while due := world.next_due():
        world.time = max(world.time, due)
        deliveries = world.receive("runs")
        if any(isinstance(delivery.message, Poke) for delivery in deliveries):
            found.add(due)
        world.acknowledge(deliveries)
    return found
