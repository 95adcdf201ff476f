"""Large data: beside histories and messages, with references in its place."""

from typing import Any

import pytest

from tests.support.systems import AWSSystem
from worldflow.engine.history import Failure as FailureData
from worldflow.engine.history import RunCompleted, StepFailed, dump_events
from worldflow.worlds import World
from worldflow.worlds.payloads import fetch, fetch_event, stash, stash_event


def test_data_comes_back_by_its_key(world: World) -> None:
    world.put_payload("r/one", b"\x00\xff" * 500_000)
    world.put_payload("r/two", b"")

    assert world.get_payload("r/one") == b"\x00\xff" * 500_000
    assert world.get_payload("r/two") == b""


def test_data_stored_again_replaces(world: World) -> None:
    world.put_payload("r/one", b"first")
    world.put_payload("r/one", b"second")

    assert world.get_payload("r/one") == b"second"


@pytest.mark.parametrize("value", [None, 0, "", [], {"a": [1, 2.5, None, "één"]}, "x" * 1_000], ids=repr)
def test_small_values_stay_where_they_are(world: World, value: Any) -> None:
    assert stash(world, "r", value) == value
    assert fetch(world, value) == value


@pytest.mark.parametrize(
    "value", ["x" * 70_000, ["é" * 40_000], {"n": list(range(20_000))}], ids=["str", "list", "dict"]
)
def test_large_values_become_references(world: World, value: Any) -> None:
    reference = stash(world, "r", value)

    assert set(reference) == {"$payload", "bytes"}
    assert reference["$payload"].startswith("r/")
    assert reference["bytes"] > world.inline_limit
    assert fetch(world, reference) == value


def test_the_limit_counts_bytes(world: World) -> None:
    fits, exceeds = "x" * (world.inline_limit - 2), "x" * (world.inline_limit - 1)

    assert stash(world, "r", fits) == fits
    assert stash(world, "r", exceeds) != exceeds


@pytest.mark.parametrize(
    "value", [{"$payload": "other/secret"}, {"$payload": 1, "bytes": 2}, {"$payload": None}], ids=repr
)
def test_a_value_that_looks_like_a_reference_is_not_taken_for_one(world: World, value: Any) -> None:
    assert fetch(world, stash(world, "r", value)) == value


def test_the_same_value_has_one_key(world: World) -> None:
    assert stash(world, "r", "x" * 70_000) == stash(world, "r", "x" * 70_000)
    assert stash(world, "r", "x" * 70_000) != stash(world, "r2", "x" * 70_000)


def test_numbers_that_json_does_not_know_survive(world: World) -> None:
    value = [float("inf"), float("-inf"), "x" * 70_000]

    assert fetch(world, stash(world, "r", value)) == value


def test_an_event_carries_its_data_by_reference(world: World) -> None:
    event = RunCompleted(result={"report": "x" * 70_000})
    stored = stash_event(world, "r", event)

    assert len(dump_events([stored])) < 1_000
    assert fetch_event(world, stored) == event


def test_an_event_without_data_is_left_alone(world: World) -> None:
    event = StepFailed(step_id="s1", error=FailureData(type="m:E"))

    assert stash_event(world, "r", event) is event


def test_payloads_lie_under_one_prefix_of_the_bucket(aws: AWSSystem) -> None:
    aws.world.put_payload("r/one", b"data")

    assert aws.stack.objects() == ["payloads/r/one"]
