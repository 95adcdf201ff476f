"""Many runs at once on a local AWS: all complete, no step runs twice, and how long it took. `make load RUNS= STEPS=`.

    python -m benchmarks.load --runs 1000 --steps 10

Starts a local AWS with IAM enforced, deploys what `make build` has built, starts all runs with the library as an
application would, waits until all have ended, and then compares every history with what the steps noted themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.deployed import deployed
from worldflow.devtools.stack import Stack
from worldflow.engine.history import Event
from worldflow.runtime import Orchestrator
from worldflow.settings import Settings
from worldflow.worlds import AWSWorld

FLOW = Path(__file__).with_name("load_flow.py")
FUNCTIONS = ("OrchestratorFunction", "StepExecutorFunction", "SignalFunction")


class Doubled(Exception):
    """Something was lost, or done twice; the message says what."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--parameters", nargs="*", default=[], metavar="NAME=VALUE", help="of the template")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="load-") as temporary:
        notes = Path(temporary) / "notes"
        with deployed("load_flow", flow(notes), options.parameters) as stack:
            try:
                for line in measure(stack, notes, options.runs, options.steps):
                    print(line, flush=True)
            except Doubled as error:
                sys.exit(f"The load has broken a promise: {error}")


def flow(notes: Path) -> str:
    """The workflow's module, which notes there what it does."""
    return FLOW.read_text().replace('NOTES = ""', f"NOTES = {str(notes)!r}", 1)


def measure(stack: Stack, notes: Path, runs: int, steps: int, patience: float = 3600) -> Iterable[str]:
    """Runs the load, and yields lines of what came of it. Raises `Doubled`."""
    world = AWSWorld(Settings.from_environment(stack.environment), session=stack.aws.observer())
    run_ids = [f"load-{number}" for number in range(runs)]
    stack.aws.reset_usage()
    processors = Processors(stack)
    began = time.monotonic()
    asyncio.run(start_all(world, run_ids, steps))
    yield f"{runs} runs of {steps} steps, started in {time.monotonic() - began:.1f} s"

    deadline = began + patience
    noted = 0
    while noted < runs * steps or any(world.read_run(run_id).status == "running" for run_id in run_ids):
        noted = notes.read_bytes().count(b"\n") if notes.exists() else 0
        if time.monotonic() > deadline:
            raise Doubled(f"after {patience:g} s, {noted} of {runs * steps} steps have run")
        time.sleep(1)
    elapsed = time.monotonic() - began
    used = processors.used()
    usage = stack.aws.usage()

    histories = {run_id: world.read_events(run_id) for run_id in run_ids}
    for run_id, events in histories.items():
        check_history(run_id, events, steps)
    check_notes(notes, run_ids, steps)
    yield f"all ended in {elapsed:.0f} s: {runs / elapsed:.1f} runs/s, {runs * steps / elapsed:.1f} steps/s"
    yield f"open at once: {most_at_once(histories.values())}"
    yield f"messages received again: {sum(n for (_, fate), n in usage.deliveries.items() if fate == 'received again')}"
    requests = Counter[str]()
    for (service, _), count in usage.requests.items():
        requests[service] += count
    yield "requests a step: " + ", ".join(
        f"{service} {n / runs / steps:.1f}" for service, n in sorted(requests.items())
    )
    shares = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in used.items())
    yield f"processor time: {shares}; {sum(used.values()) / elapsed:.1f} of {os.cpu_count()} processors"


async def start_all(world: AWSWorld, run_ids: Sequence[str], steps: int) -> None:
    orchestrator, at_once = Orchestrator(world), asyncio.Semaphore(8)

    async def start(run_id: str) -> None:
        async with at_once:
            await orchestrator.start_workflow(run_id, "count_to", {"steps": steps})

    await asyncio.gather(*map(start, run_ids))


def check_history(run_id: str, events: Sequence[Event], steps: int) -> None:
    found = Counter(event.event_type for event in events)
    expected = {"RunStarted": 1, "StepScheduled": steps, "StepCompleted": steps, "RunCompleted": 1}
    if found != expected:
        raise Doubled(f"the history of {run_id} has {dict(found)}, and not {expected}")
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        raise Doubled(f"the history of {run_id} has gaps")
    if events[-1].payload["result"] != steps:
        raise Doubled(f"{run_id} came to {events[-1].payload['result']}, and not {steps}")


def check_notes(notes: Path, run_ids: Sequence[str], steps: int) -> None:
    ran = Counter(tuple(line.split()[:2]) for line in notes.read_text().splitlines())
    expected = {(run_id, f"s{number}") for run_id in run_ids for number in range(1, steps + 1)}
    if strange := ran.keys() ^ expected:
        raise Doubled(f"steps that did not run, or that nobody asked for: {sorted(strange)[:10]}")
    if twice := [step for step, count in ran.items() if count > 1]:
        raise Doubled(f"steps that ran more than once: {twice[:10]}")


def most_at_once(histories: Iterable[Sequence[Event]]) -> int:
    moments: list[tuple[datetime, int]] = []
    for events in histories:
        moments += [(events[0].at, 1), (events[-1].at, -1)]
    most = now = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most


class Processors:
    """Processor time of the emulator, of each function's processes and of this one."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._before = self._read()

    def used(self) -> dict[str, float]:
        return {name: seconds - self._before.get(name, 0) for name, seconds in self._read().items()}

    def _read(self) -> dict[str, float]:
        aws = self._stack.aws
        pids = {name: aws.worker_pids(self._stack.outputs[f"{name}Name"]) for name in FUNCTIONS}
        return {
            "emulator": _processor_time([aws.pid]),
            **{name: _processor_time(found) for name, found in pids.items()},
            "this process": time.process_time(),
        }


def _processor_time(pids: Sequence[int]) -> float:
    if not pids:
        return 0.0
    command = ["ps", "-o", "time=", "-p", ",".join(map(str, pids))]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return sum(_seconds(line) for line in lines)


def _seconds(clock: str) -> float:
    """`[days-]hours:minutes:seconds`, of which BSD leaves out the hours."""
    days, _, rest = clock.rpartition("-")
    total: Any = 0.0
    for part in rest.split(":"):
        total = total * 60 + float(part)
    return total + 86_400 * int(days or 0)


if __name__ == "__main__":
    main()
