"""Processes die anywhere while the agent of `examples/research_agent` works: its answer is the same, it pays once, and
whoever reads its words has the whole answer.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import datetime

import pytest

from examples.research_agent import scripted
from examples.research_agent.sources import sources
from examples.research_agent.workflow import research
from tests.support.crashes import (
    Crashes,
    CrashingWorld,
    die_often,
    never,
    persist,
    serve,
    whole_history,
)
from worldflow.engine.history import HookCreated, StreamReset
from worldflow.runtime import starting, webhooks
from worldflow.worlds import streams

pytestmark = pytest.mark.one_python

QUESTION = "Should we open a café in Lisbon?"
RUNS = int(os.environ.get("CRASH_RUNS", 16))
"""`make agent-crashes` has many more."""
AT_ONCE = 8


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(scripted.pace, "seconds", 0)
    monkeypatch.setattr(sources, "latency", 0)
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)  # deaths of processes are not logged
    yield


class Attended(CrashingWorld):
    """A person approves what the agent asks for, before time passes."""

    has_approved = False

    def next_due(self) -> datetime | None:
        if not self.has_approved and self.get_run("r"):
            for event in self.read_events("r"):
                if isinstance(event, HookCreated):
                    persist(lambda token=event.token: webhooks.resume_hook(self, token, True, resume_id="once"))
                    self.has_approved = True
        return super().next_due()


def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    sources.sold.clear()
    world = Attended(crashes)
    persist(lambda: starting.start(world, "r", research, {"question": QUESTION}))
    serve(world, live_limit=live_limit)
    return world


@pytest.fixture(scope="module")
def answer() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripted.pace, "seconds", 0)
        patch.setattr(sources, "latency", 0)
        return str(lived(never).read_run("r").result)


def check(world: CrashingWorld, answer: str) -> None:
    record = world.read_run("r")
    assert (record.status, record.result) == ("completed", answer), (record.error, world.crashed)
    whole_history(world, "r", research)
    assert sources.sold == ["Where to eat in Lisbon"], world.crashed
    said, asked = stream_of(world)
    assert said[-1] == answer, world.crashed
    assert asked == 1, world.crashed


def stream_of(world: CrashingWorld) -> tuple[list[str], int]:
    """What each request to the model has said, for a reader of the whole stream, and how often approval was asked."""
    said: dict[str, str] = {}
    asked = 0
    for item in streams.read(world, "r", "answer").items:
        if isinstance(item, StreamReset):
            said[item.step_id] = ""
            continue
        step = str(item.step_id)
        match item.value:
            case {"event_kind": "part_start", "part": {"part_kind": "text", "content": text}}:
                said[step] = said.get(step, "") + text
            case {"event_kind": "part_delta", "delta": {"content_delta": text}}:
                said[step] += text
            case {"kind": "approval"}:
                asked += 1
            case _:
                pass
    return list(said.values()), asked


@pytest.mark.parametrize("first", range(0, RUNS, AT_ONCE))
def test_its_answer_is_the_same(first: int, answer: str) -> None:
    for seed in range(first, min(first + AT_ONCE, RUNS)):
        die_often(lived, lambda world: check(world, answer), seed)
