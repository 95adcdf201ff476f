"""Runs that follow each other under one id: what comes for one that has ended goes to the one that follows."""

import asyncio
import logging
from typing import Any

import pytest

from tests.support.crashes import CrashingWorld, serve
from tests.support.office import Office
from worldflow import (
    InvalidInputError,
    RetryPolicy,
    RunEndedError,
    RunExistsError,
    continue_as_new,
    create_hook,
    on_update,
    sleep,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import CancelRequested, SignalReceived, TerminateRequested
from worldflow.runtime import questions, requests
from worldflow.runtime.turns import Turns
from worldflow.worlds.messages import FactArrived, Poke, Start

mood = {"good": True}


@step(retry=RetryPolicy(max_attempts=1))
async def moody() -> str:
    if not mood["good"]:
        raise OSError("bad mood")
    return "good mood"


@workflow
async def each_in_turn(n: int = 1, got: list[Any] | None = None) -> list[Any]:
    got = [*(got or []), await wait_for_signal("s")]
    if len(got) == 4:
        return got
    continue_as_new(n + 1, got)


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
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    mood["good"] = True
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


def sent(signal_id: object) -> SignalReceived:
    return SignalReceived(signal_id=f"{signal_id}", name="s", value=signal_id)


def status(world: CrashingWorld, run_id: str) -> str:
    return world.read_run(run_id).status


def result(world: CrashingWorld, run_id: str) -> Any:
    return world.read_run(run_id).result


# --- continued: what is sent on ---


def test_what_comes_in_the_batch_that_ends_it_is_sent_on_in_order(world: CrashingWorld, turns: Turns):
    office = Office(world, each_in_turn)
    turns.take("run-1", [office.start(), *(office.fact(sent(n)) for n in range(4))])
    assert office.kinds() == ["start @run-1~2", *(f"fact signal/{n} @run-1~2" for n in (1, 2, 3))]
    serve(world)
    assert result(world, "run-1~4") == [0, 1, 2, 3]


def test_what_comes_later_is_sent_on(world: CrashingWorld, turns: Turns):
    office = Office(world, each_in_turn)
    turns.take("run-1", [office.start(), office.fact(sent(0))])
    office.taken()
    turns.take("run-1", [office.fact(sent(1))])
    assert office.kinds() == ["fact signal/1 @run-1~2"]


def test_what_it_received_itself_is_not_sent_on(world: CrashingWorld, turns: Turns):
    office = Office(world, each_in_turn)
    turns.take("run-1", [office.start(), office.fact(sent(0))])
    office.taken()
    turns.take("run-1", [office.fact(sent(0))])
    assert office.kinds() == []
    turns.take("run-1", [office.fact(sent(0))], redo=True)
    assert office.kinds() == ["start @run-1~2"]


@pytest.mark.parametrize(
    ("fact", "kind"),
    [(CancelRequested(reason="r"), "fact cancel"), (TerminateRequested(reason="r"), "fact terminate")],
)
@pytest.mark.parametrize("together", [True, False])
def test_a_request_to_end_is_sent_on(world: CrashingWorld, turns: Turns, fact: Any, kind: str, together: bool):
    office = Office(world, each_in_turn)
    first, second = [office.start(), office.fact(sent(0))], [office.fact(fact)]
    for batch in [first + second] if together else [first, second]:
        turns.take("run-1", batch)
    assert office.kinds()[-1] == f"{kind} @run-1~2"
    serve(world)
    assert status(world, "run-1~2") == "cancelled"
    assert world.read_run("run-1~2").reason == "r"


def test_it_is_sent_on_generation_after_generation(world: CrashingWorld, turns: Turns):
    office = Office(world, each_in_turn)
    turns.take("run-1", [office.start(), office.fact(sent(0))])
    turns.take("run-1~2", [FactArrived(run_id="run-1~2", fact=sent(1))])
    turns.take("run-1~3", [FactArrived(run_id="run-1~3", fact=sent(2))])
    turns.take("run-1", [office.fact(sent(3))])
    serve(world)
    assert result(world, "run-1~4") == [0, 1, 2, 3]


def test_answers_are_not_sent_on(world: CrashingWorld, turns: Turns):
    """A step of one generation means nothing to the next, though it has the same id."""

    @workflow
    async def leaving(n: int = 1) -> None:
        if n == 1:
            task = asyncio.ensure_future(moody())
            await wait_for_signal("s")
            continue_as_new(n + len([task]))
        await moody()
        await sleep("1d")

    office = Office(world, leaving)
    turns.take("run-1", [office.start(), office.fact(sent(0))])
    office.taken()
    turns.take("run-1", [office.done("s1", "old")])
    assert office.kinds() == []


def test_a_redo_of_the_end_starts_the_next_again(world: CrashingWorld, turns: Turns):
    office = Office(world, each_in_turn)
    turns.take("run-1", [office.start(), office.fact(sent(0))])
    office.taken()
    turns.take("run-1", [Poke(run_id="run-1")])
    assert office.kinds() == ["start @run-1~2"]
    assert world.read_run("run-1").next_run_id == "run-1~2"


def test_requests_go_to_the_newest(world: CrashingWorld):
    requests.start(world, "run-1", each_in_turn)
    for n in range(3):
        requests.signal(world, "run-1", "s", n, signal_id=f"{n}")
        serve(world)
    assert status(world, "run-1~4") == "running"
    requests.cancel(world, "run-1~2")
    serve(world)
    assert status(world, "run-1~4") == "cancelled"
    with pytest.raises(RunEndedError):
        requests.signal(world, "run-1", "s", 5)


def test_an_update_that_was_answered_before_is_answered_again(world: CrashingWorld):
    @workflow
    async def answering(n: int = 1) -> None:
        on_update("add")(lambda value: value + n)
        await wait_for_signal("s")
        continue_as_new(n + 1)

    requests.start(world, "run-1", answering)
    first = questions.send_update(world, "run-1", "add", (1,), update_id="u")
    serve(world)
    for n in range(3):
        again = questions.send_update(world, "run-1", "add", (1,), update_id="u")
        serve(world)
        for update in (first, again):
            reply = questions.look_for_answer(world, update)
            assert reply
            assert questions.answer(reply) == 2
        requests.signal(world, "run-1", "s", signal_id=f"{n}")
        serve(world)


def test_an_update_that_was_being_handled_is_answered_in_the_end(world: CrashingWorld):
    @workflow
    async def handling(n: int = 1) -> None:
        @on_update("slow")
        async def slow() -> int:
            await wait_for_signal("finish")
            return n

        await wait_for_signal("s")
        if n == 1:
            continue_as_new(2)

    requests.start(world, "run-1", handling)
    update = questions.send_update(world, "run-1", "slow", (), update_id="u")
    serve(world)
    requests.signal(world, "run-1", "s", signal_id="1")
    serve(world)
    requests.signal(world, "run-1", "finish")
    serve(world)
    assert questions.look_for_answer(world, update) is not None


# --- another in its place ---


def replaced(world: CrashingWorld, flow: Any = patient) -> None:
    requests.start(world, "run-1", flow)
    serve(world)
    record, new = requests.start(world, "run-1", flow, if_running="terminate_existing")
    assert (record.run_id, new) == ("run-1~2", True)


@pytest.mark.parametrize("order", [["run-1", "run-1~2"], ["run-1~2", "run-1"]])
def test_the_other_is_terminated_and_the_new_one_goes_on(world: CrashingWorld, order: list[str]):
    replaced(world)
    serve_in(world, order)
    assert status(world, "run-1") == "cancelled"
    assert status(world, "run-1~2") == "running"
    hook = world.get_hook("door")
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
    update = questions.send_update(world, "run-1", "add", (1,))
    requests.signal(world, "run-1", "s", 2)
    serve(world)
    assert result(world, "run-1~2") == [1, 2]
    assert questions.look_for_answer(world, update) is not None


def test_a_cancellation_at_once_is_of_the_new_one(world: CrashingWorld):
    replaced(world)
    requests.cancel(world, "run-1", "changed my mind")
    serve(world)
    assert (status(world, "run-1"), status(world, "run-1~2")) == ("cancelled", "cancelled")


def test_what_was_under_way_to_the_one_before_reaches_the_new_one(world: CrashingWorld):
    requests.start(world, "run-1", patient)
    serve(world)
    requests.terminate(world, "run-1")
    requests.start(world, "run-1", patient, if_running="terminate_existing")
    world.send([FactArrived(run_id="run-1", fact=sent("late"))])
    serve(world)
    assert result(world, "run-1~2") == ["late"]


def test_a_hook_is_not_taken_back_by_the_one_before(world: CrashingWorld, turns: Turns):
    replaced(world)
    turns.take("run-1~2", [Start(run_id="run-1~2")])
    turns.take("run-1", [Poke(run_id="run-1")])
    serve(world)
    hook = world.get_hook("door")
    assert hook
    assert hook.run_id == "run-1~2"


# --- if_running and reuse ---


def ended_as(world: CrashingWorld, how: str) -> None:
    requests.start(world, "run-1", moody_run)
    match how:
        case "completed":
            requests.signal(world, "run-1", "go", 1)
        case "failed":
            mood["good"] = False
            requests.signal(world, "run-1", "go", 1)
        case "cancelled":
            requests.cancel(world, "run-1")
        case "terminated":
            requests.terminate(world, "run-1")
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
        record, new = requests.start(world, "run-1", moody_run, reuse=reuse, if_running=if_running)
        return record.run_id, new

    if isinstance(outcome, str):
        assert again() == (outcome, outcome != "run-1")
        serve(world)
        assert status(world, outcome) == ("running" if outcome != "run-1" else world.read_run("run-1").status)
        assert world.get_generation("run-1") == (1 if outcome == "run-1" else 2)
    else:
        with pytest.raises(outcome):
            again()
        assert world.get_run("run-1~2") is None


@pytest.mark.parametrize("reuse", [None, "allow", "failed_only", "reject"])
def test_an_id_whose_run_goes_on(world: CrashingWorld, reuse: Any):
    requests.start(world, "run-1", moody_run)
    serve(world)
    assert requests.start(world, "run-1", moody_run, reuse=reuse)[1] is False
    with pytest.raises(RunExistsError):
        requests.start(world, "run-1", moody_run, reuse=reuse, if_running="fail")
    assert world.get_run("run-1~2") is None


def test_many_generations_by_hand(world: CrashingWorld):
    for number in range(1, 5):
        record, new = requests.start(world, "run-1", moody_run, {"n": number}, reuse="allow")
        assert (record.run_id, new) == ("run-1" if number == 1 else f"run-1~{number}", True)
        requests.signal(world, "run-1", "go", number)
        serve(world)
    assert [result(world, run_id)[0] for run_id in ("run-1", "run-1~2", "run-1~3", "run-1~4")] == [1, 2, 3, 4]


def test_the_id_of_another_workflows_run(world: CrashingWorld):
    ended_as(world, "completed")
    with pytest.raises(RunExistsError, match="moody_run"):
        requests.start(world, "run-1", patient, reuse="allow")


@pytest.mark.parametrize("options", [{"if_running": "kill"}, {"reuse": "always"}])
def test_other_choices_are_refused(world: CrashingWorld, options: Any):
    with pytest.raises(InvalidInputError):
        requests.start(world, "run-1", moody_run, **options)
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
        requests.start(world, "run-1", moody_run, reuse="allow")
    requests.start(world, "run-1", moody_run, reuse="allow")
    serve(world)
    assert status(world, "run-1~2") == "running"
    assert world.get_run("run-1~3") is None


# --- retry and fork ---


def test_a_retry_is_the_next_generation(world: CrashingWorld):
    ended_as(world, "failed")
    mood["good"] = True
    record = requests.retry(world, "run-1")
    assert record.run_id == "run-1~2"
    serve(world)
    assert result(world, "run-1~2") == [1, "good mood"]
    assert world.read_run("run-1~2").fork_of
    assert status(world, "run-1") == "failed"


def test_a_retry_may_fail_again_and_be_tried_again(world: CrashingWorld):
    ended_as(world, "failed")
    requests.retry(world, "run-1")
    serve(world)
    assert status(world, "run-1~2") == "failed"
    mood["good"] = True
    assert requests.retry(world, "run-1").run_id == "run-1~3"
    serve(world)
    assert result(world, "run-1~3") == [1, "good mood"]


def test_a_retry_that_is_asked_for_twice_is_one(world: CrashingWorld):
    ended_as(world, "failed")
    mood["good"] = True
    for _ in range(2):
        assert requests.retry(world, "run-1").run_id == "run-1~2"
    serve(world)
    assert world.get_run("run-1~3") is None
    assert result(world, "run-1~2") == [1, "good mood"]


@pytest.mark.parametrize("how", ["completed", "cancelled", "terminated", "running"])
def test_only_a_failed_run_is_tried_again(world: CrashingWorld, how: str):
    ended_as(world, how)
    with pytest.raises(InvalidInputError, match="only one that failed"):
        requests.retry(world, "run-1")
    assert world.get_run("run-1~2") is None


def test_a_retry_remembers_what_it_received(world: CrashingWorld):
    ended_as(world, "failed")
    mood["good"] = True
    requests.retry(world, "run-1")
    serve(world)
    history = world.load_history("run-1~2")
    assert sum(event.event_type == "SignalReceived" for event in history) == 1


def test_a_fork_is_a_run_of_its_own(world: CrashingWorld):
    ended_as(world, "completed")
    requests.fork(world, "run-1", "other", after=1)
    serve(world)
    assert status(world, "other") == "running"
    requests.signal(world, "other", "go", 2)
    serve(world)
    assert result(world, "other") == [2, "good mood"]
    assert result(world, "run-1") == [1, "good mood"]


def test_a_fork_that_is_asked_for_twice_is_one(world: CrashingWorld):
    ended_as(world, "completed")
    for _ in range(2):
        assert requests.fork(world, "run-1", "other", after=1).run_id == "other"
        serve(world)
    with pytest.raises(RunExistsError):
        requests.fork(world, "run-1", "other", after=2)
    with pytest.raises(RunExistsError):
        requests.fork(world, "other", "run-1", after=1)


@pytest.mark.parametrize("after", [0, 99])
def test_a_fork_from_nowhere_starts_nothing(world: CrashingWorld, after: int):
    ended_as(world, "completed")
    with pytest.raises(InvalidInputError):
        requests.fork(world, "run-1", "other", after=after)
    assert world.get_run("other") is None
