"""A failure that is expected fails its step and its run, and is no error to those who watch."""

from __future__ import annotations

import logging

import pytest

from worldflow import BenignError, FatalError, RetryPolicy, RunFailedError, step, workflow
from worldflow.engine.history import Failure, RunCompleted, RunFailed
from worldflow.engine.history.failures import encode_exception
from worldflow.serving.metrics import _outcome
from worldflow.testing import WorkflowEnvironment
from worldflow.tracing.described import error_type


class BenignDecline(BenignError, FatalError):
    pass


class BenignDelay(BenignError):
    pass


@step(retry=RetryPolicy(max_attempts=3))
async def declines_benignly(at_once: bool) -> None:
    raise BenignDecline("no funds") if at_once else BenignDelay("not yet")


@workflow
async def is_declined_benignly(at_once: bool) -> None:
    await declines_benignly(at_once)


@pytest.mark.parametrize(("at_once", "attempts"), [(True, 1), (False, 3)])
async def test_an_attempt_is_logged_for_those_who_look(
    caplog: pytest.LogCaptureFixture, at_once: bool, attempts: int
) -> None:
    with caplog.at_level(logging.DEBUG, "worldflow"):
        async with WorkflowEnvironment() as env:
            with pytest.raises(RunFailedError):
                await (await env.start(is_declined_benignly, at_once)).result()

    told = [record for record in caplog.records if "declines_benignly" in record.getMessage()]
    assert [(record.levelno, record.exc_info) for record in told] == [(logging.DEBUG, None)] * attempts


@pytest.mark.parametrize(
    ("error", "outcome"), [(BenignError("x"), "benign"), (BenignDecline("x"), "benign"), (FatalError("x"), "failed")]
)
def test_spans_have_no_error_and_the_run_counts_as_benign(error: Exception, outcome: str) -> None:
    failure = Failure.model_validate_json(encode_exception(error).model_dump_json())

    assert (error_type(failure) is None) == (outcome == "benign")
    assert _outcome(RunFailed(error=failure)) == outcome
    assert _outcome(RunCompleted()) == "completed"
