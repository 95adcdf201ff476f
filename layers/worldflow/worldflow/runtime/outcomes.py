"""What the caller of a run gets: its result, or an error."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from worldflow.engine.errors import (
    RunBlockedError,
    RunCancelledError,
    RunFailedError,
    SerializationError,
    WorkflowNotFoundError,
)
from worldflow.engine.history.failures import decode_exception
from worldflow.engine.values.serialization import explain
from worldflow.engine.workflow.definitions import find_workflow, oldest_version
from worldflow.worlds.records import RunRecord


def outcome(record: RunRecord) -> Any:
    """The result of a run that has ended, by the annotation of its own version of the workflow where that is known
    here, and as the JSON that it is elsewhere; or its error. Raises `SerializationError` for a result that does not fit
    the annotation any more.
    """
    match record.status:
        case "completed":
            version = oldest_version(record.workflow_name) if record.version is None else record.version
            try:
                codec = find_workflow(record.workflow_name, version).signature.result
            except WorkflowNotFoundError:
                return record.result
            try:
                return codec.decode(record.result)
            except ValidationError as misfit:
                problem = f"the recorded result no longer matches the annotation: {explain(misfit, 'result')}"
                raise SerializationError(problem, codec.where) from None
        case "failed":
            assert record.error is not None
            error = decode_exception(record.error)
            raise RunFailedError(
                f"run {record.run_id!r} failed: {type(error).__name__}: {error}", record.run_id
            ) from error
        case "blocked":
            raise RunBlockedError(f"run {record.run_id!r} is blocked: {record.blocked_reason}", record.run_id)
        case _:
            because = f": {record.reason}" if record.reason else ""
            raise RunCancelledError(f"run {record.run_id!r} was cancelled{because}", record.run_id)
