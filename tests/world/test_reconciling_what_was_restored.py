"""One thing that disagrees with the histories after a restore, and what reconciling makes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.disaster import reconciled, restore, to_the_end
from tests.support.systems import AWSSystem, cancel, finish, signal, start
from worldflow import (
    RunExistsError,
    continue_as_new,
    create_hook,
    set_attributes,
    sleep,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import HookConflicted, RunRestored, StepFailed
from worldflow.runtime import schedules, sending, starting
from worldflow.runtime.archive import archive_old_runs
from worldflow.runtime.reconcile import reconcile
from worldflow.worlds import items, ledger
from worldflow.worlds.aws.restored import AWSRestored
from worldflow.worlds.records import HookRecord

DAY = timedelta(days=1)

calls: list[Any] = []
"""What the steps were called with, in order."""


@step(name="restored_charge")
async def charge(amount: int) -> int:
    calls.append(amount)
    return amount


@step(name="restored_once", guarantee="at_most_once")
async def once(amount: int) -> int:
    calls.append(amount)
    return amount


@step(name="restored_slow", timeout="5m")
async def slow(amount: int) -> int:
    calls.append(amount)
    return amount


@workflow(name="restored_charges")
async def charges() -> int:
    return await charge(await wait_for_signal("amount", int))


@workflow(name="restored_charges_once")
async def charges_once() -> int:
    return await once(1)


@workflow(name="restored_charges_slowly")
async def charges_slowly() -> int:
    return await slow(1)


@workflow(name="restored_sleeps")
async def sleeps() -> int:
    await wait_for_signal("go")
    await sleep("30d")
    return 1


@workflow(name="restored_holds")
async def holds(token: str) -> str:
    return str(await create_hook(token=token))


@workflow(name="restored_waits")
async def waits() -> str:
    return str(await wait_for_signal("go"))


@workflow(name="restored_labels")
async def labels() -> str:
    while (label := await wait_for_signal("label", str)) != "end":
        set_attributes(label=label)
    return label


@workflow(name="restored_parent")
async def has_a_child(message: str) -> str:
    go = await wait_for_signal("ask", str)
    return f"{message} {await echoes(go)}"


@workflow(name="restored_child")
async def echoes(value: str) -> str:
    return f"{value} {await wait_for_signal('go')}"


@workflow(name="restored_leaves_a_child")
async def leaves_a_child() -> str:
    child = asyncio.create_task(echoes("left"))
    await wait_for_signal("go")
    assert not child.done()
    return "left"


@workflow(name="restored_goes_on")
async def goes_on(round: int) -> int:
    await wait_for_signal("go")
    if round < 2:
        continue_as_new(round + 1)
    return round


@workflow(name="restored_detaches")
async def detaches() -> str:
    return "detached"


@pytest.fixture(autouse=True)
def _forgets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)
    calls.clear()
    yield
    calls.clear()


def status(system: AWSSystem, run_id: str) -> str:
    return system.world.read_run(run_id).status


# --- records ---


def test_a_record_ahead_of_its_history_goes_back(aws: AWSSystem) -> None:
    start(aws, "r", waits)
    events = aws.stack.copy("events")
    signal(aws, "r", "go", "lost")
    assert status(aws, "r") == "completed"
    restore(aws, events=events)

    assert reconciled(aws).records_written == 1
    record = aws.world.read_run("r")
    assert (record.status, record.result, record.ended_at) == ("running", None, None)
    aws.settle()
    sending.signal(aws.world, "r", "go", "found", signal_id="another")
    assert finish(aws, "r").result == "found"


def test_a_record_that_is_ahead_though_open_does_not_refuse_the_end(aws: AWSSystem) -> None:
    start(aws, "r", labels)
    events = aws.stack.copy("events")
    for number in range(5):
        sending.signal(aws.world, "r", "label", str(number), signal_id=f"lost-{number}")
    aws.settle()
    assert aws.world.read_run("r").attributes == {"label": "4"}
    restore(aws, events=events)

    assert reconciled(aws).records_written == 1
    assert aws.world.read_run("r").attributes == {}
    aws.settle()
    signal(aws, "r", "label", "end")
    assert finish(aws, "r").status == "completed"


def test_a_record_behind_its_history_is_told_the_end(aws: AWSSystem) -> None:
    start(aws, "r", waits)
    runs = aws.stack.copy("runs")
    signal(aws, "r", "go", "kept")
    restore(aws, runs=runs)

    assert reconciled(aws).records_written == 1
    record = aws.world.read_run("r")
    assert (record.status, record.result, record.seq) == ("completed", "kept", aws.world.load_history("r")[-1].seq)


def test_a_record_that_is_missing_is_made_of_the_history(aws: AWSSystem) -> None:
    runs = aws.stack.copy("runs")
    start(aws, "r", waits)
    restore(aws, runs=runs)

    assert reconciled(aws).records_written == 1
    aws.settle()
    signal(aws, "r", "go", "back")
    assert finish(aws, "r").result == "back"


def test_a_run_whose_history_is_gone_begins_anew(aws: AWSSystem) -> None:
    events = aws.stack.copy("events")
    start(aws, "r", charges)
    signal(aws, "r", "amount", 5)
    assert status(aws, "r") == "completed"
    restore(aws, events=events)

    assert reconciled(aws).begun_anew == 1
    aws.settle()
    assert status(aws, "r") == "running"
    signal(aws, "r", "amount", 5)
    assert finish(aws, "r").result == 5
    assert calls == [5]


def test_a_start_whose_message_is_lost_is_sent_again(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", waits)
    restore(aws)

    assert reconciled(aws).begun_anew == 1
    aws.settle()
    signal(aws, "r", "go", 1)
    assert finish(aws, "r").result == "1"


def test_a_process_that_remembers_the_lost_future_reads_the_history_again(aws: AWSSystem) -> None:
    start(aws, "r", labels)
    events, runs = aws.stack.copy("events"), aws.stack.copy("runs")
    signal(aws, "r", "label", "lost")
    aws.stack.put_back("events", events)
    aws.stack.put_back("runs", runs)  # and no process ends

    reconciled(aws)
    aws.settle()
    sending.signal(aws.world, "r", "label", "end", signal_id="end")

    assert finish(aws, "r").status == "completed"
    assert [event.seq for event in aws.world.load_history("r")] == [1, 2, 3, 4]


# --- steps ---


def test_a_recorded_outcome_ahead_of_the_history_is_used(aws: AWSSystem) -> None:
    start(aws, "r", charges)
    events = aws.stack.copy("events")
    signal(aws, "r", "amount", 5)
    restore(aws, events=events)

    reconciled(aws)
    aws.settle()
    signal(aws, "r", "amount", 5)

    assert finish(aws, "r").result == 5
    assert calls == [5]
    assert sum(isinstance(event, RunRestored) for event in aws.world.load_history("r")) == 1


def test_an_outcome_of_another_call_is_not_taken_for_this_ones(aws: AWSSystem) -> None:
    start(aws, "r", charges)
    events = aws.stack.copy("events")
    signal(aws, "r", "amount", 5)
    restore(aws, events=events)

    reconciled(aws)
    aws.settle()
    sending.signal(aws.world, "r", "amount", 7, signal_id="other")

    assert finish(aws, "r").result == 7
    assert calls == [5, 7]


def test_an_outcome_comes_before_the_timeout_that_has_passed(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", charges_slowly)
    aws.poll("runs")
    events = aws.stack.copy("events")
    aws.settle()
    restore(aws, events=events)

    assert reconciled(aws).outcomes_told == 1
    assert finish(aws, "r").result == 1
    assert calls == [1]


def test_a_step_that_runs_at_most_once_is_interrupted_where_its_claim_is_lost(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", charges_once)
    aws.poll("runs")
    runs = aws.stack.copy("runs")
    events = aws.stack.copy("events")
    aws.settle()
    assert calls == [1]
    restore(aws, events, runs)

    assert reconciled(aws).interrupted == 1
    finish(aws, "r")
    (failed,) = (event for event in aws.world.load_history("r") if isinstance(event, StepFailed))
    assert "StepInterruptedError" in failed.error.type
    assert calls == [1]


def test_what_begins_after_the_restore_is_not_interrupted(aws: AWSSystem) -> None:
    restore(aws)
    reconciled(aws)
    starting.start(aws.world, "r", charges_once)
    aws.poll("runs")

    assert reconciled(aws).interrupted == 0
    assert finish(aws, "r").result == 1


def test_an_attempt_that_the_lost_future_did_not_want_runs(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", charges_slowly)
    aws.poll("runs")
    events = aws.stack.copy("events")
    ledger.abandon(aws.world, "r", "s1", 1)
    restore(aws, events=events)

    assert reconciled(aws).wanted_again == 1
    assert not ledger.is_abandoned(aws.world, "r", "s1", 1)


# --- hooks ---


def test_a_token_goes_to_the_run_whose_history_holds_it(aws: AWSSystem) -> None:
    start(aws, "a", holds, token="t")
    copies = aws.stack.copy("events"), aws.stack.copy("runs")
    cancel(aws, "a")
    start(aws, "b", holds, token="t")
    assert items.get_hook(aws.world, "t") == HookRecord(token="t", run_id="b", hook_id="h1")
    restore(aws, events=copies[0])

    report = reconciled(aws)
    assert (report.hooks_released, report.hooks_held) == (1, 1)
    held = items.get_hook(aws.world, "t")
    assert held and held.run_id == "a"


def test_a_token_that_is_lost_is_held_again_and_by_one_run(aws: AWSSystem) -> None:
    runs = aws.stack.copy("runs")
    start(aws, "a", holds, token="t")
    restore(aws, runs=runs)

    assert reconciled(aws).hooks_held == 1
    to_the_end(aws)
    assert not any(isinstance(event, HookConflicted) for event in aws.world.load_history("a"))
    held = items.get_hook(aws.world, "t")
    assert held and held.run_id == "a"


# --- timers and schedules ---


def test_a_timer_of_the_lost_future_does_not_end_a_later_one_early(aws: AWSSystem) -> None:
    start(aws, "r", sleeps)
    events = aws.stack.copy("events")
    signal(aws, "r", "go")
    (left_over,) = aws.stack.schedules()
    restore(aws, events=events)
    aws.clock.forward(aws.clock.now() + 20 * DAY)

    assert reconciled(aws).schedules_deleted == 1
    aws.settle()
    begun = aws.clock.now()
    sending.signal(aws.world, "r", "go", signal_id="again")
    aws.settle()
    (timer,) = aws.stack.schedules()
    assert timer["Name"] != left_over["Name"]
    finish(aws, "r")
    assert aws.clock.now() - begun >= 30 * DAY


def test_a_timer_that_is_missing_is_set_again(aws: AWSSystem) -> None:
    start(aws, "r", sleeps)
    signal(aws, "r", "go")
    (timer,) = aws.stack.schedules()
    aws.stack.delete_schedule(timer["Name"])
    restore(aws)

    reconciled(aws)
    aws.settle()
    assert [one["Name"] for one in aws.stack.schedules()] == [timer["Name"]]
    assert finish(aws, "r").result == 1


def test_a_timer_that_its_history_waits_for_stays_set(aws: AWSSystem) -> None:
    start(aws, "r", sleeps)
    signal(aws, "r", "go")
    (timer,) = aws.stack.schedules()
    restore(aws)

    assert reconciled(aws).schedules_deleted == 0
    assert [one["Name"] for one in aws.stack.schedules()] == [timer["Name"]]


def test_schedules_are_those_of_the_records(aws: AWSSystem) -> None:
    schedules.create(aws.world, "kept", detaches, schedule="rate(1 day)")
    runs = aws.stack.copy("runs")
    schedules.delete(aws.world, "kept")
    schedules.create(aws.world, "lost", detaches, schedule="rate(1 day)")
    restore(aws, runs=runs)

    report = reconciled(aws)

    assert (report.schedules_armed, report.schedules_deleted) == (1, 1)
    assert [one["Name"] for one in aws.stack.schedules()] == ["schedule-kept"]


# --- families ---


def test_a_child_that_its_parent_has_not_asked_for_is_asked_for_anew(aws: AWSSystem) -> None:
    start(aws, "p", has_a_child, message="p")
    events = aws.stack.copy("events")
    signal(aws, "p", "ask", "lost")
    child = "p~c1"
    assert aws.world.get_run(child)
    restore(aws, events=events)

    assert reconciled(aws).records_removed == 1
    aws.settle()
    assert aws.world.get_run(child) is None
    sending.signal(aws.world, "p", "ask", "now", signal_id="ask-2")
    aws.settle()
    signal(aws, child, "go", "on")
    assert finish(aws, "p").result == "p now on"


def test_a_parent_is_told_by_a_child_that_is_ahead(aws: AWSSystem) -> None:
    start(aws, "p", has_a_child, message="p")
    signal(aws, "p", "ask", "a")
    sending.signal(aws.world, "p~c1", "go", "b")
    aws.poll("runs")
    assert status(aws, "p~c1") == "completed"
    restore(aws)  # the message to the parent is lost

    reconciled(aws)
    assert finish(aws, "p").result == "p a b"


def test_a_generation_that_replaces_none_any_more_is_removed(aws: AWSSystem) -> None:
    start(aws, "r", waits)
    events = aws.stack.copy("events")
    signal(aws, "r", "go", 1)
    starting.start(aws.world, "r", waits, reuse="allow")
    aws.settle()
    assert items.get_generation(aws.world, "r") == 2
    restore(aws, events=events)

    report = reconciled(aws)

    assert (report.records_removed, report.generations) == (1, 1)
    assert items.get_generation(aws.world, "r") == 1
    with pytest.raises(RunExistsError):
        starting.start(aws.world, "r", waits, if_running="fail")


def test_children_of_a_run_that_has_ended_are_told(aws: AWSSystem) -> None:
    start(aws, "p", leaves_a_child)
    runs = aws.stack.copy("runs")
    sending.signal(aws.world, "p", "go")
    aws.poll("runs")
    assert status(aws, "p") == "completed"
    restore(aws, runs=runs)  # the message to the child is lost

    reconciled(aws)
    assert finish(aws, "p~c1").status == "cancelled"


def test_a_generation_that_is_missing_follows_again(aws: AWSSystem) -> None:
    start(aws, "r", goes_on, round=1)
    events, runs = aws.stack.copy("events"), aws.stack.copy("runs")
    signal(aws, "r", "go")
    after = [item for item in aws.stack.items("events") if item["run_id"]["S"] == "r"]
    assert items.get_generation(aws.world, "r") == 2
    restore(aws, events, runs)
    for item in after:
        aws.stack.dynamodb.put_item(TableName=aws.stack.resources.events_table, Item=item)

    assert reconciled(aws).begun_anew == 1
    assert items.get_generation(aws.world, "r") == 2
    aws.settle()
    sending.signal(aws.world, "r", "go", signal_id="second")
    assert finish(aws, "r~2").result == 2


# --- requests ---


def test_a_request_whose_effect_is_lost_may_be_sent_again(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", waits)
    once = {"idempotency-key": "k1"}
    assert api.post("/runs/r/signals/go", {"value": "hello"}, headers=once).status == 202
    restore(aws)

    assert reconciled(aws).requests_forgotten == 1
    aws.settle()
    assert api.post("/runs/r/signals/go", {"value": "hello"}, headers=once).status == 202
    assert finish(aws, "r").status == "completed"


# --- archives ---


def test_a_run_that_was_archived_after_the_moment_has_its_end(aws: AWSSystem) -> None:
    start(aws, "r", charges)
    copies = aws.stack.copy("events"), aws.stack.copy("runs")
    signal(aws, "r", "amount", 5)
    story = aws.world.read_events("r")
    aws.clock.forward(aws.clock.now() + 3 * DAY)
    assert archive_old_runs(aws.world, older_than=DAY).archived == 1
    restore(aws, *copies)

    assert reconciled(aws).from_archive == 1
    to_the_end(aws)
    assert aws.world.load_history("r") == story
    assert aws.world.read_run("r").result == 5
    assert calls == [5]
    aws.clock.forward(aws.clock.now() + 3 * DAY)
    assert archive_old_runs(aws.world, older_than=DAY).archived == 1
    assert aws.world.read_events("r") == story


def test_an_archive_of_an_earlier_run_of_the_id_is_none_of_this_one(aws: AWSSystem) -> None:
    start(aws, "r", charges)
    signal(aws, "r", "amount", 5)
    aws.clock.forward(aws.clock.now() + 3 * DAY)
    archive_old_runs(aws.world, older_than=DAY)
    starting.start(aws.world, "r", charges)
    aws.settle()
    restore(aws)

    assert reconciled(aws).from_archive == 0
    aws.settle()
    sending.signal(aws.world, "r", "amount", 7, signal_id="second")
    assert finish(aws, "r").result == 7


# --- the pass itself ---


def test_a_second_pass_changes_nothing_more(aws: AWSSystem) -> None:
    start(aws, "a", holds, token="t")
    start(aws, "b", sleeps)
    events = aws.stack.copy("events")
    signal(aws, "b", "go")
    restore(aws, events=events)
    reconciled(aws)
    tables = aws.stack.items("events"), aws.stack.items("runs")

    report = reconciled(aws)

    assert (aws.stack.items("events"), aws.stack.items("runs")) == tables
    assert (report.marked, report.records_written, report.hooks_held, report.schedules_deleted) == (0, 0, 0, 0)


def test_a_dry_run_counts_the_same_and_changes_nothing(aws: AWSSystem) -> None:
    start(aws, "a", holds, token="t")
    events = aws.stack.copy("events")
    cancel(aws, "a")
    start(aws, "b", sleeps)
    signal(aws, "b", "go")
    restore(aws, events=events)
    schedule_names = [one["Name"] for one in aws.stack.schedules()]
    before = aws.stack.items("events"), aws.stack.items("runs")

    foreseen = reconciled(aws, dry_run=True)

    assert (aws.stack.items("events"), aws.stack.items("runs")) == before
    assert [one["Name"] for one in aws.stack.schedules()] == schedule_names
    assert not any(aws.stack.messages(queue) for queue in aws.stack.arns)
    assert reconciled(aws) == foreseen


@pytest.mark.parametrize("requests_made", [1, 3, 5, 7, 9, 11])
def test_a_pass_that_dies_is_taken_up_by_the_next(aws: AWSSystem, requests_made: int) -> None:
    start(aws, "a", holds, token="t")
    start(aws, "p", has_a_child, message="p")
    copies = aws.stack.copy("events"), aws.stack.copy("runs")
    signal(aws, "p", "ask", "a")
    cancel(aws, "a")
    start(aws, "b", sleeps)
    signal(aws, "b", "go")
    restore(aws, events=copies[0])
    client = aws.world.access.dynamodb
    made = 0

    def die(**_: Any) -> None:
        nonlocal made
        made += 1
        if made > requests_made:
            raise KeyboardInterrupt

    client.meta.events.register("before-call.dynamodb", die)
    try:
        with pytest.raises(KeyboardInterrupt):
            reconcile(aws.world, AWSRestored(aws.world.access), concurrency=1)
    finally:
        client.meta.events.unregister("before-call.dynamodb", die)

    reconciled(aws)
    aws.settle()
    held = items.get_hook(aws.world, "t")
    assert held and held.run_id == "a"
    sending.signal(aws.world, "p", "ask", "b", signal_id="ask-2")
    aws.settle()
    signal(aws, "p~c1", "go", "c")
    assert finish(aws, "p").result == "p b c"


def test_a_history_with_a_gap_is_left_alone_and_counted(aws: AWSSystem) -> None:
    start(aws, "r", charges)
    signal(aws, "r", "amount", 5)
    second = min(int(item["seq"]["N"]) for item in aws.stack.items("events") if item["seq"]["N"] != "1")
    aws.stack.dynamodb.delete_item(
        TableName=aws.stack.resources.events_table, Key={"run_id": {"S": "r"}, "seq": {"N": str(second)}}
    )
    restore(aws)
    before = aws.stack.items("events"), aws.world.get_run("r")

    report = reconcile(aws.world, AWSRestored(aws.world.access))

    assert (report.damaged, report.woken) == (1, 0)
    assert (aws.stack.items("events"), aws.world.get_run("r")) == before
