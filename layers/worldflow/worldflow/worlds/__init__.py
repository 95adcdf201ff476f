"""Where runs live: `LocalWorld` (SQLite) and `AWSWorld` (DynamoDB, SQS, EventBridge Scheduler, S3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worldflow.worlds.base import World
from worldflow.worlds.records import RunPage, RunRecord
from worldflow.worlds.schedule_records import ScheduleRecord
from worldflow.worlds.schedules import SchedulePage

if TYPE_CHECKING:
    from worldflow.worlds.aws.world import AWSWorld
    from worldflow.worlds.local.world import LocalWorld

__all__ = ["AWSWorld", "LocalWorld", "RunPage", "RunRecord", "SchedulePage", "ScheduleRecord", "World"]


def __getattr__(name: str) -> Any:
    # Each on its own: a Lambda function has no use for SQLite, and a laptop may have no boto3.
    if name == "AWSWorld":
        try:
            from worldflow.worlds.aws.world import AWSWorld
        except ModuleNotFoundError as error:
            if error.name not in ("boto3", "botocore"):
                raise
            raise ModuleNotFoundError('AWSWorld needs boto3: pip install "worldflow[aws]"', name=error.name) from None
        return AWSWorld
    if name == "LocalWorld":
        from worldflow.worlds.local.world import LocalWorld

        return LocalWorld
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
