"""Workflows for the command line to start."""

from datetime import date

from worldflow import FatalError, step, wait_for_signal, workflow


@step
async def day_after(day: date) -> date:
    return date.fromordinal(day.toordinal() + 1)


@step
async def give_up(reason: str) -> None:
    raise FatalError(reason)


@workflow
async def tomorrow(day: date) -> date:
    return await day_after(day)


@workflow
async def ask(question: str = "Well?") -> dict[str, object]:
    return {question: await wait_for_signal("answer")}


@workflow
async def doomed() -> None:
    await give_up("no\nhope \x1b[31mleft")
