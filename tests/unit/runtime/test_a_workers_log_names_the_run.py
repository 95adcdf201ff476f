"""`RunIds`: each line that a worker logs, its workflows and steps too, says which run it is about."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from worldflow import FatalError, logger, step, step_info, workflow
from worldflow.runtime import Orchestrator
from worldflow.worker import BackgroundWorker, RunIds, Worker
from worldflow.worlds import LocalWorld

_log = logging.getLogger(__name__)


@step(name="named_async")
async def in_the_loop() -> None:
    _log.info("in the loop")


@step(name="named_plain")
def in_a_thread() -> None:
    _log.info("in a thread")


@step(name="named_failing")
async def fails() -> None:
    raise FatalError(f"no shelf for {step_info().run_id}")


@workflow(name="named_run")
async def works() -> None:
    logger.info("begins")
    await in_the_loop()
    await in_a_thread()
    logger.info("ends")
    await fails()


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.lock_of_lines = threading.Lock()
        self.addFilter(RunIds())
        self.setFormatter(logging.Formatter("%(run)s%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        with self.lock_of_lines:
            self.lines.append(self.format(record).splitlines()[0])


@pytest.fixture
def log() -> Iterator[_Lines]:
    handler, root = _Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def test_lines_of_runs_side_by_side(log: _Lines) -> None:
    with closing(LocalWorld()) as world, BackgroundWorker(Worker(world)):
        runs = [Orchestrator(world).sync.start_workflow(f"r{number}", works) for number in range(3)]
        for run in runs:
            with pytest.raises(Exception, match="no shelf"):
                run.result(timeout="20s")
    for number in range(3):
        assert [line for line in log.lines if f"r{number}" in line] == [
            f"[r{number}] begins",
            f"[r{number} s1/1] in the loop",
            f"[r{number} s2/1] in a thread",
            f"[r{number}] ends",
            f"[r{number} s3/1] step named_failing, attempt 1, failed: FatalError",
        ]
    _log.info("outside")
    assert log.lines[-1] == "outside"
