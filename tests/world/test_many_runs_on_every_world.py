"""Actions on many runs, and the check of runs against code, on every World."""

from __future__ import annotations

import pytest

from tests.support.systems import System, start
from worldflow import FatalError, PayloadCodecError, step, wait_for_signal, workflow
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import queries
from worldflow.runtime.bulk import Bulk
from worldflow.runtime.compatibility import causes, records_to_check, verdicts
from worldflow.worlds.records import RunRecord


@step
async def bulk_pay(amount: int) -> int:
    if amount < 0:
        raise FatalError("no money")
    return amount


def deploy(*, tip: bool = False) -> Workflow[..., None]:
    @workflow
    async def bulk_bill(amount: int) -> None:
        if tip:
            await bulk_pay(1)
        await bulk_pay(amount)
        await wait_for_signal("go")

    return bulk_bill


def fill(system: System) -> None:
    bill = deploy()
    for number in range(3):
        start(system, f"paid-{number}", bill, amount=number)
        start(system, f"failed-{number}", bill, amount=-1)


def test_runs_are_retried_forked_and_cancelled(system: System) -> None:
    fill(system)
    world, now = system.world, system.world.now()

    retried = [outcome for outcome, _ in Bulk.of("retry", {"id_prefix": "failed"}, now).run(world)]
    assert [(one.how, one.message) for one in retried] == [("done", f"failed-{number}~2") for number in (2, 1, 0)]
    system.settle()
    forks = Bulk.of("fork", {"id_prefix": "failed-0"}, now)
    first, again = ([outcome.message for outcome, _ in forks.run(world)] for _ in range(2))
    assert first == again and len(first) == 1, "the retry had started later"

    cancelling = Bulk.of("cancel", {"workflow": "bulk_bill"}, now)
    assert cancelling.count(world) == 3
    (_, left) = next(cancelling.run(world))
    rest = Bulk.from_token(left.token)
    assert rest.count(world) == 2
    assert [outcome.run_id for outcome, _ in rest.run(world)] == ["paid-1", "paid-0"]
    system.settle()
    status = {run.run_id: run.status for run in world.list_runs(id_prefix="paid").runs}
    assert status == dict.fromkeys(("paid-2", "paid-1", "paid-0"), "cancelled")


def test_code_is_checked_against_the_runs(system: System) -> None:
    fill(system)

    def check() -> list[tuple[bool, list[str]]]:
        records: list[RunRecord] = list(records_to_check(system.world, since=system.world.now().replace(year=2020)))
        found = causes(verdicts(system.world, records))
        return [(cause.breaks, sorted(verdict.run_id for verdict in cause.verdicts)) for cause in found]

    assert check() == []
    deploy(tip=True)
    assert check() == [(True, ["paid-0", "paid-1", "paid-2"]), (False, ["failed-0", "failed-1", "failed-2"])]


def test_data_that_cannot_be_read_is_no_fault_of_the_code(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    start(system, "paid", deploy(), amount=1)

    def replayed(*_: object, **__: object) -> None:
        raise PayloadCodecError("there is no codec here")

    monkeypatch.setattr(queries, "replayed", replayed)
    with pytest.raises(PayloadCodecError):
        list(verdicts(system.world, records_to_check(system.world)))
