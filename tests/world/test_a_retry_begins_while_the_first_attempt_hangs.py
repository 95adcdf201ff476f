"""The retry of a step does not wait for the attempt before it, whose task may be in flight for minutes."""

from contextlib import closing
from datetime import timedelta

from tests.support.systems import System, finish
from worldflow import RetryPolicy, step, step_info, workflow
from worldflow.engine.history import StepCompleted
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds import LocalWorld
from worldflow.worlds.messages import FactArrived, RunMessage, StepTask

began: list[int] = []


@step(timeout="10s", retry=RetryPolicy(max_attempts=4, initial_interval="1s", jitter=0))
async def ask_bank() -> str:
    began.append(step_info().attempt)
    return f"attempt {step_info().attempt} was answered"


@workflow
async def asks_bank() -> str:
    return await ask_bank()


def hang(system: System) -> StepTask:
    """Starts the run. A function takes its first attempt, and does not come back."""
    began.clear()
    starting.start(system.world, "r", asks_bank)
    return next_task(system)


def next_task(system: System) -> StepTask:
    """The next task that a function gets. Until there is one, turns are taken and time passes."""
    with closing(Turns(system.world)) as turns:
        while not (tasks := system.receive("steps")):
            if received := system.receive("runs"):
                turns.take("r", [one.message for one in received if isinstance(one.message, RunMessage)])
                system.acknowledge(received)
            else:
                due = system.next_due()
                assert due, "no task will come"
                system.clock.forward(due)
    assert isinstance(tasks[0].message, StepTask)
    return tasks[0].message


def test_the_second_attempt_begins_after_the_timeout_of_the_first(system: System) -> None:
    hang(system)
    sent = system.clock.now()
    record = finish(system, "r")
    assert record.result == "attempt 2 was answered"
    assert began == [2]
    assert 11 <= (system.clock.now() - sent).total_seconds() < 15


def test_what_the_first_attempt_returns_then_is_ignored(system: System) -> None:
    hang(system)
    assert next_task(system).attempt == 2
    answer(system, 1, "attempt 1 was answered at last")
    assert system.world.read_run("r").status == "running"
    answer(system, 2, "attempt 2 was answered")
    assert system.world.read_run("r").result == "attempt 2 was answered"


def answer(system: System, attempt: int, result: str) -> None:
    fact = StepCompleted(step_id="s1", attempt=attempt, result=result)
    system.world.send([FactArrived(run_id="r", fact=fact)])
    system.settle()


def test_a_copy_of_an_attempt_waits_for_the_attempt(system: System) -> None:
    task = hang(system)
    copy = task.model_copy(update={"redo": True})
    system.clock.forward(system.clock.now() + timedelta(minutes=5, seconds=20))  # SQS knows the task no more
    system.world.send([copy])
    assert system.receive("steps") == []


def test_a_copy_waits_for_a_task_that_an_older_version_sent() -> None:
    world = LocalWorld()
    task = StepTask(run_id="r", step_id="s1", name="n")
    world.send([task])
    with world.together():
        world._database.rows("update messages set grp = 'r#s1' returning id")
    world.recover()
    world.send([task.model_copy(update={"redo": True})])
    assert len(world.receive("steps")) == 1
    assert world.receive("steps") == []
    world.close()


def test_attempts_have_groups_of_their_own() -> None:
    one, two = (StepTask(run_id="r", step_id="s1", attempt=attempt, name="n") for attempt in (1, 2))
    assert (one.group, two.group) == ("r#s1#1", "r#s1#2")
    assert one.group == one.model_copy(update={"redo": True}).group
