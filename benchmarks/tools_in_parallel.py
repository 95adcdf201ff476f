"""How long an agent takes whose five tools take a second each: `python -m benchmarks tools_in_parallel`.

On a local AWS, with warm functions. From the request that starts the run until its result is in its record.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results import Section
from benchmarks.tools_in_parallel_flow import SECONDS, TOOLS
from tools.agent.deployment import build, deployed
from worldflow.devtools.local_aws import LocalAws
from worldflow.devtools.stack import Stack
from worldflow.engine.history import StepCompleted, StepScheduled
from worldflow.settings import Settings
from worldflow.worlds import AWSWorld

TIMES = 5
WARM_UPS = 2
PATIENCE = 60.0
CODE = Path(__file__).with_name("tools_in_parallel_flow.py")


def one_run(stack: Stack, world: AWSWorld, run_id: str) -> float:
    """Seconds."""
    began = time.perf_counter()
    started = stack.call("POST", "/runs", {"workflow": "bench_agent", "run_id": run_id, "input": {}})
    assert started.status == 201, started
    while (record := world.read_run(run_id)).status != "completed":
        assert not record.ended and time.perf_counter() < began + PATIENCE, record
        time.sleep(0.02)
    assert record.result == str(TOOLS), record
    return time.perf_counter() - began


def steps_of(world: AWSWorld, run_id: str) -> float:
    """Seconds from when the first step was scheduled until the last one had ended."""
    events = world.read_events(run_id)
    first = next(event.at for event in events if isinstance(event, StepScheduled))
    last = max(event.at for event in events if isinstance(event, StepCompleted))
    return (last - first).total_seconds()


def sections() -> Iterator[Section]:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        folder = Path(temporary)
        template = build(folder, workflows={CODE.name: CODE.read_text()})
        with LocalAws(folder / "local-aws") as aws:
            stack = deployed(aws, template)
            os.environ.update(aws.env)
            world = AWSWorld(Settings.from_environment(stack.environment), session=aws.observer())
            for number in range(WARM_UPS):
                one_run(stack, world, f"warm-up-{number}")
            runs = [f"run-{number}" for number in range(TIMES)]
            took = [one_run(stack, world, run_id) for run_id in runs]
            steps = [steps_of(world, run_id) for run_id in runs]
    rows = [
        ["from the request to the result", f"{statistics.median(took):.2f}", f"{max(took):.2f}"],
        ["from the first step to the end of the last", f"{statistics.median(steps):.2f}", f"{max(steps):.2f}"],
    ]
    yield Section(
        title="An agent's tools side by side",
        command="python -m benchmarks tools_in_parallel",
        how=f"Two requests to a model that answers at once, and between them {TOOLS} tools of {SECONDS:g} s each, on a "
        f"local AWS with warm functions. {TIMES} runs, one after the other.",
        columns=["seconds", "median", "slowest"],
        rows=rows,
    )
