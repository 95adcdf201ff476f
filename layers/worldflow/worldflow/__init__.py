"""Durable execution for Python on AWS: workflows are plain `async def` functions that survive crashes and months of
waiting.

The names here are the whole public API for writing workflows. To start and watch them: `worldflow.runtime` and
`worldflow.worlds`. To test them: `worldflow.testing`.
"""

from worldflow.engine.context import (
    StepInfo,
    now,
    random,
    sleep,
    step_info,
    uuid4,
    wait_for_signal,
    workflow_info,
)
from worldflow.engine.definitions import step, workflow
from worldflow.engine.errors import (
    ConfigurationError,
    FatalError,
    InvalidInputError,
    NonDeterminismError,
    OutsideError,
    RetryableError,
    RunBlockedError,
    RunCancelledError,
    RunEndedError,
    RunError,
    RunExistsError,
    RunFailedError,
    RunNotFoundError,
    SerializationError,
    StepCrashedError,
    StepError,
    StepNotFoundError,
    UnsupportedOperationError,
    WorkflowNotFoundError,
    WorldflowError,
)
from worldflow.engine.execution import WorkflowInfo
from worldflow.engine.retry import RetryPolicy

__all__ = [
    "ConfigurationError",
    "FatalError",
    "InvalidInputError",
    "NonDeterminismError",
    "OutsideError",
    "RetryPolicy",
    "RetryableError",
    "RunBlockedError",
    "RunCancelledError",
    "RunEndedError",
    "RunError",
    "RunExistsError",
    "RunFailedError",
    "RunNotFoundError",
    "SerializationError",
    "StepCrashedError",
    "StepError",
    "StepInfo",
    "StepNotFoundError",
    "UnsupportedOperationError",
    "WorkflowInfo",
    "WorkflowNotFoundError",
    "WorldflowError",
    "now",
    "random",
    "sleep",
    "step",
    "step_info",
    "uuid4",
    "wait_for_signal",
    "workflow",
    "workflow_info",
]
