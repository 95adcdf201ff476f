"""An agent's steps: what Pydantic AI calls durable operations, found by name in the process that executes them.

Of an agent `support` these are `support.model`, `support.tool.<name>` of each tool, and others below `support` for what
few agents need: `support.tools` lists the tools of an MCP server, `support.event` calls an event handler.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal, Optional

from pydantic_ai.durable_exec import (
    BoundDurableOperation,
    CapabilityOperationId,
    DurableOperation,
    DurableOperationConfig,
    DurableOperationId,
    EventStreamHandlerId,
    JournalOperationNamer,
    ModelCancelSuspendedResponseId,
    ModelCompactMessagesId,
    ModelRequestId,
    OperationConfigRole,
    RegisteredOperationBackend,
    ToolsetCallToolId,
    ToolsetGetInstructionsId,
    ToolsetGetToolsId,
    ToolsetValidateToolArgumentsId,
)

import worldflow
from worldflow.ai.pydantic.failures import as_agent_errors, as_step_errors
from worldflow.ai.pydantic.options import StepOptions, of_tool
from worldflow.ai.pydantic.running import run_operation
from worldflow.ai.pydantic.waiting import Ask
from worldflow.ai.pydantic.wire import Transports, Wire
from worldflow.engine.durations import seconds
from worldflow.engine.errors import ConfigurationError, InvalidInputError, StepNotFoundError
from worldflow.engine.history import Json
from worldflow.engine.ids import check_name
from worldflow.engine.workflow.definitions import Step
from worldflow.engine.workflow.families import add_step, found_step, member

_OTHERS: Mapping[type[Any], str] = {
    ModelCompactMessagesId: "compact",
    ModelCancelSuspendedResponseId: "cancel",
    EventStreamHandlerId: "event",
    ToolsetGetToolsId: "tools",
    ToolsetGetInstructionsId: "instructions",
    ToolsetValidateToolArgumentsId: "validate",
    CapabilityOperationId: "capability",
}

_NAME_LIMIT = 100

_ASK = "ask"
_REQUEST, _REQUEST_STREAM = "request", "request_stream"


# --- where an agent is made ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where an agent is made."""

    module: str
    file: str
    line: int
    spec: object
    """Of the module: another one if it is loaded again."""
    in_function: bool

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}"

    def clashes(self, other: Place) -> bool:
        """Whether two agents of one name that are made here and there are a mistake. One that replaces another is not:
        where its module is loaded again, or where it is made whenever a function is called, of a test mostly.
        """
        if self.in_function or other.in_function:
            return False
        if self.module != other.module:
            return True
        return self.spec is other.spec and self.file == other.file and self.line != other.line

    def remedy(self, other: Place) -> str:
        if (self.file, self.line) == (other.file, other.line):
            return "They are one, whose file was imported as two modules: import it by one name everywhere"
        return "Their steps would have the same names: rename one, or give its steps another name: Durable(name=...)"


def _place() -> Place:
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_back and _is_of_a_library(frame):
        frame = frame.f_back
    assert frame is not None
    code, names = frame.f_code, frame.f_globals
    in_function = code.co_name != "<module>"
    return Place(names.get("__name__", ""), code.co_filename, frame.f_lineno, names.get("__spec__"), in_function)


def _is_of_a_library(frame: FrameType) -> bool:
    top, _, rest = str(frame.f_globals.get("__name__", "")).partition(".")
    return top == "pydantic_ai" or (top == "worldflow" and rest.startswith("ai."))


# --- the steps of one agent ------------------------------------------------------------------------------------------


