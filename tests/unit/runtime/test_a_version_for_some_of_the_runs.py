"""`@workflow(version=2, ramp=10)`: the version that a run starts with is decided by its id, and then stays."""

from collections import Counter
from typing import Any

import pytest

from worldflow import ConfigurationError, continue_as_new, wait_for_signal, workflow, workflow_info
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.ramps import workflow_for
from worldflow.runtime import schedules, starting
from worldflow.testing import WorkflowEnvironment

IDS = [f"order-{number}" for number in range(2_000)]


def versions(ramps: dict[int, float], name: str = "ramped_shipping") -> None:
    """Deploys these versions, each of which returns its number."""
    for version, ramp in ramps.items():

        @workflow(name=name, version=version, ramp=ramp)
        async def ramped(waits: bool = False, rounds: int = 1) -> int:
            if waits:
                await wait_for_signal("go")
            if rounds > 1:
                continue_as_new(rounds=rounds - 1)
            return workflow_info().version


def share(name: str = "ramped_shipping") -> dict[int, float]:
    counts = Counter(workflow_for(name, run_id).version for run_id in IDS)
    return {version: round(100 * number / len(IDS)) for version, number in sorted(counts.items())}


def chosen(version: int, name: str = "ramped_shipping") -> list[str]:
    return [run_id for run_id in IDS if workflow_for(name, run_id).version == version]


def test_a_ramp_is_a_share_of_the_ids() -> None:
    versions({1: 100, 2: 100, 3: 10})
    assert share()[3] == pytest.approx(10, abs=2) and share().keys() == {2, 3}
    versions({1: 100, 2: 50, 3: 10})
    found = share()
    assert found[1] == pytest.approx(50, abs=3) and found[2] == pytest.approx(40, abs=3)
    versions({1: 5, 2: 0, 3: 0.5})
    assert share().keys() == {1, 3}, "the lowest takes all that is left"


def test_a_ramp_that_is_raised_keeps_those_that_it_has() -> None:
    versions({1: 100, 2: 10, 3: 0})
    before = chosen(2)
    versions({1: 100, 2: 40, 3: 0})
    assert set(before) < set(chosen(2))


def test_ramps_of_two_workflows_take_different_runs() -> None:
    versions({1: 100, 2: 50, 3: 0})
    versions({1: 100, 2: 50}, name="ramped_billing")
    both = set(chosen(2)) & set(chosen(2, "ramped_billing"))
    assert len(both) == pytest.approx(len(IDS) / 4, rel=0.2)


async def test_a_run_keeps_its_version_when_the_ramp_changes() -> None:
    versions({1: 100, 2: 50, 3: 0})
    ids = [chosen(1)[0], chosen(2)[0]]
    async with WorkflowEnvironment() as env:
        for run_id in ids:
            await env.orchestrator.start_workflow(run_id, "ramped_shipping", {"waits": True})
        await env.settle()
        versions({1: 100, 2: 100, 3: 100})
        for run_id in ids:
            await env.run(run_id).signal("go")
        assert [await env.run(run_id).result() for run_id in ids] == [1, 2]


async def test_generations_stay_on_their_side_and_children_run_what_is_called() -> None:
    versions({1: 100, 2: 30, 3: 0})
    called: Workflow[..., Any] = workflow_for("ramped_shipping", chosen(2)[0])

    for run_id in IDS[:50]:
        assert workflow_for("ramped_shipping", f"{run_id}~7") is workflow_for("ramped_shipping", run_id)

    @workflow
    async def ramped_parent() -> list[int]:
        return [await called() for _ in range(6)]

    async with WorkflowEnvironment() as env:
        for run_id in (chosen(1)[3], chosen(2)[3]):
            await env.orchestrator.start_workflow(run_id, "ramped_shipping", {"rounds": 5})
            expected = workflow_for("ramped_shipping", run_id).version
            assert await env.run(run_id).result() == expected
            assert env.world.read_run(f"{run_id}~4").version == expected
        parent = await env.start(ramped_parent)
        assert await parent.result() == [2] * 6


async def test_each_run_of_a_schedule_has_a_version_of_its_own() -> None:
    versions({1: 100, 2: 50, 3: 0}, name="ramped_report")
    async with WorkflowEnvironment() as env:
        schedules.create(env.world, "hourly", "ramped_report", schedule="rate(1 hour)")
        await env.advance("12h")
        runs = [env.world.read_run(run.run_id) for run in env.world.list_runs(workflow="ramped_report").runs]
        assert {run.version for run in runs} == {1, 2}
        assert all(run.version == workflow_for("ramped_report", run.run_id).version for run in runs)


def test_a_name_is_checked_by_the_version_that_the_run_gets() -> None:
    @workflow(name="ramped_signature")
    async def one(sku: str) -> None: ...

    @workflow(name="ramped_signature", version=2, ramp=50)
    async def two(sku: int) -> None: ...

    for run_id, expected in ((chosen(1, "ramped_signature")[0], one), (chosen(2, "ramped_signature")[0], two)):
        assert starting.resolve("ramped_signature", None, run_id) is expected


@pytest.mark.parametrize("ramp", [-1, 101, "10", True, float("nan"), None])
def test_what_is_no_percentage_is_refused(ramp: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^@workflow\(ramp=\.\.\.\) takes a percentage from 0 to 100, not "):
        workflow(version=2, ramp=ramp)
