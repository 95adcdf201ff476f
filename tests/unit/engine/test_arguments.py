"""The ways in which Python functions take arguments."""

import asyncio
import functools
from decimal import Decimal
from typing import Any

import pytest

from tests.support.driver import START, Drive
from worldflow import InvalidInputError, step, workflow
from worldflow.engine.history import RunCompleted, RunStarted
from worldflow.engine.values.signatures import Signature
from worldflow.engine.workflow.execution import Execution


def defaults(a: int, b: int = 2, *, c: int = 3) -> list[Any]:
    return [a, b, c]


def variadic(a: int, *rest: Decimal, flag: bool = False, **named: Decimal) -> list[Any]:
    return [a, rest, flag, named]


def positional_only(a: int, b: int = 2, /, c: int = 3) -> list[Any]:
    return [a, b, c]


def optional_positional_only(a: int = 1, b: int = 2, /, *rest: int) -> list[Any]:
    return [a, b, rest]


def clashing(name: str, /, **named: str) -> list[Any]:
    return [name, named]


CALLS = [
    (defaults, (1,), {}),
    (defaults, (1, 5), {"c": 7}),
    (defaults, (), {"b": 5, "a": 1}),
    (variadic, (1,), {}),
    (variadic, (1, Decimal("2.5"), Decimal(3)), {"flag": True, "x": Decimal("0.1")}),
    (positional_only, (1,), {}),
    (positional_only, (1, 5), {"c": 7}),
    (positional_only, (1,), {"c": 7}),
    (optional_positional_only, (), {}),
    (optional_positional_only, (1, 2, 3, 4), {}),
    (clashing, ("a",), {"name": "b", "self": "c"}),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_a_call_through_json_is_the_call(function, args, kwargs):
    signature = Signature(function, function.__name__)
    encoded = signature.encode(signature.bind(*args, **kwargs))
    assert signature.call(signature.decode(encoded)) == function(*args, **kwargs)


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_a_step_called_in_a_workflow(drive: Drive, function, args, kwargs):
    called = step(function)

    @workflow
    async def calling() -> Any:
        return await called(*args, **kwargs)

    run = drive(calling)
    arguments = called.signature.decode(run.input_of("s1"))
    assert called.signature.call(arguments) == function(*args, **kwargs)


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_a_workflow_started_with_them(drive: Drive, function, args, kwargs):
    async def started(*args, **kwargs):
        return function(*args, **kwargs)

    started.__signature__ = Signature(function, "started")._signature  # type: ignore[attr-defined]
    started.__annotations__ = dict(function.__annotations__)
    assert drive(workflow(started), *args, **kwargs).ended


@pytest.mark.parametrize(
    ("function", "given", "result"),
    [
        (positional_only, {"a": 1, "c": 7}, [1, 2, 7]),
        (optional_positional_only, {"b": 5}, [1, 5, ()]),
        (optional_positional_only, {"rest": [3]}, [1, 2, (3,)]),
        (defaults, {"a": 1, "c": 4}, [1, 2, 4]),
    ],
)
def test_arguments_by_name_may_leave_out_any_that_have_a_default(function, given, result):
    signature = Signature(function, function.__name__)
    assert signature.call(signature.validate(given)) == result


def test_input_by_name_that_leaves_out_a_default_starts_a_run():
    @workflow
    async def positional(a: int = 1, b: int = 2, /) -> int:
        return 10 * a + b

    (ended,) = Execution("run-1", positional).apply(RunStarted(input={"b": 5}), START)
    assert isinstance(ended, RunCompleted)
    assert ended.result == 15


def test_a_default_is_not_recorded(drive: Drive):
    @step
    async def greet(name: str, greeting: str = "Hello") -> str: ...

    @workflow
    async def greeting(name: str = "you") -> str:
        return await greet(name)

    run = drive(greeting)
    assert run.input_of("s1") == {"name": "you"}


def test_a_workflow_without_parameters_takes_no_input():
    @workflow
    async def nothing() -> None: ...

    with pytest.raises(InvalidInputError, match="no such parameter"):
        nothing.signature.validate({"a": 1})


def test_a_workflow_called_outside_a_run_is_the_function():
    @workflow
    async def double(n: int) -> int:
        return 2 * n

    assert asyncio.run(double(4)) == 8


def test_a_step_called_outside_a_run_is_the_function():
    @step
    async def double(n: int) -> int:
        return 2 * n

    @step
    def triple(n: int) -> int:
        return 3 * n

    assert asyncio.run(double(4)) == 8
    assert triple(4) == 12


@pytest.mark.parametrize("arguments", [{"a": 1, "b": 5}, {"a": 1}])
def test_a_decorator_may_have_names_of_its_own(arguments: dict[str, Any]):
    def plain(a: int, b: int = 5) -> list[int]:
        return [a, b]

    @functools.wraps(plain)
    def decorated(first: int, second: int) -> list[int]:
        return plain(first, second)

    assert Signature(decorated, "decorated").call(arguments) == [1, 5]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"a": 1, "x": "0.5", "y": "2"}, {"x": Decimal("0.5"), "y": Decimal(2)}),
        ({"a": 1, "named": {"x": "0.5"}}, {"x": Decimal("0.5")}),
        ({"a": 1, "named": {"x": "0.5"}, "y": "2"}, {"x": Decimal("0.5"), "y": Decimal(2)}),
        ({"a": 1, "named": "3", "y": "2"}, {"named": Decimal(3), "y": Decimal(2)}),
    ],
)
@pytest.mark.parametrize("read", [Signature.decode, Signature.validate])
def test_what_a_call_gives_by_any_name_is_given_so_from_outside_too(read, given, named):
    signature = Signature(variadic, "variadic")
    assert signature.call(read(signature, given)) == [1, (), False, named]


def test_what_any_name_takes_is_checked_too():
    with pytest.raises(InvalidInputError) as caught:
        Signature(variadic, "variadic").decode({"a": 1, "x": "much"})
    assert [field.field for field in caught.value.fields] == ["named.x"]
