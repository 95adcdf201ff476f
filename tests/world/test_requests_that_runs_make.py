"""What runs ask of AWS for what is more than steps and timers, request by request."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.aws import QueueName
from tests.support.systems import AWSSystem, finish
from worldflow import (
    continue_as_new,
    create_hook,
    on_update,
    publish,
    set_attributes,
    set_status,
    step,
    step_info,
    wait_for_signal,
    workflow,
)
from worldflow.runtime import queries, sending, starting, updates, webhooks
from worldflow.worlds import ledger
from worldflow.worlds.messages import Poke

WRITE = "dynamodb.PutItem"
READ = "dynamodb.GetItem"
HISTORY = "dynamodb.Query"
SEND = "sqs.SendMessageBatch"
MARK = "dynamodb.UpdateItem"
DELETE = "dynamodb.DeleteItem"
BEGIN = "dynamodb.BatchGetItem"
FIRST = [HISTORY, BEGIN]
"""What the first turn of a run looks at: its history, which is empty, and its record with the pauses of workflows."""


@step(inline=True)
async def inline_count(number: int) -> int:
    return number + 1


@step(inline=True, guarantee="at_most_once")
async def inline_count_once(number: int) -> int:
    return number + 1


@step(guarantee="at_most_once")
async def count_once(number: int) -> int:
    return number + 1


@step(heartbeat_timeout="1m")
async def count_aloud(number: int) -> int:
    step_info().heartbeat(number)
    return number + 1


@workflow
async def inline_counts(length: int, once: bool = False) -> int:
    number = 0
    for _ in range(length):
        number = await (inline_count_once(number) if once else inline_count(number))
    return number


@workflow
async def counts_once() -> int:
    return await count_once(await count_once(0))


@workflow
async def counts_aloud() -> int:
    return await count_aloud(await count_aloud(0))


@workflow
async def counted_child(number: int) -> int:
    return number


@workflow
async def counting_parent(count: int) -> int:
    return sum(await asyncio.gather(*(counted_child(number) for number in range(count))))


@workflow
async def counting_hook() -> int:
    with create_hook(int, token="t") as hook:
        return await hook + await hook


@workflow
async def counting_updates() -> None:
    on_update("n")(lambda value: value)
    publish("n", 5)
    await wait_for_signal("end")


@workflow
async def telling() -> None:
    while True:
        set_attributes(n=await wait_for_signal("n"))
        set_status("told")


@workflow
async def counting_generations(n: int = 1) -> None:
    await wait_for_signal("next")
    continue_as_new(n + 1)


@pytest.fixture(autouse=True)
def _asked(aws: AWSSystem) -> Iterator[None]:
    aws.stack.requests.clear()
    yield


def poll(aws: AWSSystem, queue: QueueName) -> list[str]:
    aws.stack.requests.clear()
    assert aws.poll(queue), f"nothing in {queue}"
    return taken(aws)


def taken(aws: AWSSystem) -> list[str]:
    made = list(aws.stack.requests)
    aws.stack.requests.clear()
    return made


def started(aws: AWSSystem, flow: Any, run_id: str = "r", **arguments: Any) -> list[str]:
    """The requests of a run's first turn."""
    starting.start(aws.world, run_id, flow, arguments)
    return poll(aws, "runs")


# --- inline steps ---


@pytest.mark.parametrize("once", [False, True], ids=["at least once", "at most once"])
@pytest.mark.parametrize("length", [1, 5, 40])
def test_a_chain_of_inline_steps_is_a_write_a_step_and_one_more(aws: AWSSystem, length: int, once: bool) -> None:
    made = started(aws, inline_counts, length=length, once=once)

    record = [WRITE]
    assert made == [*FIRST, *[WRITE] * (length + 1), *record]
    assert aws.world.read_run("r").result == length
    assert [queue for queue in aws.stack.arns if aws.stack.messages(queue)] == []


# --- queued steps ---


def test_a_step_that_runs_at_most_once_is_one_write_more(aws: AWSSystem) -> None:
    started(aws, counts_once)

    assert poll(aws, "steps") == [WRITE, WRITE, SEND]
    assert poll(aws, "runs") == [WRITE, SEND]


def test_a_step_that_beats_is_a_watch_and_a_write_for_its_begin_and_each_beat(aws: AWSSystem) -> None:
    assert started(aws, counts_aloud) == [*FIRST, WRITE, SEND, SEND]
    assert poll(aws, "steps") == [MARK, MARK, WRITE, SEND]  # that it begins, one heartbeat, and its outcome
    assert poll(aws, "runs") == [WRITE, SEND, SEND]


