"""Workflows whose histories release 0.1.0 recorded. Frozen: their code is what those histories must still replay on.

`order_0_1_0.py` beside it is the order example as it was then. Names carry the release, so that later ones can have
workflows of the same names.
"""

import asyncio
import enum
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError

from tests.histories.named import named_step, named_workflow
from worldflow import (
    FatalError,
    RetryableError,
    RetryPolicy,
    SerializationError,
    now,
    random,
    sleep,
    step_info,
    uuid4,
    wait_for_signal,
    workflow_info,
)

RELEASE = "0.1.0"
ONCE = RetryPolicy(max_attempts=1)

step = named_step(RELEASE)
workflow = named_workflow(RELEASE)


# --- steps ---------------------------------------------------------------------------------------------------------


@step()
async def echo(value: Any) -> Any:
    return value


@step()
def plain_echo(value: Any) -> Any:
    return value


@step(retry=RetryPolicy(max_attempts=5, initial_interval="1m", backoff=1))
async def late(seconds: float, value: Any) -> Any:
    """Comes `seconds` later than other steps."""
    if step_info().attempt == 1:
        raise RetryableError("not yet", retry_after=seconds)
    return value


@step(retry=RetryPolicy(max_attempts=4, initial_interval="10s", backoff=3, max_interval="1m", jitter=0.2))
async def succeeds_at(attempt: int) -> int:
    if step_info().attempt < attempt:
        raise ConnectionError(f"attempt {step_info().attempt}")
    return step_info().attempt


@step(retry=ONCE)
async def fail(message: str) -> None:
    raise ValueError(message)


@step()
async def refuse(message: str) -> None:
    raise FatalError(message)


# --- time ----------------------------------------------------------------------------------------------------------


@workflow()
async def timers() -> list[str]:
    started = now()
    seen = []

    def note(what: str) -> None:
        seen.append(f"{(now() - started).total_seconds() // 1:.0f} {what}")

    await sleep("10s")
    note("a duration in words")
    await asyncio.sleep(0)
    await asyncio.sleep(5.5)
    note("asyncio's own")
    await asyncio.gather(sleep(30), sleep(timedelta(minutes=1)), sleep(30))
    note("three at a time")
    async with asyncio.timeout(100):
        await echo("in time")
    note("a timeout that did not come")
    with suppress(TimeoutError):
        async with asyncio.timeout(20) as limit:
            limit.reschedule(asyncio.get_running_loop().time() + 40)
            await wait_for_signal("never")
    note("a timeout put off")
    with suppress(TimeoutError):
        await asyncio.wait_for(wait_for_signal("never"), 3)
    note("wait_for")
    with suppress(TimeoutError):
        async with asyncio.timeout(50):
            async with asyncio.timeout(500):
                await sleep("1d")
    note("the inner of two")
    await sleep("20d")
    note("a long time")
    return seen


@workflow()
async def timeout_of_a_step() -> str:
    try:
        return await asyncio.wait_for(late(3_600, "late"), 60)
    except TimeoutError:
        return await late(10, "after a timeout")


# --- concurrency ---------------------------------------------------------------------------------------------------


@workflow()
async def gathers(width: int) -> list[Any]:
    values = await asyncio.gather(*(echo(n) for n in range(width)))
    mixed = await asyncio.gather(echo("a"), fail("b"), sleep(1), plain_echo("d"), return_exceptions=True)
    nested = await asyncio.gather(asyncio.gather(echo(1), echo(2)), asyncio.gather(late(5, 3), sleep(1)))
    try:
        await asyncio.gather(late(50, "left behind"), fail("first"), sleep(70))
    except ValueError as error:
        values.append(str(error))
    return [*values, [repr(value) for value in mixed], nested]


