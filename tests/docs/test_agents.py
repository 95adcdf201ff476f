"""The code of docs/guide/agents.md, run."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import (
    AgentStreamEvent,
    ModelMessage,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from worldflow import (
    RetryPolicy,
    StreamItem,
    StreamReset,
    continue_as_new,
    step,
    step_info,
    wait_for_signal,
    workflow,
)
from worldflow.ai.pydantic import Durable, ToolRequest, answered_by, run_with_approvals
from worldflow.runtime import Orchestrator, RunHandle
from worldflow.testing import WorkflowEnvironment


@dataclass
class Customer:
    name: str


def returned(messages: list[ModelMessage]) -> list[str]:
    parts = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    return [str(part.content) for part in parts]


class Scripted(FunctionModel):
    """Calls these tools together, and then says what they have returned, word by word."""

    def __init__(self, *calls: tuple[str, dict[str, Any]]) -> None:
        async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
            for word in ("once", "upon", "a", "time"):
                yield f"{word} "

        def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            if calls and not returned(messages):
                return ModelResponse(parts=[ToolCallPart(name, arguments) for name, arguments in calls])
            count = sum(message.kind == "request" for message in messages)
            return ModelResponse(parts=[TextPart(", ".join(returned(messages)) or f"answer {count}")])

        super().__init__(answer, stream_function=stream)


models: dict[str, Model] = {}
"""What the agents of the page get for a model, by their names."""


@pytest.fixture(autouse=True)
def no_real_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    async def resolve(self: Durable[Any], ctx: Any, *, model_id: str) -> Model:
        return models[self.name]

    monkeypatch.setattr(Durable, "resolve_model_id", resolve)
    yield
    models.clear()


async def test_an_agent_is_durable_by_one_line() -> None:
    from worldflow import workflow
    from worldflow.ai.pydantic import Durable

    models["support"] = Scripted(("weather", {"city": "Graz"}), ("weather", {"city": "Linz"}))

    agent = Agent("bedrock:anthropic.claude-sonnet-4-5", name="support", deps_type=Customer, capabilities=[Durable()])

    @agent.tool
    async def weather(ctx: RunContext[Customer], city: str) -> str:
        return f"sunny in {city} for {ctx.deps.name}"

    @workflow
    async def support(prompt: str) -> str:
        result = await agent.run(prompt, deps=Customer("Ada"))
        return result.output

    async with WorkflowEnvironment() as env:
        run = await env.start(support, "Where is it sunny?")
        assert await run.result() == "sunny in Graz for Ada, sunny in Linz for Ada"
        assert await _steps(run) == [
            "support.model",
            "support.tool.weather",
            "support.tool.weather",
            "support.model",
        ]
    assert weather is not None


async def _steps(run: RunHandle[Any]) -> list[str]:
    return [event.payload["name"] for event in await run.events() if event.event_type == "StepScheduled"]


async def test_options_and_agents_in_tools() -> None:
    models["research"] = Scripted(("order_book", {"isbn": "3-16"}))
    models["writer"] = Scripted(("look_into", {"topic": "tea"}))
    keys: list[str] = []

    class shop:
        @staticmethod
        async def order(isbn: str, idempotency_key: str) -> str:
            keys.append(idempotency_key)
            return f"ordered {isbn}"

    research = Agent(
        "bedrock:anthropic.claude-sonnet-4-5",
        name="research",
        capabilities=[
            Durable(
                model={"timeout": "5m", "retry": RetryPolicy(max_attempts=6, max_interval="5m")},
                tools={"timeout": "1m"},
            )
        ],
    )

    @research.tool_plain(metadata={"worldflow": {"timeout": "10s", "guarantee": "at_most_once"}})
    async def order_book(isbn: str) -> str:
        return await shop.order(isbn, idempotency_key=step_info().idempotency_key)

    writer = Agent("bedrock:anthropic.claude-sonnet-4-5", name="writer", capabilities=[Durable()])

    @writer.tool_plain(metadata={"worldflow": False})
    async def look_into(topic: str) -> str:
        return (await research.run(f"What is there on {topic}?")).output

    @workflow
    async def write() -> str:
        return (await writer.run("Write about tea")).output

    async with WorkflowEnvironment() as env:
        run = await env.start(write)
        assert await run.result() == "ordered 3-16"
        scheduled = [event.payload for event in await run.events() if event.event_type == "StepScheduled"]
    assert [(step["name"], step.get("timeout")) for step in scheduled] == [
        ("writer.model", None),
        ("research.model", 300),
        ("research.tool.order_book", 10),
        ("research.model", 300),
        ("writer.model", None),
    ]
    assert keys == ["test-1/s3"]
    assert order_book is not None and look_into is not None


async def test_tokens_are_read_while_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    models["narrator"] = Scripted()

    narrator = Agent("bedrock:anthropic.claude-sonnet-4-5", name="narrator", capabilities=[Durable(stream="answer")])

    @workflow
    async def narrate(prompt: str) -> str:
        return (await narrator.run(prompt)).output

    async def show(run: RunHandle[str]) -> None:
        async for item in run.stream("answer", AgentStreamEvent):
            match item:
                case StreamReset():
                    print("(begins anew)")
                case StreamItem(value=PartStartEvent(part=TextPart(content=text))):
                    print(text, end="")
                case StreamItem(value=PartDeltaEvent(delta=TextPartDelta(content_delta=text))):
                    print(text, end="")
                case _:
                    pass  # of thoughts and tools

    async with WorkflowEnvironment() as env:
        run = await env.start(narrate, "Tell me")
        await run.result()
        await show(run)
    assert capsys.readouterr().out == "once upon a time "


async def test_a_tool_waits_for_an_approval() -> None:
    models["support"] = Scripted(("refund", {"amount": 5}))
    posted: list[str] = []

    class chat:
        @staticmethod
        async def post(text: str) -> None:
            posted.append(text)

    agent = Agent("bedrock:anthropic.claude-sonnet-4-5", name="support", deps_type=Customer, capabilities=[Durable()])

    @agent.tool_plain(requires_approval=True)
    async def refund(amount: int) -> str:
        return f"refunded {amount}"

    @step
    async def notify(request: ToolRequest) -> None:
        await chat.post(f"{request.tool_name}({request.args})? Answer: {request.token}")

    @workflow
    async def support_with_approvals(prompt: str) -> str:
        result = await run_with_approvals(agent, prompt, deps=Customer("Ada"), ask=notify, timeout="3d")
        return str(result.output)

    async def deny(orchestrator: Orchestrator, token: str) -> None:
        await orchestrator.resume_hook(token, {"approved": False, "message": "Not that much."})

    async with WorkflowEnvironment() as env:
        run = await env.start(support_with_approvals, "Give me my money")
        await env.advance("1d")
        question, _, token = posted[0].partition(" Answer: ")
        assert question == "refund({'amount': 5})?"
        await deny(env.orchestrator, token)
        assert await run.result() == "Not that much."
    assert refund is not None


async def test_a_conversation_goes_on() -> None:
    models["support"] = Scripted()
    agent = Agent("bedrock:anthropic.claude-sonnet-4-5", name="support", deps_type=Customer, capabilities=[Durable()])

    @workflow
    async def chat_on(history: list[ModelMessage]) -> str:
        prompt = await wait_for_signal("prompt", str)
        result = await agent.run(prompt, deps=Customer("Ada"), message_history=history)
        if prompt == "Goodbye":
            return result.output
        continue_as_new(result.all_messages())

    async with WorkflowEnvironment() as env:
        run = await env.start(chat_on, [])
        for prompt in ("Hello", "How are you?", "Goodbye"):
            await run.signal("prompt", prompt)
        assert await run.result() == "answer 3"


async def test_another_model_answers_in_tests() -> None:
    models["support"] = Scripted()
    agent = Agent("bedrock:anthropic.claude-sonnet-4-5", name="support", deps_type=Customer, capabilities=[Durable()])

    @workflow
    async def support(prompt: str) -> str:
        result = await agent.run(prompt, deps=Customer("Ada"))
        return result.output

    async def test_support() -> None:
        with answered_by(agent, TestModel(custom_output_text="Take an umbrella.")):
            async with WorkflowEnvironment() as env:
                run = await env.start(support, "Where is it sunny?")
                assert await run.result() == "Take an umbrella."

    await test_support()


async def test_a_request_is_made_again_with_another_prompt() -> None:
    prompts: list[Any] = []

    def echo(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        prompts.extend(
            part.content for message in messages for part in message.parts if isinstance(part, UserPromptPart)
        )
        return ModelResponse(parts=[TextPart(f"answer {len(prompts)}")])

    models["support"] = FunctionModel(echo)
    agent = Agent("bedrock:anthropic.claude-sonnet-4-5", name="support", deps_type=Customer, capabilities=[Durable()])

    @workflow
    async def support(prompt: str) -> str:
        result = await agent.run(prompt, deps=Customer("Ada"))
        return result.output

    async with WorkflowEnvironment() as env:
        orchestrator = env.orchestrator

        async def ask_differently(run: RunHandle[str], prompt: str) -> RunHandle[str]:
            requests = [event for event in await run.events() if event.payload.get("name") == "support.model"]
            messages = requests[-1].payload["input"]["messages"]
            messages[0]["parts"][0]["content"] = prompt
            return await orchestrator.fork(run.id, f"{run.id}-other", edit={requests[-1].seq: {"messages": messages}})

        run = await env.start(support, "Where is it sunny?")
        assert await run.result() == "answer 1"
        forked = await ask_differently(run, "Where does it rain?")
        assert await forked.result() == "answer 2"
    assert prompts == ["Where is it sunny?", "Where does it rain?"]
