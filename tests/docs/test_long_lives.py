"""The code of docs/guide/long-lives.md, run."""

import asyncio
import json
from functools import partial
from pathlib import Path

import pytest

from tests.docs.models import ORDER, Order
from worldflow import (
    HistoryLimitError,
    NonDeterminismError,
    continue_as_new,
    deprecate_patch,
    patched,
    sleep,
    step,
    wait_for_signal,
    workflow,
    workflow_info,
)
from worldflow.engine.workflow.definitions import forget
from worldflow.runtime import Orchestrator
from worldflow.serving.worker import Worker
from worldflow.testing import WorkflowEnvironment, replay
from worldflow.turns.turns import Turns


async def test_continuing_as_new() -> None:
    billed: list[int] = []

    @step
    async def bill(customer: str, month: int) -> None:
        billed.append(month)

    @workflow
    async def subscription(customer: str, month: int = 1) -> str:
        await bill(customer, month)
        await sleep("30d")
        if month == 12:
            return "a year"
        continue_as_new(customer, month + 1)

    async with WorkflowEnvironment() as env:
        run = await env.start(subscription, "Ada")
        assert await run.result() == "a year"
        assert env.world.read_run(run.id).status == "continued"
        assert await env.run("test-1~12").result() == "a year"
    assert billed == list(range(1, 13))


async def test_signals_go_to_the_newest_generation() -> None:
    @workflow
    async def collect(seen: list[str]) -> list[str]:
        async for sku in wait_for_signal("item", str):
            if sku == "end":
                break
            seen.append(sku)
            if workflow_info().history_length > 4:
                continue_as_new(seen)
        return seen

    async with WorkflowEnvironment() as env:
        run = await env.start(collect, [])
        for sku in [*"abcdefghij", "end"]:
            await run.signal("item", sku)
        assert await run.result() == list("abcdefghij")
        assert env.world.read_run(run.id).status == "continued"


async def test_a_change_to_the_code_of_running_workflows() -> None:
    done: list[str] = []

    @step
    async def pack(order: Order) -> None:
        done.append("pack")

    @step
    async def weigh(order: Order) -> None:
        done.append("weigh")

    @step
    async def label(order: Order) -> None:
        done.append("label")

    def before() -> None:
        @workflow
        async def ship(order: Order) -> None:
            await sleep("1d")
            await pack(order)
            await sleep("1d")
            await label(order)

    def while_old_runs_are_left() -> None:
        @workflow
        async def ship(order: Order) -> None:
            await sleep("1d")
            if patched("weigh-first"):
                await weigh(order)
            await pack(order)
            await sleep("1d")
            await label(order)

    def when_none_is_left() -> None:
        @workflow
        async def ship(order: Order) -> None:
            await sleep("1d")
            deprecate_patch("weigh-first")
            await weigh(order)
            await pack(order)
            await sleep("1d")
            await label(order)

    def in_the_end() -> None:
        @workflow
        async def ship(order: Order) -> None:
            await sleep("1d")
            await weigh(order)
            await pack(order)
            await sleep("1d")
            await label(order)

    async with WorkflowEnvironment() as env:
        orchestrator = Orchestrator(env.world)
        before()
        await orchestrator.start_workflow("old", "ship", {"order": ORDER})
        await env.settle()
        await env.advance("30h")
        while_old_runs_are_left()
        await orchestrator.start_workflow("new", "ship", {"order": ORDER})
        await env.settle()
        await env.advance("1d")
        assert await env.run("old").status() == "completed"
        assert done == ["pack", "label", "weigh", "pack"]
        when_none_is_left()
        await env.run("new").result()
        await orchestrator.start_workflow("newer", "ship", {"order": ORDER})
        await env.run("newer").result()
        assert done == ["pack", "label", *["weigh", "pack", "label"] * 2]
        await orchestrator.start_workflow("newest", "ship", {"order": ORDER})
        await env.settle()
        await env.advance("30h")
        in_the_end()
        await env.run("newest").result()


async def test_versions_side_by_side() -> None:
    def first() -> None:
        @workflow
        async def ship(order: Order) -> str:
            await sleep("1d")
            return "the old way"

    def second() -> None:
        @workflow(name="ship", version=2)
        async def ship_2(order: Order) -> str:
            return "the new way"

    async with WorkflowEnvironment() as env:
        orchestrator = Orchestrator(env.world)
        first()
        await orchestrator.start_workflow("old", "ship", {"order": ORDER})
        await env.settle()
        second()
        await orchestrator.start_workflow("new", "ship", {"order": ORDER})
        assert await env.run("old").result() == "the old way"
        assert await env.run("new").result() == "the new way"


async def test_a_version_for_some_of_the_runs() -> None:
    def third() -> None:
        @workflow(name="ship", version=3, ramp=10)
        async def ship_3(order: Order) -> str:
            return "the newest way"

    @workflow(name="ship", version=2)
    async def ship_2(order: Order) -> str:
        return "the new way"

    third()
    async with WorkflowEnvironment() as env:
        for number in range(40):
            await env.orchestrator.start_workflow(f"ramped-{number}", "ship", {"order": ORDER})
        results = [await env.run(f"ramped-{number}").result() for number in range(40)]
    assert 0 < results.count("the newest way") < 15 and "the new way" in results
    forget(__name__)


async def test_the_limit_of_a_history(monkeypatch: pytest.MonkeyPatch) -> None:
    @workflow
    async def forever() -> None:
        while True:
            await sleep("1h")

    async with WorkflowEnvironment() as env:
        monkeypatch.setattr("worldflow.serving.worker.Turns", partial(Turns, history_limit=50))
        env._worker = Worker(env.world)  # pyright: ignore[reportPrivateUsage]
        run = await env.start(forever)
        with pytest.raises(Exception, match="continue_as_new") as failed:
            await run.result()
        assert isinstance(failed.value.__cause__, HistoryLimitError)


async def test_recorded_histories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @step
    async def pack(order: Order) -> None:
        pass

    @step
    async def weigh(order: Order) -> None:
        pass

    @workflow
    async def ship(order: Order) -> None:
        await pack(order)

    async with WorkflowEnvironment() as env:
        run = await env.start(ship, ORDER)
        await run.result()
        lines = [
            {"seq": event.seq, "at": str(event.at), "event_type": event.event_type, "payload": event.payload}
            for event in await run.events()
        ]
    histories = tmp_path / "tests/histories"
    histories.mkdir(parents=True)
    (histories / "ship-1.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    monkeypatch.chdir(tmp_path)

    HISTORIES = sorted(Path("tests/histories").glob("*.jsonl"))

    @pytest.mark.parametrize("path", HISTORIES, ids=str)
    def test_runs_go_on(path: Path) -> None:
        replay(path.read_text())

    await asyncio.to_thread(test_runs_go_on, HISTORIES[0])

    @workflow(name="ship")
    async def ship_otherwise(order: Order) -> None:
        await weigh(order)

    with pytest.raises(NonDeterminismError, match=r"StepScheduled s1 pack, .* StepScheduled s1 weigh"):
        await asyncio.to_thread(test_runs_go_on, HISTORIES[0])