class AgentSteps:
    """The steps of one agent, and what they do: its operations, by what the arguments say of them."""

    def __init__(self, name: str, deps_type: Any) -> None:
        self.operations: dict[str, DurableOperation[Any, Any, Any]] = {}
        self._asking: dict[str, list[Ask]] = {}
        self._lock = threading.Lock()
        place = _checked_place(name)

        async def model(
            messages: Any,
            parameters: Any,
            context: Any,
            settings: Any = None,
            model_id: Any = None,
            deps: Any = None,
            streaming: Any = None,
            heartbeat: Any = None,
        ) -> Any:
            wire = {"messages": messages, "parameters": parameters, "context": context, "settings": settings}
            wire |= {"model_id": model_id, "deps": deps}
            return await self._run(_REQUEST_STREAM if streaming else _REQUEST, wire, heartbeat)

        async def tool(
            toolset: Any,
            name: Any,
            args: Any,
            context: Any,
            definition: Any = None,
            original_name: Any = None,
            deps: Any = None,
            heartbeat: Any = None,
        ) -> Any:
            wire = {"name": name, "args": args, "context": context, "definition": definition}
            wire |= {"original_name": original_name, "deps": deps}
            return await self._run(_tool_key(toolset), wire, heartbeat)

        async def other(
            operation: Any, input: Any, context: Any = None, deps: Any = None, heartbeat: Any = None
        ) -> Any:
            if operation == _ASK:
                return await self._ask(**input)
            return await self._run(operation, input | {"context": context, "deps": deps}, heartbeat)

        functions: tuple[Any, ...] = (model, tool, other)
        for function in functions:
            function.__module__ = place.module
            # What tells two steps of one name apart: those of one place replace each other.
            function.__qualname__ = f"{'<locals>.' if place.in_function else ''}agent {name!r}"
            function.place = place
            function.__annotations__ = {**function.__annotations__, "deps": Optional[deps_type]}  # noqa: UP045
        # What tells calls apart in an evaluation: not the conversation so far.
        tool.told_by = ("toolset", "name", "args")  # type: ignore[attr-defined]
        self._model = add_step(model, f"{name}.model")
        self._tool = add_step(tool, f"{name}.tool", family=True)
        self._other = add_step(other, name, family=True)
        self._name = name

    async def call_with(self, ask: Ask, token: str) -> Json:
        """Calls in an inline step what the workflow has at hand, such as a function of a capability of one run."""
        call = f"{worldflow.workflow_info().run_id}/{worldflow.uuid4()}"
        with self._lock:
            self._asking.setdefault(call, []).append(ask)
        try:
            step = member(self._other, f"{self._name}.{_ASK}", inline=True)
            return await step(operation=_ASK, input={"call": call, "token": token})
        finally:
            with self._lock:
                self._asking[call].remove(ask)
                if not self._asking[call]:
                    del self._asking[call]

    async def _ask(self, call: str, token: str) -> Json:
        with self._lock:
            # A query replays the run meanwhile, perhaps: each has a function, and all are the same.
            ask = self._asking[call][-1]
        with as_step_errors():
            return await ask(token)

    async def _run(self, key: str, wire: Wire, heartbeat: float | None) -> Any:
        try:
            operation = self.operations[key]
        except KeyError:
            raise StepNotFoundError(f"the deployed agent {self._name!r} has no operation {key!r}") from None
        return await run_operation(operation, {k: v for k, v in wire.items() if v is not None}, heartbeat)

    def step(self, id: DurableOperationId, params: Any, options: StepOptions) -> Step[..., Any]:
        """The step of an operation, with options, as it is called with these parameters."""
        if isinstance(id, ModelRequestId):
            step, name = self._model, f"{self._name}.model"
        elif isinstance(id, ToolsetCallToolId):
            step, name = self._tool, f"{self._name}.tool.{_of_a_name(params.name)}"
        else:
            step, name = self._other, f"{self._name}.{_OTHERS.get(type(id), 'operation')}"
        if found_step(self._name, family=True) is not self._other:
            raise ConfigurationError(
                f"the agent {self._name!r} would not run: another agent of this name was made later. Rename one of "
                f"them, or give its steps another name: Durable(name=...)"
            )
        return member(step, name[:_NAME_LIMIT], **options)


