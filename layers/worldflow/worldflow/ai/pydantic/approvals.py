"""Tool calls that wait for a person's approval or for a result from outside, for days if necessary."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, StrictBool, TypeAdapter, ValidationError
from pydantic_ai import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied
from pydantic_ai.agent.abstract import AbstractAgent
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.run import AgentRunResult

import worldflow
from worldflow.engine.durations import Duration, seconds, spoken
from worldflow.engine.history import Json
from worldflow.engine.values.serialization import explain


class ToolRequest(BaseModel):
    """A tool call that waits for an answer.

    kind: `"approval"`, or `"call"` if the tool's result comes from outside.
    token: the token of the hook that receives the answer: `await orchestrator.resume_hook(request.token, True)`.
    url: with `webhooks=True`, a signed URL. Anyone who has it can send the answer, as the JSON body of a POST.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["approval", "call"]
    tool_name: str
    args: dict[str, Any]
    tool_call_id: str
    metadata: dict[str, Any] = {}
    token: str
    url: str | None = None


class Decision(BaseModel):
    """An answer that says more than yes or no.

    message: what the model is told if the call is not approved.
    args: arguments to call the tool with instead of the model's.
    """

    model_config = ConfigDict(extra="forbid")

    approved: bool
    message: str | None = None
    args: dict[str, Any] | None = None


Kind = Literal["approval", "call"]
Ask = Callable[[ToolRequest], Awaitable[object]]

_decisions: TypeAdapter[bool | Decision] = TypeAdapter(StrictBool | Decision)


async def run_with_approvals(
    agent: AbstractAgent[Any, Any],
    prompt: Any = None,
    *,
    ask: Ask,
    timeout: Duration | None = None,
    webhooks: bool = False,
    **options: Any,
) -> AgentRunResult[Any]:
    """Runs an agent in a workflow, and waits when its tools need an approval or a result from outside.

        @step
        async def notify(request: ToolRequest) -> None: ...  # send a person request.token, or request.url

        result = await run_with_approvals(agent, prompt, ask=notify, timeout="3d")

    ask: called with each request, usually a step that notifies a person. The answer to an approval is true, false or a
        `Decision`, as JSON. The answer to any other call is its result, as JSON.
    timeout: how long to wait for each answer. Then the model is told that nobody has answered. Default: no limit.
    webhooks: whether requests have a signed `url`.
    options: those of `agent.run`.
    """
    output_type = options.pop("output_type", agent.output_type)
    if not _takes_requests(agent.output_type if output_type is None else output_type):
        options["output_type"] = [*_types(output_type), DeferredToolRequests]
    result = await agent.run(prompt, **options)
    while isinstance(result.output, DeferredToolRequests):
        answers = await wait_for_answers(result.output, ask=ask, timeout=timeout, webhooks=webhooks)
        options |= {"message_history": result.all_messages(), "deferred_tool_results": answers, "usage": result.usage}
        result = await agent.run(**options)
    return result


def _types(output_type: Any) -> Sequence[Any]:
    return list(output_type) if isinstance(output_type, (list, tuple)) else [output_type]


def _takes_requests(output_type: Any) -> bool:
    return any(part is DeferredToolRequests for part in _types(output_type))


async def wait_for_answers(
    deferred: DeferredToolRequests, *, ask: Ask, timeout: Duration | None = None, webhooks: bool = False
) -> DeferredToolResults:
    """Asks about all of the tool calls at the same time, and returns the answers. See `run_with_approvals`.

    Use it as the handler of Pydantic AI's `HandleDeferredToolCalls` to wait within one run of the agent.
    """
    kinds: list[tuple[Kind, ToolCallPart]] = [("approval", call) for call in deferred.approvals]
    kinds += [("call", call) for call in deferred.calls]

    async def answered(kind: Kind, call: ToolCallPart) -> Any:
        metadata = deferred.metadata.get(call.tool_call_id, {})
        return await _answer(kind, call, metadata, ask=ask, timeout=timeout, webhooks=webhooks)

    answers = await asyncio.gather(*(answered(kind, call) for kind, call in kinds))
    results = DeferredToolResults()
    for (kind, call), answer in zip(kinds, answers, strict=True):
        (results.approvals if kind == "approval" else results.calls)[call.tool_call_id] = answer
    return results


async def _answer(
    kind: Kind, call: ToolCallPart, metadata: dict[str, Any], *, ask: Ask, timeout: Duration | None, webhooks: bool
) -> Any:
    life: Any = {} if timeout is None else {"expires_in": timeout}
    hook: Any = worldflow.create_webhook(respond="workflow", **life) if webhooks else worldflow.create_hook(Any)
    with hook:
        request = ToolRequest(
            kind=kind,
            tool_name=call.tool_name,
            args=call.args_as_dict(),
            tool_call_id=call.tool_call_id,
            metadata=metadata,
            token=hook.token,
            url=hook.url if webhooks else None,
        )
        await ask(request)
        try:
            async with nullcontext() if timeout is None else asyncio.timeout(seconds(timeout)):
                return await _next(hook, request)
        except TimeoutError:
            assert timeout is not None
            message = f"Nobody has answered within {spoken(seconds(timeout))}."
            return ToolDenied(message) if kind == "approval" else ToolFailed(message)


async def _next(hook: Any, request: ToolRequest) -> Any:
    """The first answer that is one."""
    while True:
        received = await hook
        try:
            answer = _read(request, received.json() if request.url else received)
        except ValueError as error:
            problem = explain(error, "value") if isinstance(error, ValidationError) else str(error)
            worldflow.logger.warning("an answer to the tool call %s is ignored: %s", request.tool_name, problem)
            if request.url:
                received.respond(422, {"error": problem})
        else:
            if request.url:
                received.respond(200, {"received": True})
            return answer


def _read(request: ToolRequest, value: Json) -> Any:
    if request.kind == "call":
        return value
    decision = _decisions.validate_python(value)
    if isinstance(decision, bool):
        return decision
    if decision.approved:
        return ToolApproved(override_args=decision.args)
    return ToolDenied(decision.message) if decision.message else ToolDenied()
