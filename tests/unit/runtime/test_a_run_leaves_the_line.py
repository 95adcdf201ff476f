"""A run that ends, or whose holder dies, while runs of its workflow wait for places."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.support.crashes import CrashingWorld
from worldflow import Limit, wait_for_signal
from worldflow.engine.history import CancelRequested
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.starts import Starts
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds import limits
from worldflow.worlds.messages import Delayed, FactArrived, Message, Poke, Start


async def waits(urgent: bool) -> str:
    return str(await wait_for_signal("go"))


def deploy() -> None:
    workflow = definitions.Workflow(waits, "shop")
    workflow.starts = Starts(limit=Limit("dock", concurrency=1), priority=lambda urgent: 0 if urgent else 1)
    definitions._workflows._versions["shop"] = {1: workflow}


def start(world: CrashingWorld, run_id: str, urgent: bool = False) -> None:
    starting.start(world, run_id, "shop", {"urgent": urgent})
    Turns(world).take(run_id, [Start(run_id=run_id)])


def waiting(world: CrashingWorld) -> list[str]:
    return [token.partition("@")[0] for token in limits.read(world, "dock", "").waiting]


def test_one_that_was_blocked_before_it_asked_leaves_when_it_is_cancelled(world: CrashingWorld) -> None:
    deploy()
    start(world, "run-1")
    del definitions._workflows._versions["shop"]
    start(world, "run-2")
    assert world.read_run("run-2").status == "blocked"
    deploy()
    Turns(world).take("run-2", [Poke(run_id="run-2")])
    assert waiting(world) == ["run-2"]

    Turns(world).take("run-2", [FactArrived(run_id="run-2", fact=CancelRequested())])

    assert world.read_run("run-2").status == "cancelled"
    assert waiting(world) == []


def test_who_finds_a_dead_holder_and_still_waits_looks_again(
    world: CrashingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy()
    start(world, "run-1")
    start(world, "run-2")
    start(world, "run-3", urgent=True)
    record = world.read_run("run-1")
    world.update_run(record.model_copy(update={"status": "cancelled", "ended_at": record.created_at}))
    later = world.now() + timedelta(minutes=20)
    monkeypatch.setattr(world, "now", lambda: later)
    sent: list[Message | Delayed] = []
    send = world.send

    def noted(messages: Sequence[Message | Delayed]) -> None:
        sent.extend(messages)
        send(messages)

    monkeypatch.setattr(world, "send", noted)
    Turns(world).take("run-2", [Poke(run_id="run-2", nonce="look")])

    assert waiting(world) == ["run-2"]
    looks = [one.message.run_id for one in sent if isinstance(one, Delayed)]
    assert looks == ["run-2"]
