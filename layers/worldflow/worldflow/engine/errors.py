"""Every error that Worldflow raises.

WorldflowError
├── FatalError                   raised by a step: do not retry
├── RetryableError               raised by a step: retry after `retry_after`
├── BenignError                  raised by a step or a workflow: a failure that is no error to those who watch
├── StepError                    a step failed with an exception that cannot be rebuilt here
│   ├── StepNotFoundError        the deployed code has no step of that name
│   ├── StepCrashedError         the function died on every delivery of the attempt
│   ├── StepTimeoutError         an attempt took longer than its timeout, or sent no heartbeat; also a TimeoutError
│   └── StepInterruptedError     an at-most-once attempt started but its outcome is unknown
├── RunError                     about one run; has `run_id`
│   ├── RunNotFoundError
│   ├── RunEndedError            the run has ended and accepts no more signals or cancellations
│   ├── RunExistsError           the id belongs to a run of another workflow
│   ├── RunArchivedError         the run is archived, or is being archived: it can be read and forked
│   ├── RunFailedError           from `result()`: the workflow raised; the exception is its `__cause__`
│   ├── RunCancelledError        from `result()`, and where a parent awaits its child: the run was cancelled
│   ├── RunBlockedError          from `result()`: the run waits for its code to be fixed
│   └── QueryNotFoundError       the run has published nothing under that name
├── HookError                    about one hook; has `token`
│   ├── HookNotFoundError        no live run holds the token
│   ├── HookConflictError        another live run holds the token
│   ├── HookFailedError          the sender reports a failure instead of a value
│   └── HookTimeoutError         neither a value nor a heartbeat arrived in time
├── StreamError                  about a stream of a run
│   ├── StreamClosedError        the stream is closed: nothing more can be written to it
│   └── StreamLimitError         a value is larger, or a stream longer, than the limit
├── EntityLockLostError          the lease of an entity's lock ended before this call
├── MapFailedError               more items of `map_steps` failed than may fail; has `result`
├── HistoryLimitError            the run's history has become too long
├── ScheduleError                about one schedule; has `schedule_id`
│   ├── ScheduleNotFoundError
│   └── ScheduleExistsError      the id belongs to a schedule with another definition
├── LimitError                   about one limit; has `limit`
│   ├── LimitNotFoundError       no call has asked for a place at it
│   └── LimitExceededError       a run found no place, and the limit's `excess` is "fail"
├── InvalidInputError            invalid input; has `fields`
│   ├── PayloadTooLargeError     a value is larger than the limit
│   └── WorkflowNotFoundError    the deployed code has no workflow of that name
├── SerializationError           a value that JSON cannot represent; has `path`
├── NonDeterminismError          a replay made a different call than the history has
├── WorkflowStuckError           a workflow ran too long without awaiting anything
├── UnsupportedOperationError    a workflow opened a socket, a thread, a file, ... through its loop
├── UnawaitedCallError           a workflow called a step or a child and did not await it
├── OutsideError                 a function for workflows or steps was called outside of one
├── ConfigurationError           a missing environment variable, two steps with one name, ...
│   └── PayloadCodecError        data that the codec of this process, if it has one, cannot read
├── WorldClosedError             a `LocalWorld` was used after it was closed
└── ConflictError                another process wrote this history first (internal: the turn is redone)

`ContinueAsNew` is not among them: a workflow leaves by raising it, and it derives from `BaseException` so that no
`except Exception` catches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


class WorldflowError(Exception):
    """The root of all errors of this library."""


class FatalError(WorldflowError):
    """Raised by a step to fail immediately, whatever its retry policy says."""


class RetryableError(WorldflowError):
    """Raised by a step to be retried after `retry_after`, instead of after the policy's interval.

    `retry_after` is a number of seconds, a `timedelta` or a duration such as `"30s"`. The policy's
    `max_attempts` still holds.
    """

    def __init__(self, *args: object, retry_after: float | str | timedelta | None = None) -> None:
        super().__init__(*args)
        self.retry_after = retry_after


class BenignError(WorldflowError):
    """Raised by a step or a workflow for a failure that is expected, such as a card that is declined.

    It fails the step or the run like any other. But the attempt is logged at DEBUG without a traceback, spans have no
    error, and the metric `RunsEnded` has the outcome `benign`. To fail at once as well, derive from `FatalError` too.
    """


class StepError(WorldflowError):
    """A step's exception whose type cannot be rebuilt in this process.

    `type_name` is the original's `module:qualname`; `traceback` is its text, where it was recorded.
    """

    def __init__(self, message: str = "", type_name: str = "", traceback: str = "") -> None:
        super().__init__(message)
        self.type_name = type_name
        self.traceback = traceback

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.type_name}: {message}" if self.type_name else message


class StepNotFoundError(StepError):
    """No step of this name is registered by the deployed code."""


class StepCrashedError(StepError):
    """The function that ran the step died (out of memory, out of time) on every delivery of the attempt."""


class StepTimeoutError(StepError, TimeoutError):
    """An attempt of the step took longer than its `timeout`, or sent no heartbeat for its `heartbeat_timeout`."""


class StepInterruptedError(StepError):
    """An attempt of an at-most-once step started but its outcome is unknown. It is never run again."""


class RunError(WorldflowError):
    """An error about the run `run_id`."""

    def __init__(self, message: str, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class RunNotFoundError(RunError):
    """There is no run with this id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id!r}", run_id)


