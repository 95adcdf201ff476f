"""`make verify-aws`: what a check comes to, on AWS and on an emulator, and what the command's exit status is."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from worldflow.devtools.verify import deployment
from worldflow.devtools.verify.checks import CHECKS, caretaker
from worldflow.devtools.verify.failures import Failed, Skipped, Undecided
from worldflow.devtools.verify.outcome import Check, Function, Outcome, Result, check, run_checks
from worldflow.devtools.verify.price import dollars
from worldflow.devtools.verify.questions import QUESTIONS, answers
from worldflow.devtools.verify.report import exit_status

pytestmark = pytest.mark.one_python


@dataclass
class Stack:
    """What a check asks of a target, without AWS."""

    is_local: bool = False
    enforces_iam: bool = True
    done: list[str] = field(default_factory=list)

    def log_group(self, name: str) -> str:
        return f"log group of {name}"

    def last_error(self, name: str) -> str:
        return ": it said so"


def result_of(function: Function, stack: Stack | None = None, **options: Any) -> Result:
    made = check("a check", statements=("SignalRole.Read",), look=("Signal",), **options)(function)
    (result,) = run_checks(stack or Stack(), [made])  # type: ignore[arg-type]
    return result


def raising(error: Exception) -> Function:
    def function(_: Any) -> str:
        raise error

    return function


def works(_: Any) -> str:
    return "seen"


def test_a_check_that_returns_has_passed_on_aws() -> None:
    result = result_of(works, only_on_aws="an emulator is none")
    assert (result.outcome, result.detail) == (Outcome.PASSED, "seen")


@pytest.mark.parametrize(
    "error",
    [
        Failed("it was not so"),
        ValueError("an error of the check"),
        ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Invoke"),
    ],
)
def test_a_check_that_fails_says_where_to_look(error: Exception) -> None:
    result = result_of(raising(error))
    assert (result.outcome, result.places) == (Outcome.FAILED, ["log group of Signal: it said so"])
    assert str(error) in result.detail


def test_an_emulator_does_not_decide_what_only_aws_does() -> None:
    result = result_of(works, Stack(is_local=True), only_on_aws="it has no network")
    assert (result.outcome, result.detail) == (Outcome.UNDECIDED, "works here (seen), but it has no network")


@pytest.mark.parametrize(("enforces", "outcome"), [(False, Outcome.UNDECIDED), (True, Outcome.PASSED)])
def test_rights_are_not_decided_where_nobody_is_refused(enforces: bool, outcome: Outcome) -> None:
    assert result_of(works, Stack(is_local=True, enforces_iam=enforces)).outcome is outcome


def test_what_fails_on_an_emulator_has_failed() -> None:
    stack = Stack(is_local=True, enforces_iam=False)
    assert result_of(raising(Failed("it was not so")), stack, only_on_aws="it has no network").outcome is Outcome.FAILED


def step_by_step(name: str) -> Check:
    def function(stack: Any) -> Generator[None, None, str]:
        stack.done.append(f"{name} begins")
        try:
            yield
            stack.done.append(f"{name} ends")
        finally:
            stack.done.append(f"{name} is cleaned up")
        return name

    return check(name)(function)


def test_what_takes_minutes_is_resumed_after_all_others() -> None:
    def other(stack: Any) -> str:
        stack.done.append("another")
        return "another"

    stack = Stack()
    results = list(run_checks(stack, [step_by_step("long"), check("another")(other)]))  # type: ignore[arg-type]
    assert stack.done == ["long begins", "another", "long ends", "long is cleaned up"]
    assert [result.check.name for result in results] == ["another", "long"]


def test_what_has_begun_is_cleaned_up_when_the_checks_are_interrupted() -> None:
    stack = Stack()
    with pytest.raises(KeyboardInterrupt):
        interrupted = check("another")(raising(KeyboardInterrupt()))  # type: ignore[arg-type]
        list(run_checks(stack, [step_by_step("long"), interrupted]))  # type: ignore[arg-type]
    assert stack.done == ["long begins", "long is cleaned up"]


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([Outcome.PASSED, Outcome.SKIPPED], 0),
        ([Outcome.UNDECIDED], 0),
        ([Outcome.PASSED, Outcome.FAILED], 1),
        ([Outcome.SKIPPED], 1),
        ([], 1),
    ],
)
def test_the_exit_status_is_that_of_the_checks(outcomes: list[Outcome], status: int) -> None:
    assert exit_status([Result(check=CHECKS[0], outcome=outcome, detail="") for outcome in outcomes]) == status


def test_every_question_has_a_check_that_runs() -> None:
    assert {question.check.name for question in QUESTIONS} <= {one.name for one in CHECKS}
    assert len({one.name for one in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(
    ("outcome", "is_local", "answered"),
    [
        (Outcome.PASSED, False, Outcome.PASSED),
        (Outcome.PASSED, True, Outcome.UNDECIDED),
        (Outcome.FAILED, False, Outcome.FAILED),
        (Outcome.SKIPPED, False, Outcome.SKIPPED),
    ],
)
def test_an_emulator_answers_no_question(outcome: Outcome, is_local: bool, answered: Outcome) -> None:
    results = [Result(check=caretaker.archive, outcome=outcome, detail="archived")]
    assert next(answers(results, is_local=is_local))[1] is answered


def test_a_check_may_be_skipped_or_left_open() -> None:
    assert result_of(raising(Skipped("no key"))).outcome is Outcome.SKIPPED
    assert result_of(raising(Undecided("no data yet"))).outcome is Outcome.UNDECIDED


def test_parameters_that_are_given_win_over_those_of_samconfig() -> None:
    ours = dict(one.split("=", 1) for one in deployment.parameters("default", []))
    assert (ours["Stage"], ours["RetentionDays"]) == ("dev", "1")
    given = deployment.parameters("default", ["Stage=prod", "KmsKeyArn=arn:aws:kms:eu-west-1:1:key/a=b"])
    assert "Stage=prod" in given
    assert "Stage=dev" not in given
    assert "KmsKeyArn=arn:aws:kms:eu-west-1:1:key/a=b" in given
    with pytest.raises(deployment.DeploymentFailed, match="Name=value"):
        deployment.parameters("default", ["Stage"])


def test_it_costs_cents() -> None:
    assert 0.005 < dollars(makes=False) < dollars(makes=True) < 0.2
