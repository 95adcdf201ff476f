"""A run has one place at its workflow's limit over all its generations, whatever befalls their first turns."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.crashes import CrashingWorld
from worldflow import Limit, continue_as_new, wait_for_signal
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.starts import Starts
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds import limits
from worldflow.worlds.messages import Poke, Start


async def goes_on(again: bool) -> str:
    if again:
        continue_as_new(again=False)
    return str(await wait_for_signal("go"))


def deploy(places: int) -> None:
    workflow = definitions.Workflow(goes_on, "shop")
    workflow.starts = Starts(limit=Limit("dock", concurrency=places))
    definitions._workflows._versions["shop"] = {1: workflow}


def take(world: CrashingWorld, run_id: str) -> None:
    Turns(world).take(run_id, [Start(run_id=run_id)])


def holders(world: CrashingWorld) -> list[str]:
    state = limits.read(world, "dock", "")
    return [token.partition("@")[0] for token in (*state.holders, *state.waiting)]


def test_one_whose_code_was_missing_does_not_wait_for_itself(world: CrashingWorld) -> None:
    deploy(1)
    starting.start(world, "run-1", "shop", {"again": True})
    take(world, "run-1")

    del definitions._workflows._versions["shop"]
    take(world, "run-1~2")
    assert world.read_run("run-1~2").status == "blocked"

    deploy(1)
    Turns(world).take("run-1~2", [Poke(run_id="run-1~2")])
    assert world.read_run("run-1~2").status == "running"
    assert holders(world) == ["run-1"]


def test_a_turn_that_another_has_overtaken_asks_for_none(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(2)
    starting.start(world, "run-1", "shop", {"again": True})
    take(world, "run-1")
    get_run_and_item: Any = world.get_run_and_item

    def overtaken(run_id: str, key: str) -> Any:
        monkeypatch.setattr(world, "get_run_and_item", get_run_and_item)
        take(world, "run-1~2")
        Turns(world).take("run-1~2", [Poke(run_id="run-1~2")])  # which writes the record
        return world.get_run_and_item(run_id, key)

    monkeypatch.setattr(world, "get_run_and_item", overtaken)
    take(world, "run-1~2")

    assert world.read_run("run-1~2").status == "running"
    assert holders(world) == ["run-1"]
