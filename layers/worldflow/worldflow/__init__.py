"""Durable execution for Python on AWS: workflows are plain `async def` functions that survive crashes and months of
waiting.

The names here are the whole public API for writing workflows. To start and watch them: `worldflow.runtime` and
`worldflow.worlds`. To test them: `worldflow.testing`.
"""

from typing import TYPE_CHECKING, Any

import worldflow.layer_target

# isort: split

import worldflow.logs  # noqa: F401 - sets what the engine may log
from worldflow.engine.errors import (
    BenignError,
    ConfigurationError,
    EntityLockLostError,
    FatalError,
    HistoryLimitError,
    HookConflictError,
    HookError,
    HookFailedError,
    HookNotFoundError,
    HookTimeoutError,
    InvalidInputError,
    LimitError,
    LimitExceededError,
    LimitNotFoundError,
    MapFailedError,
    NonDeterminismError,
    OutsideError,
    PayloadCodecError,
    PayloadTooLargeError,
    QueryNotFoundError,
    RetryableError,
    RunArchivedError,
    RunBlockedError,
    RunCancelledError,
    RunEndedError,
    RunError,
    RunExistsError,
    RunFailedError,
    RunNotFoundError,
    ScheduleError,
    ScheduleExistsError,
    ScheduleNotFoundError,
    SerializationError,
    StepCrashedError,
    StepError,
    StepInterruptedError,
    StepNotFoundError,
    StepTimeoutError,
    StreamClosedError,
    StreamError,
    StreamLimitError,
    UnawaitedCallError,
    UnsupportedOperationError,
    WorkflowNotFoundError,
    WorkflowStuckError,
    WorldClosedError,
    WorldflowError,
)
from worldflow.engine.history import StreamItem, StreamReset
from worldflow.engine.privacy import set_redactor
from worldflow.engine.workflow.context import (
    all_handlers_finished,
    continue_as_new,
    create_hook,
    create_webhook,
    deprecate_patch,
    in_workflow,
    logger,
    now,
    on_update,
    patched,
    publish,
    random,
    record_usage,
    set_attributes,
    set_status,
    sleep,
    uuid4,
    wait_for_signal,
    workflow_info,
)
from worldflow.engine.workflow.decorators import step, workflow
from worldflow.engine.workflow.entities import Entity
from worldflow.engine.workflow.entity_classes import entity
from worldflow.engine.workflow.gathering import Batch, Debounce
from worldflow.engine.workflow.inbox import Hook
from worldflow.engine.workflow.limits import Limit
from worldflow.engine.workflow.mapping import MapFailure, MapResult, MapSummary
from worldflow.engine.workflow.maps import map_steps
from worldflow.engine.workflow.methods import configured
from worldflow.engine.workflow.other_runs import cancel_run, signal_run
from worldflow.engine.workflow.retry import RetryPolicy
from worldflow.engine.workflow.run import WorkflowInfo
from worldflow.engine.workflow.starts import Throttle
from worldflow.engine.workflow.step_info import StepInfo, step_info
from worldflow.engine.workflow.streams import Stream, open_stream
from worldflow.engine.workflow.webhooks import Webhook, WebhookRequest

if TYPE_CHECKING:
    from worldflow.engine.workflow.interceptors import Interceptor, Proceed, StepCall, WorkflowCall, intercept

__version__ = "0.5.0"

__all__ = [
    "Batch",
    "BenignError",
    "ConfigurationError",
    "Debounce",
    "Entity",
    "EntityLockLostError",
    "FatalError",
    "HistoryLimitError",
    "Hook",
    "HookConflictError",
    "HookError",
    "HookFailedError",
    "HookNotFoundError",
    "HookTimeoutError",
    "Interceptor",
    "InvalidInputError",
    "Limit",
    "LimitError",
    "LimitExceededError",
    "LimitNotFoundError",
    "MapFailedError",
    "MapFailure",
    "MapResult",
    "MapSummary",
    "NonDeterminismError",
    "OutsideError",
    "PayloadCodecError",
    "PayloadTooLargeError",
    "Proceed",
    "QueryNotFoundError",
    "RetryPolicy",
    "RetryableError",
    "RunArchivedError",
    "RunBlockedError",
    "RunCancelledError",
    "RunEndedError",
    "RunError",
    "RunExistsError",
    "RunFailedError",
    "RunNotFoundError",
    "ScheduleError",
    "ScheduleExistsError",
    "ScheduleNotFoundError",
    "SerializationError",
    "StepCall",
    "StepCrashedError",
    "StepError",
    "StepInfo",
    "StepInterruptedError",
    "StepNotFoundError",
    "StepTimeoutError",
    "Stream",
    "StreamClosedError",
    "StreamError",
    "StreamItem",
    "StreamLimitError",
    "StreamReset",
    "Throttle",
    "UnawaitedCallError",
    "UnsupportedOperationError",
    "Webhook",
    "WebhookRequest",
    "WorkflowCall",
    "WorkflowInfo",
    "WorkflowNotFoundError",
    "WorkflowStuckError",
    "WorldClosedError",
    "WorldflowError",
    "__version__",
    "all_handlers_finished",
    "cancel_run",
    "configured",
    "continue_as_new",
    "create_hook",
    "create_webhook",
    "deprecate_patch",
    "entity",
    "in_workflow",
    "intercept",
    "logger",
    "map_steps",
    "now",
    "on_update",
    "open_stream",
    "patched",
    "publish",
    "random",
    "record_usage",
    "set_attributes",
    "set_redactor",
    "set_status",
    "signal_run",
    "sleep",
    "step",
    "step_info",
    "uuid4",
    "wait_for_signal",
    "workflow",
    "workflow_info",
]

_OF_FEW = ("Interceptor", "Proceed", "StepCall", "WorkflowCall", "intercept")
"""What most applications do without, so that it is not imported with the rest."""


def __getattr__(name: str) -> Any:
    if name in _OF_FEW:
        from worldflow.engine.workflow import interceptors

        return getattr(interceptors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
