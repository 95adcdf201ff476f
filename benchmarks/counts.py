"""What runs ask of AWS, counted on a local one, and what that costs: `python -m benchmarks counts`.

Every request that the functions make is counted where it arrives. Receives, deletes and invocations are Lambda's own,
and depend on how many messages come together: they are given for one and for ten in a batch. What a run costs beside
its steps (its record, its start, its end) is the line of no steps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.deployed import deployed
from benchmarks.results import Section
from worldflow.costs import Asked, Deployment, Elsewhere, Shape, bill_of, commits_of, count, elsewhere, prices, shape_of
from worldflow.devtools.local_aws.launcher import Usage
from worldflow.devtools.stack import Stack
from worldflow.engine.history import ChildStarted
from worldflow.runtime import Orchestrator, RunHandle
from worldflow.settings import Settings
from worldflow.worlds import AWSWorld

FLOW = Path(__file__).with_name("bench_flow.py")

Drive = Callable[[RunHandle], Awaitable[None]]


async def _alone(run: RunHandle) -> None:
    """The run needs nobody."""


async def _signal(run: RunHandle) -> None:
    await run.signal("go")


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    name: str
    workflow: str
    input: dict[str, Any]
    drive: Drive = _alone


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """What one run asked for, with its children."""

    name: str
    asked: Asked
    """As it was counted."""
    told: Asked
    """As the histories tell it."""
    shapes: Sequence[Shape]


def workloads() -> Iterator[Workload]:
    for kind in ("queued", "unrecorded", "inline", "pure"):
        for number in (0, 1, 10, 100, 1000) if kind in ("queued", "inline") else (10, 100):
            given = {"kind": kind, "count": number}
            yield Workload(name=f"{number:,} {kind} steps in sequence", workflow="bench_sequence", input=given)
        if kind in ("queued", "inline"):
            given = {"kind": kind, "count": 100}
            yield Workload(name=f"100 {kind} steps at once", workflow="bench_fan_out", input=given)
    yield Workload(name="a signal", workflow="bench_signal", input={}, drive=_signal)
    yield Workload(name="a sleep of 2 s", workflow="bench_sleep", input={})
    yield Workload(name="a child without steps", workflow="bench_child", input={})
    yield Workload(name="a step that fails once", workflow="bench_retry", input={})


def measure(stack: Stack, chosen: Iterable[Workload]) -> Iterator[Count]:
    """Runs each twice, and counts the second time, when the functions are warm."""
    settings = Settings.from_environment(stack.environment)
    counted, watching = AWSWorld(settings), AWSWorld(settings, session=stack.aws.observer())
    for number, workload in enumerate(chosen):
        few = {**workload.input, "count": 10} if workload.input.get("count", 0) > 100 else workload.input
        for run_id, given in ((f"warm-up-{number}", few), (f"counted-{number}", workload.input)):
            _settle(stack)
            stack.aws.reset_usage()
            asyncio.run(_run(counted, watching, workload, run_id, given))
        _settle(stack)
        yield _count(workload.name, stack.aws.usage(), watching, f"counted-{number}")


async def _run(counted: AWSWorld, watching: AWSWorld, workload: Workload, run_id: str, given: Any) -> None:
    run = await Orchestrator(counted).start_workflow(run_id, workload.workflow, given)
    if workload.drive is not _alone:
        while await RunHandle(watching, run_id).status() != "running":
            await asyncio.sleep(0.1)
        await workload.drive(run)
    await RunHandle(watching, run_id).result(timeout=600)


def _settle(stack: Stack, quiet: float = 1.0) -> None:
    """Waits until no request is made any more."""
    while True:
        before = stack.aws.usage().requests
        time.sleep(quiet)
        after = stack.aws.usage().requests
        if {key: n for key, n in after.items() if key[1] != "ReceiveMessage"} == {
            key: n for key, n in before.items() if key[1] != "ReceiveMessage"
        }:
            return


def _count(name: str, usage: Usage, world: AWSWorld, run_id: str) -> Count:
    asked = Asked(
        write_units=int(usage.write_units),
        read_units=int(usage.read_units),
        sends=usage.requests["sqs", "SendMessage"] + usage.requests["sqs", "SendMessageBatch"],
        messages=sum(count for (_, fate), count in usage.deliveries.items() if fate == "received"),
        schedules=usage.requests["scheduler", "CreateSchedule"],
    )
    told, shapes, run_ids = Asked(), [], [run_id]
    for each in run_ids:
        commits, _ = commits_of(world, each)
        events = [event for commit in commits for event in commit]
        run_ids += [event.child_run_id for event in events if isinstance(event, ChildStarted)]
        part = count(each, commits)
        for field in ("write_units", "read_units", "sends", "messages", "schedules"):
            setattr(told, field, getattr(told, field) + getattr(part, field))
        shapes.append(shape_of(events))
    return Count(name=name, asked=asked, told=told, shapes=shapes)


def row(count: Count) -> list[str]:
    asked = count.asked
    numbers: list[float] = [asked.write_units, asked.read_units, asked.sends]
    numbers += [asked.receives(1), asked.invocations(1), asked.receives(10), asked.invocations(10), asked.schedules]
    return [count.name, *(f"{number:,g}" for number in numbers), *map(_dollars, _amounts(count))]


def row_of_a_step(none: Count, count: Count, steps: int) -> list[str]:
    """What each of so many steps adds to a run of none."""

    def added(name: str) -> float:
        more: float = getattr(count.asked, name) - getattr(none.asked, name)
        return more / steps

    numbers = [added(name) for name in ("write_units", "read_units", "sends", "messages")]
    dollars = []
    for less, more in zip(_amounts(none), _amounts(count), strict=True):
        dollars.append(None if less is None or more is None else (more - less) / steps)
    return [count.name, *(f"{number:,g}" for number in numbers), *(_dollars(amount, digits=3) for amount in dollars)]


def _amounts(count: Count) -> list[float | None]:
    """Dollars of one such run: here, with one and ten in a batch, and elsewhere."""
    others = zip(*(elsewhere(shape) for shape in count.shapes), strict=True)
    bills = (bill_of(count.asked, batch, Deployment(step_batch=batch)) for batch in (1, 10))
    return [*(bill.requests for bill in bills), *map(_sum, others)]


def _dollars(amount: float | None, digits: int = 2) -> str:
    return "-" if amount is None else f"{amount * prices.MILLION:,.{digits}f}"


def _sum(parts: Iterable[Elsewhere]) -> float | None:
    amounts = [part.dollars for part in parts]
    return None if None in amounts else sum(filter(None, amounts))


def difference(count: Count) -> str | None:
    """Where the histories tell something else than was counted."""
    fields = ("write_units", "sends", "messages", "schedules")
    wrong = [
        f"{field}: {getattr(count.told, field)} and not {getattr(count.asked, field)}"
        for field in fields
        if getattr(count.told, field) != getattr(count.asked, field)
    ]
    return f"{count.name}: {', '.join(wrong)}" if wrong else None


def sections() -> Iterator[Section]:
    with deployed("bench_flow", FLOW.read_text()) as stack:
        counts = list(measure(stack, workloads()))
    wrong = [found for found in map(difference, counts) if found]
    yield Section(
        title="Requests and dollars",
        command=COMMAND,
        how=HOW + (f" It told otherwise: {'; '.join(wrong)}." if wrong else " It told the same of each of these runs."),
        columns=("a run of", *COLUMNS, *DOLLARS),
        rows=[row(count) for count in counts],
    )
    none = counts[0]
    yield Section(
        title="What a step adds to a run",
        command=COMMAND,
        how="The runs of 100 steps above, less that of none, by 100. Dollars are of a million steps.",
        columns=("each of", "write units", "read units", "sends", "messages", *DOLLARS),
        rows=[row_of_a_step(none, count, 100) for count in counts if count.name.startswith("100 ")],
    )


COMMAND = "python -m benchmarks counts"
HOW = (
    "One run of each, on the local AWS with the deployed template and warm functions, each request counted where it "
    "arrives. How many turns a fan-out takes depends on how its results come together. Receives and deletes are as "
    "many; they and the invocations are those of messages that come alone, and of ten in a batch, also of steps, which "
    "takes a `StepBatchSize` of 10. Dollars are of the requests of a million such runs, at the prices of "
    f"{prices.REGION} in {prices.AS_OF}, without the free tier; [costs](../docs/costs.md) has the rest of a bill. "
    "Of AWS Lambda durable functions and Step Functions they are what the same run comes to by their price lists "
    "(`worldflow/costs/bills.py`), without Lambda's part; an Express workflow's with the time that the run took "
    "here, and 64 MB. `worldflow cost` reckons the units that are written, the sends, messages and schedules from "
    "the history alone."
)
COLUMNS = (
    "write units",
    "read units",
    "sends",
    "receives, batch 1",
    "invocations, batch 1",
    "receives, batch 10",
    "invocations, batch 10",
    "schedules",
)
DOLLARS = ("$, batch 1", "$, batch 10", "durable functions, $", "Standard, $", "Express, $")
