"""Messages: sent now or later, to the orchestrator or to the step executor, those of one group in order."""

from datetime import timedelta
from typing import Literal

import pytest

from tests.support.systems import Received, System
from worldflow.engine.history import Parent, SignalReceived, StepCompleted, TimerFired
from worldflow.worlds.messages import Delayed, FactArrived, Message, Poke, Start, StepDue, StepTask


def signal(run_id: str, number: int) -> FactArrived:
    return FactArrived(run_id=run_id, fact=SignalReceived(signal_id=str(number), name="n", value={"n": number}))


def task(run_id: str, number: int) -> StepTask:
    return StepTask(run_id=run_id, step_id=f"s{number}", name="charge", input={"amount": number})


def drain(system: System, queue: Literal["runs", "steps"]) -> list[Message]:
    """All messages, each receipt acknowledged before the next."""
    messages: list[Message] = []
    while received := system.receive(queue):
        messages += [one.message for one in received]
        system.acknowledge(received)
    return messages


@pytest.mark.parametrize(
    "message",
    [
        Start(run_id="r"),
        Poke(run_id="r"),
        StepDue(run_id="r", step_id="s1", attempt=2),
        FactArrived(run_id="r", fact=StepCompleted(step_id="s1", attempt=3, result={"price": 1.5, "at": None})),
        FactArrived(run_id="r", fact=TimerFired(timer_id="t1")),
        signal("r", 1),
    ],
    ids=lambda message: message.kind,
)
def test_what_happens_to_a_run_reaches_the_orchestrator(system: System, message: Message) -> None:
    system.world.send([message])

    (received,) = system.receive("runs")
    assert (received.message, received.receives) == (message, 1)
    assert system.receive("steps") == []


def test_a_task_reaches_the_step_executor(system: System) -> None:
    system.world.send([task("r", 1)])

    (received,) = system.receive("steps")
    assert (received.message, received.receives) == (task("r", 1), 1)
    assert system.receive("runs") == []


def test_sending_nothing_is_fine(system: System) -> None:
    system.world.send([])

    assert system.receive("runs") == []


def test_one_call_sends_to_both(system: System) -> None:
    system.world.send([signal("r", 1), task("r", 1), signal("r", 2)])

    assert drain(system, "runs") == [signal("r", 1), signal("r", 2)]
    assert drain(system, "steps") == [task("r", 1)]


def test_what_was_acknowledged_does_not_come_again(system: System) -> None:
    system.world.send([Start(run_id="r")])
    system.acknowledge(system.receive("runs"))

    assert system.receive("runs") == []


def test_what_was_rejected_comes_again(system: System) -> None:
    system.world.send([Start(run_id="r")])
    system.reject(system.receive("runs"))

    (received,) = system.receive("runs")
    assert (received.message, received.receives) == (Start(run_id="r"), 2)


def test_messages_of_a_run_keep_their_order(system: System) -> None:
    for number in range(25):
        system.world.send([signal("a", number), signal("b", number)])

    received = drain(system, "runs")
    for run_id in ("a", "b"):
        assert [one for one in received if one.run_id == run_id] == [signal(run_id, number) for number in range(25)]


def test_nothing_of_a_run_is_received_while_something_is_in_flight(system: System) -> None:
    system.world.send([signal("a", 1)])
    first = system.receive("runs")
    system.world.send([signal("a", 2), signal("b", 1)])

    others = system.receive("runs")
    assert [one.message for one in others] == [signal("b", 1)]
    assert system.receive("runs") == []

    system.acknowledge(first)
    assert [one.message for one in system.receive("runs")] == [signal("a", 2)]


def test_steps_of_one_run_do_not_wait_for_one_another(system: System) -> None:
    system.world.send([task("r", number) for number in range(30)])

    in_flight: list[Received] = []
    while received := system.receive("steps"):
        in_flight += received
    assert {one.message.dump() for one in in_flight} == {task("r", number).dump() for number in range(30)}
    assert len(in_flight) == 30


def test_many_and_large_messages_are_sent_whole(system: System) -> None:
    tasks = [StepTask(run_id="r", step_id=f"s{number}", name="n", input={"text": "x" * 60_000}) for number in range(23)]
    system.world.send(tasks)

    received = drain(system, "steps")
    assert sorted(received, key=lambda one: one.dump()) == sorted(tasks, key=lambda one: one.dump())


@pytest.mark.parametrize("run_id", ["a b", "é" * 100, "x" * 500, "a/b\\c", "naïve 🙂"])
def test_any_text_may_be_a_run_id(system: System, run_id: str) -> None:
    system.world.send([Start(run_id=run_id), task(run_id, 1)])

    assert drain(system, "runs") == [Start(run_id=run_id)]
    assert drain(system, "steps") == [task(run_id, 1)]


# --- later ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [signal("r", 1), StepDue(run_id="r", step_id="s1", attempt=2)], ids=["fact", "due"])
@pytest.mark.parametrize(
    "delay",
    [
        timedelta(seconds=0.3),
        timedelta(seconds=10),
        timedelta(minutes=15),
        timedelta(minutes=15, seconds=30),
        timedelta(minutes=16),
        timedelta(days=30),
        timedelta(days=400),
    ],
    ids=str,
)
def test_what_is_sent_for_later_comes_then(system: System, delay: timedelta, message: Message) -> None:
    due = system.clock.now() + delay
    system.world.send([Delayed(due=due, message=message)])

    assert system.receive("runs") == []
    while not (received := system.receive("runs")):
        moment = system.next_due()
        assert moment, "nothing is due any more"
        system.clock.forward(moment)

    assert [one.message for one in received] == [message]
    assert due <= system.clock.now() <= due + timedelta(seconds=2)
    system.acknowledge(received)
    assert system.next_due() is None


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(seconds=1), timedelta(days=2)], ids=str)
def test_what_is_due_already_comes_at_once(system: System, ago: timedelta) -> None:
    due = system.clock.now() - ago
    system.world.send([Delayed(due=due, message=message) for message in (signal("r", 1), task("r", 1))])

    assert drain(system, "runs") == [signal("r", 1)]
    assert drain(system, "steps") == [task("r", 1)]


def test_what_waits_holds_nothing_up(system: System) -> None:
    system.world.send([Delayed(due=system.clock.now() + timedelta(hours=1), message=signal("r", 1))])
    system.world.send([signal("r", 2)])

    assert drain(system, "runs") == [signal("r", 2)]


def test_many_may_wait_for_the_same_moment(system: System) -> None:
    due = system.clock.now() + timedelta(seconds=5)
    system.world.send([Delayed(due=due, message=signal(f"run-{number}", number)) for number in range(25)])
    system.clock.forward(due + timedelta(seconds=1))

    assert {one.run_id for one in drain(system, "runs")} == {f"run-{number}" for number in range(25)}


def test_each_call_for_a_child_tells_it_to_start_in_a_message_of_its_own() -> None:
    """A child that has ended tells each of its parents anew; a copy of the same call is known for one."""
    parents = [Parent(run_id=run_id, child_id="c1") for run_id in ("r", "r~2", "r~2")]
    calls = [Start(run_id="child", asked_by=asked_by) for asked_by in (None, *parents)]

    assert len({call.dedup_id for call in calls}) == 3
