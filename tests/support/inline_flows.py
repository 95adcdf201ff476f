"""Inline steps, and workflows of them, that tell what ran and let tests do something meanwhile."""

from collections.abc import Callable

from worldflow import RetryPolicy, StepInterruptedError, step, wait_for_signal, workflow

ran: list[object] = []
during: list[Callable[[], None]] = []
"""What happens while a step runs."""

RETRY = RetryPolicy(max_attempts=3, initial_interval="10s", jitter=0)


def run_step(item: object) -> object:
    ran.append(item)
    if during:
        during.pop(0)()
    return item


@step
async def quick(item: object = None) -> object:
    return run_step(item)


@step(retry=RETRY)
async def quick_again(item: object = None) -> object:
    return run_step(item)


@step(guarantee="at_most_once")
async def quick_once(item: object = None) -> object:
    return run_step(item)


@step(guarantee="at_most_once", retry=RETRY)
async def quick_once_each(item: object = None) -> object:
    return run_step(item)


@workflow(inline_steps=True)
async def inline_chain(count: int) -> list[object]:
    return [await quick(n) for n in range(count)]


@workflow(inline_steps=True)
async def inline_chain_once(count: int) -> list[object]:
    seen: list[object] = []
    for n in range(count):
        try:
            seen.append(await quick_once(n))
        except StepInterruptedError:
            seen.append("?")
    return seen


@workflow(inline_steps=True)
async def inline_unsteady_run() -> object:
    return await quick_again("x")


@workflow(inline_steps=True)
async def inline_once_each_run() -> object:
    return await quick_once_each("x")


def breaks(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@workflow(inline_steps=True)
async def waits_then_quick() -> list[object]:
    await wait_for_signal("go")
    return [await quick(1), await quick(2)]


@workflow(inline_steps=True)
async def waits_then_once() -> list[object]:
    await wait_for_signal("go")
    try:
        return [await quick_once(1), await quick_once(2)]
    except StepInterruptedError:
        return ["?"]