@workflow()
async def completed_in_order() -> list[Any]:
    in_order = [await earliest for earliest in asyncio.as_completed([late(30, "c"), echo("a"), late(10, "b")])]
    tasks = [asyncio.create_task(late(20 * n + 1, n)) for n in range(4)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    with suppress(TimeoutError):
        for earliest in asyncio.as_completed([late(10, "d"), late(1_000, "e")], timeout=100):
            in_order.append(await earliest)
    _, slow = await asyncio.wait([asyncio.create_task(late(500, "f")), asyncio.create_task(sleep(3))], timeout=9)
    return [*in_order, [task.result() for task in done], len(slow)]


@workflow()
async def synchronised() -> list[Any]:
    seen: list[Any] = []
    semaphore, lock, ready = asyncio.Semaphore(2), asyncio.Lock(), asyncio.Event()
    queue: asyncio.Queue[int] = asyncio.Queue(maxsize=2)

    async def produce(number: int) -> None:
        async with semaphore:
            await queue.put(await late(number + 1, number))

    async def consume() -> None:
        await ready.wait()
        for _ in range(4):
            number = await queue.get()
            async with lock:
                seen.append(await echo(number * 10))

    async with asyncio.TaskGroup() as group:
        group.create_task(consume())
        for number in range(4):
            group.create_task(produce(number))
        await sleep(2)
        ready.set()
    return seen


@workflow()
async def a_group_that_fails() -> None:
    async def inner() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail("deep"))
            group.create_task(sleep(100))

    async with asyncio.TaskGroup() as group:
        group.create_task(inner())
        group.create_task(refuse("flat"))
        group.create_task(late(60, "cancelled"))


@workflow()
async def a_group_that_is_caught() -> list[str]:
    seen = []
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail("one"))
            group.create_task(late(60, "cancelled"))
            group.create_task(sleep(60))
    except* ValueError as caught:
        seen = [str(error) for error in caught.exceptions]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(echo(n)) for n in range(3)]
    return [*seen, *(str(task.result()) for task in tasks)]


# --- retries -------------------------------------------------------------------------------------------------------


@workflow()
async def retries() -> list[Any]:
    seen: list[Any] = [await succeeds_at(3)]
    try:
        await succeeds_at(9)
    except ConnectionError as error:
        seen.append(str(error))
    try:
        await refuse("no")
    except FatalError as error:
        seen.append(str(error))
    return seen


# --- signals -------------------------------------------------------------------------------------------------------


class Approval(BaseModel):
    approved: bool
    by: str = "nobody"


@workflow()
async def signals() -> list[Any]:
    seen: list[Any] = [await wait_for_signal("early"), await wait_for_signal("early")]
    listeners = [asyncio.create_task(wait_for_signal("shared", int)) for _ in range(3)]
    listeners[0].cancel()
    seen += await asyncio.gather(*listeners[1:])
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            await wait_for_signal("approval")
    approval = await wait_for_signal("approval", Approval)
    seen.append(approval.by)
    try:
        await wait_for_signal("approval", Approval)
    except SerializationError as error:
        seen.append(error.path)
    seen.append(await echo(await wait_for_signal("nothing")))
    return seen


@workflow()
async def signal_or_timer(seconds: float) -> str:
    waiting = asyncio.create_task(wait_for_signal("go"))
    done, _ = await asyncio.wait([waiting], timeout=seconds)
    if done:
        return f"signal: {await echo(waiting.result())}"
    waiting.cancel()
    return f"timer, then {await wait_for_signal('go')}"


# --- exceptions ----------------------------------------------------------------------------------------------------


class ShopError(Exception):
    pass


class Declined(ShopError):
    """Its `__init__` takes other arguments than the exception holds."""

    def __init__(self, card: str, *, code: int) -> None:
        super().__init__(f"card {card} was declined: {code}")
        self.card = card
        self.code = code


class Connection:
    def __repr__(self) -> str:
        return "<connection>"


class Unportable(ShopError):
    def __init__(self, connection: object) -> None:
        super().__init__("lost", connection)


class Line(BaseModel):
    quantity: int = Field(gt=0)


def _exception(kind: str) -> BaseException:
    match kind:
        case "arguments":
            return KeyError("missing", 5, None)
        case "attributes":
            return Declined("4242", code=7)
        case "unportable":
            return Unportable(Connection())
        case "file":
            return FileNotFoundError(2, "No such file", "/etc/none", None, "/etc/other")
        case "bytes":
            return UnicodeDecodeError("utf-8", b"\xff\x00", 0, 1, "invalid start byte")
        case "group":
            return ExceptionGroup("several", [ValueError("a"), ExceptionGroup("inner", [Declined("1", code=2)])])
        case "notes":
            error = RuntimeError("noted")
            error.add_note("first note")
            error.add_note("second note")
            return error
        case "cancelled":
            return asyncio.CancelledError("from the step")
        case "local":

            class Local(Exception):
                pass

            return Local("of a function")
        case "text":
            return ValueError("null \0, a surrogate \ud800, \u65e5\u672c\u8a9e")
    raise AssertionError(kind)


