"""Any workflow, made of what asyncio has, decides the same on every replay, in whatever order the facts come."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.driver import Driver
from tests.support.steps import work
from worldflow import RetryPolicy, now, random, sleep, step, uuid4, wait_for_signal, workflow

Program = list[Any]

SIGNALS = ("a", "b")


@step(retry=RetryPolicy(max_attempts=3, initial_interval="5s"))
async def flaky_work(item: Any) -> Any: ...


class Interpreter:
    """Runs a program: a list of the name of an operation and its arguments, which may be programs."""

    def __init__(self) -> None:
        self.trace: list[str] = []
        self.background: list[asyncio.Task[Any]] = []

    async def run(self, program: Program) -> Any:
        name, *arguments = program
        try:
            value = await getattr(self, name)(*arguments)
        except asyncio.CancelledError:
            self.trace.append(f"{name} cancelled")
            raise
        except Exception as error:
            self.trace.append(f"{name} {type(error).__name__}")
            raise
        self.trace.append(f"{name} {value}")
        return value

    async def step(self, item: int) -> Any:
        return await work(item)

    async def flaky(self, item: int) -> Any:
        return await flaky_work(item)

    async def nap(self, seconds: float) -> str:
        await sleep(seconds)
        return now().isoformat()

    async def chance(self) -> str:
        return f"{uuid4()} {random().random()}"

    async def signal(self, name: str) -> Any:
        return await wait_for_signal(name)

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
        return [await earliest for earliest in asyncio.as_completed([work(n) for n in range(count)])]

    async def limited(self, seconds: float, program: Program) -> None:
        async with asyncio.timeout(seconds):
            await self.run(program)

    async def waited_for(self, seconds: float, program: Program) -> None:
        await asyncio.wait_for(self.run(program), seconds)

    async def bounded(self, limit: int, *programs: Program) -> None:
        semaphore = asyncio.Semaphore(limit)

        async def one(program: Program) -> None:
            async with semaphore:
                await self.run(program)

        await asyncio.gather(*map(one, programs))

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


@workflow
async def interpreted(program: Any) -> list[str]:
    interpreter = Interpreter()
    with suppress(Exception, ExceptionGroup):
        await interpreter.run(program)
    return interpreter.trace


def programs(children: st.SearchStrategy[Program]) -> st.SearchStrategy[Program]:
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
    )


leaves = st.one_of(
    st.integers(0, 9).map(lambda item: ["step", item]),
    st.integers(0, 9).map(lambda item: ["flaky", item]),
    st.sampled_from([0, 0.25, 3, 10]).map(lambda seconds: ["nap", seconds]),
    st.sampled_from(SIGNALS).map(lambda name: ["signal", name]),
    st.integers(1, 5).map(lambda count: ["steps_in_order", count]),
    st.sampled_from([["chance"], ["sweep"]]),
)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs fail without anybody looking, on every replay again."""
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


# A `finally` of a disposed execution that fans out leaves the coroutines that it made.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=st.recursive(leaves, programs, max_leaves=12), data=st.data())
def test_every_replay_decides_the_same(program: Program, data: st.DataObject):
    run = Driver(interpreted, program)
    try:
        for _ in range(25):
            if run.ended:
                break
            step_into(run, data)
        if run.ended and "CancelRequested" not in {event.event_type for event in run.history}:
            assert isinstance(run.result(), list)
    finally:
        run.close()


def step_into(run: Driver, data: st.DataObject) -> None:
    """Something happens to the run."""
    choices = [*run.open_steps()] * 2 + [*run.state.timers] + [f"signal {name}" for name in SIGNALS]
    if not run.state.cancel_requested and data.draw(st.integers(0, 9), label="cancel at 9") == 9:
        choices = ["cancel"]
    match data.draw(st.sampled_from(choices), label="what happens").split():
        case ["cancel"]:
            run.cancel()
        case ["signal", name]:
            run.signal(name, len(run.history))
        case [id] if id in run.state.timers:
            run.fire(id)
        case [id]:
            if data.draw(st.booleans(), label="succeeds"):
                run.complete(id, f"result of {id}")
            else:
                run.fail(id, ValueError(id), retryable=data.draw(st.booleans(), label="retryable"))
