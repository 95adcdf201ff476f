"""The handler of the function that is called every hour."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from worldflow.serving.batches import out_of_time_of
from worldflow.serving.powertools import Handler
from worldflow.turns.observer import Observer
from worldflow.worlds.aws.world import AWSWorld


def create_caretaker_handler(world: AWSWorld, *, observer: Observer | None = None) -> Handler:
    """The handler of the function that is called every hour: it wakes runs that lost their wake-up, and archives those
    that ended long ago.

    What it has no time for is left to the next hour. Neither keeps the other from its work: if one fails, the other is
    done before the function fails. Secrets Manager calls it too, to change the key of webhooks.
    """
    from worldflow.runtime.archive import archive_old_runs  # which no other function needs
    from worldflow.runtime.sweep import sweep
    from worldflow.worlds.aws.webhook_keys import is_rotation, rotate

    def handler(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
        if is_rotation(event):
            rotate(world.access, event)
            return {}
        out_of_time = out_of_time_of(context)
        report: dict[str, Any] = {}
        try:
            report["sweep"] = asdict(sweep(world, out_of_time=out_of_time, observer=observer))
        finally:
            if days := world.settings.retention_days:
                archived = archive_old_runs(world, older_than=timedelta(days=days), out_of_time=out_of_time)
                report["archive"] = asdict(archived)
        return report

    return handler
