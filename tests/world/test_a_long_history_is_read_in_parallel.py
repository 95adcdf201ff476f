"""Beyond its first page a history is read in parts, at once: whole, in order, and without what is not asked for."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.support.systems import AWSSystem
from worldflow.engine.history import SignalReceived
from worldflow.worlds.aws.history import PARALLEL_PARTS
from worldflow.worlds.base import World

PATIENCE = 10.0


def fill(world: World, commits: int, size: int, events: int = 1) -> int:
    seq = 0
    for _ in range(commits):
        commit = []
        for _ in range(events):
            seq += 1
            fact = SignalReceived(signal_id=f"{seq}", name="n", value="x" * (size // events))
            commit.append(fact.recorded(seq, world.now()))
        world.append("r", commit)
    return seq


@pytest.mark.parametrize(
    ("commits", "size", "events"),
    [(4, 340_000, 1), (5, 340_000, 1), (13, 300_000, 1), (40, 60_000, 7), (4, 340_000, 50)],
)
@pytest.mark.parametrize("after", [0, 2, 11])
def test_it_is_whole_and_in_order(aws: AWSSystem, commits: int, size: int, events: int, after: int) -> None:
    last = fill(aws.world, commits, size, events)

    assert [event.seq for event in aws.world.load_history("r", after)] == list(range(after + 1, last + 1))


def test_the_parts_are_under_way_at_once(aws: AWSSystem) -> None:
    fill(aws.world, 12, 300_000)
    there = threading.Barrier(PARALLEL_PARTS, timeout=PATIENCE)
    asked: list[str] = []

    def meet(params: dict[str, Any], **_: Any) -> None:
        asked.append(params["KeyConditionExpression"])
        if len(asked) > 2 and "ExclusiveStartKey" not in params:
            there.wait()

    events = aws.world.access.dynamodb.meta.events
    events.register("provide-client-params.dynamodb.Query", meet)
    try:
        assert len(aws.world.load_history("r")) == 12
    finally:
        events.unregister("provide-client-params.dynamodb.Query", meet)


def test_a_commit_that_is_made_meanwhile_is_the_last(aws: AWSSystem) -> None:
    fill(aws.world, 8, 300_000)
    count = 0

    def commit(params: dict[str, Any], **_: Any) -> None:
        nonlocal count
        count += 1
        if count == 3:  # the newest is known, and the parts are not read
            fact = SignalReceived(signal_id="late", name="n").recorded(9, aws.world.now())
            aws.world.append("r", [fact])

    events = aws.world.access.dynamodb.meta.events
    events.register("provide-client-params.dynamodb.Query", commit)
    try:
        found = [event.seq for event in aws.world.load_history("r")]
    finally:
        events.unregister("provide-client-params.dynamodb.Query", commit)
    assert found in (list(range(1, 9)), list(range(1, 10)))


def test_a_short_one_is_one_request(aws: AWSSystem) -> None:
    fill(aws.world, 5, 10_000)
    aws.stack.requests.clear()
    aws.world.load_history("r")

    assert aws.stack.requests == ["dynamodb.Query"]