class RunEndedError(RunError):
    """The run has ended with this `status`: it accepts no more signals and cannot be cancelled."""

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(f"run {run_id!r} has already ended ({status})", run_id)
        self.status = status


class RunExistsError(RunError):
    """A run with this id exists: of another workflow, or one that `if_running` or `reuse` does not allow."""


class RunArchivedError(RunError):
    """The run is archived, or is being archived: it can be read and forked, but not continued."""


class RunFailedError(RunError):
    """The workflow raised. Its exception is the `__cause__`."""


class RunCancelledError(RunError):
    """The run was cancelled before it had a result."""


class RunBlockedError(RunError):
    """The run waits for its code to be fixed; the message says why."""


class QueryNotFoundError(RunError):
    """The run has published nothing under this name."""


class HookError(WorldflowError):
    """An error about the hook of this `token`."""

    def __init__(self, message: str, token: str) -> None:
        super().__init__(message)
        self.token = token


class HookNotFoundError(HookError):
    """No live run has a hook with this token: none ever had, the hook was disposed of, or its run has ended."""


class HookConflictError(HookError):
    """A live run already has a hook with this token. `run_id` names it, where that is known."""

    run_id: str | None = None


class HookFailedError(HookError):
    """The sender of a hook's value reports a failure instead: see `Orchestrator.fail_hook`."""


class HookTimeoutError(HookError):
    """Neither a value nor a heartbeat arrived within the `heartbeat_timeout` of the hook."""


class StreamError(WorldflowError):
    """An error about a stream of a run."""


class StreamClosedError(StreamError):
    """The stream is closed: nothing more can be written to it."""


class StreamLimitError(StreamError):
    """A value is too large for a stream, or the stream is full. The message says what the limit is."""


class EntityLockLostError(WorldflowError):
    """The lease of the lock of an entity has ended, so a call within its block was not made."""


class MapFailedError(WorldflowError):
    """More items of `map_steps` failed than may fail. The error of the first of them is the `__cause__`.

    `result` is the `MapResult`, or the `MapSummary` of a map in pages. It is None in an error that was raised in
    another run, such as a child, which records only the counts `total`, `succeeded` and `failed`.
    """

    result: Any = None
    _page: Any = None
    """The outcome of a page, as JSON; None for an error of anything else."""

    def __init__(self, message: str, total: int, succeeded: int, failed: int, *, result: Any = None) -> None:
        super().__init__(message)
        self.total = total
        self.succeeded = succeeded
        self.failed = failed
        if result is not None:
            self.result = result


class HistoryLimitError(WorldflowError):
    """The run's history has become too long. A long-lived workflow calls `continue_as_new()` before that."""


class ScheduleError(WorldflowError):
    """An error about the schedule `schedule_id`."""

    def __init__(self, message: str, schedule_id: str) -> None:
        super().__init__(message)
        self.schedule_id = schedule_id


