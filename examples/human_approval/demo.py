"""An expense that waits over a weekend for two approvers: `python -m examples.human_approval.demo`."""

from datetime import UTC, datetime
from decimal import Decimal

from examples.human_approval.mail import outbox
from examples.human_approval.workflow import Decision, Expense, approve_expense
from examples.showing import show
from worldflow.engine.history import Event
from worldflow.testing import WorkflowEnvironment

EXPENSE = Expense(number="E-17", employee="Ada", amount=Decimal("480.00"), purpose="the train to Turin")


async def demo() -> list[Event]:
    async with WorkflowEnvironment(start_time=datetime(2026, 3, 12, 15, 30, tzinfo=UTC)) as env:  # a Thursday
        run = await env.start(approve_expense, EXPENSE, ["Grace", "Alan"])
        await env.advance("6d")
        link = outbox.sent[-1].link
        assert link
        await env.resume_hook(link, Decision(by="Alan", approved=True))
        await run.result()
        return await run.events()


if __name__ == "__main__":
    show(demo)
