"""Workflows whose traces are looked at."""

from contextvars import ContextVar

from opentelemetry import propagate, trace

from worldflow import (
    FatalError,
    RetryPolicy,
    continue_as_new,
    create_hook,
    on_update,
    record_usage,
    sleep,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.runtime.orchestrator import Orchestrator

LIBRARY: ContextVar[trace.TracerProvider] = ContextVar("LIBRARY")
ORCHESTRATOR: ContextVar[Orchestrator] = ContextVar("ORCHESTRATOR")

fails_once: set[str] = set()


@step(retry=RetryPolicy(max_attempts=2, initial_interval="10s", jitter=0))
async def traced_charge(order: str) -> str:
    if order in fails_once:
        fails_once.remove(order)
        raise LookupError(f"the card of {order} is secret")
    return order


@step
async def traced_refusal() -> None:
    raise FatalError("nothing of this is told")


@step
async def traced_model(models: int) -> None:
    for model in ["large", "small"][:models]:
        record_usage(model, input_tokens=20, output_tokens=3, cache_read_input_tokens=5)


@workflow
async def traced_models(models: int) -> None:
    await traced_model(models)


@workflow
async def traced_child() -> str:
    return await traced_charge("child")


@workflow
async def traced_order(order: str) -> str:
    @on_update("price")
    def price(to: int) -> int:
        return to

    await traced_charge(order)
    await traced_child()
    with create_hook(str, token=f"hook-of-{order}") as hook:
        await hook
    await sleep("1h")
    await wait_for_signal("go")
    return order


@workflow
async def traced_failure() -> None:
    await traced_refusal()


@workflow
async def traced_countdown(left: int) -> None:
    if left:
        continue_as_new(left - 1)


@step
async def traced_call() -> str:
    with trace.get_tracer("library", tracer_provider=LIBRARY.get()).start_as_current_span("GET /"):
        return _injected()


@step
def traced_plain_call() -> str:
    with trace.get_tracer("library", tracer_provider=LIBRARY.get()).start_as_current_span("SELECT"):
        return _injected()


@step(inline=True)
async def traced_inline_call() -> str:
    with trace.get_tracer("library", tracer_provider=LIBRARY.get()).start_as_current_span("PUT /"):
        return _injected()


def _injected() -> str:
    """The header that a library would send."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers["traceparent"]


@workflow
async def traced_calls() -> list[str]:
    return [await traced_call(), await traced_plain_call(), await traced_inline_call()]


@step
async def traced_starter() -> str:
    run = await ORCHESTRATOR.get().start_workflow("started-by-a-step", traced_countdown, {"left": 0})
    return run.id


@workflow
async def traced_start() -> str:
    return await traced_starter()
