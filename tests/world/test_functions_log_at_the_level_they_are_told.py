"""A function logs at `POWERTOOLS_LOG_LEVEL`, and its metrics reach CloudWatch at each.

Lambda filters what a function writes by the `level` of a JSON line, and takes a line without one for INFO. Powertools
would take the level of that filter for its own.
"""

import itertools
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.aws import Stack
from tests.support.lambdas import Context, load_function, own_log, sqs_event, sqs_record, unload
from tests.support.systems import AWSSystem
from worldflow.worlds.messages import StepTask

_services = itertools.count(1)


@pytest.fixture
def own_loggers() -> Iterator[None]:
    with own_log():
        yield


def lines_at(
    level: str, stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[dict[str, Any]]:
    """What a step that fails writes, and one line of each level beside it."""
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", level)
    monkeypatch.setenv("AWS_LAMBDA_LOG_LEVEL", "DEBUG" if level == "DEBUG" else "INFO")
    app = load_function("step_executor", service=f"leveled-{next(_services)}")
    try:
        capsys.readouterr()
        task = StepTask(run_id="r", step_id="s1", name="refuse", input={"message": "no"})
        app.handler(sqs_event(sqs_record(stack.arns["steps"], task.dump())), Context())
        for told in ("debug", "info", "warning", "error"):
            getattr(app.function.logger, told)(f"{told} of Powertools")
            getattr(logging.getLogger("mine"), told)(f"{told} of a module")
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    finally:
        unload(app)


@pytest.mark.usefixtures("own_loggers")
@pytest.mark.parametrize(
    ("level", "logged"),
    [
        ("DEBUG", ["debug", "info", "warning", "error"]),
        ("INFO", ["info", "warning", "error"]),
        ("WARNING", ["warning", "error"]),
        ("ERROR", ["error"]),
    ],
)
def test_it_logs_what_is_as_severe(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: str, logged: list[str]
) -> None:
    lines = lines_at(level, aws.stack, monkeypatch, capsys)

    for source in ("Powertools", "a module"):
        assert [line["level"].lower() for line in lines if str(line.get("message")).endswith(f"of {source}")] == logged
    (metrics,) = [line for line in lines if "StepScheduleToStart" in line]
    assert "level" not in metrics
    assert metrics["_aws"]["CloudWatchMetrics"], "nothing around it: the line itself is what CloudWatch reads"
