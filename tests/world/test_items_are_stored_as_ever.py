"""What is stored on AWS: the tables of a deployed stack hold items that earlier versions wrote, and that they read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.support.systems import AWSSystem
from worldflow.engine.history import StepCompleted
from worldflow.worlds import items, ledger
from worldflow.worlds.messages import StepOutcome
from worldflow.worlds.records import HookRecord
from worldflow.worlds.schedule_records import ScheduleRecord
from worldflow.worlds.schedules import put_schedule

AT = datetime(2026, 11, 1, tzinfo=UTC)


def stored(aws: AWSSystem) -> dict[str, dict[str, Any]]:
    """The items by their keys, without what differs each time."""
    moments = {"expires_at", "beat_at", "claimant"}
    found: dict[str, dict[str, Any]] = {}
    for item in aws.stack.items("runs"):
        key = item.pop("run_id")["S"]
        found[key] = {name: "?" if name in moments else value for name, value in item.items()}
    return found


def test_generations_and_hooks(aws: AWSSystem) -> None:
    items.put_generation(aws.world, "r", 2)
    items.put_hook(aws.world, HookRecord(token="door", run_id="r", hook_id="h1"))

    assert stored(aws) == {
        "generation#r": {"number": {"N": "2"}},
        "hook#door": {"hook": {"S": '{"token":"door","run_id":"r","hook_id":"h1"}'}, "holder": {"S": "r"}},
    }


def test_the_ledger(aws: AWSSystem) -> None:
    outcome = StepOutcome(run_id="r", fact=StepCompleted(step_id="s1", result=1), call="c")
    ledger.put_outcome(aws.world, outcome)
    ledger.claim(aws.world, "r", "s1", 1)
    ledger.begin(aws.world, "r", "s2", 1)
    ledger.beat(aws.world, "r", "s3", 1, {"done": 1})
    ledger.abandon(aws.world, "r", "s4", 1)

    assert stored(aws) == {
        "step#r#s1#1": {"outcome": {"S": outcome.model_dump_json(exclude_none=True)}, "expires_at": "?"},
        "step#r#s1#1#claim": {"claimant": "?"},
        "step#r#s2#1#beat": {"beat_at": "?", "details": {"S": "null"}, "expires_at": "?"},
        "step#r#s3#1#beat": {"beat_at": "?", "details": {"S": '{"done":1}'}, "expires_at": "?"},
        "step#r#s4#1#beat": {"abandoned": {"N": "1"}, "expires_at": "?"},
    }
    assert aws.stack.requests == ["dynamodb.PutItem"] * 2 + ["dynamodb.UpdateItem"] * 3


def test_a_schedule_is_in_the_index_by_time(aws: AWSSystem) -> None:
    record = ScheduleRecord(
        schedule_id="daily",
        workflow="w",
        schedule="rate(1 day)",
        created_at=AT,
        updated_at=AT,
        counts_from=AT,
        version="v7",
    )
    put_schedule(aws.world, record, replacing=None)

    assert stored(aws) == {
        "schedule#daily": {
            "schedule": {"S": record.model_dump_json(exclude_none=True)},
            "version": {"S": "v7"},
            "shard": {"S": "schedules"},
            "created_at": {"S": "daily"},
        }
    }