KINDS = ("arguments", "attributes", "unportable", "file", "bytes", "group", "notes", "cancelled", "local", "text")


@step(retry=ONCE)
async def fail_as(kind: str) -> None:
    if kind == "cause":
        try:
            raise ConnectionError("the cause") from TimeoutError("the cause of the cause")
        except ConnectionError as error:
            raise Declined("4242", code=3) from error
    if kind == "validation":
        Line.model_validate({"quantity": "none"})
    if kind == "result":
        return object()  # type: ignore[return-value]
    if kind == "exit":
        raise SystemExit(3)
    if kind == "iteration":
        raise StopIteration("over")
    raise _exception(kind)


@workflow()
async def catches() -> list[str]:
    seen = []
    for kind in (*KINDS, "cause", "validation", "result", "exit", "iteration"):
        try:
            await fail_as(kind)
        except Exception as error:
            seen.append(f"{kind}: {_description(error)}")
    return seen


@workflow()
async def fails_as(kind: str) -> None:
    await fail_as(kind)


@workflow()
async def fails_by_itself(kind: str) -> Any:
    match kind:
        case "unfit result":
            return object()
        case "cause":
            try:
                await fail("a step's")
            except ValueError as error:
                raise Declined("4242", code=1) from error
        case _:
            raise _exception(kind)


def _description(error: BaseException) -> str:
    words = [type(error).__name__]
    if not isinstance(error, ValidationError):  # its message names the version of pydantic
        words.append(repr(str(error)))
    words += [f"{name}={value!r}" for name, value in sorted(vars(error).items()) if name not in ("traceback",)]
    if error.__cause__:
        words.append(f"from {_description(error.__cause__)}")
    if isinstance(error, BaseExceptionGroup):
        words += [_description(member) for member in error.exceptions]
    return " ".join(words)


# --- values --------------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "EUR"


class Basket(BaseModel):
    price: Money
    colours: set[Colour]
    ordered: datetime
    day: date
    time_left: timedelta
    key: UUID
    picture: bytes
    pair: tuple[int, str]
    more: dict[str, Any]


@step()
async def look_into(basket: Basket, /, *others: Basket, factor: float = 1.0, **rest: Money) -> Basket:
    price = Money(basket.price.amount * Decimal(str(factor)) + sum(money.amount for money in rest.values()))
    return basket.model_copy(update={"price": price})


@workflow()
async def values() -> Basket:
    basket = Basket(
        price=Money(Decimal("12.30")),
        colours={Colour.RED},
        ordered=datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC),
        day=date(2026, 2, 3),
        time_left=timedelta(days=1, microseconds=5),
        key=uuid4(),
        picture=b"\x00 plain bytes",
        pair=(1, "two"),
        more={"none": None, "deep": [{"a": [1, 2.5, -0.0, True]}], "text": "null \0 \u65e5\u672c\u8a9e \U0001f600"},
    )
    basket = await look_into(basket, basket, factor=1.5, postage=Money(Decimal("0.70")))
    await echo([float("inf"), float("-inf"), 1e300, 2**62, ""])
    return basket


@workflow()
async def large_values(size: int) -> list[int]:
    """Of more than a history holds itself: references stand there."""
    given = await wait_for_signal("large", str)
    value = await echo("x" * size + given)
    doubled = await echo([value, value])
    return [len(value), len(doubled), *([0] * size)]


@workflow()
async def chance() -> list[Any]:
    info = workflow_info()
    drawn = [str(uuid4()), random().random(), random().choice("abcdef"), random().sample(range(100), 3)]
    await echo(drawn)
    await sleep(random().uniform(1, 9))
    return [info.run_id, info.workflow_name, *drawn, random().getrandbits(64), now() > info.started_at]
