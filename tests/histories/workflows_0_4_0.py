"""Workflows whose histories release 0.4.0 recorded: what it knows that 0.3.0 did not. Frozen as those before it are."""

from tests.histories.named import named_step, named_workflow
from worldflow import wait_for_signal

RELEASE = "0.4.0"

step = named_step(RELEASE)
workflow = named_workflow(RELEASE)


@step(inline=True, pure=True)
async def squared(number: int) -> int:
    return number * number


@step(idempotent=False)
async def unrecorded(number: int) -> int:
    return -number


@workflow()
async def runs_again(count: int) -> list[int]:
    results = [await squared(number) for number in range(count)]
    return [*results, await unrecorded(count)]


@step()
async def doubled(number: int) -> int:
    return 2 * number


@workflow()
async def goes_on_when_restored(number: int) -> int:
    first = await doubled(number)
    return first + await doubled(await wait_for_signal("more", int))
