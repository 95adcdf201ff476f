"""`make verify-aws` removes each run that it may have started, also where the API answered with an error."""

from __future__ import annotations

from typing import Any

import pytest

from worldflow.devtools.stack import Answer
from worldflow.devtools.verify.checks.api import idempotent_start
from worldflow.devtools.verify.failures import Failed
from worldflow.devtools.verify.outcome import Outcome, run_checks
from worldflow.devtools.verify.target import Target

pytestmark = pytest.mark.one_python


class Broken(Target):
    """Its API starts a run and then fails."""

    def __init__(self) -> None:
        self.prefix, self.runs = "verify-1", []

    def call(self, *request: Any, **options: Any) -> Answer:
        return Answer(500, {"error": "it broke"})

    def last_error(self, name: str) -> str:
        return ""

    def log_group(self, name: str) -> str:
        return ""


def test_a_start_that_is_answered_with_an_error_may_have_started_the_run() -> None:
    target = Broken()
    with pytest.raises(Failed, match=r"^POST /runs: 500"):
        target.start("hello")
    assert target.runs == ["verify-1-hello-0"]


def test_so_may_one_with_an_idempotency_key() -> None:
    target = Broken()
    (result,) = run_checks(target, [idempotent_start])
    assert (result.outcome, target.runs) == (Outcome.FAILED, ["verify-1-once"])
