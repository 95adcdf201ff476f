"""Instances go into steps and come out of them as what they are."""

from tests.scenarios.vercel.models import create_vector, scale_vector, sum_vectors
from tests.support.scenarios import Env
from worldflow import workflow


async def test_instances_between_steps(env: Env) -> None:
    @workflow
    async def scaling() -> list[float]:
        vector = await create_vector(3, 4)
        scaled = await scale_vector(vector, 2)
        again = await scale_vector(scaled, 3)
        return [vector.length(), scaled.length(), again.length()]

    assert await env.run(scaling) == [5, 10, 30]


async def test_lists_of_instances(env: Env) -> None:
    @workflow
    async def summing() -> list[float]:
        vectors = [await create_vector(1, 2, 3), await create_vector(10, 20, 30)]
        total = await sum_vectors([*vectors, vectors[0] + vectors[1]])
        return [total.x, total.y, total.z]

    assert await env.run(summing) == [22, 44, 66]
