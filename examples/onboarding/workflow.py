"""A new colleague, from the signed contract to the end of the probation: half a year, in which hardly anything runs.

    at once                        order the laptop; ask for the papers, with a reminder every week
    a week before the first day    open the account
    on the first day               welcome
    from then on                   the mentor's checklist, in any order
    after 30, 60 and 90 days       a talk, of which the manager sends a note within two weeks

The first day may be moved until it is there, by an update. If the colleague does not come or leaves, cancel the run:
what was ordered and opened is returned and closed.
"""

import asyncio
from contextlib import AsyncExitStack, suppress
from datetime import UTC, date, datetime, time, timedelta

from pydantic import BaseModel

from examples.onboarding.services import systems
from worldflow import now, on_update, publish, set_status, step, wait_for_signal, workflow

PAPERS = frozenset({"passport", "tax form"})
CHECKLIST = frozenset({"meet the team", "fire drill", "first release"})
TALKS = (30, 60, 90)
WEEK = 7 * 86_400


class Hire(BaseModel):
    name: str
    manager: str
    mentor: str
    first_day: date


order_laptop = step(systems.order_laptop)
return_laptop = step(systems.return_laptop)
open_account = step(systems.open_account)
close_account = step(systems.close_account)
mail_colleague = step(systems.mail_colleague)


@workflow
async def onboard(hire: Hire) -> list[str]:
    """Returns the notes of the talks."""
    notes: list[str] = []
    publish("notes", notes)
    moved = asyncio.Event()

    @on_update("move_first_day")
    def move_first_day(to: date) -> None:
        if min(to, hire.first_day) <= now().date():
            raise ValueError("a first day can be moved until it is there, to a later day than today")
        hire.first_day = to
        moved.set()

    async def day(number: int) -> None:
        """Waits for a day, counted from the first one, which may be moved meanwhile."""
        while (left := at_eight(hire.first_day + timedelta(days=number)) - now()) > timedelta(0):
            moved.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), left.total_seconds())

    async with AsyncExitStack() as undo, asyncio.TaskGroup() as group:
        await order_laptop(hire.name)
        undo.push_async_callback(return_laptop, hire.name)
        group.create_task(collect("paper", PAPERS, hire.name, "Please send us"))
        set_status("before the first day")
        await day(-7)
        address = await open_account(hire.name)
        undo.push_async_callback(close_account, hire.name)
        await day(0)
        set_status("at work")
        await mail_colleague(address, f"Welcome! {hire.mentor} waits for you at the door.")
        group.create_task(collect("done", CHECKLIST, hire.mentor, f"Please do with {hire.name}"))
        for number in TALKS:
            await day(number)
            await mail_colleague(hire.manager, f"Please talk to {hire.name}: {number} days")
            with suppress(TimeoutError):
                async with asyncio.timeout(2 * WEEK):
                    notes.append(await wait_for_signal("note", str))
        undo.pop_all()
    set_status("probation is over")
    return notes


async def collect(signal: str, wanted: frozenset[str], who: str, request: str) -> None:
    """Waits until a signal has come for everything that is wanted, and reminds every week of what is missing."""
    missing = set(wanted)

    async def receive() -> None:
        async for item in wait_for_signal(signal, str):
            missing.discard(item)
            if not missing:
                return

    receiving = asyncio.create_task(receive())
    while missing:
        await mail_colleague(who, f"{request}: {', '.join(sorted(missing))}")
        await asyncio.wait([receiving], timeout=WEEK)


def at_eight(day: date) -> datetime:
    return datetime.combine(day, time(8), UTC)
