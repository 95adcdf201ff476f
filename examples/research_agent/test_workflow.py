from collections.abc import Iterator

import pytest

from examples.research_agent import scripted
from examples.research_agent.sources import sources
from examples.research_agent.workflow import research
from worldflow import StreamItem
from worldflow.engine.history import StepScheduled
from worldflow.testing import WorkflowEnvironment

QUESTION = "Should we open a café in Lisbon?"
TITLE = "Where to eat in Lisbon"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(scripted.pace, "seconds", 0)
    monkeypatch.setattr(sources, "latency", 0)
    sources.sold.clear()
    yield


async def test_the_report_is_bought_when_a_person_approves() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(research, QUESTION)
        (hook,) = await run.hooks()
        assert sources.sold == []
        await env.advance("2d")
        await env.resume_hook(hook.token, True)
        assert "two quarters could feed more" in await run.result()
    assert sources.sold == [TITLE]


@pytest.mark.parametrize("answered", [True, False])
async def test_without_approval_it_answers_with_what_it_has(answered: bool) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(research, QUESTION)
        (hook,) = await run.hooks()
        if answered:
            await env.resume_hook(hook.token, False)
        else:
            await env.advance("3d")
        assert "There was no report" in await run.result()
    assert sources.sold == []


async def test_five_tools_are_asked_at_once() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(research, QUESTION)
        events = await run.events()
    names = [event.name if isinstance(event, StepScheduled) else "" for event in events]
    first = names.index("analyst.tool.rent")
    assert names[first - 1] == ""
    assert names[first : first + 5] == [
        "analyst.tool.rent",
        "analyst.tool.footfall",
        "analyst.tool.competition",
        "analyst.tool.weather",
        "press.model",
    ]


async def test_the_words_and_the_request_for_approval_are_on_the_stream() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(research, QUESTION)
        (hook,) = await run.hooks()
        await env.resume_hook(hook.token, True)
        answer = await run.result()
        words, asked = "", list[str]()
        async for item in run.stream("answer"):
            match item:
                case StreamItem(
                    value={"event_kind": "part_start", "part": {"part_kind": "text", "content": str(text)}}
                ):
                    words = text  # of the next request to the model
                case StreamItem(value={"event_kind": "part_delta", "delta": {"content_delta": str(text)}}):
                    words += text
                case StreamItem(value={"kind": "approval", "token": str(token)}):
                    asked.append(token)
                case _:
                    pass
    assert words == answer
    assert asked == [hook.token]
