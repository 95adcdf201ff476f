"""The deployed template against the Step Functions of the same local AWS: `python -m benchmarks step_functions`.

Both run the same steps, which do nothing, in Lambda functions of that local AWS. How quick AWS's own are, this does not
say: the emulator's Step Functions keep a run in memory, and write nothing.
"""

from __future__ import annotations

import asyncio
import io
import json
import statistics
import time
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from benchmarks.deployed import deployed
from benchmarks.results import Section
from worldflow.devtools.local_aws import LocalAws
from worldflow.devtools.stack import Stack, parameters_of_this_machine
from worldflow.engine.history import StepScheduled
from worldflow.runtime import Orchestrator, RunHandle
from worldflow.settings import Settings
from worldflow.worlds import AWSWorld

FLOW = Path(__file__).with_name("bench_flow.py")
MEMORY = 512  # what the template gives the step executor, in MB
SEQUENCES = {10: 10, 50: 4}
"""Steps of a run, and how many such runs are measured, one after the other."""
AT_ONCE, STEPS_AT_ONCE = 20, 10
POLL = 0.02


class Engine(Protocol):
    """What runs steps."""

    name: str

    async def run(self, run_id: str, steps: int) -> None:
        """Runs so many steps, one after the other, to the end."""

    def moments(self, run_id: str) -> Sequence[datetime]:
        """When each of a run's steps was asked for."""


class Worldflow:
    def __init__(self, stack: Stack, kind: str) -> None:
        self.name = f"Worldflow, {kind}"
        self._kind = kind
        settings = Settings.from_environment(stack.environment)
        self._world = AWSWorld(settings, session=stack.aws.observer())

    async def run(self, run_id: str, steps: int) -> None:
        run_id = f"{self._kind}-{run_id}"
        given = {"kind": self._kind, "count": steps}
        await Orchestrator(self._world).start_workflow(run_id, "bench_sequence", given)
        while await RunHandle(self._world, run_id).status() != "completed":
            await asyncio.sleep(POLL)

    def moments(self, run_id: str) -> Sequence[datetime]:
        events = self._world.read_events(f"{self._kind}-{run_id}")
        return [event.at for event in events if isinstance(event, StepScheduled)]


class StepFunctions:
    name = "Step Functions"

    def __init__(self, aws: LocalAws) -> None:
        self._states: Any = aws.client("stepfunctions")
        role: Any = aws.client("iam").create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(TRUST))
        self._role = role["Role"]["Arn"]
        runtime, architecture = (parameter.partition("=")[2] for parameter in parameters_of_this_machine())
        self._function = aws.client("lambda").create_function(
            FunctionName="bench-step",
            Runtime=runtime,
            Architectures=[architecture],
            Handler="step.handler",
            Role=self._role,
            MemorySize=MEMORY,
            Code={"ZipFile": _zipped("step.py", STEP)},
        )["FunctionArn"]
        self._machines: dict[int, str] = {}
        self._runs: dict[str, str] = {}

    async def run(self, run_id: str, steps: int) -> None:
        machine = self._machines.get(steps) or self._create(steps)
        started = await asyncio.to_thread(self._states.start_execution, stateMachineArn=machine, name=run_id, input="0")
        self._runs[run_id] = started["executionArn"]
        while True:
            execution = await asyncio.to_thread(self._states.describe_execution, executionArn=self._runs[run_id])
            if execution["status"] == "SUCCEEDED" and execution["output"] == str(steps):
                return  # each of its steps was run by the function
            if execution["status"] != "RUNNING":
                raise RuntimeError(f"{run_id}: {execution}")
            await asyncio.sleep(POLL)

    def moments(self, run_id: str) -> Sequence[datetime]:
        pages = self._states.get_paginator("get_execution_history").paginate(executionArn=self._runs[run_id])
        events = [event for page in pages for event in page["events"]]
        return [event["timestamp"] for event in events if event["type"] == "TaskStateEntered"]

    def _create(self, steps: int) -> str:
        names = [f"Step{number}" for number in range(1, steps + 1)]
        states: dict[str, Any] = {name: {"Type": "Task", "Resource": self._function} for name in names}
        for name, following in pairwise(names):
            states[name]["Next"] = following
        states[names[-1]]["End"] = True
        definition = json.dumps({"StartAt": names[0], "States": states})
        created = self._states.create_state_machine(
            name=f"bench-{steps}", definition=definition, roleArn=self._role, type="STANDARD"
        )
        self._machines[steps] = created["stateMachineArn"]
        return self._machines[steps]


STEP = "def handler(number, context):\n    return number + 1\n"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["states.amazonaws.com", "lambda.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}


def _zipped(name: str, text: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, text)
    return data.getvalue()


async def measure(engine: Engine) -> list[str]:
    """The row of one engine."""
    await _at_once(engine, "warm-up")
    cells = []
    for steps, runs in SEQUENCES.items():
        took = []
        for number in range(runs):
            run_id = f"{steps}-{number}"
            await engine.run(run_id, steps)
            took += [(after - before).total_seconds() * 1_000 for before, after in pairwise(engine.moments(run_id))]
        cells += [f"{statistics.median(took):.1f}", f"{statistics.quantiles(took, n=20)[-1]:.1f}"]
    seconds = await _at_once(engine, "measured")
    return [engine.name, *cells, f"{AT_ONCE / seconds:.1f}"]


async def _at_once(engine: Engine, name: str) -> float:
    """Seconds that many runs take together."""
    began = time.monotonic()
    await asyncio.gather(*(engine.run(f"{name}-{number}", STEPS_AT_ONCE) for number in range(AT_ONCE)))
    return time.monotonic() - began


def sections() -> Iterator[Section]:
    with deployed("bench_flow", FLOW.read_text()) as stack:
        engines: list[Engine] = [Worldflow(stack, "queued"), Worldflow(stack, "inline"), StepFunctions(stack.aws)]
        rows = [asyncio.run(measure(engine)) for engine in engines]
    sequences = [f"{steps} steps: {name}, ms" for steps in SEQUENCES for name in ("p50", "p95")]
    yield Section(
        title="On the local AWS, beside its Step Functions",
        command="python -m benchmarks step_functions",
        how=HOW,
        columns=("", *sequences, f"{AT_ONCE} runs of {STEPS_AT_ONCE} steps at once, runs a second"),
        rows=rows,
    )


HOW = (
    "The deployed template and a Standard state machine with Lambda tasks, in one process of the same local AWS, with "
    "steps that do nothing. A step's latency is the time from when it was asked for to when the next one was, by the "
    "histories of both: runs of 10 and 50 steps, one after the other, in warm functions. Runs a second are those of "
    "many at once, from the first start to the last end, which is looked for 50 times a second. The emulator's Step "
    "Functions call a function in the emulator itself, keep their history in its memory, and wait 150 ms before a run "
    "begins, which is in the runs a second and in no latency; Worldflow's steps write to its DynamoDB and pass its "
    "queues, as on AWS. How quick AWS is, neither says."
)
