import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.conftest import FLOWS, Cli

ROOT = Path(__file__).parents[3]
PATH = os.pathsep.join([str(ROOT), *sys.path])


@pytest.fixture
def worker(cli: Cli) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "worldflow", "worker", "--local", str(cli.file), "-w", FLOWS, "--json"]
    environment = {**os.environ, "PYTHONPATH": PATH}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["local"] == str(cli.file)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_takes_turns_and_runs_steps_and_ends_in_peace(
    cli: Cli, worker: subprocess.Popen[str], number: signal.Signals
):
    ended = cli.json("start", "tomorrow", "--input", '{"day": "2026-02-28"}', "--wait")
    assert ended["result"] == "2026-03-01"
    worker.send_signal(number)
    _, errors = worker.communicate(timeout=10)
    assert (worker.returncode, errors) == (0, "")


def test_a_second_worker_is_refused(cli: Cli, worker: subprocess.Popen[str]):
    assert cli.fails("worker", "-w", FLOWS) == f"Error: another worker serves {cli.file}, and a file has one\n"
