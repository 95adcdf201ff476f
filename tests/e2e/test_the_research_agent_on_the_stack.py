"""The agent and the page of the examples on a deployed stack, whose processes are killed."""

from __future__ import annotations

import random
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.research_agent import scripted
from examples.research_agent.sources import sources
from examples.research_agent.workflow import research
from tests.e2e.chaos import Monkey
from tests.e2e.conftest import Project, until, visible_again_after
from tests.examples.servers import serving
from tests.support.event_source import Message, Parser
from worldflow.devtools.stack import Stack
from worldflow.engine.history import HookCreated, StreamReset
from worldflow.runtime import Orchestrator
from worldflow.settings import Settings
from worldflow.testing import WorkflowEnvironment
from worldflow.worlds import AWSWorld, World

CITIES = ["Lisbon", "Turin", "Graz", "Porto", "Linz", "Vienna"]

CODE = '''
"""The agents of the examples, with a seller whose books outlive its process."""

from pathlib import Path

from examples.chat import conversation
from examples.research_agent import scripted
from examples.research_agent.sources import REPORT, sources

BOOKS = Path("{books}")
scripted.pace.seconds = 0.03


async def buy(report: str) -> str:
    with BOOKS.open("a") as books:
        books.write(report + "\\n")
    return REPORT


async def bought(report: str) -> str | None:
    return REPORT if report in BOOKS.read_text().splitlines() else None


sources.buy, sources.bought = buy, bought
'''


@pytest.fixture
def books(project: Project, stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """What the seller has sold, by the agents that are deployed."""
    books = tmp_path / "books"
    books.touch()
    with project.other_workflows(stack, {"agents.py": CODE.replace("{books}", str(books))}):
        yield books


async def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the agent answers where nothing is killed."""
    monkeypatch.setattr(scripted.pace, "seconds", 0)
    monkeypatch.setattr(sources, "latency", 0)
    found = {}
    async with WorkflowEnvironment() as env:
        for city in CITIES:
            run = await env.start(research, question(city))
            (hook,) = await run.hooks()
            await env.resume_hook(hook.token, True)
            found[city] = await run.result()
    return found


def question(city: str) -> str:
    return f"Should we open a café in {city}?"


@pytest.mark.timeout(600)
async def test_processes_are_killed_while_it_answers(
    stack: Stack, books: Path, application: dict[str, str], monkeypatch: pytest.MonkeyPatch, start: Callable[..., str]
) -> None:
    world = AWSWorld(Settings.from_environment(stack.environment), session=stack.aws.observer())
    functions = {stack.outputs["OrchestratorFunctionName"]: 0.5, stack.outputs["StepExecutorFunctionName"]: 0.5}
    stack.aws.reset_usage()
    with visible_again_after(30, stack), Monkey(stack.aws, functions, random.Random(1), messages=15) as monkey:
        runs = {city: start("research", question=question(city)) for city in CITIES}
        for run_id in runs.values():
            token = until(lambda run_id=run_id: token_of(world, run_id), 180)
            until(lambda token=token: stack.call("POST", f"/hooks/{token}", True).status == 202 or None, 60)
        for run_id in runs.values():
            until(lambda run_id=run_id: world.read_run(run_id).ended or None, 240)
    assert monkey.kills.total() > 0

    expected = await answers(monkeypatch)
    assert {city: world.read_run(run_id).result for city, run_id in runs.items()} == expected
    assert Counter(books.read_text().splitlines()) == {f"Where to eat in {city}": 1 for city in CITIES}
    for city, run_id in runs.items():
        assert await last_words(world, run_id) == expected[city]


def token_of(world: World, run_id: str) -> str | None:
    return next((event.token for event in world.read_events(run_id) if isinstance(event, HookCreated)), None)


async def last_words(world: World, run_id: str) -> str:
    """What the last request to the model has said, for a reader of the whole stream."""
    said: dict[str, str] = {}
    async for item in Orchestrator(world).run(run_id).stream("answer"):
        if isinstance(item, StreamReset):
            said[item.step_id] = ""
        elif item.step_id:
            said[item.step_id] = said.get(item.step_id, "") + text_of(item.value)
    return list(said.values())[-1]


def text_of(event: Any) -> str:
    match event:
        case {"event_kind": "part_start", "part": {"part_kind": "text", "content": str(text)}}:
            return text
        case {"event_kind": "part_delta", "delta": {"content_delta": str(text)}}:
            return text
        case _:
            return ""


@pytest.mark.usefixtures("books")
def test_the_page_talks_with_the_stack(application: dict[str, str]) -> None:
    conversation = f"/conversations/{time.monotonic_ns():032x}"
    with serving(["uvicorn", "--port", "0", "examples.chat.app:app"], application) as server:
        asked = {"text": question("Lisbon")}
        assert server.call("PUT", f"{conversation}/messages/m1", asked).status == 202
        kinds = []
        for message in events(f"{server.url}{conversation}/events"):
            value = message.data.get("value", {})
            kinds.append(value.get("kind"))
            if value.get("kind") == "approval":
                decided = {"token": value["token"], "approved": True}
                assert server.call("PUT", "/approvals", decided).status == 202
            if value.get("kind") == "answered":
                break
        assert [kind for kind in kinds if kind] == ["question", "approval", "answered"]


def events(url: str) -> Iterator[Message]:
    parser = Parser()
    with urllib.request.urlopen(url, timeout=60) as response:
        for line in response:
            yield from parser.feed(line.decode())
