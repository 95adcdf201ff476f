"""Four months in a second: `python -m examples.onboarding.demo`."""

from datetime import UTC, date, datetime

from examples.onboarding.workflow import Hire, onboard
from examples.showing import show
from worldflow.engine.history import Event
from worldflow.testing import WorkflowEnvironment

ADA = Hire(name="Ada", manager="Charles", mentor="Grace", first_day=date(2026, 4, 1))


async def demo() -> list[Event]:
    async with WorkflowEnvironment(start_time=datetime(2026, 3, 2, 9, tzinfo=UTC)) as env:
        run = await env.start(onboard, ADA)
        await env.advance("10d")
        await run.signal("paper", "passport")
        await run.update("move_first_day", "2026-04-15")
        await env.advance("8d")
        await run.signal("paper", "tax form")
        await env.advance("28d")
        for item in ("meet the team", "first release", "fire drill"):
            await run.signal("done", item)
            await env.advance("6d")
        await env.advance("20d")
        await run.signal("note", "has found her feet")
        await env.advance("22d")
        await run.signal("note", "has found a bug in the engine")
        print(await run.result(), end="\n\n")
        return await run.events()


if __name__ == "__main__":
    show(demo)
