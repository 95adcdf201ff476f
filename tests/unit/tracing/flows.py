"""A workflow that does all that a trace shows."""

from worldflow import (
    FatalError,
    RetryPolicy,
    continue_as_new,
    create_hook,
    on_update,
    sleep,
    step,
    wait_for_signal,
    workflow,
)

fails_once: set[str] = set()


@step(retry=RetryPolicy(max_attempts=2, initial_interval="10s", jitter=0))
async def traced_charge(order: str) -> str:
    if order in fails_once:
        fails_once.remove(order)
        raise LookupError(f"the card of {order} is secret")
    return order


@step
async def traced_refusal() -> None:
    raise FatalError("nothing of this is told")


@workflow
async def traced_child() -> str:
    return await traced_charge("child")


@workflow
async def traced_order(order: str) -> str:
    @on_update("price")
    def price(to: int) -> int:
        return to

    await traced_charge(order)
    await traced_child()
    with create_hook(str, token=f"hook-of-{order}") as hook:
        await hook
    await sleep("1h")
    await wait_for_signal("go")
    return order


@workflow
async def traced_failure() -> None:
    await traced_refusal()


@workflow
async def traced_countdown(left: int) -> None:
    if left:
        continue_as_new(left - 1)
