from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from examples.onboarding.services import systems
from examples.onboarding.workflow import Hire, onboard
from worldflow import RunCancelledError
from worldflow.testing import WorkflowEnvironment

ADA = Hire(name="Ada", manager="Charles", mentor="Grace", first_day=date(2026, 4, 1))
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing() -> Iterator[None]:
    for kept in (systems.accounts, systems.laptops, systems.mails):
        kept.clear()
    yield


def texts(to: str) -> list[str]:
    return [text for recipient, text in systems.mails if recipient == to]


async def test_an_onboarding() -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(onboard, ADA)
        for paper in ("passport", "tax form"):
            await run.signal("paper", paper)
        await env.advance("30d")
        assert texts("ada@example.com") == ["Welcome! Grace waits for you at the door."]
        for item in ("fire drill", "meet the team", "first release"):
            await run.signal("done", item)
        await env.advance("30d")
        await run.signal("note", "all is well")
        assert await run.query("notes") == ["all is well"]
        assert await run.result() == ["all is well"]
        assert env.now().date() == date(2026, 7, 14)  # two weeks after the last talk, of which there is no note
    assert texts("Charles") == [f"Please talk to Ada: {days} days" for days in (30, 60, 90)]
    assert (systems.accounts, systems.laptops) == ({"Ada"}, {"Ada"})


async def test_reminders_name_what_is_missing() -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(onboard, ADA)
        await env.advance("8d")
        await run.signal("paper", "passport")
        await env.advance("7d")
        await run.signal("paper", "tax form")
        await env.advance("7d")
    assert texts("Ada") == [f"Please send us: {what}" for what in ("passport, tax form",) * 2 + ("tax form",)]


async def test_a_first_day_that_is_moved() -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(onboard, ADA)
        await env.advance("26d")  # the account is open
        await run.update("move_first_day", "2026-04-20")
        await env.advance("22d")
        assert texts("ada@example.com") == []
        await env.advance("1d")
        assert len(texts("ada@example.com")) == 1
        with pytest.raises(ValueError, match="until it is there"):
            await run.update("move_first_day", "2026-05-20")


async def test_a_colleague_who_does_not_come() -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(onboard, ADA)
        await env.advance("26d")
        assert (systems.accounts, systems.laptops) == ({"Ada"}, {"Ada"})
        await run.cancel("has found something else")
        with pytest.raises(RunCancelledError):
            await run.result()
    assert (systems.accounts, systems.laptops) == (set(), set())
