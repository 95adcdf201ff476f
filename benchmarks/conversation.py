"""What an agent's conversation takes: `python -m benchmarks conversation`.

A model is asked again and again, each time with all that was said before: a request of 800 characters, and an answer of
800. Counted are the bytes of the run's history, beside those that it would have if each event held its data whole; and
the time in which another process replays it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel

from benchmarks.results import Section
from worldflow import step, workflow
from worldflow.engine.history import RunCompleted, StepScheduled, dump_events, dump_value
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import starting
from worldflow.turns.live_run import Rules
from worldflow.turns.live_runs import LiveRuns
from worldflow.turns.memory import memory_is_short
from worldflow.turns.turns import Turns
from worldflow.worlds import LocalWorld
from worldflow.worlds.messages import Start

REQUESTS = (25, 50, 100, 200)
TIMES = 5
LIMIT = 100_000
COMMAND = "python -m benchmarks conversation"


@cache
def text(number: int) -> str:
    return "".join(random.Random(number).choices("abcdefghijklmnop ", k=800))


class Part(BaseModel):
    kind: str
    content: str


class Message(BaseModel):
    kind: str
    parts: list[Part]
    usage: dict[str, int] | None = None


@step(name="conversation_model", inline=True, guarantee="pure")
async def answer(messages: list[dict[str, Any]], instructions: str) -> dict[str, Any]:
    parts = [{"kind": "text", "content": text(len(messages))}]
    return {"kind": "response", "parts": parts, "usage": {"input_tokens": 200 * len(messages), "output_tokens": 200}}


@step(name="conversation_typed_model", inline=True, guarantee="pure")
async def typed_answer(messages: list[Message], instructions: str) -> Message:
    usage = {"input_tokens": 200 * len(messages), "output_tokens": 200}
    return Message(kind="response", parts=[Part(kind="text", content=text(len(messages)))], usage=usage)


@workflow(name="conversation_of_dicts")
async def of_dicts(count: int) -> int:
    messages: list[dict[str, Any]] = []
    for _ in range(count):
        messages.append({"kind": "request", "parts": [{"kind": "user", "content": text(len(messages))}]})
        messages.append(await answer(messages, text(-1)))
    return len(messages)


@workflow(name="conversation_of_models")
async def of_models(count: int) -> int:
    messages: list[Message] = []
    for _ in range(count):
        messages.append(Message(kind="request", parts=[Part(kind="user", content=text(len(messages)))]))
        messages.append(await typed_answer(messages, text(-1)))
    return len(messages)


def had(workflow: Workflow[..., Any], requests: int) -> LocalWorld:
    """A World in which a conversation was had, as the run `run`."""
    world = LocalWorld()
    starting.start(world, "run", workflow, {"count": requests})
    turns = Turns(world, history_limit=LIMIT)
    turns.take("run", [Start(run_id="run")])
    turns.close()
    return world


def sizes(world: LocalWorld) -> tuple[int, int, int]:
    """Bytes of the conversation's text, of the history, and of one that holds all data whole."""
    stored, whole = world.load_history("run"), world.read_events("run")
    assert isinstance(stored[-1], RunCompleted), stored[-1]
    last = next(event for event in reversed(whole) if isinstance(event, StepScheduled))
    return len(dump_value(last.input)), len(dump_events(stored)), len(dump_events(whole))


def measure(workflow: Workflow[..., Any], requests: int) -> list[str]:
    world = had(workflow, requests)
    conversation, written, whole = sizes(world)
    seconds = min(_replay(workflow, requests, world) for _ in range(TIMES))
    world.close()
    kind = "dicts" if workflow is of_dicts else "models"
    return [
        f"{requests} requests, messages as {kind}",
        *(f"{size / 1000:,.0f}" for size in (conversation, written, whole)),
        f"{written / conversation:.2f}",
        f"{seconds * 1000:,.0f}",
    ]


def _replay(workflow: Workflow[..., Any], requests: int, ran: LocalWorld) -> float:
    """Seconds of processor time to read the run, as it was before its last answer, and to replay it."""
    world = LocalWorld()
    starting.start(world, "run", workflow, {"count": requests})
    world.append("run", ran.load_history("run")[:-2])
    runs = LiveRuns(world, Rules(random.Random(1), LIMIT, 60, False), limit=1, is_full=memory_is_short)
    began = time.thread_time()
    run, _ = runs.load("run")
    took = time.thread_time() - began
    assert run.blocked is None, run.blocked
    run.dispose()
    world.close()
    return took


def sections() -> Iterator[Section]:
    yield Section(
        title="A conversation",
        command=COMMAND,
        how=(
            "A model is asked again and again, each time with all that was said before, 800 characters a message. "
            "The text is what the last call was given, as JSON. What the history holds already is written once; whole "
            f"is what it would be otherwise. Replay: processor time of one core, the best of {TIMES}, reading included."
        ),
        columns=["a run of", "text: KB", "history: KB", "whole: KB", "history / text", "replay: ms"],
        rows=[measure(workflow, requests) for workflow in (of_dicts, of_models) for requests in REQUESTS],
    )
