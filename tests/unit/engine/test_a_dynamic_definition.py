"""What can be dynamic, and which names lead to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.driver import Driver
from worldflow import ConfigurationError, InvalidInputError, Throttle, step, workflow
from worldflow.engine.workflow.definitions import find_step, find_workflow, workflow_names
from worldflow.serving.trigger_handler import arguments


async def whatever(arguments: dict[str, Any]) -> Any:
    return arguments


async def another(arguments: dict[str, Any]) -> None: ...


async def nothing() -> None: ...


async def two(arguments: dict[str, Any], other: int) -> None: ...


class Shop:
    async def sell(self, arguments: dict[str, Any]) -> None: ...

    @classmethod
    async def open(cls, arguments: dict[str, Any]) -> None: ...


@pytest.mark.parametrize("function", [nothing, two, Shop.sell, Shop.__dict__["open"], 7])
@pytest.mark.parametrize("decorate", [workflow, step])
def test_a_function_of_other_parameters_is_refused(decorate: Any, function: Any) -> None:
    with pytest.raises(ConfigurationError, match="needs a function with one parameter"):
        decorate(dynamic=True)(function)


@pytest.mark.parametrize("option", [{"name": "a"}, {"version": 2}, {"ramp": 10}])
def test_it_has_neither_a_name_nor_versions(option: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"takes no {next(iter(option))}"):
        workflow(dynamic=True, **option)(whatever)
    with pytest.raises(ConfigurationError, match="takes no stream"):
        step(dynamic=True, stream="tokens")(whatever)  # type: ignore[call-overload]


@pytest.mark.parametrize("decorate", [workflow, step])
def test_there_is_one(decorate: Any) -> None:
    decorate(dynamic=True)(whatever)
    decorate(dynamic=True)(whatever)  # its module is loaded again
    with pytest.raises(ConfigurationError, match=r"are dynamic: .*whatever and .*another"):
        decorate(dynamic=True)(another)


def test_only_what_is_dynamic_goes_by_other_names() -> None:
    with pytest.raises(ConfigurationError, match="has its own name"):
        step(another).named("other")
    with pytest.raises(InvalidInputError, match="is not a valid name"):
        step(dynamic=True)(another).named("*")


def test_it_is_in_no_list_and_stands_in_for_nothing_of_the_engine() -> None:
    workflow(dynamic=True)(whatever)
    step(dynamic=True)(another)

    assert not {"whatever", "*"} & set(workflow_names())
    assert find_workflow("unknown").is_dynamic and find_step("unknown").name == "unknown"
    for name, version in (("unknown", 1), ("entity:Shop", None)):
        with pytest.raises(InvalidInputError, match="there is no workflow"):
            find_workflow(name, version)
    with pytest.raises(Exception, match="there is no step"):
        find_step("worldflow.of_tomorrow")


def test_its_arguments_are_of_the_type_that_it_says() -> None:
    @workflow(dynamic=True, throttle=Throttle("1/1s", key=lambda numbers: numbers["id"]))
    async def ordered(numbers: dict[str, int]) -> int:
        return numbers["id"]

    assert ordered.input({"id": 3}) == {"id": 3}
    assert ordered.starts.throttle and ordered.starts.throttle.key_of(ordered.signature, {"id": 3}) == "3"
    with pytest.raises(InvalidInputError) as refused:
        ordered.signature.parse({"id": "x"})
    assert [field.field for field in refused.value.fields] == ["id"]
    with pytest.raises(TypeError, match="numbers must be a mapping"):
        ordered.input(3)  # type: ignore[arg-type]


def test_its_annotation_is_a_mapping() -> None:
    @step(dynamic=True)
    async def listed(numbers: Any) -> None: ...

    assert listed.signature.decode({"id": 3}) == {"id": 3}

    @step(dynamic=True)
    async def ordered(order: Order) -> None: ...

    with pytest.raises(ConfigurationError, match="ordered: the annotation of its parameter order must be a mapping"):
        ordered.signature.decode({"id": 3})


@dataclass
class Order:
    id: int


def test_a_record_of_a_trigger_is_all_its_arguments() -> None:
    made = workflow(dynamic=True)(whatever)

    assert arguments(made, {"any": 1}) == {"any": 1}
    with pytest.raises(InvalidInputError):
        arguments(made, [1])


def test_calls_by_name_are_those_of_the_name() -> None:
    called = step(dynamic=True)(whatever)

    @workflow
    async def calls() -> Any:
        return await called.named("fetch")({"url": "a"})

    (scheduled,) = Driver(calls).decisions
    assert (scheduled.payload["name"], scheduled.payload["input"]) == ("fetch", {"url": "a"})
