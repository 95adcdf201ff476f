"""What goes into an agent's step, as JSON and back: the parameters of Pydantic AI's durable operations.

The same value has the same JSON each time, so that a replay finds the arguments that it made before, and so that the
history need hold a message only once.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_ai.durable_exec import (
    CapabilityOperationParams,
    DurabilityEngineSpec,
    DurableRunContext,
    DynamicToolsetCallToolParams,
    EventStreamHandlerParams,
    ModelCancelSuspendedResponseParams,
    ModelCompactMessagesParams,
    ModelRequestParams,
    ParameterTransport,
    ParameterTransports,
    ToolsetCallToolParams,
    ToolsetGetToolsParams,
    WorkspaceCall,
    WorkspaceCallParams,
    revalidate_function_call,
)
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestContext, ModelRequestParameters
from pydantic_ai.tools import RunContext, ToolDefinition
from pydantic_ai.toolsets import FunctionToolset
from pydantic_ai.usage import RunUsage, UsageLimits
from pydantic_ai.workspaces import WorkspaceRef
from pydantic_core import PydanticSerializationError, to_jsonable_python

from worldflow.ai.pydantic.messages import (
    dump_as,
    dump_definition,
    dump_messages,
    dump_parameters,
    dump_response,
    load_as,
    load_messages,
)
from worldflow.ai.pydantic.streaming import dump_event, load_event
from worldflow.engine.errors import ConfigurationError, SerializationError
from worldflow.engine.history import Json
from worldflow.engine.values.serialization import Codec

Wire = dict[str, Any]
"""The arguments of a step, by name: JSON, and the deps as they are."""

_EMPTY: dict[str, Json] = {
    "metadata": None,
    "retries": {},
    "tool_call_id": None,
    "tool_name": None,
    "tool_call_approved": False,
    "tool_call_metadata": None,
    "retry": 0,
    "partial_output": False,
    "trace_include_content": False,
    "usage_limits": None,
    "deadline": None,
    "loaded_capability_ids": [],
    "discovered_tool_names": [],
    "available_tool_names": [],
    "active_capability_ids": [],
    "_anchored_evidence": {"discovered_tool_names": [], "loaded_capability_ids": []},
    "_deferred_capability_ids": [],
    "_tool_names_by_kind": {},
    "capability_active": None,
}
"""What is left out of a context, being nothing."""

_DEFAULTS: dict[str, dict[str, Json]] = {
    "usage": to_jsonable_python(RunUsage()),
    "usage_limits": to_jsonable_python(UsageLimits()),
}
"""What is left out of parts of it, being as it is by default."""

_DRAWN_ID = re.compile(r"<.*:[0-9a-f]{6}>")
"""What each run calls a capability that has no id of its own: another name on each replay."""


class Contexts:
    """Contexts of runs of one agent to JSON and back. The deps beside them have a type, by which steps carry them."""

    def __init__(self, agent: Any, name: str, spec: DurabilityEngineSpec) -> None:
        self._agent = agent
        self._spec = spec
        try:
            Codec(agent.deps_type, "deps")
        except ConfigurationError as error:
            raise ConfigurationError(
                f"the deps of agent {name!r} cannot be passed to its steps: {error}. Steps receive them as JSON: make "
                f"deps plain data, such as a dataclass or a pydantic model, and create clients in the tools"
            ) from None

    def dump(self, ctx: RunContext[Any] | None) -> Wire:
        if ctx is None:
            return {}
        context = {}
        for name, value in DurableRunContext.serialize_run_context(ctx).items():
            form = _json(value, f"the {name} of the run's context")
            if name in _DEFAULTS and isinstance(form, dict):
                form = {
                    key: part
                    for key, part in form.items()
                    if key not in _DEFAULTS[name] or part != _DEFAULTS[name][key]
                }
            if name not in _EMPTY or form != _EMPTY[name]:
                context[name] = form
        return {"context": context} | ({} if ctx.deps is None else {"deps": ctx.deps})

    def load(self, wire: Mapping[str, Json]) -> RunContext[Any]:
        context = copy.deepcopy(_EMPTY) | wire["context"]
        return DurableRunContext.restore(context, deps=wire.get("deps"), agent=self._agent, engine_spec=self._spec)


def _json(value: Any, what: str) -> Json:
    if isinstance(value, (set, frozenset)):
        return sorted(part for part in value if not _DRAWN_ID.fullmatch(part))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if any(isinstance(part, frozenset) for part in fields.values()):
            return {name: _json(part, what) for name, part in fields.items()}
    try:
        return to_jsonable_python(value)
    except PydanticSerializationError as error:
        raise SerializationError(str(error), what) from None


# --- models ----------------------------------------------------------------------------------------------------------


def _request(
    messages: list[ModelMessage], settings: Any, parameters: ModelRequestParameters, model_id: str | None
) -> Wire:
    wire: Wire = {
        "messages": dump_messages(messages),
        "parameters": dump_parameters(parameters),
    }
    if settings:
        wire["settings"] = dump_as(dict[str, Any], settings, "model_settings")
    if model_id is not None:
        wire["model_id"] = model_id
    return wire


@dataclass(frozen=True, slots=True)
class Transport(ParameterTransport[Any, Wire]):
    """Carries the parameters of one kind of operation."""

    dump_: Callable[[Any], Wire]
    load_: Callable[[Wire], Any]

    def dump(self, params: Any) -> Wire:
        return self.dump_(params)

    def load(self, payload: Wire, *, runtime: object) -> Any:
        return self.load_(payload)


class Transports(ParameterTransports):
    """Carries the parameters of every operation of one agent."""

    def __init__(self, contexts: Contexts, spec: DurabilityEngineSpec) -> None:
        self._contexts = contexts
        self._spec = spec

    def model_request(self, result_type: object) -> Transport:
        def dump(params: ModelRequestParams) -> Wire:
            request = _request(params.messages, params.model_settings, params.model_request_parameters, params.model_id)
            return request | self._contexts.dump(params.run_context)

        def load(wire: Wire) -> ModelRequestParams:
            return ModelRequestParams(
                wire.get("model_id"),
                messages=load_messages(wire["messages"]),
                model_settings=wire.get("settings"),
                model_request_parameters=load_as(ModelRequestParameters, wire["parameters"]),
                run_context=self._contexts.load(wire),
            )

        return Transport(dump, load)

    def compact_messages(self) -> Transport:
        def dump(params: ModelCompactMessagesParams) -> Wire:
            request = params.request_context
            wire = _request(request.messages, request.model_settings, request.model_request_parameters, params.model_id)
            also: Wire = {"instructions": params.instructions, "streaming": request.streaming}
            return wire | also | self._contexts.dump(params.run_context)

        def load(wire: Wire) -> ModelCompactMessagesParams:
            model: Any = None  # which the operation sets
            request = ModelRequestContext(
                model=model,
                messages=load_messages(wire["messages"]),
                model_settings=wire.get("settings"),
                model_request_parameters=load_as(ModelRequestParameters, wire["parameters"]),
            )
            request.model_id = wire.get("model_id")
            request.streaming = wire["streaming"]
            return ModelCompactMessagesParams(
                wire.get("model_id"),
                request_context=request,
                instructions=wire["instructions"],
                run_context=self._contexts.load(wire),
            )

        return Transport(dump, load)

    def cancel_suspended_response(self) -> Transport:
        def dump(params: ModelCancelSuspendedResponseParams) -> Wire:
            response = dump_response(params.response)
            wire: Wire = {"model_id": params.model_id, "response": response}
            return wire | self._contexts.dump(params.run_context)

        def load(wire: Wire) -> ModelCancelSuspendedResponseParams:
            context = self._contexts.load(wire) if "context" in wire else None
            response = load_as(ModelResponse, wire["response"])
            return ModelCancelSuspendedResponseParams(wire["model_id"], response=response, run_context=context)

        return Transport(dump, load)

    # --- tools -------------------------------------------------------------------------------------------------------

    def _call(self, load_tool: Callable[[Wire, RunContext[Any]], Any]) -> Transport:
        def dump(params: ToolsetCallToolParams) -> Wire:
            wire = _tool_call(params.name, params.tool_args, params.tool.tool_def if params.tool else None)
            if original := getattr(params.tool, "original_name", None):
                wire["original_name"] = original
            return wire | self._contexts.dump(params.ctx)

        def load(wire: Wire) -> ToolsetCallToolParams:
            ctx = self._contexts.load(wire)
            tool = load_tool(wire, ctx) if wire.get("definition") else None
            return ToolsetCallToolParams(wire["name"], tool_args=wire["args"], ctx=ctx, tool=tool)

        return Transport(dump, load)

    def function_call(self, toolset: FunctionToolset[Any]) -> Transport:
        def load_tool(wire: Wire, ctx: RunContext[Any]) -> Any:
            definition = load_as(ToolDefinition, wire["definition"])
            try:
                return toolset.tool_for_tool_def(definition, ctx=ctx, original_name=wire.get("original_name"))
            except KeyError:
                raise UserError(
                    f"the deployed code has no tool {wire['name']!r} in the toolset {toolset.id!r}"
                ) from None

        return self._call(load_tool)

    async def prepare_function_call(
        self, toolset: FunctionToolset[Any], params: ToolsetCallToolParams
    ) -> ToolsetCallToolParams:
        return await revalidate_function_call(toolset, params, engine_spec=self._spec)

    def mcp_call(self, toolset: Any) -> Transport:
        return self._call(
            lambda wire, ctx: toolset.tool_for_tool_def(load_as(ToolDefinition, wire["definition"]), ctx=ctx)
        )

    def dynamic_call(self, toolset: Any) -> Transport:
        def dump(params: DynamicToolsetCallToolParams) -> Wire:
            return _tool_call(params.name, params.tool_args, params.tool_def) | self._contexts.dump(params.ctx)

        def load(wire: Wire) -> DynamicToolsetCallToolParams:
            definition = wire.get("definition") and load_as(ToolDefinition, wire["definition"])
            ctx = self._contexts.load(wire)
            return DynamicToolsetCallToolParams(wire["name"], tool_args=wire["args"], ctx=ctx, tool_def=definition)

        return Transport(dump, load)

    def get_tools(self, toolset: Any) -> Transport:
        return Transport(
            lambda params: self._contexts.dump(params.ctx),
            lambda wire: ToolsetGetToolsParams(self._contexts.load(wire)),
        )

    def get_instructions(self, toolset: Any) -> Transport:
        return self.get_tools(toolset)

    def dynamic_get_tools(self, toolset: Any) -> Transport:
        return self.get_tools(toolset)

    # --- the rest ----------------------------------------------------------------------------------------------------

    def event_stream_handler(self) -> Transport:
        def dump(params: EventStreamHandlerParams) -> Wire:
            return {"event": dump_event(params.event)} | self._contexts.dump(params.run_context)

        def load(wire: Wire) -> EventStreamHandlerParams:
            event = load_event(wire["event"])
            return EventStreamHandlerParams(event, run_context=self._contexts.load(wire))

        return Transport(dump, load)

    def capability_operation(self, declaration: Any) -> Transport:
        def dump(params: CapabilityOperationParams) -> Wire:
            arguments = dump_as(dict[str, Any], params.arguments, "arguments")
            wire: Wire = {"arguments": arguments, "model_id": params.model_id}
            return wire | self._contexts.dump(params.run_context)

        def load(wire: Wire) -> CapabilityOperationParams:
            ctx = self._contexts.load(wire)
            return CapabilityOperationParams(ctx, arguments=wire["arguments"], model_id=wire["model_id"])

        return Transport(dump, load)

    def workspace_call(self) -> Transport:
        def dump(params: WorkspaceCallParams) -> Wire:
            wire: Wire = {
                "call": dump_as(WorkspaceCall, params.call, "call"),
                "ref": dump_as(WorkspaceRef | None, params.ref, "ref"),
            }
            return wire | self._contexts.dump(params.run_context)

        def load(wire: Wire) -> WorkspaceCallParams:
            call, ref = load_as(WorkspaceCall, wire["call"]), load_as(WorkspaceRef | None, wire["ref"])
            return WorkspaceCallParams(run_context=self._contexts.load(wire), ref=ref, call=call)

        return Transport(dump, load)


def _tool_call(name: str, args: dict[str, Any], definition: ToolDefinition | None) -> Wire:
    wire: Wire = {"name": name, "args": dump_as(dict[str, Any], args, f"the arguments of the tool {name!r}")}
    if definition is not None:
        wire["definition"] = dump_definition(definition)
    return wire
