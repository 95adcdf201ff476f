"""The capability that makes an agent durable."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from pydantic_ai.agent import EventStreamHandler
from pydantic_ai.agent.abstract import AbstractAgent
from pydantic_ai.capabilities.abstract import WrapModelRequestHandler, WrapRunHandler
from pydantic_ai.durable_exec import JSON_CODEC, BaseDurabilityCapability, DurabilityEngineSpec
from pydantic_ai.durable_exec._utils import disable_threads
from pydantic_ai.messages import AgentStreamEvent, ModelResponse
from pydantic_ai.models import KnownModelName, Model, ModelRequestContext, ModelResolutionContext
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tools import AgentDepsT, RunContext

import worldflow
import worldflow.ai.pydantic.chance
from worldflow.ai.pydantic import usage
from worldflow.ai.pydantic.options import METADATA, StepOptions, checked
from worldflow.ai.pydantic.running import replaced, served_by, without_retries
from worldflow.ai.pydantic.steps import Backend, Config
from worldflow.ai.pydantic.streaming import into_stream, noting, writing
from worldflow.ai.pydantic.waiting import waiting_by_hooks
from worldflow.ai.pydantic.wire import Contexts, Transports
from worldflow.engine.errors import ConfigurationError
from worldflow.engine.ids import check_name
from worldflow.engine.workflow.step_info import current_step

SPEC = DurabilityEngineSpec(
    engine_name="Worldflow",
    durable_unit_noun="step",
    durable_container_noun="workflow",
    codec=JSON_CODEC,
    toolset_lifecycles={
        "function": "enter-outside-durable",
        "mcp": "enter-outside-durable",
        "dynamic": "enter-never",
    },
    unsupported_runtime_toolset_kinds=frozenset({"function", "mcp", "dynamic"}),
    tool_config_key=METADATA,
)


class Durable(BaseDurabilityCapability[AgentDepsT]):
    """Makes each model request and each tool call of an agent a step when the agent runs in a workflow. Elsewhere it
    changes nothing.

        agent = Agent("bedrock:...", name="support", capabilities=[Durable()])

    The steps are named after the agent: `support.model`, `support.tool.weather`.

    stream: the name of a stream of the run that receives the agent's events as Pydantic AI's `AgentStreamEvent`. The
        step that makes a model request writes the model's events as they arrive; the workflow writes those of tools.
    inline: runs the steps in the orchestrator's own turn by default, as `@step(inline=True)` does.
    steps: options of all steps of the agent; see `StepOptions`.
    model: options of model requests, which override `steps`.
    tools: options of tool calls, which override `steps`. A tool's metadata overrides both, or runs the tool in the
        workflow: `@agent.tool(metadata={"worldflow": {"timeout": "10s"}})` or `{"worldflow": False}`.
    models: models by name, for `agent.run(..., model="fast")`. Names that Pydantic AI knows need not be listed. Other
        model instances cannot be passed to a step.
    event_stream_handler: called in steps: with the events of a model's response in the step that makes the request, and
        with each event of a tool in a step of its own.
    name: what the steps are named after. Default: the agent's name.
    """

    engine_spec: ClassVar[DurabilityEngineSpec] = SPEC

    def __init__(
        self,
        *,
        stream: str | None = None,
        inline: bool = False,
        steps: StepOptions | None = None,
        model: StepOptions | None = None,
        tools: StepOptions | None = None,
        models: Mapping[str, Model] | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(models=models, event_stream_handler=event_stream_handler, name=name)
        if stream is not None:
            check_name(stream, "stream")
        self._stream = stream
        given = {"steps": steps or {}, "model": model or {}, "tools": tools or {}}
        options = {name: checked(value, f"Durable({name}=...)") for name, value in given.items()}
        every: StepOptions = {"inline": True} if inline else {}
        self._config = Config(every=every | options["steps"], model=options["model"], tools=options["tools"])
        self._backend: Backend | None = None

    def _check_bindable(self) -> None:
        if self.in_durable_context:
            raise ConfigurationError(
                "an agent with Durable() must be defined outside of workflows, in a module that WORLDFLOW_WORKFLOWS "
                "names or imports: the process that executes its steps needs it too"
            )

    def _bind_to_agent(self, agent: AbstractAgent[AgentDepsT, Any]) -> None:
        transports = Transports(Contexts(agent, self.name, SPEC), SPEC)
        self._backend = Backend(self.name, agent.deps_type, config=self._config, transports=transports)
        self._bound_event_operation = None
        if self._event_stream_handler is not None:
            self._bound_event_operation = self._bind_event_operation(self._backend)
        super()._bind_to_agent(agent)

    def get_durable_operation_backend(self) -> Backend:
        assert self._backend is not None
        return self._backend

    @property
    def in_durable_context(self) -> bool:
        return worldflow.in_workflow()

    async def resolve_model_id(
        self, ctx: ModelResolutionContext[AgentDepsT], *, model_id: KnownModelName | str
    ) -> Model | None:
        return replaced.get().get(str(self.name)) or await super().resolve_model_id(ctx, model_id=model_id)

    async def _resolve_model_for_request(self, model_id: str | None, run_context: RunContext[AgentDepsT]) -> Model:
        if model := replaced.get().get(str(self.name)):
            served_by.set(model.model_id)
            return model
        model = await super()._resolve_model_for_request(model_id, run_context)
        served_by.set(model.model_id)
        registered, _ = self._registered_model_id(model)
        return model if registered else without_retries(model)

    def _model_rebuild_escape_hatches(self) -> str:
        ways = super()._model_rebuild_escape_hatches()
        return f"{ways} In tests, use `worldflow.ai.pydantic.answered_by(agent, model)`."

    def get_default_run_id(self) -> str | None:
        return str(worldflow.uuid4()) if self.in_durable_context else None

    def get_run_clock(self) -> Callable[[], datetime] | None:
        return worldflow.now if self.in_durable_context else None

    async def wrap_model_request(
        self, ctx: RunContext[AgentDepsT], *, request_context: ModelRequestContext, handler: WrapModelRequestHandler
    ) -> ModelResponse:
        response = await super().wrap_model_request(ctx, request_context=request_context, handler=handler)
        if not self.in_durable_context and _is_in_a_run():  # as a part of a step
            usage.record(response, request_context.model.model_id)
        return response

    def _model_stream_event_handler(self) -> EventStreamHandler[AgentDepsT] | None:
        handler = super()._model_stream_event_handler()
        return handler if self._stream is None else into_stream(self._stream, handler)

    @property
    def has_wrap_run_event_stream(self) -> bool:
        return super().has_wrap_run_event_stream or (self._stream is not None and _is_in_a_run())

    async def wrap_run_event_stream(
        self, ctx: RunContext[AgentDepsT], *, stream: AsyncIterable[AgentStreamEvent]
    ) -> AsyncIterable[AgentStreamEvent]:
        events = super().wrap_run_event_stream(ctx, stream=stream)
        if self._stream is not None and _is_in_a_run():
            # In a workflow, the events of models come again that their steps have written.
            in_workflow = self.in_durable_context
            events = noting(self._stream, events) if in_workflow else writing(self._stream, events)
        async for event in events:
            yield event

    async def wrap_run(self, ctx: RunContext[AgentDepsT], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        if not self.in_durable_context:
            return await handler()
        with disable_threads(), waiting_by_hooks(self.get_durable_operation_backend().steps.call_with):
            return await super().wrap_run(ctx, handler=handler)


def _is_in_a_run() -> bool:
    """Whether a workflow runs here, or a step that one called."""
    return worldflow.in_workflow() or current_step.get(None) is not None
