"""An agent of the OpenAI Agents SDK in a workflow: its model requests and what its tools do are steps."""

from collections.abc import AsyncIterator
from typing import Any

from agents import (
    Agent,
    FunctionTool,
    Model,
    ModelProvider,
    ModelResponse,
    ModelSettings,
    ModelTracing,
    MultiProvider,
    RunConfig,
    Runner,
    TResponseInputItem,
    function_tool,
)

from worldflow import RetryPolicy, step, wait_for_signal, workflow

models: ModelProvider = MultiProvider()


@step(timeout="5m", retry=RetryPolicy(max_attempts=5))
async def request_openai(
    model: str | None, instructions: str | None, items: Any, settings: dict[str, Any], functions: list[dict[str, Any]]
) -> ModelResponse:
    async def elsewhere(*_: Any) -> None:
        """A tool is called by the workflow; the model needs its name and parameters."""

    return await models.get_model(model).get_response(
        instructions,
        items,
        ModelSettings(**settings),
        [FunctionTool(**function, on_invoke_tool=elsewhere) for function in functions],
        None,
        [],
        ModelTracing.DISABLED,
        previous_response_id=None,
        conversation_id=None,
        prompt=None,
    )


class DurableModel(Model):
    def __init__(self, name: str | None) -> None:
        self.name = name

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Any],
        output_schema: Any,
        handoffs: list[Any],
        tracing: ModelTracing,
        **_: Any,
    ) -> ModelResponse:
        if output_schema or not all(isinstance(tool, FunctionTool) for tool in tools):
            raise NotImplementedError("this recipe has neither output types nor hosted tools")
        functions = [_function(tool, tool.name, tool.description, tool.params_json_schema) for tool in tools]
        functions += [_function(to, to.tool_name, to.tool_description, to.input_json_schema) for to in handoffs]
        response: ModelResponse = await request_openai(
            self.name, system_instructions, input, model_settings.to_json_dict(), functions
        )
        return response

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise NotImplementedError("this recipe does not stream")


def _function(tool: Any, name: str, description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    strict = tool.strict_json_schema
    return {"name": name, "description": description, "params_json_schema": parameters, "strict_json_schema": strict}


class DurableModels(ModelProvider):
    def get_model(self, model_name: str | None) -> Model:
        return DurableModel(model_name)


async def forecast(city: str) -> str:
    """Where your service is called."""
    return f"sunny in {city}"


@step(timeout="10s")
async def look_up_openai_weather(city: str) -> str:
    return await forecast(city)


@step
async def refund_openai_order(order: str) -> str:
    return f"order {order} is refunded"


@function_tool
async def weather(city: str) -> str:
    """The weather in a city."""
    return await look_up_openai_weather(city)


@function_tool(needs_approval=True)
async def refund(order: str) -> str:
    """Gives the money for an order back."""
    return await refund_openai_order(order)


support = Agent(name="support", instructions="Help the customer.", tools=[weather, refund])
durable = RunConfig(model_provider=DurableModels(), tracing_disabled=True)


@workflow
async def openai_support(question: str) -> str:
    result = await Runner.run(support, question, run_config=durable)
    while result.interruptions:
        state = result.to_state()
        for call in result.interruptions:
            if await wait_for_signal("approve", bool):
                state.approve(call)
            else:
                state.reject(call)
        result = await Runner.run(support, state, run_config=durable)
    return str(result.final_output)