class Bound(BoundDurableOperation[Any, Any, Any]):
    """An operation, to be called in a workflow."""

    def __init__(self, operation: DurableOperation[Any, Any, Any], key: str, steps: AgentSteps, options: StepOptions):
        self._operation = operation
        self._key = key
        self._steps = steps
        self._options = options

    @property
    def operation(self) -> DurableOperation[Any, Any, Any]:
        return self._operation

    async def __call__(self, params: Any, *, config: Any = None) -> Any:
        options: StepOptions = self._options if config is None else config
        id = self._operation.operation_id
        wire: Wire = self._operation.parameter_transport.dump(params)
        arguments: dict[str, Any]
        if isinstance(id, ModelRequestId):
            arguments = wire | ({"streaming": True} if id.streaming else {})
        elif isinstance(id, ToolsetCallToolId):
            arguments = {"toolset": id.toolset_id, **wire}
        else:
            beside: dict[str, Any] = {name: wire.pop(name) for name in ("context", "deps") if name in wire}
            arguments = {"operation": self._key, "input": wire, **beside}
        if limit := options.get("heartbeat_timeout"):
            arguments["heartbeat"] = seconds(limit) / 3
        with as_agent_errors():
            result = await self._steps.step(id, params, options)(**arguments)
        return self._operation.result_codec.load(result)


class Backend(RegisteredOperationBackend[StepOptions]):
    """Makes the durable operations of one agent steps."""

    def __init__(
        self, name: str, deps_type: Any, *, config: DurableOperationConfig[StepOptions], transports: Transports
    ) -> None:
        super().__init__(namer=JournalOperationNamer(name), config=config, parameter_transports=transports)
        self.steps = AgentSteps(name, deps_type)

    def register(
        self, operation: DurableOperation[Any, Any, Any], *, name: str, config: StepOptions
    ) -> tuple[Bound, Sequence[Callable[..., object]]]:
        id = operation.operation_id
        key = name
        if isinstance(id, ModelRequestId):
            key = _REQUEST_STREAM if id.streaming else _REQUEST
        elif isinstance(id, ToolsetCallToolId):
            key = _tool_key(id.toolset_id)
        self.steps.operations[key] = operation
        return Bound(operation, key, self.steps, config), ()


class Config(DurableOperationConfig[StepOptions]):
    """The options of an agent's steps: of all, of its model's, and of its tools', which have some of their own."""

    def __init__(self, *, every: StepOptions, model: StepOptions, tools: StepOptions) -> None:
        self._every = every
        self._roles: dict[OperationConfigRole, StepOptions] = {"model": every | model, "tool": every | tools}

    def base(self, role: OperationConfigRole, *, operation_id: DurableOperationId) -> StepOptions:
        return self._roles.get(role, self._every)

    def for_tool(
        self, role: OperationConfigRole, *, operation_id: DurableOperationId, tool: Any, tool_name: str
    ) -> StepOptions | Literal[False]:
        options = of_tool(tool, tool_name)
        return False if options is None else self._roles["tool"] | options


def _checked_place(name: str) -> Place:
    """Where the agent of this name is made. Raises `ConfigurationError` for a name that its steps cannot have."""
    try:
        check_name(f"{name}.model")
    except InvalidInputError:
        raise ConfigurationError(
            f"the agent's name {name!r} cannot begin the names of its steps: it must be up to 90 letters, digits and "
            f"_.:-. Rename the agent, or give its steps another name: Durable(name=...)"
        ) from None
    place = _place()
    if other := found_step(name, family=True):
        elsewhere = getattr(other.function, "place", None)
        if elsewhere is not None and place.clashes(elsewhere):
            raise ConfigurationError(
                f"two agents are named {name!r}: in {elsewhere} and in {place}. {place.remedy(elsewhere)}"
            )
    return place


def _tool_key(toolset: str) -> str:
    return f"tool:{toolset}"


def _of_a_name(name: str) -> str:
    """What a tool is called as a part of the name of a step."""
    return re.sub(r"[^A-Za-z0-9_:-]", "_", name)
