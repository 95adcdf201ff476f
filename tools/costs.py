"""The numbers in the documentation that are dollars: `python -m tools.costs` writes them into it.

Each table stands between two comments, `<!-- costs: NAME -->` and `<!-- end of costs -->`. The runs are those of the
examples, taken in this process by a clock of its own, so that the same code gives the same numbers.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import random
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from workflows.hello import hello
from workflows.order import fulfil_order
from worldflow import Limit, Throttle, map_steps, sleep, step, workflow
from worldflow.costs import (
    Asked,
    Bill,
    Charge,
    Deployment,
    Shape,
    bill_of,
    commits_of,
    count,
    elsewhere,
    prices,
    shape_of,
)
from worldflow.costs.months import idle_month, more_a_month
from worldflow.engine.history import StreamRow, StreamRows, StreamRowsEnd, dump_value
from worldflow.engine.history.limits import Rate
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import sending, starting
from worldflow.runtime.workflow_pauses import pause_workflow
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turns import Turns
from worldflow.worlds.local.world import LocalWorld
from worldflow.worlds.messages import RunMessage, StepTask
from worldflow.worlds.throttling import reserve

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "docs" / "costs.md"]
STEPS = 100
RUN = "order-1001"
APPROVAL = {"approval": {"approved": True, "by": "Grace"}}

ORDER = {
    "order_id": "1001",
    "customer": "Ada",
    "card": "4242",
    "lines": [
        {"sku": "KEYBOARD", "quantity": 2, "unit_price": "150.00"},
        {"sku": "SCREEN", "quantity": 3, "unit_price": "320.50"},
    ],
}

TOKENS_A_SECOND = 50
FLUSHES_A_SECOND = 10
"""A stream is written every 100 ms."""

COMPUTE = 0.025 * 0.5
"""GB-seconds of an invocation: 25 ms of a warm one, with 512 MB. A step's own time comes on top."""

FIRST_DESIGN = {1_000: "< $20", 10_000: "$50-100", 100_000: "$300-500"}
"""A month, by the estimates of the first design: 1,000, 10,000 and 100,000 workflows a day, whatever they do."""


# --- runs ---


async def _number(number: int) -> int:
    return number


_step = step(name="costed_step")(_number)


@workflow(name="costed_steps")
async def _steps(count: int, inline: bool = False) -> None:
    for number in range(count):
        await _step.options(inline=inline)(number)


@workflow(name="costed_map")
async def _map(pages: int, page_size: int, inline: bool) -> int:
    items = list(range(pages * page_size))
    return (await map_steps(_inline_step if inline else _step, items, page_size=page_size)).succeeded


@step(name="costed_inline_step", inline=True)
async def _inline_step(number: int) -> int:
    return number


_limited_step = step(name="costed_limited_step", limit=Limit("costed", concurrency=10))(_number)
_paced_step = step(name="costed_paced_step", limit=Limit("costed-rate", rate="100/1s"))(_number)


@workflow(name="costed_calls")
async def _calls(kind: str) -> None:
    await {"free": _step, "limited": _limited_step, "paced": _paced_step}[kind](1)


@workflow(name="costed_place", limit=Limit("costed-runs", concurrency=10))
async def _place() -> None:
    await _step(1)


@workflow(name="costed_throttle", throttle=Throttle("1/1m"))
async def _throttled() -> None:
    await _step(1)


@workflow(name="costed_sleep")
async def _sleeps(seconds: float) -> None:
    await sleep(seconds)