def test_a_look_at_a_step_that_beats_is_two_reads_and_the_next_look(aws: AWSSystem) -> None:
    started(aws, counts_aloud)
    aws.stack.purge("steps")
    aws.clock.forward(aws.clock.now() + timedelta(seconds=30))
    ledger.beat(aws.world, "r", "s1", 1, None)
    due = aws.next_due()
    assert due
    aws.clock.forward(due)

    assert poll(aws, "timers") == [SEND]
    # The last beat, the tail of the history, as in every turn that writes nothing, and the next look.
    assert poll(aws, "runs") == [READ, HISTORY, SEND]


# --- children ---


def test_a_child_is_a_run_and_its_end_a_message(aws: AWSSystem) -> None:
    parent = started(aws, counting_parent, count=1)
    child = poll(aws, "runs")
    end = poll(aws, "runs")

    assert parent == [*FIRST, WRITE, WRITE, SEND]  # its commit, the child's record, the child's start
    assert child == [*FIRST, WRITE, WRITE, SEND]  # its commit, its record, the word to its parent
    assert end == [WRITE, WRITE]
    assert aws.world.read_run("r").status == "completed"


def test_children_are_sent_ten_in_a_request(aws: AWSSystem) -> None:
    made = started(aws, counting_parent, count=100)

    assert made == [*FIRST, WRITE, *[WRITE] * 100, *[SEND] * 10]


def test_a_hundred_children_are_what_one_is_a_hundred_times(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", counting_parent, {"count": 100})
    record = finish(aws, "r")
    made = Counter(aws.stack.requests)

    assert record.result == sum(range(100))
    # For each child: its record, its commit, its record at the end. Beside them the parent's own two records and its
    # commits, one for each batch of ends.
    assert 300 + 4 <= made[WRITE] <= 300 + 3 + 100
    assert made[READ] <= 1 + 100 + 1  # the last is the look of `finish`
    assert made[HISTORY] <= 101 + 100


def test_a_redo_of_a_parent_starts_what_is_open_again(aws: AWSSystem) -> None:
    started(aws, counting_parent, count=2)
    aws.stack.purge("runs")
    aws.world.send([Poke(run_id="r")])

    # Of each child the record is read: it is written only where there is none, and none in the archive.
    assert poll(aws, "runs") == [HISTORY, READ, READ, SEND, WRITE]


# --- hooks, updates, queries ---


def test_a_hook_is_a_write_a_value_a_turn_and_its_end_a_deletion(aws: AWSSystem) -> None:
    assert started(aws, counting_hook) == [*FIRST, WRITE, WRITE]

    webhooks.resume_hook(aws.world, "t", 1)
    assert taken(aws) == [READ, READ, SEND]  # who holds it, and whether that run goes on
    assert poll(aws, "runs") == [WRITE]
    webhooks.resume_hook(aws.world, "t", 2)
    assert poll(aws, "runs") == [WRITE, WRITE, DELETE]


def test_an_update_is_a_turn_and_a_look_at_the_history(aws: AWSSystem) -> None:
    started(aws, counting_updates)
    update = updates.send_update(aws.world, "r", "n", (1,))
    assert taken(aws) == [READ, SEND]
    assert poll(aws, "runs") == [WRITE]
    assert updates.look_for_answer(aws.world, update)
    assert taken(aws) == [HISTORY]


def test_a_query_is_two_reads_and_writes_nothing(aws: AWSSystem) -> None:
    started(aws, counting_updates)
    assert queries.query(aws.world, "r", "n") == 5

    assert taken(aws) == [READ, HISTORY]


# --- attributes, generations, ends ---


def test_attributes_are_one_write_more_however_many(aws: AWSSystem) -> None:
    started(aws, telling)
    for number in range(5):
        sending.signal(aws.world, "r", "n", number)

    assert poll(aws, "runs") == [WRITE, WRITE]
    record = aws.world.get_run("r")
    assert record
    assert (record.attributes, record.status_text) == ({"n": 4}, "told")


def test_a_generation_is_a_record_its_number_and_a_start(aws: AWSSystem) -> None:
    started(aws, counting_generations)
    sending.signal(aws.world, "r", "next")

    # Its commit; the record of the next, its number and its start; its own record.
    assert poll(aws, "runs") == [WRITE, WRITE, WRITE, SEND, WRITE]
    assert poll(aws, "runs") == [*FIRST, WRITE]


def test_a_signal_for_the_newest_generation_looks_for_it(aws: AWSSystem) -> None:
    started(aws, counting_generations)
    sending.signal(aws.world, "r", "next", signal_id="1")
    poll(aws, "runs"), poll(aws, "runs")
    sending.signal(aws.world, "r", "next", signal_id="2")

    assert taken(aws) == [READ, READ, READ, SEND]  # the record, the number, the record of the newest


def test_a_termination_is_one_turn(aws: AWSSystem) -> None:
    started(aws, telling)
    sending.terminate(aws.world, "r")

    assert taken(aws) == [READ, SEND]
    assert poll(aws, "runs") == [WRITE, WRITE]
