"""A history keeps what was recorded, also of values that would be refused today."""

from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.driver import START, Drive
from tests.support.steps import work
from worldflow import SerializationError, continue_as_new, step, workflow
from worldflow.engine.history import (
    ChildCompleted,
    ChildStarted,
    Event,
    RunCompleted,
    RunContinued,
    RunStarted,
    StepCompleted,
    StepScheduled,
)
from worldflow.engine.workflow.execution import Execution


class Pet(BaseModel):
    name: str
    age: int | None = None


class Dog(Pet):
    tricks: list[str] = []


REX = Dog(name="Rex", tricks=["sit"])
PET = {"name": "Rex", "age": None}


@step
async def groom(pet: Pet) -> Pet: ...


@workflow
async def visit(pet: Pet) -> int:
    return 1


def replay(definition: Any, *events: Event, input: dict[str, Any] | None = None) -> Execution:
    execution = Execution("run-1", definition)
    execution.replay([event.recorded(n, START) for n, event in enumerate([RunStarted(input=input or {}), *events], 1)])
    return execution


def test_an_argument_of_a_step():
    @workflow
    async def grooming() -> str:
        return (await groom(REX)).name

    scheduled = StepScheduled(step_id="s1", name="groom", input={"pet": PET})
    assert not replay(grooming, scheduled).ended
    ended = replay(grooming, scheduled, StepCompleted(step_id="s1", result=PET), RunCompleted(result="Rex"))
    assert ended.ended


def test_an_argument_of_a_child():
    @workflow
    async def visiting() -> int:
        return await visit(REX)

    started = ChildStarted(child_id="c1", child_run_id="run-1~c1", workflow_name="visit", version=1, input={"pet": PET})
    execution = replay(visiting, started)
    (ended,) = execution.apply(ChildCompleted(child_id="c1", result=1), START)
    assert ended == RunCompleted(result=1)


def test_a_result():
    @workflow
    async def adopting() -> Pet:
        return REX

    assert replay(adopting, RunCompleted(result=PET)).ended


def test_the_input_of_the_next_generation():
    @workflow
    async def going_on(pet: Pet) -> None:
        continue_as_new(REX)

    continued = RunContinued(next_run_id="run-1~2", input={"pet": PET})
    assert replay(going_on, continued, input={"pet": PET}).ended


def test_what_was_refused_is_refused_on_replay(drive: Drive):
    @workflow
    async def careless() -> str:
        for call in (groom, visit):
            try:
                await call(REX)
            except SerializationError:
                continue
        return str(await work("instead"))

    run = drive(careless)
    assert run.decided == ["StepScheduled s1 work"]
    run.complete("s1", "done")
    assert run.result() == "done"


def test_a_result_that_would_become_another_fails_the_run(drive: Drive):
    @workflow
    async def adopting() -> Pet:
        return REX

    with pytest.raises(SerializationError, match=r"adopting\(\): the Dog would come back as the Pet"):
        drive(adopting).result()
