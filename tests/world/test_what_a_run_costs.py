"""What `worldflow.costs` says of a history is what the run has asked for on the wire: request by request, unit by unit.

DynamoDB's units are reckoned here as MiniStack reckons them, from what was sent and what was answered.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support import workflows
from tests.support.aws import Stack
from tests.support.systems import AWSSystem, skip
from tests.support.threads import ministack_service
from worldflow import (
    Limit,
    RetryPolicy,
    Throttle,
    continue_as_new,
    create_hook,
    open_stream,
    set_attributes,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
)
from worldflow.costs import Asked, commits_of, count, streams_of
from worldflow.costs.commits import guessed_commits
from worldflow.runtime import sending, starting, webhooks
from worldflow.runtime.workflow_pauses import pause_workflow
from worldflow.worlds import reading

_ministack = ministack_service("dynamodb")


async def _costed(number: int) -> int:
    return number


async def _costed_twice(number: int) -> int:
    if step_info().attempt == 1:
        raise ConnectionError("again")
    return number


OPTIONS: dict[str, dict[str, Any]] = {
    "queued": {},
    "unrecorded": {"guarantee": "repeatable"},
    "once": {"guarantee": "at_most_once"},
    "in time": {"timeout": "1m"},
    "in a day": {"timeout": "1d"},
    "aloud": {"heartbeat_timeout": "1m"},
    "inline": {"inline": True},
    "inline once": {"inline": True, "guarantee": "at_most_once"},
    "pure": {"inline": True, "guarantee": "pure"},
}
STEPS = {kind: step(name=f"costed {kind}".replace(" ", "_"), **options)(_costed) for kind, options in OPTIONS.items()}
AGAIN = RetryPolicy(initial_interval="1s", jitter=0)
TWICE = {
    kind: step(name=f"costed twice {kind}".replace(" ", "_"), retry=AGAIN, **OPTIONS[kind])(_costed_twice)
    for kind in ("queued", "unrecorded", "once", "inline", "inline once")
}


async def _size(text: str) -> int:
    return len(text)


SIZES = {kind: step(name=f"costed_size_{kind}", **OPTIONS[kind])(_size) for kind in ("queued", "inline")}


LIMITS = {
    "placed": Limit("costed", concurrency=9),
    "paced": Limit("costed-rate", rate="1000/1s"),
    "placed in time": Limit("costed-timed", concurrency=9),
}
OPTIONS |= {kind: {"limit": limit} for kind, limit in LIMITS.items()}
OPTIONS["placed in time"]["timeout"] = "1m"
STEPS |= {kind: step(name=f"costed {kind}".replace(" ", "_"), **OPTIONS[kind])(_costed) for kind in LIMITS}


@workflow(limit=Limit("costed-runs", concurrency=9))
async def costs_a_place(kind: str = "queued") -> None:
    await STEPS[kind](1)


@workflow(throttle=Throttle("1/1m"))
async def costs_a_throttle() -> None:
    await STEPS["queued"](1)


@workflow
async def costs_steps(count: int, kind: str) -> None:
    for number in range(count):
        await STEPS[kind](number)


@workflow
async def costs_at_once(count: int, kind: str) -> None:
    await asyncio.gather(*(STEPS[kind](number) for number in range(count)))


@workflow
async def costs_some_of_each() -> None:
    for kind in ("inline", "pure", "pure", "inline", "pure", "queued", "pure", "pure"):
        await STEPS[kind](1)


@workflow
async def costs_a_retry(kind: str) -> None:
    await TWICE[kind](1)
    await STEPS["queued"](1)


@workflow
async def costs_a_signal() -> None:
    set_attributes(told=await wait_for_signal("value"))
    await wait_for_signal("value")


@workflow
async def costs_a_sleep(seconds: float, too_long: float = 0, steps: int = 0) -> None:
    for number in range(steps):
        await STEPS["queued"](number)
    timer = asyncio.ensure_future(sleep(too_long)) if too_long else None
    await sleep(seconds)
    if timer:
        timer.cancel()
        await sleep(seconds)


@workflow
async def costs_large_data(size: int, kind: str) -> None:
    await SIZES[kind]("x" * size)


@workflow
async def costs_child() -> None:
    await STEPS["queued"](1)


@workflow
async def costs_a_child() -> None:
    await costs_child()


@workflow
async def costs_a_cancelled_child() -> None:
    child = asyncio.ensure_future(costs_a_signal())
    await STEPS["queued"](1)
    child.cancel()


@workflow
async def costs_a_hook() -> None:
    with create_hook(int, token="t") as hook:
        await hook
    await wait_for_signal("value")


@workflow
async def costs_a_generation(number: int = 1) -> None:
    await STEPS["queued"](number)
    if number == 1:
        continue_as_new(2)


@step(retry=AGAIN)
async def costed_tell(values: list[str], fail_after: int | None, resume: bool) -> None:
    async with open_stream("told", str, resume=resume) as out:
        for number, value in enumerate(values):
            if number == fail_after and step_info().attempt == 1:
                raise ConnectionError("again")
            await out.write(value)


@workflow
async def costs_a_stream(
    values: list[str], inline: bool = False, fail_after: int | None = None, resume: bool = False
) -> None:
    await costed_tell.options(inline=inline)(values, fail_after, resume)


@workflow
async def costs_a_large_value_in_a_stream(size: int) -> None:
    open_stream("progress", str).write("x" * size)
    await STEPS["queued"](1)


@workflow
async def costs_a_workflows_stream(count: int) -> None:
    out = open_stream("progress", int)
    for number in range(count):
        out.write(number)
        out.write(-number)
        await STEPS["queued"](number)
    out.close()


class Wire:
    """What has gone over it."""

    def __init__(self, stack: Stack) -> None:
        self.requests: Counter[str] = Counter()
        self.write_units = self.read_units = self.messages = self.schedules = 0
        self.before: dict[str, Any] = {}
        self.table = stack.dynamodb.describe_table(TableName=stack.resources.runs_table)["Table"]

    def written(self, params: dict[str, Any], **_: Any) -> None:
        item = params["Item"]
        before = None
        if params["TableName"] == self.table["TableName"]:
            before, self.before[item["run_id"]["S"]] = self.before.get(item["run_id"]["S"]), item
            for index in self.table["GlobalSecondaryIndexes"]:
                self.write_units += _ministack._index_write_units(
                    {"pk_name": "run_id", "sk_name": None}, index, before, item
                )
        size = max(_ministack._item_size_bytes(item), _ministack._item_size_bytes(before or {}))
        self.write_units += max(1, math.ceil(size / 1024))

    def updated(self, parsed: dict[str, Any], **_: Any) -> None:
        item = parsed["Attributes"]
        before, self.before[item["run_id"]["S"]] = self.before.get(item["run_id"]["S"]), item
        size = max(_ministack._item_size_bytes(item), _ministack._item_size_bytes(before or {}))
        self.write_units += max(1, math.ceil(size / 1024))

    def deleted(self, params: dict[str, Any], **_: Any) -> None:
        before = self.before.pop(params["Key"]["run_id"]["S"])
        self.write_units += max(1, math.ceil(_ministack._item_size_bytes(before) / 1024))

    def read(self, parsed: dict[str, Any], **_: Any) -> None:
        items = parsed["Items"] if "Items" in parsed else [parsed.get("Item", {})]
        self.read_units += max(1, math.ceil(sum(map(_ministack._item_size_bytes, items)) / 4096))

    def read_two(self, parsed: dict[str, Any], **_: Any) -> None:
        sizes = [_ministack._item_size_bytes(item) for items in parsed["Responses"].values() for item in items]
        self.read_units += sum(max(1, math.ceil(size / 4096)) for size in (*sizes, 0, 0)[:2])

    @contextmanager
    def tapped(self, aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        receive, delete_schedule = aws.stack.receive, aws.stack.delete_schedule

        def count_messages(queue: Any, size: int) -> list[Any]:
            received = receive(queue, size)
            self.messages += len(received)
            return received

        def count_schedule(name: str) -> None:
            self.schedules += 1  # it has fired, and is no more
            delete_schedule(name)

        monkeypatch.setattr(aws.stack, "receive", count_messages)
        monkeypatch.setattr(aws.stack, "delete_schedule", count_schedule)
        events, handlers = (
            aws.world.access.dynamodb.meta.events,
            {
                "provide-client-params.dynamodb.PutItem": self.written,
                "provide-client-params.dynamodb.DeleteItem": self.deleted,
                "after-call.dynamodb.UpdateItem": self.updated,
                "after-call.dynamodb.GetItem": self.read,
                "after-call.dynamodb.BatchGetItem": self.read_two,
                "after-call.dynamodb.Query": self.read,
            },
        )
        for name, handler in handlers.items():
            events.register(name, handler)
        aws.stack.requests.clear()
        try:
            yield
        finally:
            self.requests.update(aws.stack.requests)
            for name, handler in handlers.items():
                events.unregister(name, handler)


def drive(aws: AWSSystem) -> None:
    """All that comes of itself, to the last message."""
    aws.settle()
    while skip(aws):
        pass


def tell(aws: AWSSystem) -> None:
    for number in range(2):
        sending.signal(aws.world, "r", "value", number)
        drive(aws)


def resume(aws: AWSSystem) -> None:
    webhooks.resume_hook(aws.world, "t", 1)
    drive(aws)
    sending.signal(aws.world, "r", "value", 1)


def cancel(aws: AWSSystem) -> None:
    sending.cancel(aws.world, "r")


def tell_much(aws: AWSSystem) -> None:
    sending.signal(aws.world, "r", "value", "y" * 150_000)


def alone(_: AWSSystem) -> None:
    pass


def pause(aws: AWSSystem) -> None:
    sending.pause(aws.world, "r")
    drive(aws)
    sending.signal(aws.world, "r", "value", 1)
    drive(aws)
    sending.unpause(aws.world, "r")
    drive(aws)
    sending.signal(aws.world, "r", "value", 2)


def wake(aws: AWSSystem) -> None:
    sending.wake(aws.world, "r")


def unpause(aws: AWSSystem) -> None:
    sending.unpause(aws.world, "r")


AT_ONCE = {wake, unpause}
"""While the run waits for a time."""


ENDS = {"a cancellation": {"cancelled"}, "a second generation": {"continued", "completed"}}

CASES: dict[str, tuple[Any, dict[str, Any], Callable[[AWSSystem], None]]] = {
    "sequential steps": (costs_steps, {"count": 12, "kind": "queued"}, alone),
    "steps without a ledger": (costs_steps, {"count": 5, "kind": "unrecorded"}, alone),
    "steps at most once": (costs_steps, {"count": 3, "kind": "once"}, alone),
    "a step with a timeout": (costs_steps, {"count": 1, "kind": "in time"}, alone),
    "steps with a long timeout": (costs_steps, {"count": 3, "kind": "in a day"}, alone),
    "inline steps": (costs_steps, {"count": 12, "kind": "inline"}, alone),
    "pure steps": (costs_steps, {"count": 250, "kind": "pure"}, alone),
    "some of each": (costs_some_of_each, {}, alone),
    "a fan-out": (costs_at_once, {"count": 33, "kind": "queued"}, alone),
    "an inline fan-out": (costs_at_once, {"count": 33, "kind": "inline"}, alone),
    **{f"a retry, {kind}": (costs_a_retry, {"kind": kind}, alone) for kind in TWICE},
    "a signal": (costs_a_signal, {}, tell),
    "a sleep": (costs_a_sleep, {"seconds": 2}, alone),
    "a sleep of a month": (costs_a_sleep, {"seconds": 30 * 86_400}, alone),
    "sleeps that are given up": (costs_a_sleep, {"seconds": 2, "too_long": 100}, alone),
    "a sleep that is over before the end": (costs_a_sleep, {"seconds": 2, "too_long": 3, "steps": 40}, alone),
    "a sleep that is over after it": (costs_a_sleep, {"seconds": 2, "too_long": 100, "steps": 40}, alone),
    "long sleeps that are given up": (costs_a_sleep, {"seconds": 2, "too_long": 86_400}, alone),
    "a start after a minute": (costs_child, {}, alone),
    "a start after a month": (costs_child, {}, alone),
    "a child": (costs_a_child, {}, alone),
    "a hook": (costs_a_hook, {}, resume),
    "a cancellation": (costs_a_signal, {}, cancel),
    "a second generation": (costs_a_generation, {}, alone),
    "a large commit": (costs_at_once, {"count": 2_000, "kind": "inline"}, alone),
    "large data for a step": (costs_large_data, {"size": 150_000, "kind": "queued"}, alone),
    "large data for an inline step": (costs_large_data, {"size": 150_000, "kind": "inline"}, alone),
    "a stream": (costs_a_stream, {"values": ["a", "b", "c"]}, alone),
    "a stream of an inline step": (costs_a_stream, {"values": ["a", "b", "c"], "inline": True}, alone),
    "a stream of large values": (costs_a_stream, {"values": ["a" * 30_000] * 9}, alone),
    "a stream in S3": (costs_a_stream, {"values": ["a" * 300_000]}, alone),
    "a stream that begins anew": (costs_a_stream, {"values": ["a", "b", "c"], "fail_after": 2}, alone),
    "a stream that goes on": (costs_a_stream, {"values": ["a", "b"], "fail_after": 1, "resume": True}, alone),
    "a stream of the workflow": (costs_a_workflows_stream, {"count": 4}, alone),
    "a large value of the workflow": (costs_a_large_value_in_a_stream, {"size": 150_000}, alone),
    "limited steps": (costs_steps, {"count": 3, "kind": "placed"}, alone),
    "limited steps at once": (costs_at_once, {"count": 3, "kind": "placed"}, alone),
    "steps at a rate": (costs_steps, {"count": 3, "kind": "paced"}, alone),
    "a limited step with a timeout": (costs_steps, {"count": 1, "kind": "placed in time"}, alone),
    "a limited run": (costs_a_place, {}, alone),
    "a limited run of a limited step": (costs_a_place, {"kind": "placed"}, alone),
    "a throttled run": (costs_a_throttle, {}, alone),
    "a throttled run that waits": (costs_a_throttle, {}, alone),
    "a pause": (costs_a_signal, {}, pause),
    "a run that is paused when it begins": (costs_child, {}, unpause),
    "a sleep that is ended": (costs_a_sleep, {"seconds": 60}, wake),
    "a sleep of a month that is ended": (costs_a_sleep, {"seconds": 30 * 86_400}, wake),
    "data in S3": (workflows.big_values, {"size": 150_000}, tell_much),
}


DELAYS = {"a start after a minute": "1m", "a start after a month": "30d"}


PAUSED: dict[str, Callable[[AWSSystem], object]] = {
    "a run that is paused when it begins": lambda aws: pause_workflow(aws.world, costs_child)
}

KNOWN = {name for name in CASES if "limit" in name or "at a rate" in name or name.endswith("that waits")}


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_went_over_the_wire(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    flow, arguments, outside = CASES[name]
    if name in KNOWN:  # another run before it has used the limit, or has the place
        starting.start(aws.world, "before", flow, arguments)
        aws.settle() if "throttled" in name else drive(aws)
    before = PAUSED.get(name, alone)
    wire = Wire(aws.stack)
    before(aws)
    with wire.tapped(aws, monkeypatch):
        starting.start(aws.world, "r", flow, arguments, delay=DELAYS.get(name))
        aws.settle() if outside in AT_ONCE else drive(aws)
        outside(aws)
        drive(aws)

    runs = [record.run_id for record in aws.world.list_runs().runs if record.run_id != "before"]
    told = ((run_id, commits_of(aws.world, run_id)[0], streams_of(aws.world, run_id)) for run_id in runs)
    asked = total(*(count(*each) for each in told))
    ends = {record.status for record in aws.world.list_runs().runs}
    assert ends == ENDS.get(name, {"completed"})
    assert asked.estimated == []
    assert asked.requests == wire.requests
    assert (asked.write_units, asked.read_units) == (wire.write_units, wire.read_units)
    assert (asked.messages, asked.schedules) == (wire.messages, wire.schedules)
    assert asked.sends - asked.schedules == wire.requests["sqs.SendMessageBatch"]


def test_a_cancellation_is_sent_once_by_the_parent(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(aws.stack)
    with wire.tapped(aws, monkeypatch):
        starting.start(aws.world, "r", costs_a_cancelled_child, {})
        drive(aws)

    asked = total(*(count(run_id, commits_of(aws.world, run_id)[0]) for run_id in ("r", "r~c1")))
    assert aws.world.read_run("r~c1").status == "cancelled"
    assert asked.requests["sqs.SendMessageBatch"] == wire.requests["sqs.SendMessageBatch"]


@pytest.mark.parametrize(
    "name", ["sequential steps", "pure steps", "some of each", "a fan-out", "a retry, queued", "a sleep"]
)
def test_an_archived_history_is_told_apart_into_its_commits(aws: AWSSystem, name: str) -> None:
    flow, arguments, _ = CASES[name]
    starting.start(aws.world, "r", flow, arguments)
    drive(aws)

    assert guessed_commits(reading.stored_events(aws.world, "r")) == aws.world.load_commits("r")


def test_what_is_more_than_64_kb_is_two_requests_to_sqs(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", costs_large_data, {"size": 65_520, "kind": "queued"})
    drive(aws)
    asked = count("r", aws.world.load_commits("r"))

    assert asked.sends == asked.requests["sqs.SendMessageBatch"] + 1  # the step's task
    assert (asked.receives(1), asked.deletes(1)) == (asked.messages + 1, asked.messages)


def test_how_many_messages_came_together_that_bring_nothing_is_not_known(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(aws.stack)
    with wire.tapped(aws, monkeypatch):
        starting.start(aws.world, "r", costs_steps, {"count": 20, "kind": "in time"})
        drive(aws)
    asked = count("r", aws.world.load_commits("r"))

    (why,) = asked.estimated
    assert "close together" in why
    # A look at the history for each message, and not for each turn. All else is as it was.
    assert asked.requests.pop("dynamodb.Query") == 1 + 20 > wire.requests.pop("dynamodb.Query")
    assert asked.requests == wire.requests
    assert (asked.write_units, asked.messages) == (wire.write_units, wire.messages)


def test_what_the_history_does_not_have_is_said(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", costs_steps, {"count": 1, "kind": "aloud"})
    assert aws.poll("runs")
    under_way = count("r", aws.world.load_commits("r")).estimated
    drive(aws)
    ended = count("r", aws.world.load_commits("r")).estimated

    assert (len(under_way), len(ended)) == (1, 1)
    assert "in progress" in under_way[0]
    assert "heartbeats" in ended[0]


def total(*parts: Asked) -> Asked:
    whole = Asked()
    for part in parts:
        whole.requests += part.requests
        whole.estimated += part.estimated
        for name in ("write_units", "read_units", "sends", "messages", "schedules"):
            setattr(whole, name, getattr(whole, name) + getattr(part, name))
    return whole
