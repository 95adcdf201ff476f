"""Steps called outside of workflows, from other steps, as methods, and handed around."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from tests.support.scenarios import Env
from worldflow import step, workflow


async def test_outside_of_a_workflow_a_step_is_the_function() -> None:
    @step
    async def add(a: int, b: int) -> int:
        return a + b

    @step
    def subtract(a: int, b: int) -> int:
        return a - b

    assert await add(3, 5) == 8
    assert subtract(8, 5) == 3


async def test_a_step_within_a_step_is_the_function(env: Env) -> None:
    @step
    async def double(number: int) -> int:
        return number * 2

    @step
    async def twice(number: int) -> int:
        return await double(await double(number))

    @workflow
    async def nested(number: int) -> int:
        return await twice(number)

    run = await env.start(nested, 10)

    assert await run.result() == 40
    assert await run.steps() == ["twice"]


async def test_steps_handed_around_in_a_workflow(env: Env) -> None:
    @step
    async def double(number: int) -> int:
        return number * 2

    @step
    async def square(number: int) -> int:
        return number**2

    async def apply(function: Callable[[int], Any], number: int) -> int:
        return await function(number)

    @workflow
    async def composed(number: int) -> int:
        factor = 3  # what a closure holds is given as an argument
        for function in (double, square, lambda n: double(n * factor)):
            number = await apply(function, number)
        return number

    run = await env.start(composed, 5)

    assert await run.result() == 600
    assert await run.steps() == ["double", "square", "double"]


class MathService:
    @staticmethod
    @step(name="MathService.add")
    async def add(a: int, b: int) -> int:
        return a + b

    @staticmethod
    @step(name="MathService.multiply")
    async def multiply(a: int, b: int) -> int:
        return a * b


class Calculator:
    @staticmethod
    @workflow(name="Calculator.calculate")
    async def calculate(x: int, y: int) -> int:
        return await MathService.multiply(await MathService.add(x, y), 2)


async def test_static_methods(env: Env) -> None:
    run = await env.start(Calculator.calculate, 5, 3)

    assert await run.result() == 16
    assert await run.steps() == ["MathService.add", "MathService.multiply"]


class Counter(BaseModel):
    value: int

    async def add(self, amount: int) -> int:
        return await add_to(self, amount)


@step(name="Counter.add")
async def add_to(counter: Counter, amount: int) -> int:
    return counter.value + amount


async def test_methods_of_an_instance_that_call_steps(env: Env) -> None:
    @workflow
    async def counting(initial: int) -> list[int]:
        return [await Counter(value=initial).add(10), await Counter(value=100).add(50)]

    assert await env.run(counting, 5) == [15, 150]
