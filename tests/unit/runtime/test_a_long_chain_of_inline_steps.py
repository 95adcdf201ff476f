"""A chain of inline steps costs a commit a step, however long it is, and is replayed by no turn of a warm process."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from worldflow import step, workflow
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds import LocalWorld

ran: list[int] = []


@step(inline=True, name="long_chain_step")
async def count_on(number: int) -> int:
    ran.append(number)
    return number + 1


@workflow(name="long_chain")
async def long_chain(length: int) -> int:
    number = 0
    for _ in range(length):
        number = await count_on(number)
    return number


class World(LocalWorld):
    def __init__(self) -> None:
        super().__init__()
        self.asked = Counter[str]()

    def load_history(self, run_id: str, after: int = 0, commits: int | None = None) -> list[Any]:
        self.asked["reads"] += 1
        return super().load_history(run_id, after, commits)

    def append(self, run_id: str, events: Any) -> None:
        self.asked["commits"] += 1
        super().append(run_id, events)


def asked_for(length: int, steps_a_turn: int) -> Counter[str]:
    """What a run asks of its world whose turns run out of time again and again."""
    world = World()
    turns = Turns(world)
    starting.start(world, "run", long_chain, {"length": length})
    while deliveries := world.receive("runs"):
        messages: list[Any] = [delivery.message for delivery in deliveries]
        ran.clear()
        turns.take("run", messages, out_of_time=lambda: len(ran) >= steps_a_turn)
        world.acknowledge(deliveries)
        world.asked["turns"] += 1
    assert world.read_run("run").result == length
    turns.close()
    world.close()
    return world.asked


@pytest.mark.parametrize("length", [100, 1_000])
def test_it_is_a_commit_a_step_and_one_read(length: int) -> None:
    # The first turn is cold. One more commit has the start with the first step.
    assert asked_for(length, 10 * length) == {"reads": 1, "commits": length + 1, "turns": 1}


@pytest.mark.parametrize("length", [100, 1_000])
def test_turns_that_hand_it_on_read_nothing(length: int) -> None:
    asked = asked_for(length, 30)

    assert asked["turns"] > length // 30
    assert asked["reads"] == 1
    assert asked["commits"] == length + 1
