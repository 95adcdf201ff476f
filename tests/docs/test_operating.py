"""The code of docs/guide/operating.md, run."""

from contextlib import suppress
from datetime import timedelta

from worldflow import FatalError, RunFailedError, workflow
from worldflow.runtime import Orchestrator
from worldflow.serving.worker import Worker
from worldflow.turns.observer import Commit, Observer
from worldflow.worlds import LocalWorld


class Counts(Observer):
    def __init__(self) -> None:
        self.started = self.failed = 0

    def committed(self, commit: Commit) -> None:
        self.started += commit.starts
        self.failed += commit.ended is not None and commit.ended.event_type == "RunFailed"


async def test_an_observer_counts_runs_of_a_local_world() -> None:
    @workflow
    async def counted(fails: bool) -> None:
        if fails:
            raise FatalError("it is to")

    world, counts = LocalWorld(), Counts()
    async with Worker(world, observer=counts):
        for run_id, fails in (("a", False), ("b", True)):
            run = await Orchestrator(world).start_workflow(run_id, counted, {"fails": fails})
            with suppress(RunFailedError):
                await run.result()
    assert (counts.started, counts.failed) == (2, 1)
    world.close()


async def test_lists_and_counts_by_conditions() -> None:
    @workflow
    async def listed_order(fails: bool) -> None:
        if fails:
            raise FatalError("it is to")

    world = LocalWorld()
    orchestrator, yesterday = Orchestrator(world), world.now() - timedelta(days=1)
    async with Worker(world):
        for run_id, fails in (("order-1", False), ("order-2", True)):
            run = await orchestrator.start_workflow(run_id, listed_order, {"fails": fails})
            with suppress(RunFailedError):
                await run.result()

    page = await orchestrator.list_runs(status="failed", started_after=yesterday, id_prefix="order-")
    number = await orchestrator.count_runs(status="failed", workflow="order")
    assert [run.run_id for run in page.runs] == ["order-2"]
    assert number == 0
    world.close()
