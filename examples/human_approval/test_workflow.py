from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from examples.human_approval.mail import outbox
from examples.human_approval.workflow import OFFICE, Decision, Expense, Verdict, approve_expense
from worldflow import HookNotFoundError, RunCancelledError
from worldflow.testing import WorkflowEnvironment

EXPENSE = Expense(number="E-17", employee="Ada", amount=Decimal(480), purpose="the train")
THURSDAY = datetime(2026, 3, 12, 15, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def mails() -> Iterator[None]:
    outbox.sent.clear()
    yield


def link() -> str:
    """The link in the last mail that has one."""
    return next(mail.link for mail in reversed(outbox.sent) if mail.link)


def recipients() -> list[str]:
    return [mail.to for mail in outbox.sent]


async def test_an_approver_decides() -> None:
    async with WorkflowEnvironment(start_time=THURSDAY) as env:
        run = await env.start(approve_expense, EXPENSE, ["Grace"])
        token = link()
        await env.resume_hook(token, Decision(by="Grace", approved=False))
        assert await run.result() == Verdict(outcome="refused", by="Grace")
        assert outbox.sent[-1].text == "Grace has refused 480 for the train, by Ada"
        with pytest.raises(HookNotFoundError):
            await env.resume_hook(token, Decision(by="Grace", approved=True))


async def test_reminders_come_at_nine_on_working_days_through_the_change_to_summer_time() -> None:
    times: list[str] = []
    async with WorkflowEnvironment(start_time=datetime(2026, 3, 26, 15, 30, tzinfo=UTC)) as env:
        run = await env.start(approve_expense, EXPENSE, ["Grace"])
        while await env.skip():
            times.append(f"{env.now().astimezone(OFFICE):%a %H:%M}")
        assert await run.result() == Verdict(outcome="unanswered")
    assert times == ["Fri 09:00", "Mon 09:00", "Tue 09:00"]
    assert recipients() == ["Grace", "Grace", "Grace", "Ada"]


async def test_the_next_approver_is_asked_and_either_may_decide() -> None:
    async with WorkflowEnvironment(start_time=THURSDAY) as env:
        run = await env.start(approve_expense, EXPENSE, ["Grace", "Alan"])
        await env.resume_hook(link(), Decision(by="Alan", approved=True))  # who has not been asked yet
        await env.advance("6d")
        assert recipients() == ["Grace", "Grace", "Grace", "Alan", "Alan"]
        await env.resume_hook(link(), Decision(by="Grace", approved=True))
        assert await run.result() == Verdict(outcome="approved", by="Grace")


async def test_those_who_were_asked_hear_that_an_expense_is_withdrawn() -> None:
    async with WorkflowEnvironment(start_time=THURSDAY) as env:
        run = await env.start(approve_expense, EXPENSE, ["Grace", "Alan"])
        await run.cancel("booked another one")
        with pytest.raises(RunCancelledError, match="booked another one"):
            await run.result()
    assert outbox.sent[-1][:2] == ("Grace", "Withdrawn: 480 for the train, by Ada")
