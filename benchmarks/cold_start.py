"""What a cold start imports: `python -m benchmarks cold_start`.

The imports of each function beyond those of boto3, which the Lambda runtime brings, by `python -X importtime`; and how
large its layers are. The layers are those that `make build` has built.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results import Section

ROOT = Path(__file__).parents[1]
BUILT = ROOT / ".local-aws/build"
FUNCTIONS = ("orchestrator", "step_executor", "signal", "caretaker")
TIMES = 7
COMMAND = "python -m benchmarks cold_start"

LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| ")
BETWEEN = "--- boto3 is there"
CODE = f"import sys, boto3; sys.stderr.write('{BETWEEN}\\n'); import app"
LIBRARIES = f"""
import sys, boto3
sys.stderr.write('{BETWEEN}\\n')
import gc; gc.disable()
import asyncio, aws_lambda_powertools, pydantic
type("Model", (pydantic.BaseModel,), {{"__annotations__": {{}}}})
"""
"""What no handler can do without, as handlers import it, and a first model, which imports half of pydantic."""
QUEUES = "https://sqs.us-east-1.amazonaws.com/123456789012"
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_SERVICE_NAME": "bench",
    "POWERTOOLS_METRICS_NAMESPACE": "Worldflow",
    "WORLDFLOW_TRACING": "Off",
    "WORLDFLOW_EVENTS_TABLE": "events",
    "WORLDFLOW_RUNS_TABLE": "runs",
    "WORLDFLOW_RUN_QUEUE_URL": f"{QUEUES}/runs.fifo",
    "WORLDFLOW_STEP_QUEUE_URL": f"{QUEUES}/steps.fifo",
    "WORLDFLOW_TIMER_QUEUE_URL": f"{QUEUES}/timers",
}


def imports(function: str, code: str = CODE) -> tuple[float, float]:
    """Milliseconds of boto3's imports, and of the function's beyond them: the quickest of some."""
    path = [ROOT / "layers/worldflow", ROOT / "layers/workflows", ROOT / "functions" / function]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(map(str, path))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    found = []
    for _ in range(TIMES):
        command = [sys.executable, "-X", "importtime", "-c", code]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        boto3, _, own = run.stderr.partition(BETWEEN)
        found.append((_total(own), _total(boto3)))
    own_time, boto3_time = min(found)
    return boto3_time, own_time


def _total(text: str) -> float:
    return sum(int(taken) for taken in LINE.findall(text)) / 1_000


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def sections() -> Iterator[Section]:
    measured = {function: imports(function) for function in FUNCTIONS}
    measured["the libraries alone"] = imports(FUNCTIONS[0], LIBRARIES)
    rows = [[name, f"{own:.0f}", f"{boto3:.0f}", f"{own / boto3:.2f}"] for name, (boto3, own) in measured.items()]
    yield Section(
        title="A cold start's imports",
        command=COMMAND,
        how=(
            f"By `python -X importtime`, the quickest of {TIMES}, with bytecode and without tracing. The workflows of "
            "the examples are among them. The libraries are Powertools, pydantic with a first model, and asyncio."
        ),
        columns=["", "ms over boto3", "boto3 alone, ms", "times boto3"],
        rows=rows,
    )
    layers = sorted(BUILT.glob("*Layer"))
    yield Section(
        title="Layers",
        command=f"make build; {COMMAND}",
        how="Unzipped, with bytecode; Lambda takes 250 MB with the function's own code.",
        columns=["", "MB"],
        rows=[[layer.name, f"{size(layer) / 1e6:.1f}"] for layer in layers],
    )
