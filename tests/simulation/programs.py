"""The workflows of a simulation: programs of all that asyncio and Worldflow have, and the example of an order."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from functools import cache
from typing import Any, Literal, Self

from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer, model_validator

import workflows.order as shop
from tests.simulation import processor
from tests.simulation.crowds import CROWDS
from tests.support import collector, generated
from tests.support.generated import SIGNALS, TOKENS, UPDATES, Interpreter, Program
from tests.support.values import spoil
from worldflow import (
    Entity,
    Limit,
    RetryPolicy,
    continue_as_new,
    create_webhook,
    entity,
    open_stream,
    publish,
    step_info,
    wait_for_signal,
)
from worldflow.engine.workflow.definitions import Step, Workflow, find_workflow

Change = Literal["new", "old", "another order", "raises", "spins"]

NAME = "simulated.run"


# Steps and workflows are made here without the decorators: they are known to the simulation's processes alone.


async def _once(item: int) -> Any:
    if item > 6:
        raise ValueError(f"attempt {step_info().attempt}")
    return [item, step_info().attempt]


async def _limited(item: int) -> Any:
    return [item, step_info().attempt]


async def _beating(item: int) -> Any:
    for beat in range(item):
        step_info().heartbeat(beat)
    return [item, step_info().attempt, step_info().heartbeat_details]


def _plain(item: int) -> Any:
    return "x" * item * 100


def _words(number: int) -> str:
    return f"word {number} " * 40


async def _hear(said: list[dict[str, Any]]) -> Any:
    """Takes all that was said until now, which the history has from calls before."""
    if any(one["words"] != _words(one["n"]) for one in said):
        raise AssertionError("what was said has come to be something else")
    return {"n": len(said), "words": _words(len(said))}


class Unanswered(TimeoutError):
    """What a step makes of a timeout of its own."""


async def _cancelling(item: int) -> Any:
    """Cancels its own task, as libraries do that make their timeouts by hand, and takes nothing of it back."""
    task = asyncio.current_task()
    assert task
    match item % 6:
        case 0:
            task.cancel()
            return item  # and the cancellation comes where it awaits next
        case 1:
            asyncio.get_running_loop().call_soon(task.cancel)
        case 2:
            task.cancel()
            task.cancel()
        case 3:
            raise asyncio.CancelledError("nobody has cancelled anything")
        case _:
            task.cancel()
    try:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        if item % 6 == 4:
            raise
        if item % 6 == 5:
            return item
        raise Unanswered("nobody answered") from None


class Heavy(BaseModel):
    """A value of which two take the processor longer to write and to read than a workflow may take over one fact, and
    all that a program gives to its steps at once do not take longer than values may.
    """

    n: int

    @model_validator(mode="after")
    def _read(self) -> Self:
        processor.take(1.5)
        return self

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> Any:
        processor.take(1.5)
        return write(self)


async def _weigh(value: Heavy, more: int = 0) -> Heavy:
    return value


STREAMS = ("letters", "news")


async def _stream(item: int, name: str) -> int:
    """Writes numbers from 0 on to a stream, and fails at the second in some first attempts. Some resume."""
    async with open_stream(name, resume=item % 3 == 1) as out:
        for number in range(out.written, count_of(item)):
            if number == 1 and item > 6 and step_info().attempt == 1:
                raise ConnectionError("again")
            await out.write([item, number])
    return item


def count_of(item: int) -> int:
    """How many numbers the step writes that is given this."""
    return item % 4 + 1


CANCELLED: dict[int, str] = {
    0: "StepCompleted",
    1: f"{Unanswered.__module__}:Unanswered",
    2: f"{Unanswered.__module__}:Unanswered",
    3: "asyncio.exceptions:CancelledError",
    4: "asyncio.exceptions:CancelledError",
    5: "StepCompleted",
}
"""What comes of the step that cancels itself, by its item: it completes, or the error is of this type."""


once: Any = Step(_once, "simulated.once", guarantee="at_most_once")
once_or_more: Any = Step(
    _once, "simulated.retried_once", guarantee="at_most_once", retry=RetryPolicy(max_attempts=3, initial_interval="20s")
)
limited: Any = Step(_limited, "simulated.limited", timeout="25s", retry=RetryPolicy(max_attempts=4), queue="heavy")
placed: Any = Step(
    _limited,
    "simulated.placed",
    timeout="25s",
    retry=RetryPolicy(max_attempts=4),
    limit=Limit("simulated", concurrency=1),
    priority=lambda item: item % 3,
)
"""Shares its places with the same step of other runs."""
beating: Any = Step(
    _beating,
    "simulated.beating",
    heartbeat_timeout="15s",
    timeout="10m",
    retry=RetryPolicy(max_attempts=3),
    queue="heavy",
)
plain: Any = Step(_plain, "simulated.plain", retry=RetryPolicy(max_attempts=4, initial_interval="10m"))
pure: Any = Step(_limited, "simulated.pure", guarantee="pure")
cancelling: Any = Step(_cancelling, "simulated.cancelling", retry=RetryPolicy(max_attempts=1))
hear: Any = Step(_hear, "simulated.hear", retry=RetryPolicy(max_attempts=3, initial_interval="5s"))
weigh: Any = Step(_weigh, "simulated.weigh")
stream: Any = Step(_stream, "simulated.stream", retry=RetryPolicy(max_attempts=3, initial_interval="5s"))
unrecorded: Any = Step(_limited, "simulated.unrecorded", guarantee="repeatable")

STEPS: dict[str, Step[..., Any]] = {
    step.name: step
    for step in (
        generated.one_step,
        generated.use,
        collector.write_down,
        once,
        once_or_more,
        limited,
        placed,
        beating,
        plain,
        pure,
        unrecorded,
        cancelling,
        stream,
        hear,
        weigh,
        shop.reserve,
        shop.release,
        shop.charge,
        shop.refund,
        shop.ship,
    )
}


async def _patient(item: int) -> Any:
    """Ends when somebody says so."""
    try:
        return await wait_for_signal("go-on")
    finally:
        await generated.one_step(item)


patient: Any = Workflow(_patient, "simulated.patient")


async def _heavy_child(value: Heavy) -> Heavy:
    return await weigh(value)


heavy_child: Any = Workflow(_heavy_child, "simulated.heavy")


def _cancellation(item: int) -> Any:
    """What a step of a program does when its await is cancelled."""
    return ("try", "wait", "abandon")[item % 3]


@entity(name="simulated_tally")
class Tally(Entity):
    """An entity that all runs share."""

    total: int = 0

    async def add(self, amount: int) -> int:
        await generated.one_step.options(inline=amount % 2 == 0)(0)
        self.total += amount
        return self.total


tallies = find_workflow("entity:simulated_tally")


class _Program(Interpreter):
    """What the interpreter of the unit tests has, and what takes a real executor."""

    def __init__(self) -> None:
        super().__init__()
        self._said: list[dict[str, Any]] = []

    async def talk(self, number: int, inline: bool) -> Any:
        self._said.append({"n": number, "words": _words(number)})
        self._said.append(await hear.options(inline=inline)(self._said))
        return len(self._said)

    async def stream(self, item: int, name: str, inline: bool) -> Any:
        return await stream.options(inline=inline)(item, name)

    async def write(self, name: str, count: int) -> None:
        out = open_stream(name)
        for number in range(count):
            out.write(f"{len(self.trace)} {number}")

    async def tally(self, key: str, amount: int) -> Any:
        tally = Tally(key)
        if amount < 3:
            return await tally.add(amount)
        async with tally.lock(lease="10m"):
            before = await tally.add(amount)
            after = await tally.add(amount)
            assert after == before + amount, "another was let in"
            return after

    async def once(self, item: int, inline: bool) -> Any:
        return await once.options(inline=inline, cancellation=_cancellation(item))(item)

    async def once_or_more(self, item: int, inline: bool) -> Any:
        return await once_or_more.options(inline=inline, cancellation=_cancellation(item))(item)

    async def inline(self, item: int) -> Any:
        return await generated.one_step.options(inline=True, cancellation=_cancellation(item))(item)

    async def limited_step(self, item: int) -> Any:
        if item % 4 < 2:
            return await limited.options(cancellation=_cancellation(item))(item)
        step = placed.options(cancellation=_cancellation(item))
        return await asyncio.gather(*(step(item + more) for more in range(item % 4)), return_exceptions=True)

    async def beating(self, item: int) -> Any:
        return await beating.options(cancellation=_cancellation(item))(item)

    async def crowd(self, count: int) -> Any:
        return await asyncio.gather(*(beating(n % 3) for n in range(count)), return_exceptions=True)

    async def plain(self, item: int, inline: bool) -> Any:
        return len(await plain.options(inline=inline)(item))

    async def pure(self, item: int, inline: bool) -> Any:
        return [await pure.options(inline=inline)(item + more) for more in range(item)]

    async def unrecorded(self, item: int) -> Any:
        return await unrecorded(item)

    async def cancelling(self, item: int, inline: bool) -> Any:
        return await cancelling.options(inline=inline)(item)

    async def heavy(self, count: int, inline: bool) -> Any:
        value, step = Heavy.model_construct(n=count), weigh.options(inline=inline)
        return await asyncio.gather(*(step(value, more) for more in range(count)))

    async def heavy_signal(self, name: str) -> Any:
        return (await wait_for_signal(name, Heavy)).n

    async def heavy_child(self, n: int) -> Any:
        return (await heavy_child(Heavy.model_construct(n=n))).n

    async def kept(self, item: int, parent_close: Any) -> Any:
        return await generated.child.options(parent_close=parent_close)(item)

    async def patient(self, item: int, parent_close: Any) -> Any:
        return await patient.options(parent_close=parent_close)(item)

    async def named(self, run_id: str) -> Any:
        return await generated.child.options(run_id=run_id)(1)

    async def webhook(self) -> Any:
        webhook = create_webhook()
        self.trace.append(webhook.url)
        return (await webhook).method


class _Old(_Program):
    async def patch(self, change_id: str) -> Any:
        return None


def _workflow(change: Change) -> Workflow[..., Any]:
    async def simulated(
        program: Any, then: list[Any], strict: bool = False, trace: list[str] | None = None
    ) -> list[str]:
        if change == "raises":
            raise LookupError("a mistake in the code")
        if change == "spins":
            for _ in range(100):
                processor.take(1)
        interpreter = _Old() if change == "old" else _Program()
        interpreter.trace += trace or []
        spoil(trace)
        publish("trace", lambda: len(interpreter.trace))
        if change == "another order":
            await interpreter.run(["step", 0])
        with suppress(*(() if strict else (Exception, ExceptionGroup))):
            await interpreter.run(program)
        if then:
            continue_as_new(then[0], then[1:], strict, interpreter.trace)
        return interpreter.trace

    simulated.__annotations__ = {"program": Any, "then": list[Any], "strict": bool, "trace": Any, "return": list[str]}
    return Workflow(simulated, NAME)


@cache
def workflows(change: Change) -> dict[str, dict[int, Workflow[..., Any]]]:
    """The workflows of one version of the code, by name and version."""
    found: list[Workflow[..., Any]] = [
        _workflow(change),
        generated.child,
        patient,
        heavy_child,
        tallies,
        shop.fulfil_order,
        *CROWDS.values(),
    ]
    return {workflow.name: {workflow.version: workflow} for workflow in found}


# --- chance --------------------------------------------------------------------------------------------------------


def a_program(chance: random.Random, size: int) -> Program:
    """A program of about `size` operations that do something."""
    if size <= 1:
        return _leaf(chance)
    match chance.randrange(16):
        case 0 | 1 | 2 | 3:
            return ["sequence", *_several(chance, size)]
        case 4 | 5:
            return ["gather", chance.random() < 0.5, *_several(chance, size)]
        case 6:
            return ["group", *_several(chance, size)]
        case 7:
            return ["first", *_several(chance, size)]
        case 8:
            return ["in_order", *_several(chance, size)]
        case 9:
            return ["bounded", chance.randint(1, 2), *_several(chance, size)]
        case 10:
            return ["limited", chance.choice([0.5, 3, 10, 100]), a_program(chance, size - 1)]
        case 11:
            return ["waited_for", chance.choice([0.5, 3, 10, 100]), a_program(chance, size - 1)]
        case 12:
            return [chance.choice(["shielded", "forgiving", "stubborn", "spawn"]), a_program(chance, size - 1)]
        case 13:
            return ["tidy", a_program(chance, size - 1), _leaf(chance)]
        case 14:
            return ["update", chance.choice(UPDATES), a_program(chance, min(2, size - 1))]
        case _:
            return ["gathers", *_several(chance, size)]


def _several(chance: random.Random, size: int) -> list[Program]:
    parts = chance.randint(2, min(4, size))
    return [a_program(chance, size // parts) for _ in range(parts)]


def _leaf(chance: random.Random) -> Program:
    match chance.randrange(38):
        case 34 | 35:
            return ["stream", chance.randint(0, 9), chance.choice(STREAMS), chance.random() < 0.3]
        case 36:
            return ["write", chance.choice(STREAMS), chance.randint(1, 3)]
        case 37:
            return ["tally", chance.choice("ab"), chance.randint(1, 3)]
        case 31 | 32 | 33:
            return ["talk", chance.randint(0, 9), chance.random() < 0.5]
        case 24 | 25:
            return litter(chance)
        case 26 | 27:
            return ["use", chance.randint(0, 9), chance.random() < 0.5]
        case 29 | 30:
            several = ["heavy", chance.randint(2, 3), chance.random() < 0.5]
            return chance.choice([several, several, ["heavy_signal", chance.choice(SIGNALS)], ["heavy_child", 1]])
        case 28:
            return ["cancelling", chance.randrange(6), chance.random() < 0.5]
        case 0 | 1 | 2:
            return ["step", chance.randint(0, 9)]
        case 3:
            return ["quick_step", chance.randint(0, 7)]
        case 4 | 5:
            return ["inline", chance.randint(0, 9)]
        case 6:
            return ["once", chance.randint(0, 7), chance.random() < 0.5]
        case 7:
            return ["once_or_more", chance.randint(4, 8), chance.random() < 0.5]
        case 8:
            return ["limited_step", chance.randint(0, 9)]
        case 9:
            return chance.choice([["beating", chance.randint(0, 4)], ["crowd", chance.randint(2, 6)]])
        case 10:
            kind = chance.choice(["plain", "pure", "unrecorded"])
            return [kind, chance.randint(0, 9), *([chance.random() < 0.5] if kind != "unrecorded" else [])]
        case 11:
            return ["child", chance.randint(0, 9)]
        case 12:
            kind = chance.choice(["kept", "patient"])
            return [kind, chance.randint(0, 5), chance.choice(["cancel", "terminate", "abandon"])]
        case 13:
            named = ["named", chance.choice(["left", "right"])]
            return chance.choice([["detached", chance.randint(0, 9)], named, named])
        case 14 | 15:
            return ["nap", chance.choice([0, 0.25, 3, 10, 100, 880, 950, 1_000, 1_800, 5_000, 90_000])]
        case 16 | 17:
            signal = ["signal", chance.choice(SIGNALS)]
            return chance.choice([signal, ["limited", chance.choice([1, 3, 10, 100]), signal]])
        case 18:
            return ["signals", chance.choice(SIGNALS), chance.randint(1, 2)]
        case 19:
            return ["hook", chance.choice(TOKENS), chance.randint(1, 2)]
        case 20:
            return ["patch", chance.choice(["first", "second"])]
        case 21:
            return ["attributes", chance.randint(0, 9)]
        case 22:
            return chance.choice([["steps_in_order", chance.randint(1, 3)], ["children_in_order", 2]])
        case _:
            return chance.choice([["chance"], ["sweep"], ["own_hook"], ["webhook"]])


def litter(chance: random.Random) -> Program:
    way = chance.choice(collector.WAYS)
    return ["litter", way, chance.choice(collector.ASYNC_KINDS if "async" in way else collector.KINDS)]


def an_order(chance: random.Random, order_id: str) -> dict[str, Any]:
    """The input of the example: one that goes well, or one of the ways in which it does not."""
    lines = [
        {"sku": chance.choice(["PEN", "INK", "INK", "SOLD-OUT"]), "quantity": 1, "unit_price": chance.choice([2, 600])}
        for _ in range(chance.randint(1, 3))
    ]
    card = chance.choice(["good", "good", "flaky", "declined"])
    customer = chance.choice(["ann", "ann", "ann", "nowhere"])
    return {"order": {"order_id": order_id, "customer": customer, "card": card, "lines": lines}}
