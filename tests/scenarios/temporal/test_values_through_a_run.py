"""The same value as argument, as argument and result of a step, as a signal, and as the result of the run."""

from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.scenarios import Env
from worldflow import step, wait_for_signal, workflow


class Spec(BaseModel):
    spec: bool
    tags: dict[str, list[int]] = {}


async def round_trip(env: Env, kind: Any, value: Any) -> list[Any]:
    """The value after each leg of its way, and as the outside reads it."""

    async def same(value):  # type: ignore[no-untyped-def]
        return value

    same.__annotations__.update(value=kind)
    same.__annotations__["return"] = kind
    same_step = step(same)

    async def travelling(value):  # type: ignore[no-untyped-def]
        return [await same_step(value), await wait_for_signal("value", kind)]

    travelling.__annotations__.update(value=kind)
    travelling.__annotations__["return"] = list[kind]  # type: ignore[valid-type]
    run = await env.start(workflow(travelling), value)
    await run.signal("value", value)
    result: list[Any] = await run.result()
    return result


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param(Spec, Spec(spec=True, tags={"a": [1]}), id="json"),
        pytest.param(bytes, bytes(range(256)), id="binary"),
        pytest.param(Spec | None, None, id="null"),
        pytest.param(str, "", id="empty"),
    ],
)
async def test_a_value(env: Env, kind: Any, value: Any) -> None:
    assert await round_trip(env, kind, value) == [value, value]


async def test_nothing_at_all(env: Env) -> None:
    @step
    async def nothing() -> None:
        return None

    @workflow
    async def doing_nothing() -> None:
        await nothing()

    run = await env.start(doing_nothing)

    assert await run.result() is None
    record = env.world.read_run(run.id)
    assert not record.input
    assert record.result is None
