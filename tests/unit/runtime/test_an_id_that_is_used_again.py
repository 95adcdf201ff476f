"""An id that is used again: by another run in its place, after its end, by a retry, and the history of a fork."""

from typing import Any

import pytest

from tests.support.crashes import CrashingWorld, serve
from worldflow import (
    InvalidInputError,
    RetryPolicy,
    RunExistsError,
    create_hook,
    on_update,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import SignalReceived
from worldflow.runtime import sending, starting, updates
from worldflow.turns.turns import Turns
from worldflow.worlds import items
from worldflow.worlds.messages import FactArrived, Poke, Start

pytestmark = pytest.mark.usefixtures("quiet")

mood = {"good": True}


@step(retry=RetryPolicy(max_attempts=1))
async def moody() -> str:
    if not mood["good"]:
        raise OSError("bad mood")
    return "good mood"


@workflow
async def moody_run(n: int = 0) -> list[Any]:
    return [await wait_for_signal("go"), await moody()]


@workflow
async def patient() -> list[Any]:
    got: list[Any] = []
    on_update("add")(got.append)
    hook = create_hook(token="door")
    got.append(await wait_for_signal("s"))
    hook.dispose()
    return got


@pytest.fixture(autouse=True)
def _fresh() -> None:
    mood["good"] = True


def sent(signal_id: object) -> SignalReceived:
    return SignalReceived(signal_id=f"{signal_id}", name="s", value=signal_id)


def status(world: CrashingWorld, run_id: str) -> str:
    return world.read_run(run_id).status


def result(world: CrashingWorld, run_id: str) -> Any:
    return world.read_run(run_id).result


# --- another in its place ---


def replaced(world: CrashingWorld, flow: Any = patient) -> None:
    starting.start(world, "run-1", flow)
    serve(world)
    record, new = starting.start(world, "run-1", flow, if_running="terminate_existing")
    assert (record.run_id, new) == ("run-1~2", True)


@pytest.mark.parametrize("order", [["run-1", "run-1~2"], ["run-1~2", "run-1"]])
def test_the_other_is_terminated_and_the_new_one_goes_on(world: CrashingWorld, order: list[str]):
    replaced(world)
    serve_in(world, order)
    assert status(world, "run-1") == "cancelled"
    assert status(world, "run-1~2") == "running"
    hook = items.get_hook(world, "door")
    assert hook
    assert hook.run_id == "run-1~2"


def serve_in(world: CrashingWorld, order: list[str]) -> None:
    """Takes the turns of these runs one after the other, twice, and then all that follows."""
    deliveries = [*world.receive("runs"), *world.receive("runs")]
    for run_id in order:
        messages = [delivery.message for delivery in deliveries if delivery.message.run_id == run_id]
        Turns(world).take(run_id, messages)  # type: ignore[arg-type]
        Turns(world).take(run_id, messages, redo=True)  # type: ignore[arg-type]
    world.acknowledge(deliveries)
    serve(world)


def test_what_is_sent_at_once_goes_to_the_new_one(world: CrashingWorld):
    replaced(world)
    update = updates.send_update(world, "run-1", "add", (1,))
    sending.signal(world, "run-1", "s", 2)
    serve(world)
    assert result(world, "run-1~2") == [1, 2]
    assert updates.look_for_answer(world, update) is not None


def test_a_cancellation_at_once_is_of_the_new_one(world: CrashingWorld):
    replaced(world)
    sending.cancel(world, "run-1", "changed my mind")
    serve(world)
    assert (status(world, "run-1"), status(world, "run-1~2")) == ("cancelled", "cancelled")


def test_what_was_under_way_to_the_one_before_reaches_the_new_one(world: CrashingWorld):
    starting.start(world, "run-1", patient)
    serve(world)
    sending.terminate(world, "run-1")
    starting.start(world, "run-1", patient, if_running="terminate_existing")
    world.send([FactArrived(run_id="run-1", fact=sent("late"))])
    serve(world)
    assert result(world, "run-1~2") == ["late"]


def test_a_hook_is_not_taken_back_by_the_one_before(world: CrashingWorld, turns: Turns):
    replaced(world)
    turns.take("run-1~2", [Start(run_id="run-1~2")])
    turns.take("run-1", [Poke(run_id="run-1")])
    serve(world)
    hook = items.get_hook(world, "door")
    assert hook
    assert hook.run_id == "run-1~2"


# --- if_running and reuse ---


def ended_as(world: CrashingWorld, how: str) -> None:
    starting.start(world, "run-1", moody_run)
    match how:
        case "completed":
            sending.signal(world, "run-1", "go", 1)
        case "failed":
            mood["good"] = False
            sending.signal(world, "run-1", "go", 1)
        case "cancelled":
            sending.cancel(world, "run-1")
        case "terminated":
            sending.terminate(world, "run-1")
    serve(world)


@pytest.mark.parametrize(
    ("how", "reuse", "outcome"),
    [
        ("completed", None, "run-1"),
        ("failed", None, "run-1"),
        ("cancelled", None, "run-1"),
        ("completed", "allow", "run-1~2"),
        ("failed", "allow", "run-1~2"),
        ("completed", "failed_only", RunExistsError),
        ("failed", "failed_only", "run-1~2"),
        ("cancelled", "failed_only", "run-1~2"),
        ("terminated", "failed_only", "run-1~2"),
        ("completed", "reject", RunExistsError),
        ("failed", "reject", RunExistsError),
    ],
)
@pytest.mark.parametrize("if_running", ["return_existing", "fail", "terminate_existing"])
def test_an_id_whose_run_has_ended(world: CrashingWorld, how: str, reuse: Any, outcome: Any, if_running: Any):
    ended_as(world, how)

    def again() -> tuple[str, bool]:
        record, new = starting.start(world, "run-1", moody_run, reuse=reuse, if_running=if_running)
        return record.run_id, new

    if isinstance(outcome, str):
        assert again() == (outcome, outcome != "run-1")
        serve(world)
        assert status(world, outcome) == ("running" if outcome != "run-1" else world.read_run("run-1").status)
        assert items.get_generation(world, "run-1") == (1 if outcome == "run-1" else 2)
    else:
        with pytest.raises(outcome):
            again()
        assert world.get_run("run-1~2") is None


@pytest.mark.parametrize("reuse", [None, "allow", "failed_only", "reject"])
def test_an_id_whose_run_goes_on(world: CrashingWorld, reuse: Any):
    starting.start(world, "run-1", moody_run)
    serve(world)
    assert starting.start(world, "run-1", moody_run, reuse=reuse)[1] is False
    with pytest.raises(RunExistsError):
        starting.start(world, "run-1", moody_run, reuse=reuse, if_running="fail")
    assert world.get_run("run-1~2") is None


def test_the_id_of_another_workflows_run(world: CrashingWorld):
    ended_as(world, "completed")
    with pytest.raises(RunExistsError, match="moody_run"):
        starting.start(world, "run-1", patient, reuse="allow")


@pytest.mark.parametrize("options", [{"if_running": "kill"}, {"reuse": "always"}])
def test_other_choices_are_refused(world: CrashingWorld, options: Any):
    with pytest.raises(InvalidInputError):
        starting.start(world, "run-1", moody_run, **options)
    assert world.get_run("run-1") is None


@pytest.mark.parametrize("died_before", ["create_run", "put_generation", "send"])
def test_a_start_anew_whose_sender_died_is_asked_again(world: CrashingWorld, died_before: str):
    ended_as(world, "completed")
    first = {"create_run": 1, "put_generation": 0, "send": 0}[died_before]
    base = len(world.calls)
    crashed: list[bool] = []

    def crashes(number: int, when: str) -> bool:
        names = world.calls[base:]
        hit = when == "before" and names.count(died_before) == first + 1 and world.calls[number] == died_before
        if hit and not crashed:
            crashed.append(True)
            return True
        return False

    world.crashes = crashes
    with pytest.raises(BaseException, match="before"):
        starting.start(world, "run-1", moody_run, reuse="allow")
    starting.start(world, "run-1", moody_run, reuse="allow")
    serve(world)
    assert status(world, "run-1~2") == "running"
    assert world.get_run("run-1~3") is None


# --- retry and fork ---


def test_a_retry_that_is_asked_for_twice_is_one(world: CrashingWorld):
    ended_as(world, "failed")
    mood["good"] = True
    for _ in range(2):
        assert starting.retry(world, "run-1").run_id == "run-1~2"
    serve(world)
    assert world.get_run("run-1~3") is None
    assert result(world, "run-1~2") == [1, "good mood"]


@pytest.mark.parametrize("how", ["completed", "cancelled", "terminated", "running"])
def test_only_a_failed_run_is_tried_again(world: CrashingWorld, how: str):
    ended_as(world, how)
    with pytest.raises(InvalidInputError, match="only a failed run"):
        starting.retry(world, "run-1")
    assert world.get_run("run-1~2") is None


def test_a_retry_remembers_what_it_received(world: CrashingWorld):
    ended_as(world, "failed")
    mood["good"] = True
    starting.retry(world, "run-1")
    serve(world)
    history = world.load_history("run-1~2")
    assert sum(event.event_type == "SignalReceived" for event in history) == 1


def test_a_fork_is_a_run_of_its_own(world: CrashingWorld):
    ended_as(world, "completed")
    starting.fork(world, "run-1", "other", after=1)
    serve(world)
    assert status(world, "other") == "running"
    sending.signal(world, "other", "go", 2)
    serve(world)
    assert result(world, "other") == [2, "good mood"]
    assert result(world, "run-1") == [1, "good mood"]


def test_a_fork_that_is_asked_for_twice_is_one(world: CrashingWorld):
    ended_as(world, "completed")
    for _ in range(2):
        assert starting.fork(world, "run-1", "other", after=1).run_id == "other"
        serve(world)
    with pytest.raises(RunExistsError):
        starting.fork(world, "run-1", "other", after=2)
    with pytest.raises(RunExistsError):
        starting.fork(world, "other", "run-1", after=1)
