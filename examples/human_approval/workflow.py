"""An expense that somebody has to approve.

The first approver is asked, and reminded at nine on the next working days. After two reminders the next approver is
asked too; anybody who has been asked may decide. If the employee withdraws the expense, which cancels the run, those
who were asked are told.

A decision is sent to a hook: its token is in the link of the mails, and gives the right to decide on this expense only.
"""

import asyncio
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from examples.human_approval.mail import outbox
from worldflow import Hook, create_hook, now, set_attributes, set_status, step, workflow

DAYS = 3
"""Working days that an approver has before the next one is asked too."""
OFFICE = ZoneInfo("Europe/Vienna")
MORNING = time(9)


class Expense(BaseModel):
    number: str
    employee: str
    amount: Decimal = Field(gt=0)
    purpose: str

    def __str__(self) -> str:
        return f"{self.amount} for {self.purpose}, by {self.employee}"


class Decision(BaseModel):
    by: str
    approved: bool


class Verdict(BaseModel):
    outcome: Literal["approved", "refused", "unanswered"]
    by: str | None = None


@step
async def mail(to: str, text: str, link: str | None = None) -> None:
    await outbox.send(to, text, link)


@workflow
async def approve_expense(expense: Expense, approvers: list[str]) -> Verdict:
    set_attributes(employee=expense.employee, expense=expense.number)
    asked: list[str] = []
    with create_hook(Decision, metadata={"expense": expense.number}) as hook:
        deciding = asyncio.create_task(first_decision(hook, asked))
        try:
            for approver in approvers:
                asked.append(approver)
                set_status(f"waiting for {' or '.join(asked)}")
                await mail(approver, f"Please decide on {expense}", hook.token)
                for day in range(1, DAYS + 1):
                    await asyncio.wait([deciding], timeout=until_next_working_morning())
                    if deciding.done():
                        return await announce(expense, deciding.result())
                    if day < DAYS:
                        await mail(approver, f"Reminder {day}: please decide on {expense}", hook.token)
        except asyncio.CancelledError:
            await asyncio.gather(*(mail(person, f"Withdrawn: {expense}") for person in asked))
            raise
    await mail(expense.employee, f"Nobody has decided on {expense}")
    return Verdict(outcome="unanswered")


async def first_decision(hook: Hook[Decision], asked: list[str]) -> Decision:
    """The first decision by somebody who was asked. Others are ignored."""
    while (decision := await hook).by not in asked:
        pass
    return decision


async def announce(expense: Expense, decision: Decision) -> Verdict:
    verdict = Verdict(outcome="approved" if decision.approved else "refused", by=decision.by)
    set_status(f"{verdict.outcome} by {verdict.by}")
    await mail(expense.employee, f"{verdict.by} has {verdict.outcome} {expense}")
    return verdict


def until_next_working_morning() -> float:
    """Seconds until it is nine on a working day, by the office's clock."""
    here = now().astimezone(OFFICE)
    morning = datetime.combine(here, MORNING, OFFICE)
    while morning <= here or morning.weekday() >= 5:
        morning += timedelta(days=1)
    return morning.timestamp() - here.timestamp()
