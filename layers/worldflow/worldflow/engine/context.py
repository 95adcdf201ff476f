"""What the code of workflows and steps calls."""

from __future__ import annotations

import asyncio
import random as _random
import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, overload

from pydantic import ValidationError

from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import OutsideError, SerializationError
from worldflow.engine.execution import Execution, WorkflowInfo
from worldflow.engine.loop import running_loop
from worldflow.engine.serialization import Codec, explain

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StepInfo:
    """What a step may know of itself. `attempt` counts from 1."""

    run_id: str
    step_id: str
    attempt: int

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step: give it to the services that the step calls."""
        return f"{self.run_id}/{self.step_id}"


current_step: ContextVar[StepInfo] = ContextVar("worldflow_step")


def _execution(what: str) -> Execution:
    loop = running_loop()
    if loop is None:
        raise OutsideError(f"{what} only works inside a workflow")
    assert isinstance(loop.host, Execution)
    return loop.host


async def sleep(duration: Duration) -> None:
    """Waits for `duration` (`"10s"`, `"3d"`, seconds or a timedelta). In a workflow it is durable: no process waits.

    The same as `asyncio.sleep`, which is durable in a workflow too, with durations as people write them.
    """
    await asyncio.sleep(seconds(duration))


@overload
async def wait_for_signal(name: str) -> Any: ...
@overload
async def wait_for_signal(name: str, type: type[T]) -> T: ...
async def wait_for_signal(name: str, type: Any = None) -> Any:
    """The value of the next signal of this name. Signals that came before anybody waited are kept, in order.

    type: what the value is read as (anything that pydantic validates); as the JSON it is, unless given.
    Raises `SerializationError` if the value does not fit `type`; the signal is then spent. To wait no longer than some
    time, use `asyncio.timeout`.
    """
    value = await _execution("wait_for_signal()").wait_for_signal(name)
    if type is None:
        return value
    try:
        return Codec(type, name).decode(value)
    except ValidationError as error:
        raise SerializationError(f"the signal's value does not fit: {explain(error, 'value')}", name) from None


def now() -> datetime:
    """The time at which the workflow learned of what it is handling: the same on every replay."""
    return _execution("now()").now()


def uuid4() -> uuid.UUID:
    """A random UUID: the same on every replay."""
    return _execution("uuid4()").uuid4()


def random() -> _random.Random:
    """The run's own source of chance, such as `random().choice(...)`: the same on every replay."""
    return _execution("random()").random


def workflow_info() -> WorkflowInfo:
    """The run that this code is the workflow of."""
    info = _execution("workflow_info()").info
    assert info is not None
    return info


def step_info() -> StepInfo:
    """The attempt of the step that this code runs in. Raises `OutsideError` elsewhere."""
    try:
        return current_step.get()
    except LookupError:
        raise OutsideError("step_info() only works inside a step that a workflow called") from None
