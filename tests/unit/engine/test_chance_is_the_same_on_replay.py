import asyncio
import uuid

import pytest

from tests.support.driver import START, Drive
from tests.support.steps import work
from worldflow import OutsideError, random, uuid4, workflow
from worldflow.engine.history import RunCompleted, RunStarted
from worldflow.engine.workflow.execution import Execution


@workflow
async def dice() -> list[str]:
    rolls = [str(uuid4()), str(random().random())]
    await work(rolls[0])
    ids = await asyncio.gather(work(str(uuid4())), work(random().choice("abc")))
    return [*rolls, *ids, str(random().randint(1, 10**9)), str(uuid4())]


def test_the_same_on_every_replay(drive: Drive):
    run = drive(dice)
    run.complete("s1")
    run.complete("s3", "b")
    run.complete("s2", "a")
    assert len(set(run.result())) == len(run.result())


def test_another_run_has_other_luck():
    @workflow
    async def roll() -> str:
        return str(uuid4())

    rolls = set()
    for n in range(100):
        execution = Execution(f"run-{n}", roll)
        (ended,) = execution.apply(RunStarted(), START)
        assert isinstance(ended, RunCompleted)
        rolls.add(ended.result)
        assert uuid.UUID(ended.result).version == 4
    assert len(rolls) == 100


def test_outside_a_workflow():
    with pytest.raises(OutsideError, match=r"uuid4\(\)"):
        uuid4()
    with pytest.raises(OutsideError, match=r"random\(\)"):
        random()
