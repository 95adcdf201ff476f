"""What does not fit its annotation, or JSON, is an error that leads to the value."""

import asyncio
import threading
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.driver import START, Drive
from tests.support.steps import work
from worldflow import ConfigurationError, InvalidInputError, SerializationError, step, workflow
from worldflow.engine.history import RunFailed, RunStarted, StepCompleted
from worldflow.engine.values.serialization import Codec
from worldflow.engine.values.signatures import Signature
from worldflow.engine.workflow.execution import Execution


class Line(BaseModel):
    sku: str
    price: Any = None


class Order(BaseModel):
    lines: list[Line]


@dataclass
class Box:
    content: Any


cyclic: list[Any] = []
cyclic.append(cyclic)


@pytest.mark.parametrize(
    ("annotation", "value", "path"),
    [
        (Any, object(), "order"),
        (Any, [1, {"a": (threading.Lock(),)}], "order[1]['a'][0]"),
        (Order, Order(lines=[Line(sku="a"), Line(sku="b", price=object())]), "order.lines[1].price"),
        (Box, Box({"k": Box(object())}), "order.content['k'].content"),
        (dict[str, Any], {"f": lambda: None}, "order['f']"),
        (int, "five", "order"),
        (list[int], [1, "two"], "order"),
        (str, None, "order"),
        (list[Line], [None], "order"),
        (dict[tuple[int, int], str], {(1, 2): "a"}, "order"),
        (datetime, "2026-01-01", "order"),
        (Order, {"lines": []}, "order"),
        (Any, "\ud800", "order"),
        (dict[str, str], {"name": "caf\udce9"}, "order['name']"),
    ],
)
def test_the_error_leads_to_it(annotation: Any, value: Any, path: str):
    with pytest.raises(SerializationError) as caught:
        Codec(annotation, "order").encode(value)
    assert caught.value.path.startswith(path)
    assert str(caught.value).startswith(path + ": ") or path in str(caught.value)


def test_a_value_that_contains_itself():
    with pytest.raises(SerializationError, match="order"):
        Codec(Any, "order").encode(cyclic)


def test_an_argument_of_a_step_that_cannot_be_carried_is_caught_in_the_workflow(drive: Drive):
    @workflow
    async def careless() -> str:
        try:
            await work({"lock": threading.Lock()})
        except SerializationError as error:
            return error.path + await work("instead")
        return ""

    run = drive(careless)
    assert run.decided == ["StepScheduled s1 work"]
    run.complete("s1", "!")
    assert run.result() == "item['lock']!"


def test_an_argument_of_the_wrong_type_is_caught_in_the_workflow(drive: Drive):
    @step
    async def typed(amount: Decimal, names: list[str]) -> None: ...

    @workflow
    async def careless() -> list[str]:
        paths = []
        for arguments in (("5", []), (Decimal(5), [1])):
            try:
                await typed(*arguments)
            except SerializationError as error:
                paths.append(error.path)
        return paths

    assert drive(careless).result() == ["amount", "names[0]"]


def test_arguments_that_do_not_fit_the_signature_are_a_type_error_where_the_step_is_called(drive: Drive):
    @workflow
    async def careless() -> list[str]:
        messages = []
        for call in (lambda: work(1, 2), lambda: work(nothing=1)):
            try:
                call()
            except TypeError as error:
                messages.append(str(error))
        return messages

    assert drive(careless).result() == [
        "work() too many positional arguments",
        "work() got an unexpected keyword argument 'nothing'",
    ]


def test_a_result_that_cannot_be_carried_fails_the_run(drive: Drive):
    @workflow
    async def careless() -> Any:
        return {"order": object()}

    run = drive(careless)
    with pytest.raises(SerializationError) as caught:
        run.result()
    assert caught.value.path == "careless()['order']"


def test_a_result_of_the_wrong_type_fails_the_run(drive: Drive):
    @workflow
    async def careless() -> int:
        return "five"  # type: ignore[return-value]

    with pytest.raises(SerializationError, match="Expected `int`"):
        drive(careless).result()


def test_a_result_that_is_a_future_fails_the_run(drive: Drive):
    @workflow
    async def careless() -> Any:
        return asyncio.get_running_loop().create_future()

    with pytest.raises(SerializationError):
        drive(careless).result()


def test_an_annotation_that_nothing_can_carry():
    class Plain:
        pass

    def function(plain: Plain) -> None: ...

    with pytest.raises(ConfigurationError, match=r"plain: .*Plain.* cannot be serialized"):
        Signature(function, "function").encode({"plain": Plain()})


def test_an_annotation_that_cannot_be_resolved():
    def function(missing: "NoSuchName") -> None: ...  # noqa: F821

    with pytest.raises(ConfigurationError, match="function: an annotation cannot be resolved"):
        Signature(function, "function").encode({"missing": 1})


def test_input_that_does_not_fit_names_every_field():
    def function(order: Order, count: int, note: str = "") -> None: ...

    with pytest.raises(InvalidInputError) as caught:
        Signature(function, "function").validate({"order": {"lines": [{"sku": 5}]}, "extra": 1, "note": None})
    assert {error.field for error in caught.value.fields} == {"order.lines.0.sku", "count", "extra", "note"}


def test_the_recorded_input_no_longer_fits(drive: Drive):
    """The run fails and says why: it can never start."""

    @workflow
    async def strict(count: int) -> None: ...

    (failed,) = Execution("run-1", strict).apply(RunStarted(input={"count": "many"}), START)
    assert isinstance(failed, RunFailed)
    assert "count: Input should be a valid integer" in failed.error.message


def test_the_recorded_result_of_a_step_no_longer_fits(drive: Drive):
    """The code changed; the execution refuses it, and the run waits for code that reads it."""

    @step
    async def count() -> int: ...

    @workflow
    async def counting() -> int:
        return await count()

    run = drive(counting)
    with pytest.raises(SerializationError, match="no longer matches the annotation"):
        run._live.apply(StepCompleted(step_id="s1", result="many"), run.clock)
