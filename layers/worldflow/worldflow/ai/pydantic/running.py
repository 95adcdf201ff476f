"""Running an operation of an agent in its step."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from pydantic_ai.durable_exec import DurableOperation, ModelRequestParams, durable_unit_scope
from pydantic_ai.durable_exec._utils import streamed_before_failing
from pydantic_ai.models import Model

import worldflow
from worldflow.ai.pydantic import usage
from worldflow.ai.pydantic.failures import as_step_errors
from worldflow.ai.pydantic.messages import brief_message
from worldflow.ai.pydantic.wire import Wire
from worldflow.engine.privacy import loggable

_log = logging.getLogger("worldflow")

served_by: ContextVar[str] = ContextVar("worldflow_agent_model")
"""The id of the model that serves the request of this step."""

replaced: ContextVar[Mapping[str, Model]] = ContextVar("worldflow_agent_models", default=MappingProxyType({}))
"""The models that answer instead of those of agents, by the names of the agents: in evaluations."""


async def run_operation(operation: DurableOperation[Any, Any, Any], wire: Wire, heartbeat: float | None) -> Any:
    """The result of an operation as JSON.

    heartbeat: how often, in seconds, the step says that it is at work.
    """
    with durable_unit_scope(), as_step_errors():
        params = operation.parameter_transport.load(wire, runtime=None)
        async with _beating(heartbeat):
            try:
                result = await operation.handler(params)
            except Exception as error:
                if partial := streamed_before_failing(error):
                    usage.record(partial, served_by.get())
                raise
        if not isinstance(params, ModelRequestParams):
            return operation.result_codec.dump(result)
        usage.record(result, served_by.get())
        # As the run would do with it: what is recorded here is then what the next request repeats.
        result.run_id = result.run_id or params.run_context.run_id
        result.conversation_id = result.conversation_id or params.run_context.conversation_id
        result.model_id = result.model_id or params.model_id or served_by.get()
        form: Any = operation.result_codec.dump(result)
        return brief_message(form)


def without_retries(model: Model) -> Model:
    """A model that was made for one request, whose client does not retry it: the step does, and durably."""
    client = getattr(model, "client", None)
    if isinstance(getattr(client, "max_retries", None), int):
        client.max_retries = 0  # type: ignore[union-attr]
    return model


@asynccontextmanager
async def _beating(interval: float | None) -> AsyncIterator[None]:
    """Sends heartbeats meanwhile. If the step is no longer needed, what runs within is cancelled."""
    if interval is None:
        yield
        return
    info, here = worldflow.step_info(), asyncio.current_task()

    async def beat() -> None:
        while True:
            await asyncio.sleep(interval)
            try:
                await asyncio.to_thread(info.heartbeat)
            except asyncio.CancelledError:
                if here is not None:
                    here.cancel()
                raise
            except Exception as error:  # the next one may arrive
                _log.warning("a heartbeat could not be sent", exc_info=loggable(error))

    beats = asyncio.create_task(beat())
    try:
        yield
    finally:
        beats.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beats