class ScheduleNotFoundError(ScheduleError):
    """There is no schedule with this id."""

    def __init__(self, schedule_id: str) -> None:
        super().__init__(f"there is no schedule {schedule_id!r}", schedule_id)


class LimitError(WorldflowError):
    """About one limit."""

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit


class LimitNotFoundError(LimitError):
    """No call has asked for a place at a limit of this name, or with this key."""

    def __init__(self, limit: str, key: str | None = None) -> None:
        of_key = f" with the key {key!r}" if key else ""
        super().__init__(
            f"there is no limit {limit!r}{of_key}: a limit exists once a call has asked for a place", limit
        )


class LimitExceededError(LimitError):
    """A run found no place at its workflow's limit, and the limit's `excess` is "fail"."""


class ScheduleExistsError(ScheduleError):
    """A schedule with this id exists and has another definition."""

    def __init__(self, schedule_id: str) -> None:
        super().__init__(f"schedule {schedule_id!r} already exists with another definition", schedule_id)


@dataclass(frozen=True, slots=True)
class FieldError:
    """A problem with one field: `field` is a dotted path such as `input.order.lines.0.quantity`."""

    field: str
    message: str


class InvalidInputError(WorldflowError):
    """Invalid input. `fields` lists what is wrong, and where."""

    def __init__(self, message: str, fields: Sequence[FieldError] = ()) -> None:
        details = "".join(f"\n  {error.field}: {error.message}" for error in fields)
        super().__init__(message + details)
        self.summary = message
        self.details = [[error.field, error.message] for error in fields]  # what JSON carries, as a history does

    @property
    def fields(self) -> tuple[FieldError, ...]:
        return tuple(FieldError(*detail) for detail in self.details)


class WorkflowNotFoundError(InvalidInputError):
    """The deployed code has no workflow of this name."""

    def __init__(self, name: str, known: Sequence[str], advice: str = "") -> None:
        loaded = f"loaded workflows: {', '.join(sorted(known))}" if known else "no workflows are loaded"
        message = f"there is no workflow {name!r}; {loaded}{advice}"
        super().__init__(message, [FieldError("workflow", f"unknown workflow {name!r}")])
        self.summary = message


class PayloadTooLargeError(InvalidInputError):
    """A value is larger, as JSON, than the limit. `field` names it: `input`, `value`, `args`, `result`."""

    def __init__(self, field: str, size: int, limit: int) -> None:
        problem = f"must be at most {limit:,} bytes of JSON, but has {size:,}"
        advice = "store the data elsewhere, such as in S3, and pass a reference to it"
        super().__init__(f"the {field} is too large: {advice}", [FieldError(field, problem)])


class SerializationError(WorldflowError):
    """A value that cannot be serialized as JSON. `path` locates it, such as `order.lines[2].price`."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class WorkflowStuckError(WorldflowError):
    """A workflow ran too long without awaiting anything. Its run is blocked until its code is fixed."""


class NonDeterminismError(WorldflowError):
    """A replay made a different call than the history has: the code changed, or depends on the outside world."""


class UnsupportedOperationError(WorldflowError):
    """A workflow used its event loop for something that cannot be replayed. The message says what to do instead."""


class UnawaitedCallError(WorldflowError):
    """A workflow called a step or a child without `await`, so it did not run. The message names the line."""


class OutsideError(WorldflowError):
    """A function that only works inside a workflow (or inside a step) was called elsewhere."""


class ConfigurationError(WorldflowError):
    """The process or the code is not configured correctly; the message says what is wrong."""


class PayloadCodecError(ConfigurationError):
    """Data was encoded by a codec that this process does not have, or with a key that it has no permission to use."""


class WorldClosedError(WorldflowError):
    """A `LocalWorld` was used after `close()`."""


class ConflictError(WorldflowError):
    """Another process appended to this history first. Callers reload and retry."""


class ContinueAsNew(BaseException):
    """Raised by `continue_as_new()`: the workflow restarts with these arguments, by name and in their JSON form."""

    def __init__(self, arguments: dict[str, object]) -> None:
        super().__init__("continue as new")
        self.arguments = arguments
