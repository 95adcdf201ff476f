"""Should we open a café there? An agent that researches a city.

It asks five tools at once. One of them, the review of the press, is an agent itself. A report that costs money is
bought when a person has approved it, and at most once. The answer is streamed: whoever reads the run's stream `answer`
sees each word as the model says it.

Each request to the model and each call of a tool is a step.
"""

import os

from pydantic_ai import Agent

from examples.research_agent.scripted import scripted_model
from examples.research_agent.sources import sources
from worldflow import StepInterruptedError, open_stream, step, workflow
from worldflow.ai.pydantic import Durable, ToolRequest, run_with_approvals

MODEL = os.environ.get("MODEL") or scripted_model
"""`provider:name` of a model, whose key is in the environment; or else the script."""

press = Agent(
    MODEL,
    name="press",
    instructions="Summarise what the press writes about a city, in two sentences.",
    capabilities=[Durable(steps={"heartbeat_timeout": "5s"})],
    defer_model_check=True,
)

analyst = Agent(
    MODEL,
    name="analyst",
    instructions="You advise on new cafés. Ask all sources about the city at once. Then buy the report 'Where to eat "
    "in <city>' for 40 dollars. Answer in three short paragraphs, with the figures.",
    capabilities=[Durable(stream="answer", steps={"heartbeat_timeout": "5s"})],
    defer_model_check=True,
)


@press.tool_plain
async def articles(city: str) -> list[str]:
    """Headlines about a city."""
    return await sources.articles(city)


@analyst.tool_plain
async def rent(city: str) -> str:
    """What a shop costs in rent."""
    return await sources.rent(city)


@analyst.tool_plain
async def footfall(city: str) -> str:
    """How many people pass by."""
    return await sources.footfall(city)


@analyst.tool_plain
async def competition(city: str) -> str:
    """How many cafés there are already."""
    return await sources.competition(city)


@analyst.tool_plain
async def weather(city: str) -> str:
    """How often guests can sit outside."""
    return await sources.weather(city)


@analyst.tool_plain(metadata={"worldflow": False})  # runs in the workflow: the steps are those of the other agent
async def press_review(city: str) -> str:
    """What the press writes about a city."""
    return (await press.run(f"What does the press write about {city}?")).output


@analyst.tool_plain(requires_approval=True, metadata={"worldflow": False})
async def buy_report(title: str, dollars: int) -> str:
    """Buy a report of market research."""
    while True:
        try:
            return await order_report(title)
        except StepInterruptedError:  # the process died: was it bought?
            if report := await find_report(title):
                return report


@step(guarantee="at_most_once")
async def order_report(title: str) -> str:
    return await sources.buy(title)


@step
async def find_report(title: str) -> str | None:
    return await sources.bought(title)


@workflow
async def research(question: str) -> str:
    result = await run_with_approvals(analyst, question, ask=ask, timeout="3d")
    return str(result.output)


async def ask(request: ToolRequest) -> None:
    """Tells the readers of the answer what needs their approval, with the token to give it."""
    open_stream("answer", ToolRequest).write(request)
