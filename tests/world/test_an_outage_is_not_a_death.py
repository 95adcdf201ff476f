"""A service of AWS, or all of them, is away for a while: no run is blocked, no step has failed, and nothing that was
recorded happens again. Only deaths of the function count.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.support.aws import QueueName, Stack
from tests.support.lambdas import failures, sqs_event, sqs_record
from tests.support.systems import TURNS_LIMIT, finish, skip
from tests.support.wire import Asked, Fault, Wire, WiredSystem, refused, wired_system
from worldflow import PayloadCodecError, RetryPolicy, on_update, sleep, step, step_info, wait_for_signal, workflow
from worldflow.engine.history import Fact, StepCompleted, StepFailed
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime import sending, starting, updates
from worldflow.serving.outages import LIFE_RECEIVES, TURN_DEATHS
from worldflow.turns.step_runner import StepRunner
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turns import Turns
from worldflow.worlds import ledger
from worldflow.worlds.outages import is_outage
from worldflow.worlds.records import RunRecord, Status

AWAY = EndpointConnectionError(endpoint_url="https://aws.test")
OUTAGE = timedelta(minutes=40)
"""Long enough for more receives than there are deaths that fail a step, or block a run."""

ran: Counter[str] = Counter()


@step(name="outage_work", retry=RetryPolicy(max_attempts=2, initial_interval="1s", jitter=0))
async def work(what: str) -> str:
    ran[what[:20]] += 1
    return what


@step(name="outage_once", guarantee="at_most_once")
async def once(what: str) -> str:
    ran[what[:20]] += 1
    return what


@step(name="outage_inline_once", guarantee="at_most_once", inline=True)
async def inline_once(what: str) -> str:
    ran[what] += 1
    return what


@workflow(name="outage_plain")
async def plain() -> str:
    return await work("a") + await work("b") + await work("c")


@workflow(name="outage_timer")
async def timer() -> str:
    await sleep("10m")
    await sleep("1h")
    return await work("timer")


@workflow(name="outage_child")
async def child() -> str:
    await sleep("30m")
    return await work("child")


@workflow(name="outage_parent")
async def parent() -> str:
    return await child()


@workflow(name="outage_signals")
async def signals() -> list[Any]:
    return [await wait_for_signal("value"), await wait_for_signal("value"), await work("signals")]


@workflow(name="outage_inline")
async def inline() -> str:
    return await work.options(inline=True)("inline 1") + await work.options(inline=True)("inline 2")


@workflow(name="outage_inline_once")
async def runs_inline_once() -> str:
    return await inline_once("inline once")


@workflow(name="outage_once")
async def runs_once() -> str:
    return await once("once")


@workflow(name="outage_updates")
async def outage_updates() -> int:
    total = 0

    @on_update("add")
    async def add(number: int) -> int:
        nonlocal total
        total += number
        return total

    await wait_for_signal("done")
    return total


@workflow(name="outage_large")
async def large() -> int:
    return len(await work("x" * 70_000))


RUNS: dict[str, Any] = {
    "plain": plain,
    "timer": timer,
    "parent": parent,
    "signals": signals,
    "inline": inline,
    "inline-once": runs_inline_once,
    "once": runs_once,
    "updates": outage_updates,
    "large": large,
}
ENDS = {
    "plain": "abc",
    "timer": "timer",
    "parent": "child",
    "signals": [1, 2, "signals"],
    "inline": "inline 1inline 2",
    "inline-once": "inline once",
    "once": "once",
    "updates": 5,
    "large": 70_000,
}

QUEUES: tuple[QueueName, ...] = ("runs", "steps", "timers")
ERRORS: dict[str, Exception] = {
    "connection": AWAY,
    "timeout": ReadTimeoutError(endpoint_url="https://aws.test"),
    "throttled": refused("ThrottlingException"),
    "5xx": refused("InternalServerError"),
}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    ran.clear()
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


@pytest.fixture
def system(stack: Stack) -> Iterator[WiredSystem]:
    with wired_system(stack, patient=True) as system:
        yield system


def away(system: WiredSystem, service: str, error: Exception, back: datetime) -> None:
    """From now on a service answers nothing to the functions."""

    def faults(asked: Asked) -> Exception | None:
        is_away = asked.name.startswith(service) and asked.serving and system.clock.now() < back
        return error if is_away else None

    system.wire.reset(faults)


def wait_until(system: WiredSystem, until: datetime) -> None:
    system.settle()
    for _ in range(TURNS_LIMIT):
        due = system.next_due()
        if due is None or due > until:
            break
        assert skip(system)
    system.clock.forward(until)


def until(system: WiredSystem, end: datetime, status: Status) -> list[RunRecord]:
    """The runs that have a status when nothing more is due before `end`."""
    wait_until(system, end)
    return list(system.reader.walk_runs(status))


def check(system: WiredSystem, run_id: str) -> None:
    history = system.reader.load_history(run_id)
    facts = [event.fact_id for event in history if isinstance(event, Fact)]
    assert len(facts) == len(set(facts))
    assert not [event for event in history if isinstance(event, StepFailed)]


def pass_the_rest(system: WiredSystem) -> None:
    while skip(system):
        pass


# --- outages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "error", "begun"),
    [
        ("", "connection", 0),
        ("", "timeout", 1),
        ("", "throttled", 2),
        ("", "5xx", 4),
        ("dynamodb", "throttled", 1),
        ("dynamodb.PutItem", "5xx", 2),
        ("sqs", "5xx", 1),
        ("s3", "connection", 1),
    ],
)
def test_all_ends_well_after_an_outage(system: WiredSystem, service: str, error: str, begun: int) -> None:
    for run_id, function in RUNS.items():
        starting.start(system.world, run_id, function, {})
    for number in (1, 2):
        sending.signal(system.world, "signals", "value", number)
    updates.send_update(system.world, "updates", "add", (5,))
    for _ in range(begun):
        for queue in QUEUES:
            system.poll(queue)
    back = system.clock.now() + OUTAGE
    away(system, service, ERRORS[error], back)
    wait_until(system, back + timedelta(minutes=5))
    sending.signal(system.world, "updates", "done")

    found = {run_id: finish(system, run_id) for run_id in RUNS}
    assert {run_id: (record.status, record.error) for run_id, record in found.items()} == dict.fromkeys(
        RUNS, ("completed", None)
    )
    assert {run_id: record.result for run_id, record in found.items()} == ENDS
    pass_the_rest(system)
    for run_id in (*RUNS, "parent/c1"):
        check(system, run_id)
    assert ran["once"] == ran["inline once"] == 1
    assert system.wire.failed
    assert not [queue for queue in system.stack.arns if system.stack.messages(queue)]


# --- what nobody has begun -------------------------------------------------------------------------------------------


def switch_off(system: WiredSystem, queues: set[str], until: datetime) -> None:
    """Invocations of the functions behind these queues are throttled: SQS counts what was received all the same."""
    while system.clock.now() < until:
        for queue in system.stack.arns:
            if queue in queues:
                while system.stack.receive(queue, 10):
                    pass
            else:
                while system.poll(queue):
                    pass
        due = system.next_due()
        system.clock.forward(min(due, until) if due else until)


@pytest.mark.parametrize("off", [{"runs", "dead-runs", "timers", "dead-timers", "dead-steps"}, {"steps"}])
def test_functions_that_are_switched_off_for_a_while_have_not_died(system: WiredSystem, off: set[str]) -> None:
    for run_id, function in RUNS.items():
        if run_id not in ("signals", "updates"):
            starting.start(system.world, run_id, function, {})
    switch_off(system, off, system.clock.now() + OUTAGE)

    for run_id in RUNS:
        if run_id not in ("signals", "updates"):
            record = finish(system, run_id)
            assert (record.status, record.result) == ("completed", ENDS[run_id])
            check(system, run_id)


# --- deaths and outages together -----------------------------------------------------------------------------------


def test_deaths_block_a_run_among_outages_as_they_do_alone(
    system: WiredSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = turns = 0
    apply = Execution.apply

    def apply_or_fail(execution: Execution, *args: Any, **kwargs: Any) -> Any:
        nonlocal died, turns
        turns += 1
        if turns % 3:
            raise refused("ThrottlingException")
        died += 1
        return system.die()

    monkeypatch.setattr(Execution, "apply", apply_or_fail)
    starting.start(system.world, "r", plain, {})
    assert finish(system, "r").status == "blocked"
    assert died in (TURN_DEATHS - 1, TURN_DEATHS)  # of the first receive nothing is noted

    monkeypatch.setattr(Execution, "apply", apply)
    sending.resume(system.world, "r")
    assert finish(system, "r").result == "abc"


def test_deaths_fail_an_attempt_among_outages_as_they_do_alone(
    system: WiredSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: Counter[str] = Counter()

    async def fail_or_die(runner: StepRunner, *given: Any, **options: Any) -> Any:
        begun["all"] += 1
        if begun["all"] % 2:
            raise AWAY
        begun["died"] += 1
        system.die()

    monkeypatch.setattr(StepRunner, "run", fail_or_die)
    starting.start(system.world, "r", runs_once_more, {})
    record = finish(system, "r")

    assert record.error and record.error.type.endswith(":StepCrashedError")
    assert begun["died"] in (LIFE_RECEIVES, LIFE_RECEIVES + 1)  # of the first receive nothing is noted


@step(name="outage_no_retry", retry=RetryPolicy(max_attempts=1))
async def no_retry() -> None:
    raise AssertionError("it dies before")


@workflow(name="outage_no_retries")
async def runs_once_more() -> None:
    await no_retry()


# --- attempts that are run at most once ----------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["dynamodb.PutItem", "sqs", ""])
def test_what_is_run_at_most_once_keeps_its_outcome_through_an_outage(
    system: WiredSystem, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    run = StepRunner.run

    async def run_and_break(runner: StepRunner, *given: Any, **options: Any) -> Any:
        outcome = await run(runner, *given, **options)
        away(system, service, AWAY, system.clock.now() + timedelta(minutes=20))
        return outcome

    monkeypatch.setattr(StepRunner, "run", run_and_break)
    starting.start(system.world, "r", runs_once, {})

    assert finish(system, "r").result == "once"
    assert ran["once"] == 1


def test_another_process_does_not_interrupt_what_this_one_could_tell(
    system: WiredSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = StepRunner.run

    async def run_and_break(runner: StepRunner, *given: Any, **options: Any) -> Any:
        outcome = await run(runner, *given, **options)
        away(system, "dynamodb", AWAY, system.clock.now() + timedelta(minutes=5))
        return outcome

    monkeypatch.setattr(StepRunner, "run", run_and_break)
    starting.start(system.world, "r", runs_once, {})
    system.poll("runs")
    system.poll("steps")
    system.restart()

    assert finish(system, "r").result == "once"
    assert ran["once"] == 1

    while skip(system):
        pass  # the task comes again, to a process that knows nothing of it
    outcome = ledger.get_outcome(system.world, "r", "s1", 1)
    assert outcome and isinstance(outcome.fact, StepCompleted), "the ledger says what the history says"


def test_a_claim_whose_answer_is_lost_is_no_attempt_that_began(system: WiredSystem) -> None:
    starting.start(system.world, "r", runs_once, {})
    system.poll("runs")
    assert ledger.claim(system.world, "other", "s1", 1)
    claims = 0

    def faults(asked: Asked) -> Any:
        nonlocal claims
        claims += asked.method == "claim"
        return Fault.UNANSWERED if asked.method == "claim" and claims == 1 else None

    system.wire.reset(faults)
    assert finish(system, "r").result == "once"
    assert claims == 2


@workflow(name="outage_both")
async def runs_both() -> list[str]:
    return list(await asyncio.gather(work("queued"), inline_once("inline once")))


def test_an_inline_step_has_not_begun_where_what_was_committed_with_it_cannot_be_sent(system: WiredSystem) -> None:
    starting.start(system.world, "r", runs_both, {})
    away(system, "sqs.SendMessage", AWAY, system.clock.now() + timedelta(minutes=20))

    assert finish(system, "r").result == ["queued", "inline once"]
    assert ran["inline once"] == 1
    assert system.wire.failed


def test_another_process_cannot_know_that_an_inline_step_has_not_begun(system: WiredSystem) -> None:
    starting.start(system.world, "r", runs_both, {})
    away(system, "sqs.SendMessage", AWAY, system.clock.now() + timedelta(minutes=1))
    system.poll("runs")
    system.restart()

    error = finish(system, "r").error
    assert error and error.type.endswith(":StepInterruptedError")
    assert ran["inline once"] == 0


def test_an_inline_step_runs_where_the_client_has_sent_its_commit_twice(stack: Stack) -> None:
    with wired_system(stack, Wire(), patient=True) as system:
        commits = 0

        def faults(asked: Asked) -> Any:
            nonlocal commits
            commits += asked.method == "append"
            return Fault.REPEATED if asked.method == "append" and commits == 1 else None

        system.wire.reset(faults, attempts=2)
        system.restart()
        starting.start(system.world, "r", runs_inline_once, {})

        assert finish(system, "r").result == "inline once"
        assert ran["inline once"] == 1
        assert system.wire.failed


@step(name="outage_beating_once", guarantee="at_most_once", heartbeat_timeout="1h", retry=RetryPolicy(max_attempts=2))
async def beating_once() -> int:
    info = step_info()
    ran["beating"] += 1
    if info.attempt == 1:
        info.heartbeat({"done": 7})
        raise ValueError("not yet")
    return info.heartbeat_details["done"]


@workflow(name="outage_beating_once")
async def runs_beating_once() -> int:
    return await beating_once()


def test_a_retry_that_cannot_read_the_last_heartbeat_has_not_begun(system: WiredSystem) -> None:
    starting.start(system.world, "r", runs_beating_once, {})
    failing = 3

    def faults(asked: Asked) -> Any:
        nonlocal failing
        failing -= (fails := asked.method == "last_beat" and asked.serving == "steps" and failing > 0)
        return AWAY if fails else None

    system.wire.reset(faults)
    assert finish(system, "r").result == 7
    assert (ran["beating"], failing) == (2, 0)


def test_one_with_large_arguments_that_comes_again_finds_its_outcome(system: WiredSystem) -> None:
    starting.start(system.world, "r", large_once, {})
    system.poll("runs")
    (sent,) = system.stack.messages("steps")
    system.poll("steps")
    record = sqs_record(system.stack.arns["steps"], sent.body, receives=2)
    assert failures(system._step_handler(sqs_event(record))) == []

    assert finish(system, "r").result == 70_000
    assert ran["x" * 20] == 1


@workflow(name="outage_large_once")
async def large_once() -> int:
    return len(await once("x" * 70_000))


def test_data_that_may_be_in_the_archive_is_not_missing_where_that_does_not_answer(system: WiredSystem) -> None:
    asked: list[str] = []

    def faults(request: Asked) -> Any:
        asked.append(request.name)
        return refused("SlowDown") if asked.count("s3.GetObject") == 2 else None

    system.wire.reset(faults)
    with pytest.raises(ClientError) as raised:
        system.world.get_payload("r/of-a-run-that-was-archived")
    assert is_outage(raised.value)
    assert asked == ["s3.GetObject"] * 2


# --- codecs --------------------------------------------------------------------------------------------------------


class Fragile:
    """A codec that asks a service."""

    error: Exception | None = None
    has_a_key = False
    """To encode with: only for that of others it has to ask."""

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        if not self.has_a_key:
            self._ask()
        return data[::-1]

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        self._ask()
        return data[::-1]

    def _ask(self) -> None:
        try:
            if self.error:
                raise self.error
        except Exception as error:
            raise PayloadCodecError("the vault says no") from error


@pytest.mark.parametrize(
    ("error", "has_a_key"),
    [(ConnectionRefusedError(), False), (refused("KMSInternalException"), True), (TimeoutError(), False)],
)
def test_an_outage_of_what_a_codec_asks_blocks_and_fails_nothing(
    stack: Stack, error: Exception, has_a_key: bool
) -> None:
    with wired_system(stack, patient=True) as system:
        codec = Fragile()
        codec.has_a_key = has_a_key
        system.world.codec = system.reader.codec = codec
        try:
            for run_id in ("plain", "inline", "once", "inline-once"):
                starting.start(system.world, run_id, RUNS[run_id], {})
            starting.start(system.world, "begun", plain, {})
            starting.start(system.world, "signals", signals, {})
            system.poll("runs")
            for value in ("one", "two"):  # which turns have to decode
                sending.signal(system.world, "signals", "value", value)
            codec.error = error
            blocked = [run.run_id for run in until(system, system.clock.now() + OUTAGE, "blocked")]
            codec.error = None
            assert blocked == []

            for run_id in ("plain", "inline", "once", "inline-once", "begun", "signals"):
                record = finish(system, run_id)
                assert (run_id, record.status, record.error, record.blocked_reason) == (run_id, "completed", None, None)
                check(system, run_id)
            assert record.result == ["one", "two", "signals"]
        finally:
            system.reader.codec = None


# --- how soon it goes on -------------------------------------------------------------------------------------------


def waits(system: WiredSystem, queue: QueueName) -> list[float]:
    now = system.clock.now().timestamp()
    return [round(message.visible_at / 1_000 - now) for message in system.stack.messages(queue)]


def test_what_met_an_outage_comes_again_after_seconds(system: WiredSystem) -> None:
    starting.start(system.world, "r", plain, {})
    away(system, "dynamodb", AWAY, system.clock.now() + OUTAGE)
    found = []
    for _ in range(5):
        assert system.poll("runs")
        found += waits(system, "runs")
        assert skip_to_the_next(system)
    assert found == [6, 12, 24, 48, 60]


def skip_to_the_next(system: WiredSystem) -> bool:
    due = system.next_due()
    assert due
    system.clock.forward(due)
    return True


def test_a_step_that_could_not_be_begun_comes_again_after_seconds(system: WiredSystem) -> None:
    starting.start(system.world, "r", large, {})
    system.poll("runs")
    away(system, "s3", AWAY, system.clock.now() + OUTAGE)
    system.poll("steps")
    assert waits(system, "steps") == [6]


def test_the_messages_of_a_run_come_again_together_and_in_order(system: WiredSystem) -> None:
    starting.start(system.world, "signals", signals, {})
    away(system, "dynamodb", AWAY, system.clock.now() + timedelta(seconds=30))
    system.poll("runs")
    for number in (1, 2):
        sending.signal(system.world, "signals", "value", number)
        skip_to_the_next(system)
        system.poll("runs")
        assert len({one.visible_at // 100 for one in system.stack.messages("runs")}) == 1

    assert finish(system, "signals").result == [1, 2, "signals"]


def test_a_death_waits_out_the_visibility_timeout(system: WiredSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Execution, "apply", lambda *_: system.die())
    starting.start(system.world, "r", plain, {})
    system.poll("runs")
    assert waits(system, "runs") == [90]


def test_a_turn_that_fails_of_something_else_waits_out_the_visibility_timeout(
    system: WiredSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(*_: Any, **__: Any) -> None:
        raise LookupError("no outage")

    monkeypatch.setattr(Turns, "take", take)
    starting.start(system.world, "r", plain, {})
    system.poll("runs")
    assert waits(system, "runs") == [90]


def test_a_step_that_fails_to_be_run_of_something_else_waits_it_out_too(
    system: WiredSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def execute(*_: Any, **__: Any) -> None:
        raise LookupError("no outage")

    starting.start(system.world, "r", plain, {})
    system.poll("runs")
    monkeypatch.setattr(StepExecutor, "execute", execute)
    system.poll("steps")
    assert waits(system, "steps") == [330]


def test_a_note_whose_answer_was_lost_is_deleted(system: WiredSystem) -> None:
    deaths = system.world.deaths
    system.wire.reset(lambda asked: Fault.UNANSWERED if asked.name == "dynamodb.UpdateItem" else None)
    with pytest.raises(Exception) as raised:
        deaths.begin("dead#1")
    assert is_outage(raised.value)
    assert deaths.count("dead#1") == 1

    system.wire.reset(lambda asked: None)
    deaths.settle()
    assert deaths.count("dead#1") == 0


def test_where_the_queue_refuses_it_comes_again_later(system: WiredSystem) -> None:
    starting.start(system.world, "r", plain, {})
    away(system, "", AWAY, system.clock.now() + timedelta(seconds=30))
    system.poll("runs")
    assert waits(system, "runs") == [90]
    assert finish(system, "r").result == "abc"


def test_what_comes_once_is_not_noted(system: WiredSystem) -> None:
    for run_id in ("plain", "once", "inline"):
        starting.start(system.world, run_id, RUNS[run_id], {})
        assert finish(system, run_id).status == "completed"
    assert not [item for item in system.stack.items("runs") if "begun" in item]
