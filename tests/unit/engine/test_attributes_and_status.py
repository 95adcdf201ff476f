"""What a run says of itself, for those who list runs."""

from typing import Any

import pytest

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import OutsideError, SerializationError, set_attributes, set_status, workflow
from worldflow.engine.history import AttributesSet, RunStarted
from worldflow.engine.history.state import RunState


def test_they_add_up_and_none_takes_one_away(drive: Drive):
    @workflow
    async def telling() -> None:
        set_attributes(customer="c1", total=3, vip=True, rate=1.5)
        await work()
        set_attributes(total=4, vip=None, nothing=None)
        await work()

    run = drive(telling)
    assert run.state.attributes == {"customer": "c1", "total": 3, "vip": True, "rate": 1.5}
    run.complete(work)
    assert run.state.attributes == {"customer": "c1", "total": 4, "rate": 1.5}


@pytest.mark.parametrize("value", ["x", "", 0, -1, 2**53, 1.0, 1.5, True, False])
def test_a_value_keeps_its_type(drive: Drive, value: Any):
    @workflow
    async def telling() -> None:
        set_attributes(a=value)

    stored = drive(telling).state.attributes["a"]
    assert (stored, type(stored)) == (value, type(value))


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"x", object(), 1j, (1,)])
def test_other_values_are_refused(drive: Drive, value: Any):
    @workflow
    async def telling() -> None:
        set_attributes(fine=1, a=value)

    run = drive(telling)
    with pytest.raises(SerializationError, match="an attribute must be a string, a finite number or a bool"):
        run.result()
    assert run.decided == ["RunFailed"]


def test_those_of_the_generation_before_are_those_to_begin_with():
    state = RunState([RunStarted(attributes={"a": 1, "b": 2}), AttributesSet(attributes={"a": None})])
    assert state.attributes == {"b": 2}


def test_a_status_is_the_last_that_was_said(drive: Drive):
    @workflow
    async def telling() -> None:
        set_status("packing")
        await work()
        set_attributes(a=1)
        await work()
        set_status("")
        await work()

    run = drive(telling)
    assert run.state.status_text == "packing"
    run.complete(work)
    assert run.state.status_text == "packing"
    run.complete(work)
    assert run.state.status_text == ""


def test_other_values_may_be_told_on_replay(drive: Drive):
    """They are no decision that others depend on: code may tell more today than it did yesterday."""
    text = ["old"]

    @workflow
    async def telling() -> None:
        set_status(text[0])
        await work()

    run = drive(telling)
    text[0] = "new"
    run.replay().dispose()


def test_they_are_for_workflows():
    with pytest.raises(OutsideError):
        set_attributes(a=1)
    with pytest.raises(OutsideError):
        set_status("x")
