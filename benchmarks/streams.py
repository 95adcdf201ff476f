"""How long tokens take from a step to a reader, and what they ask of AWS: `python -m benchmarks streams`.

A step writes 500 tokens in ten seconds, each with the time at which it is written. Writer and reader are on one
machine, so the reader knows how old each token is. The first one counts by itself: it is written at once, and those
after it wait for each other.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deployed import deployed
from benchmarks.results import Section
from benchmarks.streams_flow import Token, answer
from worldflow import StreamItem
from worldflow.devtools.stack import Stack
from worldflow.runtime import Orchestrator, RunHandle
from worldflow.settings import Settings
from worldflow.worker import Worker
from worldflow.worlds import AWSWorld, LocalWorld

TIMES = 5
TOKENS, A_SECOND = 500, 50
FLOW = Path(__file__).with_name("streams_flow.py")
COMMAND = "make build; python -m benchmarks streams"

Start = Callable[[str, int], Awaitable[RunHandle]]
Read = Callable[[RunHandle], AsyncIterator[Token]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ages:
    """How old tokens are when they are read, in milliseconds."""

    first: Sequence[float]
    """The first token of each of several runs."""
    since_start: Sequence[float]
    """The time from the call that started the run to its first token."""
    all: Sequence[float]
    """All tokens of one run."""

    def row(self, name: str) -> list[str]:
        figures = (
            statistics.median(self.since_start),
            statistics.median(self.first),
            statistics.median(self.all),
            statistics.quantiles(self.all, n=20)[-1],
        )
        return [name, *(f"{figure:,.0f}" for figure in figures)]


async def measure(start: Start, read: Read) -> Ages:
    await _ages(start, read, "warm-up", 10)
    firsts = [await _ages(start, read, f"first-{number}", 1) for number in range(TIMES)]
    _, ages = await _ages(start, read, "all", TOKENS)
    return Ages(first=[ages[0] for _, ages in firsts], since_start=[since for since, _ in firsts], all=ages)


async def _ages(start: Start, read: Read, run_id: str, tokens: int) -> tuple[float, list[float]]:
    began = time.time()
    run, ages, since_start = await start(run_id, tokens), list[float](), 0.0
    async for token in read(run):
        now = time.time()
        since_start = since_start or (now - began) * 1_000
        ages.append((now - token["at"]) * 1_000)
    if len(ages) != tokens:
        raise RuntimeError(f"{run_id}: {len(ages)} tokens of {tokens}")
    return since_start, ages


async def tokens_of(run: RunHandle) -> AsyncIterator[Token]:
    async for item in run.stream("answer", Token):
        if not isinstance(item, StreamItem):
            raise RuntimeError(f"{run}: {item}")
        yield item.value


async def locally(file: Path) -> Ages:
    with closing(LocalWorld(file)) as world:

        async def start(run_id: str, tokens: int) -> RunHandle:
            given = {"tokens": tokens, "a_second": A_SECOND}
            return await Orchestrator(world).start_workflow(run_id, answer, given)

        async with Worker(world):
            return await measure(start, tokens_of)


class OnAWS:
    """On a stack. What runs write is counted, and what readers ask for is not."""

    def __init__(self, stack: Stack, name: str) -> None:
        settings = Settings.from_environment(stack.environment)
        self._stack, self._name = stack, name
        self._world = AWSWorld(settings, session=stack.aws.observer())

    async def start(self, run_id: str, tokens: int) -> RunHandle:
        given = {"tokens": tokens, "a_second": A_SECOND}
        return await Orchestrator(self._world).start_workflow(f"{self._name}-{run_id}", "bench_tokens", given)

    async def by_http(self, run: RunHandle) -> AsyncIterator[Token]:
        """As a browser reads with a signed URL, which comes back when an answer is over."""
        url, last = await run.stream_url("answer"), ""
        while not last.endswith("-end"):
            response = await asyncio.to_thread(self._stack.read_stream, url, last)
            retry = 0
            for line in response.body.splitlines():
                name, _, value = line.partition(": ")
                match name:
                    case "retry":
                        retry = int(value)
                    case "id":
                        last = value
                    case "data" if not last.endswith("-end"):
                        yield json.loads(value)["value"]
            await asyncio.sleep(0 if last.endswith("-end") else retry / 1_000)


def sections() -> Iterator[Section]:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        rows = [asyncio.run(locally(Path(folder) / "world.db")).row("LocalWorld")]
    with deployed("streams_flow", FLOW.read_text()) as stack:
        python, browser = OnAWS(stack, "python"), OnAWS(stack, "browser")
        rows.append(asyncio.run(measure(python.start, tokens_of)).row("local AWS, read with Python"))
        rows.append(asyncio.run(measure(browser.start, browser.by_http)).row("local AWS, read by a signed URL"))
        yield Section(
            title="Streams",
            command=COMMAND,
            how=HOW,
            columns=(
                "",
                "start to first token, ms",
                "first token, ms",
                f"{TOKENS} tokens: p50, ms",
                f"{TOKENS} tokens: p95, ms",
            ),
            rows=rows,
        )
        yield asyncio.run(_requests(stack))


async def _requests(stack: Stack) -> Section:
    """What a stream adds to a run."""
    counted = []
    for tokens in (0, 1, TOKENS):
        await asyncio.sleep(2)
        stack.aws.reset_usage()
        run = await OnAWS(stack, f"counted-{tokens}").start("run", tokens)
        await run.result(timeout=60)
        await asyncio.sleep(2)
        usage = stack.aws.usage()
        made = {operation: usage.requests.get(("dynamodb", operation), 0) for operation in WRITES}
        counted.append((tokens, made, usage.write_units))
    _, none, no_units = counted[0]
    rows = [
        [
            f"{tokens:,} tokens, {A_SECOND} a second",
            *(str(made[operation] - none[operation]) for operation in WRITES),
            f"{units - no_units:,.0f}",
        ]
        for tokens, made, units in counted[1:]
    ]
    return Section(
        title="What a stream adds to a run",
        command=COMMAND,
        how="The requests and write units of a run whose step writes so many tokens, less those of one that writes "
        "none.",
        columns=("", *WRITES, "write units"),
        rows=rows,
    )


WRITES = ("PutItem", "UpdateItem", "Query")
HOW = (
    f"A step writes {TOKENS} tokens, {A_SECOND} a second, and each carries the time at which it was written; writer "
    "and reader are on one machine. The first token is the median of five runs in warm processes; it is sent at once, "
    "and the others every 100 ms. Read with Python: `RunHandle.stream`, for which a `LocalWorld` is in the worker's "
    "process. By a signed URL: short answers of the deployed API, as a browser's `EventSource` asks for them, 250 ms "
    "after the last."
)
