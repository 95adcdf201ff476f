"""AWS Lambda durable functions, on the runner of their testing package, with Pydantic AI's `AWSLambdaDurability`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import botocore.session
from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.execution import InvocationStatus
from aws_durable_execution_sdk_python.retries import RetryPresets
from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestRunner
from pydantic_ai import DeferredToolResults
from pydantic_ai_harness.aws_lambda import AWSLambdaDurability, durable_agent_handler, run_durable

from benchmarks.agents.application import agents, make_agent, text, watch
from benchmarks.agents.rows import MARKED, NO, YES, answer

ONCE = {"retry_strategy": RetryPresets.none()}  # what fails here fails at once, and not after minutes of retries

plain = agents(_durable := lambda: [AWSLambdaDurability(step_config=ONCE)])
opted_out = agents(_durable, expert_tool={"metadata": {"aws_lambda": False}})
"""The tool with the agent in it is not checkpointed: its body runs anew whenever the handler is replayed."""


@durable_execution
@durable_agent_handler
async def weather(event: dict[str, Any], context: DurableContext) -> str:
    return str((await plain.weather.run("The weather?")).output)


@durable_execution
@durable_agent_handler
async def research(event: dict[str, Any], context: DurableContext) -> str:
    return str((await plain.research.run("The weather?")).output)


@durable_execution
@durable_agent_handler
async def research_opted_out(event: dict[str, Any], context: DurableContext) -> str:
    return str((await opted_out.research.run("The weather?")).output)


@durable_execution
def booking(event: dict[str, Any], context: DurableContext) -> str:
    asked = run_durable(lambda: plain.booking.run("Book a trip."), context=context)
    verdict = json.loads(context.create_callback("approval").result())
    results = DeferredToolResults(approvals={call.tool_call_id: verdict for call in asked.output.approvals})
    history = asked.all_messages()
    answered = run_durable(
        lambda: plain.booking.run(message_history=history, deferred_tool_results=results), context=context
    )
    return str(answered.output)


async def to_a_list(context: Any, events: Any) -> None:
    async for event in events:
        seen.append(text(event))


seen: list[str] = []
streaming = make_agent("streaming", lambda: [AWSLambdaDurability(step_config=ONCE, event_stream_handler=to_a_list)])


@durable_execution
@durable_agent_handler
async def streamed(event: dict[str, Any], context: DurableContext) -> str:
    return str((await streaming.run("The weather?")).output)


async def parallel(folder: Path) -> tuple[str, str]:
    result = await _run(weather)
    return (YES if watch.most == 5 else NO), f"{watch.most} of 5 tools at once: {result}"


async def nested(folder: Path) -> tuple[str, str]:
    result = await _run(research)
    if "is sunny" in result:
        return YES, result
    other = await _run(research_opted_out)
    return (MARKED if "is sunny" in other else NO), f"{result}; with the tool opted out of checkpointing: {other}"


async def approval(folder: Path) -> tuple[str, str]:
    with DurableFunctionTestRunner(handler=booking, poll_interval=0.01) as runner:
        arn = await asyncio.to_thread(runner.run_async, input="{}", execution_name="run")
        callback = await asyncio.to_thread(runner.wait_for_callback, arn, "approval", 30)
        await asyncio.to_thread(runner.send_callback_success, callback, b"true")
        result = await asyncio.to_thread(runner.wait_for_result, arn, 30)
    assert result.status is InvocationStatus.SUCCEEDED, result.error
    return YES, f"{result.result}; booked {watch.calls.get('book', 0)} time(s)"


async def stream(folder: Path) -> tuple[str, str]:
    result = await _run(streamed)
    tokens = len([token for token in seen if token])
    return NO, f"{result}; an `event_stream_handler` saw {tokens} tokens, in the process of the function"


async def reconnect(folder: Path) -> tuple[str, str]:
    return NO, "nothing to read from: a store of your own has to be added"


async def retried(folder: Path) -> tuple[str, str]:
    return NO, "nothing to read from"


async def fork(folder: Path) -> tuple[str, str]:
    return NO, f"no operation of Lambda starts from another execution: {_listed(_operations())}"


async def _run(handler: Any) -> str:
    with DurableFunctionTestRunner(handler=handler, poll_interval=0.01) as runner:
        result = await asyncio.to_thread(runner.run, input="{}", execution_name="run", timeout=30)
    return str(result.result if result.status is InvocationStatus.SUCCEEDED else result.error)


def _operations() -> list[str]:
    """The operations of durable executions that the API of Lambda has."""
    model = botocore.session.Session().get_service_model("lambda")
    return [name for name in model.operation_names if "Durable" in name]


def _listed(names: list[str]) -> str:
    return ", ".join(names)


if __name__ == "__main__":
    answer({f.__name__: f for f in (parallel, nested, approval, stream, reconnect, retried, fork)})
