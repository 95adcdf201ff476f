"""`worker --queues`: a worker of a LocalWorld that takes the steps of some step queues."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.crashes import Crashes, CrashingWorld, When, die_at_each_call, persist, serve
from worldflow import ConfigurationError, RetryPolicy, step, step_info, workflow
from worldflow.cli import app
from worldflow.engine.history import StepScheduled
from worldflow.runtime import starting
from worldflow.serving.worker import Worker
from worldflow.worlds import LocalWorld

ONCE_MORE = RetryPolicy(max_attempts=2, initial_interval="1s", jitter=0)


@step(name="some_queues_heavy", queue="heavy", retry=ONCE_MORE)
async def heavy() -> str:
    if step_info().attempt == 1:
        raise OSError
    return "heavy"


@step(name="some_queues_light")
async def light() -> str:
    return "light"


@workflow(name="some_queues_both")
async def both() -> list[str]:
    return await asyncio.gather(light(), heavy())


async def work(world: LocalWorld, queues: list[str]) -> list[str]:
    """What a worker of these queues runs, as it stands then."""
    worker = Worker(world, queues=queues)
    while await worker.work() or worker.busy:
        if worker.busy:
            await worker.pause(1)
    done = [event.payload["step_id"] for event in world.read_events("r") if event.event_type.startswith("StepC")]
    failed = [event.payload["step_id"] for event in world.read_events("r") if event.event_type == "StepFailed"]
    return sorted({*done, *failed})


@pytest.mark.parametrize(
    ("queues", "run"), [(["default"], ["s1"]), (["heavy"], ["s2"]), (["heavy", "default"], ["s1", "s2"])]
)
async def test_steps_of_other_queues_wait(queues: list[str], run: list[str]) -> None:
    world = LocalWorld()
    starting.start(world, "r", both, {})
    assert await work(world, queues) == run
    world.close()


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_retry_stays_in_its_queue_wherever_the_process_dies(when: When) -> None:
    def lived(crashes: Crashes) -> CrashingWorld:
        world = CrashingWorld(crashes)
        persist(lambda: starting.start(world, "r", both, {}))
        serve(world)
        return world

    def check(world: CrashingWorld) -> None:
        assert world.read_run("r").result == ["light", "heavy"]
        queues = [event.queue for event in world.load_history("r") if isinstance(event, StepScheduled)]
        assert queues == [None, "heavy"]

    die_at_each_call(lived, check, when)


def test_a_worker_of_a_queue_with_no_name() -> None:
    with pytest.raises(ConfigurationError, match="each name must be up to 30 lowercase letters"):
        Worker(LocalWorld(), queues=["Heavy"])


def test_the_command_refuses_it_too(tmp_path: Path) -> None:
    command = ["worker", "--local", str(tmp_path / "runs.db"), "--workflows", "workflows", "--queues", "Heavy"]
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 1
    assert "each name must be up to 30 lowercase letters" in answer.output
