"""An agent of the Strands Agents SDK in a workflow: its model requests and what its tools do are steps."""

from collections.abc import AsyncIterator
from typing import Any

from strands import Agent, tool
from strands.models import BedrockModel
from strands.models.model import Model

from worldflow import RetryPolicy, step, wait_for_signal, workflow


def make_model() -> Model:
    return BedrockModel()


@step(timeout="5m", retry=RetryPolicy(max_attempts=5))
async def request_strands(messages: Any, tools: Any, system_prompt: str | None) -> list[Any]:
    return [event async for event in make_model().stream(messages, tools, system_prompt)]


class DurableModel(Model):
    def update_config(self, **config: Any) -> None: ...

    def get_config(self) -> dict[str, Any]:
        return {}

    def structured_output(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("this recipe has no output types")

    async def stream(
        self, messages: Any, tool_specs: Any = None, system_prompt: str | None = None, **_: Any
    ) -> AsyncIterator[Any]:
        for event in await request_strands(messages, tool_specs, system_prompt):
            yield event


async def forecast(city: str) -> str:
    """Where your service is called."""
    return f"sunny in {city}"


@step(timeout="10s")
async def look_up_strands_weather(city: str) -> str:
    return await forecast(city)


@step
async def refund_strands_order(order: str) -> str:
    return f"order {order} is refunded"


@tool
async def weather(city: str) -> str:
    """The weather in a city."""
    return await look_up_strands_weather(city)


@tool
async def refund(order: str) -> str:
    """Gives the money for an order back."""
    if not await wait_for_signal("approve", bool):
        return "refused"
    return await refund_strands_order(order)


@workflow
async def strands_support(question: str) -> str:
    # An agent lists ./tools, although it loads nothing from there.
    agent = Agent(DurableModel(), tools=[weather, refund], callback_handler=None)  # worldflow: allow
    return str(await agent.invoke_async(question)).strip()