class _Clock:
    """Advances by a microsecond each time it is read."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(microseconds=1)
        return self.time


Act = Callable[[LocalWorld], object]


def run(
    flow: Workflow[..., Any],
    given: Any,
    signals: Mapping[str, Any] | None = None,
    *,
    before: Act | None = None,
    acts: Sequence[Act] = (),
    delay: str | None = None,
) -> LocalWorld:
    """A world in which a run, `order-1001`, has come to its end.

    signals: sent when the run waits. Each message is handled alone.
    before: what happens before it is started, `acts` when it waits, and `delay` how long it waits to begin.
    """
    clock = _Clock()
    waiting: list[Act] = [*acts, *(partial(_signal, name, value) for name, value in (signals or {}).items())]
    world = LocalWorld(":memory:", clock=clock)
    turns, executor = Turns(world, chance=random.Random(1)), StepExecutor(world)
    if before:
        before(world)
    starting.start(world, RUN, flow, given, delay=delay)
    try:
        while True:
            if _handle(world, turns, executor):
                continue
            if waiting:
                waiting.pop(0)(world)
            elif due := world.next_due():
                clock.time = max(clock.time, due)
            else:
                break
        assert world.read_run(RUN).status == "completed"
    finally:
        turns.close()
        executor.close()
    return world


def _signal(name: str, value: Any, world: LocalWorld) -> None:
    sending.signal(world, RUN, name, value, signal_id=f"{name}-1")


def _handle(world: LocalWorld, turns: Turns, executor: StepExecutor) -> bool:
    """Handles the next message, if there is one by now."""
    if deliveries := world.receive("runs", 1):
        messages = [delivery.message for delivery in deliveries if isinstance(delivery.message, RunMessage)]
        turns.take(messages[0].run_id, messages)
    elif deliveries := world.receive("steps", 1):
        for delivery in deliveries:
            assert isinstance(delivery.message, StepTask)
            asyncio.run(executor.execute(delivery.message))
    world.acknowledge(deliveries)
    return bool(deliveries)


def counted(flow: Workflow[..., Any], given: Any, signals: Mapping[str, Any] | None = None) -> tuple[Asked, Shape]:
    """What a run has asked of AWS, and what it amounts to."""
    with closing(run(flow, given, signals)) as world:
        commits, _ = commits_of(world, RUN)
        return count(RUN, commits), shape_of([event for commit in commits for event in commit])


# --- what a map adds ---


def of_maps() -> Table:
    """A million items in pages of a thousand: what two pages of a map are more than one, and so on."""
    rows = [["a million items", "requests", "logs", "storage", "**total without compute**", "of it, the pages"]]
    for name, inline in (("queued steps, template defaults", False), ("inline steps", True)):
        one, two, long = (
            _parts(pages, size, inline=inline) for pages, size in ((1, STEPS), (2, STEPS), (1, 2 * STEPS))
        )
        of_items = [(more - less) / STEPS for more, less in zip(long, one, strict=True)]
        of_pages = [more - less - STEPS * each for more, less, each in zip(two, one, of_items, strict=True)]
        parts = [each * prices.MILLION + page * 1_000 for each, page in zip(of_items, of_pages, strict=True)]
        cells = [*map(_dollars, parts), f"**{_dollars(sum(parts))}**", _dollars(sum(of_pages) * 1_000)]
        rows.append([name, *cells])
    return rows


def _parts(pages: int, size: int, *, inline: bool) -> list[float]:
    """Dollars of requests, logs and storage of all runs of a map."""
    with closing(run(_map, {"pages": pages, "page_size": size, "inline": inline})) as world:
        runs = [RUN, *(f"{RUN}~c{number + 1}" for number in range(pages))]
        bills = [bill_of(count(each, commits_of(world, each)[0]), 1) for each in runs]
    names = (("KB of logs",), ("KB of ledger", "KB of history"))
    requests = sum(bill.requests for bill in bills)
    return [requests, *(sum(part(bill, *name) for bill in bills) / prices.MILLION for name in names)]


# --- what a step adds ---


@functools.cache
def a_step(batch: int = 1, step_batch: int = 1, *, inline: bool = False, traced: bool = False) -> Bill:
    """What each step adds to a run: that of a long run less that of one without, by the number of steps."""
    deployment = Deployment(step_batch=step_batch, traced=traced)
    none, many = (
        bill_of(counted(_steps, {"count": number, "inline": inline})[0], batch, deployment) for number in (0, STEPS)
    )
    before = {charge.what: charge.amount for charge in none.charges}
    added = [
        dataclasses.replace(charge, amount=(charge.amount - before.get(charge.what, 0)) / STEPS)
        for charge in many.charges
    ]
    return Bill(many.batch, many.step_batch, [charge for charge in added if round(charge.dollars * prices.MILLION, 3)])


def part(bill: Bill, *names: str) -> float:
    """Dollars of a million, of the charges whose names begin so."""
    return sum(charge.dollars for charge in bill.charges if charge.what.startswith(names)) * prices.MILLION


# --- the tables ---

Table = Sequence[Sequence[str]]


def of_steps() -> Table:
    rows = [["per million", "requests", "logs", "ledger", "history, a month", "**total without compute**"]]
    kinds = {
        "queued steps, template defaults": a_step(),
        "queued steps, results in batches of ten": a_step(10),
        "queued steps, `StepBatchSize: 10`, all in batches of ten": a_step(10, 10),
        "inline steps": a_step(inline=True),
    }
    for name, bill in kinds.items():
        parts = [bill.requests * prices.MILLION, part(bill, "KB of logs"), part(bill, "KB of ledger")]
        cells = [*parts, part(bill, "KB of history")]
        rows.append([name, *map(_dollars, cells), f"**{_dollars(bill.dollars * prices.MILLION)}**"])
    return rows


def of_a_step() -> Table:
    rows = [["a million queued steps, not batched", "", "$"]]
    bill = a_step()
    for charge in bill.charges:
        million = charge.amount * prices.MILLION
        if charge.what.startswith("KB of "):
            amount, what = f"{million / 1024**2:,.2f}", charge.what.replace("KB", "GB", 1)
        else:
            amount, what = f"{million / 1e6:,.3g} M", charge.what
        rows.append([what, amount, _dollars(charge.dollars * prices.MILLION)])
    rows.append(["**total without compute**", "", f"**{_dollars(bill.dollars * prices.MILLION)}**"])
    compute = bill_compute(counted(_steps, {"count": STEPS})[0], counted(_steps, {"count": 0})[0]) / STEPS
    rows.append(["compute, 25 ms an invocation with 512 MB", "", _dollars(compute * prices.MILLION)])
    traced = part(a_step(traced=True), "X-Ray")
    rows.append(["with `Tracing: XRay`: 5 % of invocations", "", _dollars(traced)])
    return rows


def bill_compute(asked: Asked, less: Asked | None = None) -> float:
    """Dollars of warm invocations, each alone, without the time of the steps themselves."""
    invocations = asked.invocations(1) - (less.invocations(1) if less else 0)
    return invocations * COMPUTE * prices.LAMBDA_GB_SECOND


def of_places() -> Table:
    """What limits, throttles, pauses and times add to a run: the bill of one with them less that of one without."""
    calls = partial(_total, _calls)
    step_alone, sleep_alone = calls({"kind": "free"}), _total(_sleeps, {"seconds": 60})
    pause, unpause = partial(_send, sending.pause), partial(_send, sending.unpause)
    throttled = partial(_total, _throttled, {})
    added = {
        "a limit with `concurrency`, per step": calls({"kind": "limited"}) - step_alone,
        "a limit with a `rate` alone, per step": calls({"kind": "paced"}) - step_alone,
        "a limit, per run": _total(_place, {}) - step_alone,
        "a throttle, per run that need not wait": throttled() - step_alone,
        "a throttle, per run that waits": throttled(before=_another_run) - step_alone,
        "a start after a `delay` or a `jitter` of up to 15 minutes": calls({"kind": "free"}, delay="1m") - step_alone,
        "a start after a longer one": calls({"kind": "free"}, delay="1d") - step_alone,
        "a pause and its end": _total(_sleeps, {"seconds": 60}, acts=[pause, unpause]) - sleep_alone,
        "a run that waits for its paused workflow": calls({"kind": "free"}, before=_pause_all, acts=[unpause])
        - step_alone,
        "a sleep that `wake` ends, more than one that passes": _total(
            _sleeps, {"seconds": 60}, acts=[partial(_send, sending.wake)]
        )
        - sleep_alone,
    }
    return [["a million times", "$"], *([name, _dollars(cost * prices.MILLION)] for name, cost in added.items())]


def _total(flow: Workflow[..., Any], given: Any, **how: Any) -> float:
    """Dollars of a run, without compute. How it goes is said as for `run`."""
    with closing(run(flow, given, **how)) as world:
        return bill_of(count(RUN, commits_of(world, RUN)[0]), 1).dollars


def _send(send: Callable[[LocalWorld, str], object], world: LocalWorld) -> None:
    send(world, RUN)


def _another_run(world: LocalWorld) -> None:
    """Another run has taken the place at the throttle."""
    reserve(world, "costed_throttle", "", Rate(1, 60.0), world.now())


def _pause_all(world: LocalWorld) -> None:
    pause_workflow(world, _calls)


def of_months() -> Table:
    return _months("an idle stack, per month", idle_month())


def of_additions() -> Table:
    return _months("additions, per month", more_a_month(), total=False)


def _months(title: str, charges: Sequence[Charge], *, total: bool = True) -> Table:
    rows = [[title, "", "$"]]
    rows += [[charge.what, f"{charge.amount:,.0f}", _dollars(charge.dollars)] for charge in charges]
    return [*rows, ["**total**", "", f"**{_dollars(sum(charge.dollars for charge in charges))}**"]] if total else rows


def of_streams() -> Table:
    """What a step adds to its run that writes tokens, as they come from a language model."""
    rows = [["a million times", "write units", "requests", "storage, a month", "**total**"]]
    for seconds in (10, 60):
        texts = ["token "] * (TOKENS_A_SECOND // FLUSHES_A_SECOND)
        commits = [_flush(number, texts) for number in range(seconds * FLUSHES_A_SECOND)]
        asked = count(RUN, (), {"answer": commits})
        bill = bill_of(asked, 1)
        parts = [bill.requests * prices.MILLION, part(bill, "KB of history")]
        name = f"{seconds} s of tokens at {TOKENS_A_SECOND} a second"
        total = f"**{_dollars(sum(parts))}**"
        rows.append([name, f"{asked.write_units:,} M", *map(_dollars, parts), total])
    return rows


def _flush(number: int, texts: list[str]) -> list[StreamRow]:
    """A commit of a stream, as a step writes it."""
    at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=number / FLUSHES_A_SECOND)
    total = (number + 1) * len(dump_value(texts))
    rows = StreamRows(writer="0" * 16, step_id="s1", attempt=1, values=texts, count=len(texts), total=total)
    end = StreamRowsEnd().model_copy(update={"seq": (number + 1) * len(texts)})
    return [rows.model_copy(update={"seq": 1 + number * len(texts), "at": at}), end]


def of_days() -> Table:
    """Workflows a day, for the examples."""
    examples = {"hello": counted(hello, {}), "order": counted(fulfil_order, {"order": ORDER}, APPROVAL)}
    rows = [["workflows a day", *(f"`{name}`, per month" for name in examples), "estimate of the first design"]]
    metrics, *_ = more_a_month()
    fixed = sum(charge.dollars for charge in (*idle_month(), metrics))
    for number, estimate in FIRST_DESIGN.items():
        cells = []
        for asked, _ in examples.values():
            each = bill_of(asked, 1).dollars + bill_compute(asked)
            cells.append(f"${fixed + number * prices.MONTH_DAYS * each:,.2f}")
        rows.append([f"{number:,}", *cells, estimate])
    return rows


def of_examples() -> Table:
    """What a run of each example costs, here and elsewhere."""
    examples = {"hello": counted(hello, {}), "order": counted(fulfil_order, {"order": ORDER}, APPROVAL)}
    rows = [
        ["a million runs of", "requests", "logs", "storage", "compute", "**total**", "durable functions", "Standard"]
    ]
    for name, (asked, shape) in examples.items():
        bill, compute = bill_of(asked, 1), bill_compute(asked)
        others = [_dollars((other.dollars or 0) * prices.MILLION) for other in elsewhere(shape)[:2]]
        parts = [bill.requests * prices.MILLION, part(bill, "KB of logs"), part(bill, "KB of ledger", "KB of history")]
        cells = [_dollars(amount) for amount in (*parts, compute * prices.MILLION)]
        rows.append([f"`{name}`", *cells, f"**{_dollars((bill.dollars + compute) * prices.MILLION)}**", *others])
    return rows


TABLES: Mapping[str, Callable[[], Table]] = {
    "steps": of_steps,
    "a step": of_a_step,
    "places": of_places,
    "months": of_months,
    "additions": of_additions,
    "streams": of_streams,
    "maps": of_maps,
    "days": of_days,
    "examples": of_examples,
}


def _dollars(amount: float) -> str:
    return f"{amount + 1e-9:,.2f}" if amount >= 0.005 or not amount else f"{amount:.4f}"


def as_markdown(table: Table) -> str:
    head, *rows = table
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows)) + "\n"


_PLACE = re.compile(r"(<!-- costs: (?P<name>[a-z ]+) -->\n).*?(<!-- end of costs -->)", re.DOTALL)


def filled(text: str) -> str:
    """A page with the tables as they are now."""
    return _PLACE.sub(lambda place: f"{place[1]}\n{as_markdown(TABLES[place['name']]())}\n{place[3]}", text)


def main() -> int:
    for page in PAGES:
        text = page.read_text()
        if (new := filled(text)) != text:
            page.write_text(new)
            print(f"wrote {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
