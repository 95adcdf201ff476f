"""What logs may hold, as the environment says, and what they say of errors of AWS: see `engine/privacy.py`, which asks.

`RunIds` adds to the lines of a worker which run they are about:

    handler.addFilter(RunIds())
    handler.setFormatter(logging.Formatter("%(levelname)s %(run)s%(message)s"))
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from worldflow.engine.privacy import set_rules


def setting() -> bool | None:
    """What `WORLDFLOW_LOG_PAYLOADS` says, if it is set."""
    said = os.environ.get("WORLDFLOW_LOG_PAYLOADS", "").lower()
    return said in ("true", "1") if said else None


def refusal(error: Any) -> str | None:
    """Of an error of AWS: which request was refused, and as what."""
    # By name, as most processes have no botocore to import.
    if any((cls.__module__, cls.__name__) == ("botocore.exceptions", "ClientError") for cls in type(error).__mro__):
        return f"{error.response.get('Error', {}).get('Code')} for {error.operation_name}"
    return None


set_rules(setting, refusal)


_about: ContextVar[Mapping[str, Any] | None] = ContextVar("worldflow_log", default=None)


@contextmanager
def about(**keys: Any) -> Iterator[None]:
    """Within it, and in the tasks and threads that it starts, log lines are about a run."""
    token = _about.set(keys)
    try:
        yield
    finally:
        _about.reset(token)


class RunIds(logging.Filter):
    """Gives each record of a worker the attributes `run_id`, `step_id` and `attempt`, where there are such; and `run`,
    which has them as text for the beginning of a line: `[order-1 s2/1] `.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        keys = _about.get() or {}
        for name in ("run_id", "step_id", "attempt"):
            setattr(record, name, keys.get(name))
        step = f" {keys['step_id']}/{keys['attempt']}" if "step_id" in keys else ""
        record.run = f"[{keys['run_id']}{step}] " if keys else ""
        return True
