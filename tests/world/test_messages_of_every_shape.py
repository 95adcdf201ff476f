"""Whatever stands in a queue is handled alone: what comes with it in one batch goes on at once."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from tests.support import workflows
from tests.support.aws import QueueName
from tests.support.lambdas import failures, sqs_event, sqs_record
from tests.support.systems import AWSSystem
from worldflow.engine.history import SignalReceived
from worldflow.runtime import starting
from worldflow.worlds import ledger
from worldflow.worlds.messages import FactArrived, StepTask


def body(**fields: Any) -> str:
    return json.dumps({"v": 1, **fields})


def signal(value: str, **fields: Any) -> str:
    """A signal whose value is written so."""
    fact = {"event_type": "SignalReceived", "signal_id": "odd", "name": "other", "value": "VALUE", **fields}
    return body(kind="fact", run_id="odd", fact=fact).replace('"VALUE"', value)


def step(**fields: Any) -> str:
    return body(**{"kind": "step", "run_id": "odd", "step_id": "s1", "name": "square", **fields})


UNREADABLE = {
    "an open bracket": "{",
    "another encoding": "\ufeff{}",
    "a hundred thousand levels": signal("[" * 100_000 + "]" * 100_000),
    "a hundred thousand levels of nothing": "[" * 100_000,
    "half a character": signal('"\\ud800"'),
    "a number of ten thousand digits": signal("9" * 10_000),
    "a version of text": json.dumps({"v": "1", "kind": "start", "run_id": "odd"}),
    "no version, and a kind of its own": json.dumps({"kind": ["start"], "run_id": "odd"}),
    "a run that is a number": body(kind="start", run_id=7),
    "a run that is nothing": body(kind="start", run_id=None),
    "an attempt of text": step(attempt="second"),
    "an attempt and a half": step(attempt=1.5),
    "a due that is no time": body(kind="delayed", due="soon", message={"kind": "start", "run_id": "odd"}),
    "a schedule that Scheduler did not fill in": body(
        kind="schedule_due", schedule_id="x", due="<aws.scheduler.scheduled-time>"
    ),
    "a fact that is a list": body(kind="fact", run_id="odd", fact=[]),
    "a delayed that is delayed": body(
        kind="delayed",
        due="2026-01-15T10:00:00Z",
        message={"kind": "delayed", "due": "2026-01-15T10:00:00Z", "message": {"kind": "start", "run_id": "odd"}},
    ),
}

READABLE = {
    "a megabyte": signal(json.dumps("x" * 1_000_000)),
    "a hundred and forty levels": signal("[" * 140 + "]" * 140),
    "what is not a number": signal("NaN"),
    "what is infinite": signal("1e999999"),
    "a character of nothing": signal('"\\u0000"'),
    "two kinds": '{"v":1,"kind":"start","kind":"poke","run_id":"odd"}',
    "fields that nobody knows": body(kind="start", run_id="odd", more={"of": ["them"]}),
    "a seq and a time of its own": signal("1", signal_id="timed", seq=99, at="2020-01-01T00:00:00Z", held=True),
    "an attempt before the first": step(attempt=-1),
    "an attempt that no column holds": step(attempt=10**40),
    "a step without a name that anybody knows": step(name="\U0001f937"),
    "a run that nobody knows": body(kind="start", run_id="of nobody"),
    "a run named like another item": body(kind="start", run_id="hook#token"),
}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


class Neighbours:
    """Two runs, and what comes for them beside something odd."""

    def __init__(self, system: AWSSystem) -> None:
        self.system = system
        self.told = 0
        for run_id in ("before", "after", "odd"):
            starting.start(system.world, run_id, workflows.collect, {"count": 1_000})
        system.settle()

    def handle(self, queue: QueueName, odd: str) -> list[str]:
        """Handles a batch with something odd in the middle. Returns what is to come again."""
        self.told += 1
        arn = self.system.stack.arns[queue]
        events = [self._event(queue, "before"), odd, self._event(queue, "after")]
        ids = (f"{self.told}-before", f"{self.told}-odd", f"{self.told}-after")
        records = [sqs_record(arn, event, id=id) for event, id in zip(events, ids, strict=True)]
        handler = self.system._step_handler if queue == "steps" else self.system._orchestrator
        return failures(handler(sqs_event(*records)))

    def _event(self, queue: QueueName, run_id: str) -> str:
        if queue == "steps":
            return StepTask(run_id=run_id, step_id=f"s{self.told}", name="square", input={"number": 1}).dump()
        fact = SignalReceived(signal_id=str(self.told), name="value", value=self.told)
        return FactArrived(run_id=run_id, fact=fact).dump()

    def have_got_on(self, queue: QueueName) -> bool:
        """Whether they were told what was in the batch."""
        world = self.system.world
        if queue == "steps":
            return all(ledger.get_outcome(world, run_id, f"s{self.told}", 1) for run_id in ("before", "after"))
        last = [world.load_history(run_id)[-1] for run_id in ("before", "after")]
        return [getattr(event, "signal_id", None) for event in last] == [str(self.told)] * 2


@pytest.mark.parametrize("queue", ["runs", "steps", "timers", "dead-runs", "dead-steps", "dead-timers"])
def test_what_cannot_be_read_comes_again_alone(aws: AWSSystem, queue: QueueName) -> None:
    neighbours = Neighbours(aws)
    for name, odd in UNREADABLE.items():
        aside = len(aws.stack.messages("dead-runs"))
        failed = neighbours.handle(queue, odd)
        if len(aws.stack.messages("dead-runs")) == aside:
            assert [id.partition("-")[2] for id in failed] == ["odd"], name
        else:
            assert (queue, failed) == ("runs", []), name
            assert aws.stack.messages("dead-runs")[-1].body == odd
        assert neighbours.have_got_on(queue), name


@pytest.mark.parametrize("queue", ["runs", "steps", "dead-runs"])
def test_what_can_be_read_troubles_nobody_else(aws: AWSSystem, queue: QueueName) -> None:
    neighbours = Neighbours(aws)
    for name, odd in READABLE.items():
        assert {id.partition("-")[2] for id in neighbours.handle(queue, odd)} <= {"odd"}, name
        assert neighbours.have_got_on(queue), name

    aws.restart()
    assert aws.world.read_run("odd").status == "running"
    assert neighbours.handle("runs", READABLE["a run that nobody knows"]) == []
