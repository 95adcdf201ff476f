"""Workflows that Hypothesis makes up: programs of what asyncio and Worldflow have, and one workflow that runs them."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from tests.support import collector
from tests.support.values import Refused, a_value, spoil, told
from worldflow import (
    FatalError,
    RetryableError,
    RetryPolicy,
    continue_as_new,
    create_hook,
    now,
    on_update,
    patched,
    random,
    set_attributes,
    sleep,
    step,
    step_info,
    uuid4,
    wait_for_signal,
    workflow,
    workflow_info,
)

Program = list[Any]
"""The name of an operation and its arguments, which may be programs."""

SIGNALS = ("a", "b")
UPDATES = ("add", "drop")
TOKENS = ("left", "right")


@step(name="generated.step", retry=RetryPolicy(max_attempts=3, initial_interval="5s"))
async def one_step(item: int) -> Any:
    """What becomes of it depends on `item`, where a system runs it; where a test drives the run, on the test."""
    match item:
        case 6:
            raise FatalError("a fatal error")
        case 7:
            raise Refused(a_value(step_info().attempt))
        case 8 if step_info().attempt == 1:
            raise RetryableError("later", retry_after=4)
        case 9 if step_info().attempt < 3:
            raise ConnectionError("again")
    return [item, step_info().attempt]


@step(name="generated.use", retry=RetryPolicy(max_attempts=2, initial_interval="5s"))
async def use(value: Any) -> Any:
    """Uses up what it is given, and then fails in every other first attempt."""
    given = copy.deepcopy(value)
    spoil(value)
    if given["n"] % 2 and step_info().attempt == 1:
        raise Refused(given)
    return given


moment: Callable[[], None] = lambda: None  # noqa: E731
"""Called now and then in workflows: a test may have something happen there."""


@contextmanager
def collections(wanted: Callable[[], bool]) -> Iterator[None]:
    """Lets the garbage collector work at those moments of workflows at which `wanted` says so, and nowhere else."""
    with collector.collections(wanted) as collect, mock.patch(f"{__name__}.moment", collect):
        yield


@workflow(name="generated.child")
async def child(item: int) -> Any:
    moment()
    value = await one_step(item)
    moment()
    await sleep(item)
    moment()
    return value


class Interpreter:
    """Runs a program. Its trace says what came of each operation, before what was given is used up."""

    def __init__(self) -> None:
        self.trace: list[str] = []
        self.background: list[asyncio.Task[Any]] = []

    async def run(self, program: Program) -> Any:
        name, *arguments = program
        moment()
        try:
            value = await getattr(self, name)(*arguments)
        except asyncio.CancelledError:
            self.trace.append(f"{name} cancelled")
            raise
        except Exception as error:
            self.trace.append(f"{name} {type(error).__name__}{told(error)}")
            spoil(error)
            raise
        self.trace.append(f"{name} {value}")
        spoil(value)
        return value

    # --- what may be waited for ---

    async def step(self, item: int) -> Any:
        return await one_step(item)

    async def quick_step(self, item: int) -> Any:
        return await one_step.options(inline=True, retry=RetryPolicy(max_attempts=1))(item)

    async def use(self, number: int, inline: bool) -> Any:
        value = a_value(number)
        task = asyncio.ensure_future(use.options(inline=inline)(value))
        await asyncio.sleep(0)
        spoil(value)
        return await task

    async def child(self, item: int) -> Any:
        return await child(item)

    async def detached(self, item: int) -> str:
        return child.start_detached(item)

    async def nap(self, seconds: float) -> str:
        await sleep(seconds)
        return now().isoformat()

    async def signal(self, name: str) -> Any:
        return await wait_for_signal(name)

    async def signals(self, name: str, count: int) -> list[Any]:
        values = []
        async for value in wait_for_signal(name):
            values.append(value)
            if len(values) == count:
                break
        return values

    async def hook(self, token: str, count: int) -> list[Any]:
        with create_hook(token=token) as hook:
            return [await hook for _ in range(count)]

    async def own_hook(self) -> Any:
        return await create_hook()

    async def update(self, name: str, program: Program) -> None:
        @on_update(name)
        async def handler(given: Any) -> str:
            said = f"{name} {given}"
            self.trace.append(said)
            spoil(given)
            await self.run(program)
            return said

    async def litter(self, way: str, kind: str) -> None:
        await collector.leave(way, kind)

    # --- what only looks ---

    async def chance(self) -> str:
        return f"{uuid4()} {random().random()} {workflow_info().history_length}"

    async def patch(self, change_id: str) -> Any:
        return await one_step(1) if patched(change_id) else None

    async def attributes(self, number: int) -> None:
        set_attributes(number=number, gone=None)

    # --- several at a time ---

    async def sequence(self, *programs: Program) -> None:
        for program in programs:
            await self.run(program)

    async def gather(self, return_exceptions: bool, *programs: Program) -> int:
        return len(await asyncio.gather(*map(self.run, programs), return_exceptions=return_exceptions))

    async def gathers(self, *programs: Program) -> None:
        gathers = [asyncio.gather(self.run(program), self.run(["nap", 7])) for program in programs]
        _, pending = await asyncio.wait(gathers, return_when=asyncio.FIRST_COMPLETED)
        for gathering in pending:
            gathering.cancel()
        await asyncio.gather(*gathers, return_exceptions=True)

    async def group(self, *programs: Program) -> None:
        async with asyncio.TaskGroup() as group:
            for program in programs:
                group.create_task(self.run(program))

    async def first(self, *programs: Program) -> None:
        done, pending = await asyncio.wait(
            [asyncio.create_task(self.run(program)) for program in programs], return_when=asyncio.FIRST_COMPLETED
        )
        for task in pending:
            task.cancel()
        for task in done:
            await task

    async def in_order(self, *programs: Program) -> None:
        for earliest in asyncio.as_completed([self.run(program) for program in programs]):
            await earliest

    async def steps_in_order(self, count: int) -> list[Any]:
        return [await earliest for earliest in asyncio.as_completed([one_step(n) for n in range(count)])]

    async def children_in_order(self, count: int) -> list[Any]:
        return [await earliest for earliest in asyncio.as_completed([child(n) for n in range(count)])]

    async def bounded(self, limit: int, *programs: Program) -> None:
        semaphore = asyncio.Semaphore(limit)

        async def one(program: Program) -> None:
            async with semaphore:
                await self.run(program)

        await asyncio.gather(*map(one, programs))

    # --- around another one ---

    async def limited(self, seconds: float, program: Program) -> None:
        async with asyncio.timeout(seconds):
            await self.run(program)

    async def waited_for(self, seconds: float, program: Program) -> None:
        await asyncio.wait_for(self.run(program), seconds)

    async def shielded(self, program: Program) -> None:
        await asyncio.shield(self.run(program))

    async def forgiving(self, program: Program) -> None:
        with suppress(Exception, ExceptionGroup):
            await self.run(program)

    async def stubborn(self, program: Program) -> None:
        with suppress(asyncio.CancelledError):
            await self.run(program)

    async def tidy(self, program: Program, cleanup: Program) -> None:
        try:
            await self.run(program)
        finally:
            await self.run(cleanup)

    async def spawn(self, program: Program) -> None:
        self.background.append(asyncio.create_task(self.run(program)))

    async def sweep(self) -> None:
        for task in self.background:
            task.cancel()
        await asyncio.gather(*self.background, return_exceptions=True)


@workflow(name="generated.run")
async def interpreted(program: Any, then: list[Any], strict: bool = False, trace: list[str] | None = None) -> list[str]:
    """Runs `program`, and then each of `then` in a generation of its own. strict: what fails fails the run."""
    interpreter = Interpreter()
    interpreter.trace += trace or []
    spoil(trace)
    with suppress(*(() if strict else (Exception, ExceptionGroup))):
        await interpreter.run(program)
    if then:
        continue_as_new(then[0], then[1:], strict, interpreter.trace)
    return interpreter.trace


# --- strategies ----------------------------------------------------------------------------------------------------

litter: st.SearchStrategy[Program] = st.one_of(
    st.tuples(st.sampled_from(collector.WAYS[:2]), st.sampled_from(collector.KINDS)),
    st.tuples(st.sampled_from(collector.WAYS[2:]), st.sampled_from(collector.ASYNC_KINDS)),
).map(lambda given: ["litter", *given])
_leaves = st.one_of(
    st.integers(0, 9).map(lambda item: ["step", item]),
    st.integers(0, 7).map(lambda item: ["quick_step", item]),
    st.tuples(st.integers(0, 9), st.booleans()).map(lambda given: ["use", *given]),
    st.integers(0, 9).map(lambda item: ["child", item]),
    st.integers(0, 9).map(lambda item: ["detached", item]),
    st.sampled_from([0, 0.25, 3, 10]).map(lambda seconds: ["nap", seconds]),
    st.sampled_from(SIGNALS).map(lambda name: ["signal", name]),
    st.tuples(st.sampled_from(SIGNALS), st.integers(1, 2)).map(lambda given: ["signals", *given]),
    st.tuples(st.sampled_from(TOKENS), st.integers(1, 2)).map(lambda given: ["hook", *given]),
    st.integers(1, 5).map(lambda count: ["steps_in_order", count]),
    st.integers(1, 3).map(lambda count: ["children_in_order", count]),
    st.sampled_from(["new", "newer"]).map(lambda change_id: ["patch", change_id]),
    st.integers(0, 9).map(lambda number: ["attributes", number]),
    st.sampled_from([["chance"], ["sweep"], ["own_hook"]]),
    litter,
)


def _operations(children: st.SearchStrategy[Program]) -> st.SearchStrategy[Program]:
    several = st.lists(children, min_size=1, max_size=4)
    seconds = st.sampled_from([0, 0.5, 3, 10])

    def operation(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Program]:
        return st.tuples(*arguments).map(lambda values: [name, *values])

    def operation_on_several(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Program]:
        return st.tuples(*arguments, several).map(lambda values: [name, *values[:-1], *values[-1]])

    return st.one_of(
        operation_on_several("sequence"),
        operation_on_several("gather", st.booleans()),
        operation_on_several("gathers"),
        operation_on_several("group"),
        operation_on_several("first"),
        operation_on_several("in_order"),
        operation_on_several("bounded", st.integers(1, 2)),
        operation("limited", seconds, children),
        operation("waited_for", seconds, children),
        operation("shielded", children),
        operation("forgiving", children),
        operation("stubborn", children),
        operation("tidy", children, children),
        operation("spawn", children),
        operation("update", st.sampled_from(UPDATES), children),
    )


small_programs: st.SearchStrategy[Program] = st.recursive(_leaves, _operations, max_leaves=4)
_large_programs: st.SearchStrategy[Program] = st.recursive(_leaves, _operations, max_leaves=12)
_busy_programs = st.tuples(
    st.sampled_from([["gather", True], ["group"], ["sequence"], ["first"]]),
    st.lists(_large_programs, min_size=2, max_size=5),
).map(lambda given: [*given[0], *given[1]])
programs: st.SearchStrategy[Program] = st.one_of(_large_programs, _busy_programs)
