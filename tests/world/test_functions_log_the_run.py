"""The functions' logs: JSON lines that say which run and which step they are about."""

import itertools
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.support import workflows
from tests.support.aws import Stack
from tests.support.lambdas import Context, load_function, own_log, sqs_event, sqs_record, unload
from tests.support.systems import AWSSystem
from worldflow.engine.history import StepCompleted
from worldflow.runtime import starting
from worldflow.worlds.messages import FactArrived, Start, StepTask

_processes = itertools.count(1)


class Function:
    """A function in a process of its own, as far as its log goes."""

    def __init__(self, name: str, stack: Stack, capture: pytest.CaptureFixture[str]) -> None:
        self.stack = stack
        self._capture = capture
        # Powertools keeps a logger, and the stream that it writes to, for as long as its service is known:
        # a service that had this name before would write where nobody reads any more.
        self._app = load_function(name, service=f"{name}-{next(_processes)}")

    def close(self) -> None:
        unload(self._app)

    def __call__(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """What an invocation logs, without the metrics."""
        self._capture.readouterr()
        self._app.handler(event, Context())
        lines = [json.loads(line) for line in self._capture.readouterr().out.splitlines()]
        return [line for line in lines if "_aws" not in line]


@pytest.fixture
def functions(aws: AWSSystem, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    with own_log(), ExitStack() as running:

        def function(name: str) -> Function:
            return running.enter_context(closing(Function(name, aws.stack, capsys)))

        yield function


def tasks(stack: Stack, *tasks: StepTask) -> dict[str, Any]:
    return sqs_event(*(sqs_record(stack.arns["steps"], task.dump()) for task in tasks))


def test_a_step_that_fails_is_logged_with_its_run_and_attempt(functions: Any, aws: AWSSystem) -> None:
    task = StepTask(run_id="order-1", step_id="s3", attempt=2, name="refuse", input={"message": "no"})
    (line,) = functions("step_executor")(tasks(aws.stack, task))

    assert (line["run_id"], line["step_id"], line["attempt"]) == ("order-1", "s3", 2)
    assert line["level"] == "WARNING"
    assert "refuse" in line["message"]
    assert line["exception_name"] == "FatalError"
    assert line["function_request_id"] == Context.aws_request_id


def test_steps_of_one_batch_do_not_mix_up_their_names(
    functions: Any, aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLDFLOW_LOG_PAYLOADS", "true")
    batch = [
        StepTask(run_id=f"order-{number}", step_id=f"s{number}", name="refuse", input={"message": f"no {number}"})
        for number in range(5)
    ]
    lines = functions("step_executor")(tasks(aws.stack, *batch))

    assert {(line["run_id"], line["step_id"], line["exception"].splitlines()[-1].split()[-1]) for line in lines} == {
        (f"order-{number}", f"s{number}", str(number)) for number in range(5)
    }


def test_what_a_step_logs_says_which_run_and_step_it_was(functions: Any, aws: AWSSystem) -> None:
    task = StepTask(run_id="order-1", step_id="s1", name="chatter", input={"text": "the shelf is nearly empty"})
    (line,) = functions("step_executor")(tasks(aws.stack, task))

    assert line["message"] == "the shelf is nearly empty"
    assert (line["run_id"], line["step_id"]) == ("order-1", "s1")


def test_the_orchestrator_logs_the_run(functions: Any, aws: AWSSystem) -> None:
    event = sqs_event(sqs_record(aws.stack.arns["runs"], Start(run_id="order-404").dump()))
    (line,) = functions("orchestrator")(event)

    assert line["run_id"] == "order-404"
    assert line["function_request_id"] == Context.aws_request_id


def test_a_blocked_run_is_logged_with_its_reason(functions: Any, aws: AWSSystem) -> None:
    orchestrator = functions("orchestrator")
    starting.start(aws.world, "order-1", "teleport")
    event = sqs_event(sqs_record(aws.stack.arns["runs"], Start(run_id="order-1").dump()))
    (line,) = orchestrator(event)

    assert (line["run_id"], line["level"]) == ("order-1", "ERROR")
    assert "teleport" in line["message"]


def test_runs_of_one_batch_do_not_mix_up_their_names(functions: Any, aws: AWSSystem) -> None:
    event = sqs_event(*(sqs_record(aws.stack.arns["runs"], Start(run_id=f"x{n}").dump()) for n in range(3)))
    lines = functions("orchestrator")(event)

    assert sorted(line["run_id"] for line in lines) == ["x0", "x1", "x2"]


def test_the_names_do_not_stay_for_the_next_invocation(functions: Any, aws: AWSSystem) -> None:
    orchestrator = functions("orchestrator")
    orchestrator(sqs_event(sqs_record(aws.stack.arns["runs"], Start(run_id="x").dump())))
    (line,) = orchestrator(sqs_event(sqs_record(aws.stack.arns["runs"], "hello")))

    assert "run_id" not in line


def test_what_workflows_carry_is_not_logged(functions: Any, aws: AWSSystem) -> None:
    orchestrator = functions("orchestrator")
    starting.start(aws.world, "r", workflows.chain, {"length": 2})
    records = [Start(run_id="r"), FactArrived(run_id="r", fact=StepCompleted(step_id="s1", result=424242))]
    lines = orchestrator(sqs_event(*(sqs_record(aws.stack.arns["runs"], record.dump()) for record in records)))

    assert "424242" not in json.dumps(lines)


def test_loading_a_function_in_a_test_leaves_the_logs_of_others_alone(stack: Stack) -> None:
    loggers = [logging.getLogger(name) for name in ("", "worldflow", "workflows")]

    def look() -> list[object]:
        return [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]

    before = look()
    with own_log():
        load_function("orchestrator")
    assert look() == before
