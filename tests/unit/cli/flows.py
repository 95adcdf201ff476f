"""Workflows for the command line to start."""

from datetime import date

from worldflow import (
    FatalError,
    RetryPolicy,
    continue_as_new,
    create_hook,
    on_update,
    open_stream,
    publish,
    record_usage,
    set_attributes,
    set_status,
    step,
    step_info,
    wait_for_signal,
    workflow,
)

hope = False
"""Whether `give_up` does not."""


@step
async def day_after(day: date) -> date:
    return date.fromordinal(day.toordinal() + 1)


@step
async def give_up(reason: str) -> str:
    if hope:
        return "carried on"
    raise FatalError(reason)


@step
async def ask_models(*, own: bool = False) -> None:
    record_usage("large", input_tokens=1_000_000, output_tokens=2_000, cache_read_input_tokens=500_000)
    if own:
        record_usage("own", input_tokens=50, output_tokens=5)


@step(guarantee="at_most_once")
def hold(folder: str) -> str:
    """Says that it has begun, and ends when it is told to: by named pipes."""
    with open(f"{folder}/begun", "w"):
        pass
    with open(f"{folder}/may-end") as pipe:
        pipe.read()
    return "paid"


@workflow
async def holds(folder: str) -> str:
    return await hold(folder)


@step(retry=RetryPolicy(initial_interval=0))
async def say(words: list[str], fail_after: int | None) -> None:
    async with open_stream("notes") as notes:
        await notes.write({"said": "\n"})
        await notes.write([1, None])
    async with open_stream("words", str) as out:
        for number, word in enumerate(words):
            if number == fail_after and step_info().attempt == 1:
                raise ConnectionError("the line is bad")
            await out.write(word)


@workflow
async def recite(words: list[str], fail_after: int | None = None) -> None:
    await say(words, fail_after)


@step(name="cli_dictate")
def dictate(pipe: str) -> int:
    """Writes the lines of a named pipe as they come."""
    count = 0
    with open_stream("words", str) as out, open(pipe) as lines:
        for line in lines:
            out.write(line.strip())
            count += 1
    return count


@workflow(name="cli_dictation")
async def dictation(pipe: str) -> int:
    return await dictate(pipe)


@workflow
async def tomorrow(day: date) -> date:
    return await day_after(day)


@workflow(signals={"verdict": bool})
async def judged() -> bool:
    verdict: bool = await wait_for_signal("verdict")
    return verdict


@workflow
async def ask(question: str = "Well?") -> dict[str, object]:
    return {question: await wait_for_signal("answer")}


@workflow
async def doomed() -> str:
    return await give_up("no\nhope \x1b[31mleft")


@workflow
async def basket(customer: str = "Ada") -> list[str]:
    items: list[str] = []
    set_attributes(customer=customer, items=0)
    publish("items", lambda: items)
    publish("broken", lambda: items[99])

    @on_update("add")
    def add(item: str, times: int = 1) -> int:
        if item == "anvil":
            raise ValueError("too heavy")
        items.extend([item] * times)
        set_attributes(items=len(items))
        set_status(f"{len(items)} in the basket")
        return len(items)

    await wait_for_signal("pay")
    return items


@workflow
async def door() -> str:
    with create_hook(str, token="front-door") as hook:
        return await hook


@workflow
async def countdown(left: int) -> str:
    if left:
        continue_as_new(left - 1)
    return "done"


@workflow
async def asks_models(own: bool = False) -> None:
    await ask_models(own=own)
